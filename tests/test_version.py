"""A published version can be listed, opened and verified, and no damage to it goes unseen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline.errors import VersionError
from augmill.pipeline.latest import version_key
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.version import Version, list_versions


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    from augmill.pipeline import Spec

    spec = Spec(
        name="crops",
        version="1.0.0",
        source={"folder": str(photo_folder)},
        image={"size": [24, 24]},
        splits={"train": 0.8, "validation": 0.2},
        block_examples=16,
        augment=["tf.image.random_flip_left_right"],
    )
    version: Version = publish_version(spec, tmp_path_factory.mktemp("published"))
    return version


@pytest.fixture
def copied(published: Version, tmp_path: Path) -> Version:
    """A copy that a test may spoil."""
    return Version(shutil.copytree(published.path, tmp_path / "1.0.0"))


def _wrong(version: Version) -> dict[str, str]:
    return {file: wrong for file, wrong in Version(version.path).verify() if wrong}


def test_a_published_version_is_whole(published: Version) -> None:
    assert _wrong(published) == {}
    assert published.records == sum(split.records for split in published.manifest.splits.values())
    assert published.bytes == sum(path.stat().st_size for path in published.path.glob("*.tfrecord-*"))


def test_shards_are_copy_major(published: Version) -> None:
    shards = published.manifest.splits["train"].shards

    assert [shard.file for shard in shards] == sorted(shard.file for shard in shards)
    copies = [shard.copy_number for shard in shards]
    assert copies == sorted(copies)
    assert set(copies) == {0, 1}


def test_a_flipped_byte_anywhere_is_found(copied: Version) -> None:
    generator = np.random.default_rng(7)
    files = [path for path in copied.path.rglob("*") if path.is_file() and path.stat().st_size]
    for path in files:
        data = bytearray(path.read_bytes())
        place = int(generator.integers(len(data)))
        data[place] ^= 1 << int(generator.integers(8))
        before = path.read_bytes()
        path.write_bytes(data)
        try:
            found = _wrong(copied)
        except VersionError:
            found = {MANIFEST: "cannot be read"}
        assert path.relative_to(copied.path).as_posix() in found, f"{path}, byte {place}"
        path.write_bytes(before)
    assert _wrong(copied) == {}


def test_missing_short_and_stray_files_are_found(copied: Version) -> None:
    first, second, third = (shard.file for shard in copied.manifest.splits["train"].shards[:3])
    (copied.path / first).unlink()
    (copied.path / second).write_bytes((copied.path / second).read_bytes()[:-7])
    (copied.path / "notes.txt").write_text("mine")
    np.save(copied.path / "index" / f"{third}.npy", np.array([0, 5], np.int64))

    wrong = _wrong(copied)

    assert wrong[first] == "cannot be read: No such file or directory"
    assert "bytes, not" in wrong[second]
    assert wrong["notes.txt"] == "does not belong to this version"
    assert "bytes, not" in wrong[f"index/{third}.npy"]


def test_what_is_no_version_is_refused_with_a_hint(published: Version, tmp_path: Path) -> None:
    with pytest.raises(VersionError, match=r"is not a version: it has no augmill\.json, and no versions in it$"):
        Version(published.path.parents[1])
    with pytest.raises(VersionError, match=r"nowhere is not a version: it has no augmill\.json, and no versions"):
        Version(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "is damaged"), ("[]", "has format None"), ('{"format": 99}', "has format 99; this augmill reads format 2")],
)
def test_a_manifest_that_cannot_be_read_is_refused(copied: Version, text: str, told: str) -> None:
    (copied.path / MANIFEST).write_text(text)

    with pytest.raises(VersionError, match=told):
        Version(copied.path)


def test_a_manifest_with_a_part_missing_is_refused(copied: Version) -> None:
    stored = json.loads((copied.path / MANIFEST).read_text())
    del stored["splits"]
    (copied.path / MANIFEST).write_text(json.dumps(stored))

    with pytest.raises(VersionError, match="is not a manifest"):
        Version(copied.path)


def test_versions_are_listed_by_number_and_unfinished_ones_are_not(copied: Version) -> None:
    root = copied.path.parent
    for number in ("1.10.0", "1.9.0"):
        shutil.copytree(copied.path, root / number)
    (root / "2.0.0.building").mkdir()
    (root / "3.0.0").mkdir()

    assert [version.path.name for version in list_versions(root)] == ["1.0.0", "1.9.0", "1.10.0"]


def test_version_numbers_are_numbers() -> None:
    assert version_key("1.10.0") > version_key("1.9.12")


def test_equal_data_has_one_digest_wherever_it_was_built(
    published: Version, tmp_path: Path, publish_version: Callable[..., Version]
) -> None:
    from augmill.pipeline import Spec

    again = publish_version(Spec(**published.manifest.spec), tmp_path)

    assert again.manifest.digest == published.manifest.digest
    assert {p.name: p.read_bytes() for p in again.path.glob("*.json") if p.name != MANIFEST} == {
        p.name: p.read_bytes() for p in published.path.glob("*.json") if p.name != MANIFEST
    }
