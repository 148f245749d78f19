"""Sizes and times are told in the unit that suits them."""

from __future__ import annotations

import pytest

from augmill.pipeline.units import parse_size, size_text, time_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_145_728, "3.1 MB"), (2.5e9, "2.5 GB"), (7e15, "7000.0 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("17", 17),
        ("17B", 17),
        ("2kB", 2000),
        (" 1.5 GB ", 1_500_000_000),
        ("3T", 3 * 10**12),
        ("250MB", 25 * 10**7),
    ],
)
def test_sizes_are_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 GiB", "1e9", "1,5 GB", "ten"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size is a number with B, kB, MB, GB or TB after it, got"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (7200, "2.0 h")]
)
def test_times(seconds: float, text: str) -> None:
    assert time_text(seconds) == text
