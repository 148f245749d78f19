"""What failed is tried again: a patch holds what can be used by now, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Spec, Version, build
from augmill.pipeline.errors import BuildError, VersionError
from augmill.pipeline.retry import find_patch


class Spoilt(NamedTuple):
    """A version of photos of which three failed."""

    folder: Path
    root: Path
    spec: Spec
    photo: np.ndarray

    def mend(self, *names: str) -> None:
        for name in names:
            Image.fromarray(self.photo[:14, :14]).save(self.folder / name)

    def retry(self) -> tuple[str | None, list[str]]:
        """The number of the patch that would be built, and what is said."""
        told: list[str] = []
        spec = find_patch(self.spec, self.root / "crops" / self.spec.version, told.append).spec
        return spec and spec.version, told


BAD = ("cat/0010.png", "cat/0020.png", "dog/0007.png")


@pytest.fixture
def spoilt(
    tmp_path: Path, photo: np.ndarray, make_spec: Callable[..., Spec], publish_version: Callable[..., Version]
) -> Spoilt:
    for number in range(240):
        path = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[number % 200 : number % 200 + 14, 20:34]).save(path)
    for name in BAD:
        (tmp_path / "photos" / name).write_bytes(b"no image")
    parts = {"source": {"folder": str(tmp_path / "photos")}, "image": {"size": [12, 12], "encoding": "png"}}
    spec = make_spec(version="1.2.0", block_examples=30, max_bad_fraction=0.1, **parts)
    publish_version(spec, tmp_path / "data")
    return Spoilt(tmp_path / "photos", tmp_path / "data", spec, photo)


def test_a_patch_has_what_was_mended_and_shares_all_else(spoilt: Spoilt, publish_version: Callable[..., Any]) -> None:
    spoilt.mend(*BAD[:2])
    told: list[str] = []

    patch = build(spoilt.spec, spoilt.root, workers=1, retry_failed=True, say=told.append)

    assert told[0] == "2 of the 3 examples that failed in 1.2.0 can be used now: building 1.2.1"
    assert patch.number == "1.2.1" and [failure["key"] for failure in patch.failures] == [BAD[2]]
    reused = patch.manifest.build["reused"]
    shards = sum(len(split.shards) for split in patch.manifest.splits.values())
    assert reused["examples"] == 237 and shards - 6 <= reused["shards"] < shards
    plain = spoilt.spec.model_copy(update={"version": "1.2.1"})
    assert publish_version(plain, spoilt.root.parent / "scratch").manifest.digest == patch.manifest.digest
    spoilt.mend(BAD[2])
    assert spoilt.retry()[0] == "1.2.2", "the newest patch is what is patched next"


def test_what_still_fails_builds_nothing(spoilt: Spoilt) -> None:
    told: list[str] = []

    assert build(spoilt.spec, spoilt.root, retry_failed=True, say=told.append).number == "1.2.0"

    assert told[0] == "none of the 3 examples that failed in 1.2.0 can be used yet; nothing is built"
    assert told[1].startswith("the first, cat/0010.png: not an image")
    assert sorted(path.name for path in (spoilt.root / "crops").iterdir()) == ["1.2.0"]


def test_a_source_that_changed_otherwise_is_refused(spoilt: Spoilt) -> None:
    spoilt.mend(*BAD, "dog/new.png")
    with pytest.raises(VersionError, match=r"not that of 1\.2\.0 any more: 1 example came \(dog/new\.png\)\."):
        spoilt.retry()
    (spoilt.folder / "dog/new.png").unlink()
    (spoilt.folder / "dog/0001.png").rename(spoilt.folder.parent / "0001.png")
    with pytest.raises(VersionError, match=r"1 example went \(dog/0001\.png\)"):
        spoilt.retry()
    spoilt.mend("dog/0001.png")
    with pytest.raises(BuildError, match=r"dog/0001\.png has changed since 1\.2\.0 was built"):
        build(spoilt.spec, spoilt.root, workers=1, retry_failed=True)


def test_a_patch_needs_a_version_of_the_same_spec(spoilt: Spoilt) -> None:
    other = spoilt._replace(spec=spoilt.spec.model_copy(update={"seed": 8}))
    with pytest.raises(VersionError, match=r"1\.2\.0 is of another spec, .*:\n  seed: 3 is published"):
        other.retry()
    missing = spoilt._replace(spec=spoilt.spec.model_copy(update={"version": "2.0.0"}))
    with pytest.raises(VersionError, match=r"no version 2\.0\.\* of crops stands in"):
        missing.retry()
