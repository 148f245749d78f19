"""The file of a spec is data: no tag makes an object of it, and no alias more of it than a spec can be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.errors import SpecError
from augmill.pipeline.spec_file import plain_problems, read_yaml


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Any]:
    """Read a text as the file of a spec."""

    def reading(text: str) -> Any:
        (tmp_path / "spec.yaml").write_text(text, "utf-8")
        return read_yaml(tmp_path / "spec.yaml")

    return reading


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {made}']",
        "!!python/object/new:subprocess.Popen [['touch', '{made}']]",
        "!!python/object:augmill.pipeline.spec.Spec {}",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        "!!python/tuple [1]",
        "!mine 1",
    ],
)
def test_no_tag_makes_an_object(tag: str, read: Callable[[str], Any], tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(SpecError, match=r"spec\.yaml: is no valid YAML: could not determine a constructor for the tag"):
        read(f"name: a\naugment: {tag.replace('{made}', str(made))}")
    assert not made.exists()


def test_aliases_and_merges_that_stay_small_are_data(read: Callable[[str], Any]) -> None:
    value = read("ops: &ops [a, b]\none: {<<: {p: 0.5}, do: *ops}\ntwo: {do: *ops}")
    assert value == {"ops": ["a", "b"], "one": {"p": 0.5, "do": ["a", "b"]}, "two": {"do": ["a", "b"]}}


def test_aliases_of_aliases_are_counted_before_they_are_walked(read: Callable[[str], Any]) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(SpecError, match=r"spec: holds more than 100,000 values, those that aliases"):
        read("\n".join(lines))


def test_merges_of_merges_are_counted(read: Callable[[str], Any]) -> None:
    lines = ["a0: &a0 {k: 1, l: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    with contextlib.suppress(SpecError):  # PyYAML before 6.0.3 would make 10^11 pairs of them
        assert read("\n".join(lines))["a11"] == {"k": 1, "l": 2}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"seed": 10**5000}, "seed: a whole number may have 4096 bits, got one of 16610"),
        ({"source": {"folder": "a\0b"}}, r"source.folder: must be text in UTF-8 without NUL, got 'a\x00b'"),
        ({"augment": ["a", "\ud800"]}, r"augment[1]: must be text in UTF-8 without NUL, got '\ud800'"),
        ({"augment": [{"\ud800": 1}]}, "augment[0]"),
    ],
)
def test_what_cannot_be_written_out_is_told_with_its_place(value: Any, told: str) -> None:
    ((where, message),) = plain_problems(value)
    from augmill.pipeline.spec_file import dotted

    assert told in f"{dotted(where)}: {message}"


def test_nesting_ends(read: Callable[[str], Any]) -> None:
    with pytest.raises(SpecError, match="is nested more than 50 deep"):
        read("a: " + "[" * 60 + "]" * 60)
    with pytest.raises(SpecError, match="is no valid YAML: it is nested too deeply"):
        read("[" * 5000)


def test_a_file_that_is_too_large_is_not_parsed(read: Callable[[str], Any]) -> None:
    with pytest.raises(SpecError, match="has more than 1,000,000 bytes, which no spec needs"):
        read("a: " + "x" * 1_000_000)
