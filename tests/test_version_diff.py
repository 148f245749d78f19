"""Versions are compared by what they were made of and by their records, and each difference is named where it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Version
from augmill.pipeline.example import COPY, KEY, decode_example
from augmill.pipeline.shard import scan_records
from augmill.pipeline.version_diff import Difference, compare, spec_differences

Build = Callable[..., Version]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Build) -> Build:
    """Build a version of the photos, in a folder of its own; `change` may spoil the photos first."""
    from augmill.pipeline import Spec

    def build(change: Callable[[Path], object] = lambda photos: None, **changes: Any) -> Version:
        folder = tmp_path_factory.mktemp("diff")
        photos = Path(shutil.copytree(photo_folder, folder / "photos"))
        change(photos)
        parts = {"name": "crops", "version": "1.0.0", "image": {"size": [24, 24]}, "block_examples": 8, "copies": 2}
        parts |= {"splits": {"train": 0.75, "test": 0.25}, "max_bad_fraction": 0.2, "source": {"folder": str(photos)}}
        flip = ["tf.image.random_flip_left_right", {"tf.image.random_brightness": {"max_delta": 0.2}}]
        spec = Spec(**{**parts, "augment": flip, **changes})
        version = publish_version(spec, folder / "out")
        manifest = version.manifest.model_copy(update={"spec": {**version.manifest.spec, "source": None}})
        version.manifest = manifest  # the folders differ, and nothing else is to
        return version

    return build


@pytest.fixture(scope="module")
def plain(make: Build) -> Version:
    return make()


def _by_hand(a: Version, b: Version) -> dict[str, int]:
    """What is the same and what not, by reading every record of both."""
    sides = []
    for version in (a, b):
        found: dict[tuple[bytes, int], bytes] = {}
        for path in version.path.glob("*.tfrecord-*"):
            for _, record in scan_records(path):
                example = decode_example(record)
                found[example[KEY][0], example[COPY][0]] = record
        sides.append(found)
    both = sides[0].keys() & sides[1].keys()
    same = sum(sides[0][name] == sides[1][name] for name in both)
    alone = {f"only_{name}": len(side) - len(both) for name, side in zip("ab", sides, strict=True)}
    return {"same": same, "different": len(both) - same, **alone}


def _records(found: Difference) -> dict[str, int]:
    assert found.bytes.records is not None
    return found.bytes.records


def test_the_same_build_twice_is_the_same(make: Build, plain: Version) -> None:
    found = compare(plain, make())

    assert found.same
    assert found.source.same == 48
    assert found.bytes.other_shards == {}
    assert _records(found) == {"same": plain.records, "different": 0, "only_a": 0, "only_b": 0}


def test_ops_are_compared_by_place_and_their_effects_too(make: Build, plain: Version) -> None:
    other = make(augment=["tf.image.random_flip_left_right", {"tf.image.random_brightness": {"max_delta": 0.3}}])

    found = compare(plain, other)

    assert not found.same
    assert found.spec == {"augment[1].tf.image.random_brightness.max_delta": (0.2, 0.3)}
    assert [(old and old["at"], new and new["at"]) for old, new in found.effects] == [("1", "1")]
    assert not found.source.differs
    assert _records(found) == _by_hand(plain, other)
    assert _records(found)["same"] == 48  # the originals
    shards = [shard for split in plain.manifest.splits.values() for shard in split.shards]
    assert found.bytes.same_shards == sum(shard.copy_number == 0 for shard in shards)


def _change_photos(photos: Path) -> None:
    (photos / "cat/cat-001.jpg").unlink()
    shutil.copy(photos / "cat/cat-002.jpg", photos / "cat/new.jpg")
    image = np.asarray(Image.open(photos / "cat/cat-003.jpg"))
    Image.fromarray(255 - image).save(photos / "cat/cat-003.jpg")
    (photos / "coffee/coffee-005.jpg").write_text("no photo")


def test_examples_are_compared_by_key_and_content(make: Build, plain: Version) -> None:
    other = make(_change_photos)

    found = compare(plain, other)

    assert found.source.keys == {
        "added": ["cat/new.jpg"],
        "removed": ["cat/cat-001.jpg"],
        "changed": ["cat/cat-003.jpg"],
        "broken": ["coffee/coffee-005.jpg"],
    }
    assert (found.source.same, found.source.mended) == (45, 0)
    assert compare(other, plain).source.keys["mended"] == ["coffee/coffee-005.jpg"]
    assert _records(found) == _by_hand(plain, other)
    assert 0 < _records(found)["different"] <= 3


def test_examples_that_move_between_splits_are_told(make: Build, plain: Version) -> None:
    other = make(splits={"train": 0.5, "test": 0.5})

    found = compare(plain, other)

    assert found.spec == {"splits.train": (0.75, 0.5), "splits.test": (0.25, 0.5)}
    assert found.source.moved > 0
    assert found.source.moved + found.source.same == 48
    assert _records(found) == _by_hand(plain, other)


def test_classes_are_compared_by_name(make: Build, plain: Version) -> None:
    """A class that comes before the others gives them other numbers, which changes records and no example."""
    other = make(lambda photos: shutil.copytree(photos / "cat", photos / "aardvark"))

    found = compare(plain, other)

    assert found.source.keys.keys() == {"added"}
    assert found.source.same == 48
    assert _records(found)["same"] == 0


def test_other_blocks_leave_records_the_same(make: Build, plain: Version) -> None:
    found = compare(plain, make(block_examples=5))

    assert found.bytes.other_shards
    assert _records(found) == {"same": plain.records, "different": 0, "only_a": 0, "only_b": 0}


def test_specs_are_compared_field_by_field() -> None:
    old = {"version": "1.0.0", "seed": 1, "image": {"size": [32, 32]}, "augment": ["a", {"b": {"x": 1}}, "c"]}
    new = {"version": "2.0.0", "seed": 1, "image": {"size": [64, 32]}, "augment": ["a", {"b": {"x": 2}}]}

    assert dict(spec_differences(old, new)) == {
        "image.size": ([32, 32], [64, 32]),
        "augment[1].b.x": (1, 2),
        "augment[2]": ("c", None),
    }


def test_the_command_tells_and_ends_with_0_or_1(
    make: Build, plain: Version, augmill: Callable[..., Any], tmp_path: Path
) -> None:
    copied = shutil.copytree(plain.path, tmp_path / "1.0.0")
    other = make(_change_photos, seed=5)

    same = augmill("diff", plain.path, copied)
    told = augmill("diff", plain.path, other.path)
    as_json = augmill("diff", plain.path, other.path, "--json", "--no-records")

    assert (same.code, same.err) == (0, "")
    assert same.out == f"{plain.path} and {copied} are the same\n"
    assert told.code == as_json.code == 1
    for words in ("seed", "1 added: cat/new.jpg", "shards: 0 are the same", "different"):
        assert words in told.out, told.out
    facts = json.loads(as_json.out)
    assert (facts["same"], facts["spec"]["seed"]) == (False, {"a": 0, "b": 5})
    assert facts["bytes"]["records"] is None
