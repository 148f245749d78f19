"""A download ends with the right bytes, or with an error that says what came instead."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from augmill.pipeline.download import Wanted, download
from augmill.pipeline.errors import DownloadError, MissingFileError, VersionError
from augmill.pipeline.remote import StoppedError

DATA = bytes(range(256)) * 40
WANTED = Wanted("gs://b/a", hashlib.sha256(DATA).hexdigest(), len(DATA))


class Source:
    """Streams what is given, one after the other; an error is raised after half of the data."""

    def __init__(self, *outcomes: bytes | Exception) -> None:
        self.outcomes = list(outcomes)

    def __call__(self) -> Iterator[bytes]:
        outcome = self.outcomes.pop(0)
        data = outcome if isinstance(outcome, bytes) else DATA[: len(DATA) // 2]
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]
        if isinstance(outcome, Exception):
            raise outcome


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augmill.pipeline.remote_errors._PAUSE", 0.001)


def _download(path: Path, source: Source) -> int:
    with path.open("wb") as file:
        return download(WANTED, source, file, threading.Event())


@pytest.mark.parametrize(
    ("before", "received"),
    [
        ([], 1),
        ([DownloadError("reset")], 1.5),
        ([DownloadError("503"), DownloadError("503"), DownloadError("503")], 2.5),
        ([DATA[:-1]], 2 - 1 / len(DATA)),
        ([DATA[:-1] + b"x", DownloadError("reset")], 2.5),
    ],
)
def test_what_goes_wrong_before_leaves_nothing_in_the_file(
    before: list[bytes | Exception], received: float, tmp_path: Path
) -> None:
    assert _download(tmp_path / "a", Source(*before, DATA)) == pytest.approx(received * len(DATA))
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_wrong_digest_is_tried_once_more_and_then_told(tmp_path: Path) -> None:
    other = DATA[:-1] + b"x"
    source = Source(other, other, DATA)

    with pytest.raises(VersionError) as caught:
        _download(tmp_path / "a", source)

    expected, found = WANTED.sha256[:12], hashlib.sha256(other).hexdigest()[:12]
    assert f"gs://b/a: expected 10,240 bytes with sha256 {expected}..., found 10,240 bytes with {found}..." in str(
        caught.value
    )
    assert source.outcomes == [DATA]


def test_a_short_and_a_long_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match=r"expected 10,240 bytes with sha256 .*, found 10,000 bytes"):
        _download(tmp_path / "a", Source(DATA[:10_000], DATA[:10_000]))
    with pytest.raises(VersionError, match="found more than 10,240 bytes"):
        _download(tmp_path / "a", Source(DATA * 1000, DATA * 1000))
    assert (tmp_path / "a").stat().st_size < 2 * len(DATA)  # nor is the disk filled with it


def test_a_missing_file_is_asked_for_once(tmp_path: Path) -> None:
    source = Source(MissingFileError("gs://b/a is not there"), DATA)

    with pytest.raises(MissingFileError):
        _download(tmp_path / "a", source)
    assert source.outcomes == [DATA]


def test_it_is_broken_off_between_pieces_and_in_pauses(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    for source in (Source(DATA), Source(DownloadError("reset"), DATA)):
        with (tmp_path / "a").open("wb") as file, pytest.raises(StoppedError):
            download(WANTED, source, file, stop)
