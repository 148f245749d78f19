"""A version that stands is found, compared and never touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Version, build
from augmill.pipeline.errors import VersionError
from augmill.pipeline.standing import differences, next_version


@pytest.fixture(scope="module")
def files_of() -> Callable[[Path], dict[str, bytes]]:
    def files(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return files


def test_the_same_spec_finds_its_version_standing(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version], files_of: Any
) -> None:
    published = publish_version(make_spec(), tmp_path)
    before, told = files_of(published.path), []

    again = build(make_spec(), tmp_path, say=told.append)

    assert again.manifest == published.manifest
    assert told == ["crops 1.0.0 is already built from this spec (116 records); nothing to do"]
    assert files_of(published.path) == before


def test_another_spec_is_refused_with_what_differs_and_the_next_version(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version], files_of: Any
) -> None:
    published = publish_version(make_spec(), tmp_path)
    before = files_of(published.path)

    with pytest.raises(VersionError) as refused:
        build(make_spec(copies=3, seed=9), tmp_path)

    assert "seed: 3 is published, 9 is in the spec" in str(refused.value)
    assert "copies: 2 is published, 3 is in the spec" in str(refused.value)
    assert "Set version: 2.0.0" in str(refused.value)
    assert files_of(published.path) == before


def test_a_standing_version_tells_what_changed_since_and_what_a_build_left_is_tidied(
    tmp_path: Path, make_spec: Callable[..., Any], photo_folder: Path, publish_version: Callable[..., Version]
) -> None:
    folder = shutil.copytree(photo_folder, tmp_path / "photos")
    spec, told = make_spec(source={"folder": str(folder)}), list[str]()
    publish_version(spec, tmp_path / "out")
    shutil.copy(folder / "cat/cat-000.png", folder / "cat/new.png")
    (tmp_path / "out/crops/1.0.0.building").mkdir()

    build(spec, tmp_path / "out", say=told.append)

    assert told[1].startswith("note: the source changed (48 examples then, 49 now) since; set another version")
    assert not (tmp_path / "out/crops/1.0.0.building").exists()


def test_differences_name_the_place_and_both_values() -> None:
    old = {"seed": 1, "image": {"size": [32, 32]}, "augment": ["a", {"b": {"x": 1}}]}
    new = {"seed": 1, "image": {"size": [64, 32]}, "augment": ["a", {"b": {"x": 2}}]}

    assert differences(old, new) == [
        "image.size: [32, 32] is published, [64, 32] is in the spec",
        "augment[1].b.x: 1 is published, 2 is in the spec",
    ]


def test_the_next_version_follows_the_newest_by_number(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    for number in ("9.0.0", "10.0.1"):
        publish_version(make_spec(version=number, copies=0, augment=[]), tmp_path)

    assert next_version(tmp_path / "crops") == "11.0.0"
