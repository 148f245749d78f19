"""A version over a source that changed: what an earlier one holds is reused, and the result is as from scratch."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Version, build
from augmill.pipeline.errors import VersionError
from augmill.pipeline.examples_table import EXAMPLES
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.materialize import BlockError

MakeSpec = Callable[..., Any]
Build = Callable[..., Version]
POLICY = [
    "tf.image.random_flip_left_right",
    {"one_of": [{"tf.image.random_hue": {"max_delta": 0.1}}, {"keras.layers.RandomZoom": {"height_factor": 0.2}}]},
    {"sometimes": {"p": 0.5, "do": [{"rand_augment": {"num_ops": 2, "magnitude": 9}}]}},
    {"keras.layers.RandomErasing": {"factor": 0.5}},
]


def _write(folder: Path, photo: np.ndarray, numbers: range) -> None:
    for number in numbers:
        path = folder / ("cat", "dog")[number % 2] / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[number % 200 : number % 200 + 14, number // 8 : number // 8 + 14]).save(path)


@pytest.fixture
def photos_of(tmp_path: Path, photo: np.ndarray) -> Path:
    """A source of 400 small photos that a test may change."""
    _write(tmp_path / "photos", photo, range(400))
    return tmp_path / "photos"


@pytest.fixture
def built(tmp_path: Path, photos_of: Path, make_spec: MakeSpec, publish_version: Callable[..., Version]) -> Build:
    """Build a version of the photos in this process."""

    def run(version: str, *, root: str = "data", reuse: bool = True, patch: bool = False, **changes: Any) -> Version:
        parts = {"source": {"folder": str(photos_of)}, "image": {"size": [12, 12], "encoding": "png"}, **changes}
        spec = make_spec(**{"version": version, "block_examples": 60, "augment": POLICY, **parts})
        return publish_version(spec, tmp_path / root, reuse=reuse, patch=patch)

    return run


def _content(version: Version) -> dict[str, Any]:
    """All of a manifest but when and how it was built."""
    known = version.manifest.to_json()
    return {name: value for name, value in known.items() if name not in ("build", "checksum")}


def _same_as_from_scratch(version: Version, built: Build, **changes: Any) -> bool:
    scratch = built(version.number, root="scratch", reuse=False, **changes)
    assert scratch.manifest.build["reused"] is None
    assert [wrong for _, wrong in version.verify() if wrong] == []
    assert (version.path / EXAMPLES).read_bytes() == (scratch.path / EXAMPLES).read_bytes()
    assert _content(version) == _content(scratch)
    return True


def test_a_source_that_grew_changed_and_shrank(built: Build, photos_of: Path, photo: np.ndarray) -> None:
    first = built("1.0.0")
    assert first.manifest.build["reused"] is None
    _write(photos_of, photo, range(400, 420))
    Image.fromarray(photo[50:64, 60:74]).save(photos_of / "cat/0010.png")
    (photos_of / "dog/0007.png").unlink()

    second = built("1.1.0")

    reused = second.manifest.build["reused"]
    assert (reused["from"], reused["examples"], reused["damaged"]) == ("1.0.0", 398, 0)
    assert 0 < reused["checked"] < 100
    train = second.manifest.splits["train"].examples
    assert reused["records"] > 3 * (train - 30)
    assert _same_as_from_scratch(second, built)


def test_what_did_not_change_is_linked(built: Build) -> None:
    first = built("1.0.0")

    second = built("1.1.0")

    reused = second.manifest.build["reused"]
    shards = [shard.file for split in second.manifest.splits.values() for shard in split.shards]
    assert reused["shards"] == len(shards) and reused["examples"] == 400 and reused["records"] == second.records
    assert all((first.path / file).samefile(second.path / file) for file in shards)
    assert _same_as_from_scratch(second, built)


def test_more_copies_keep_those_that_there_were(built: Build) -> None:
    first = built("1.0.0")

    second = built("1.1.0", copies=3, splits={"train": 0.9, "test": 0.1})

    reused = second.manifest.build["reused"]
    train = second.manifest.splits["train"].examples
    moved = train - first.manifest.splits["train"].examples
    assert reused["examples"] == 400 and moved > 0
    assert reused["records"] == 400 + 2 * (train - moved)
    assert _same_as_from_scratch(second, built, copies=3, splits={"train": 0.9, "test": 0.1})


@pytest.mark.parametrize(
    "changes",
    [{"seed": 4}, {"image": {"size": [12, 12], "encoding": "jpeg"}}, {"augment": POLICY[:2]}],
)
def test_another_recipe_reuses_nothing(built: Build, changes: dict[str, Any]) -> None:
    built("1.0.0")

    second = built("1.1.0", **changes)

    assert second.manifest.build["reused"] is None


def test_mixed_images_are_reused_with_their_whole_block_alone(built: Build, photos_of: Path, photo: np.ndarray) -> None:
    policy = {"augment": ["tf.image.random_flip_left_right", "mix_up"]}
    built("1.0.0", **policy)
    Image.fromarray(photo[50:64, 60:74]).save(photos_of / "cat/0010.png")

    second = built("1.1.0", **policy)

    reused, manifest = second.manifest.build["reused"], second.manifest
    shards = manifest.splits["train"].shards
    blocks = len(shards) // 3
    assert blocks > 3 and reused["shards"] == 3 * (blocks - 1) + len(manifest.splits["test"].shards)
    assert reused["examples"] == 399
    assert _same_as_from_scratch(second, built, **policy)
    _write(photos_of, photo, range(400, 420))
    third = built("1.2.0", **policy)
    assert third.manifest.build["reused"]["records"] == 400, "every block has others in it: unaugmented copies alone"
    assert _same_as_from_scratch(third, built, **policy)


def test_boxes_are_counted_as_from_scratch(
    tmp_path: Path, make_spec: MakeSpec, photo: np.ndarray, built: Build
) -> None:
    generator = np.random.default_rng(0)
    images = [{"id": i, "file_name": f"{i:03d}.png"} for i in range(300)]
    (tmp_path / "boxed").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(photo[i % 180 : i % 180 + 24, :24]).save(tmp_path / "boxed" / str(image["file_name"]))
    boxes = [
        {"id": 3 * i + j, "image_id": i, "category_id": 1, "bbox": [*generator.uniform(0, 12, 2), 9.0, 6.0]}
        for i in range(300)
        for j in range(int(generator.integers(0, 3)))
    ]

    def write(count: int) -> None:
        known = [box for box in boxes if int(box["image_id"]) < count]
        coco = {"images": images[:count], "annotations": known, "categories": [{"id": 1, "name": "cat"}]}
        (tmp_path / "boxed.json").write_text(json.dumps(coco))

    parts = {
        "source": {"coco": str(tmp_path / "boxed.json"), "images": str(tmp_path / "boxed")},
        "augment": [{"keras.layers.RandomTranslation": {"height_factor": 0.4, "width_factor": 0.4}}],
        "annotations": {"min_visibility": 0.6, "reject_empty": True},
    }
    write(290)
    built("1.0.0", **parts)
    boxes[0]["bbox"] = [1.0, 1.0, 10.0, 10.0]
    write(300)

    second = built("1.1.0", **parts)

    assert second.manifest.build["reused"]["examples"] == 289
    assert second.manifest.objects["hidden"] > 0 and second.manifest.objects["redrawn"] > 0
    assert _same_as_from_scratch(second, built, **parts)


def test_an_example_that_failed_and_one_of_another_class_are_made_anew(built: Build, photos_of: Path) -> None:
    bad = photos_of / "cat/0010.png"
    good = bad.read_bytes()
    bad.write_bytes(b"no image")
    built("1.0.0", max_bad_fraction=0.1)
    bad.write_bytes(good)
    (photos_of / "ant").mkdir()
    (photos_of / "dog/0007.png").rename(photos_of / "ant/0007.png")  # and every class has another number

    second = built("1.1.0")

    assert second.manifest.build["reused"] is None or second.manifest.build["reused"]["examples"] == 0
    assert _same_as_from_scratch(second, built)


def test_damaged_records_are_not_reused(built: Build) -> None:
    first = built("1.0.0")
    shard = first.path / first.manifest.splits["test"].shards[0].file
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)

    second = built("1.1.0")

    assert second.manifest.build["reused"]["damaged"] == 1
    assert second.manifest.build["reused"]["examples"] == 399
    assert _same_as_from_scratch(second, built)


def test_a_version_made_by_something_else_than_it_says_is_found_out(
    tmp_path: Path, built: Build, photos_of: Path, photo: np.ndarray
) -> None:
    """What decides bytes and is not in the lineage shows where measured renditions are made again."""
    other = built("1.0.0", augment=[{"tf.image.adjust_gamma": {"gamma": 0.5}}])
    honest = built("2.0.0", root="elsewhere", augment=[{"tf.image.adjust_gamma": {"gamma": 0.7}}]).manifest
    said = other.manifest.model_copy(update={"spec": honest.spec, "spec_digest": honest.spec_digest})
    (other.path / MANIFEST).write_text(said.to_text())

    with pytest.raises(BlockError, match=r"copy 1 of .* made again, is not that of .*1\.0\.0.*--no-reuse"):
        built("1.1.0", augment=[{"tf.image.adjust_gamma": {"gamma": 0.7}}])

    version = built("1.1.0", augment=[{"tf.image.adjust_gamma": {"gamma": 0.7}}], reuse=False)
    assert version.manifest.digest != other.manifest.digest


def test_a_build_takes_the_latest_version_that_fits_or_the_one_that_is_named(
    tmp_path: Path, make_spec: MakeSpec, publish_version: Callable[..., Version], photos_of: Path
) -> None:
    parts = {"source": {"folder": str(photos_of)}, "image": {"size": [12, 12], "encoding": "png"}, "copies": 1}
    for number, seed in (("1.0.0", 3), ("1.9.0", 3), ("1.10.0", 9)):
        publish_version(make_spec(version=number, seed=seed, **parts), tmp_path)
    told: list[str] = []

    second = build(make_spec(version="2.0.0", **parts), tmp_path, workers=2, say=told.append)

    assert told[-1] == "reusing what 1.9.0 holds of it already"
    reused = second.manifest.build["reused"]
    assert (reused["from"], reused["examples"], reused["records"]) == ("1.9.0", 400, second.records)
    scratch = publish_version(make_spec(version="2.0.0", **parts), tmp_path / "scratch")
    assert second.manifest.digest == scratch.manifest.digest
    with pytest.raises(VersionError, match=r"1\.10\.0 can be reused:\n  seed: 9 is published, 3 is in the spec"):
        build(make_spec(version="2.1.0", **parts), tmp_path, reuse="1.10.0")
    with pytest.raises(VersionError, match="is not a version"):
        build(make_spec(version="2.1.0", **parts), tmp_path, reuse="9.9.9")


def test_a_file_system_without_links_gets_copies(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    first = built("1.0.0")

    def refuse(*paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    from augmill.pipeline.shard import _link_or_copy

    shard = first.path / first.manifest.splits["test"].shards[0].file
    copy = first.path.parent / "copy"
    _link_or_copy(shard, copy)
    assert copy.read_bytes() == shard.read_bytes() and not copy.samefile(shard)


def test_a_parent_that_goes_away_costs_time_alone(built: Build, tmp_path: Path) -> None:
    first = built("1.0.0")
    for shard in first.manifest.splits["train"].shards:
        (first.path / shard.file).unlink()

    second = built("1.1.0")

    assert 0 < second.manifest.build["reused"]["examples"] < 200
    shutil.rmtree(first.path)
    assert [wrong for _, wrong in second.verify() if wrong] == [], "links hold what they share"
