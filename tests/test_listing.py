"""Every kind of source goes the whole way: listed, built and loaded, with its keys, labels and pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Version, load
from augmill.pipeline.errors import SourceError
from augmill.pipeline.example import encode_example
from augmill.pipeline.image import encode_image
from augmill.pipeline.listing import list_source
from augmill.pipeline.shard import ShardWriter


def _loaded(version: Version, split: str) -> dict[str, tuple[int, np.ndarray]]:
    batches = load(version, split=split, copies=0).as_numpy_iterator()
    return {
        key.decode(): (int(label), image)
        for batch in batches
        for key, label, image in zip(batch["key"], batch["label"], batch["image"], strict=True)
    }


def test_a_version_is_itself_a_tfds_source(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    first = publish_version(make_spec(copies=0, augment=[]), tmp_path / "first")
    again = make_spec(source={"tfds": str(first.path)}, splits=None)

    second = publish_version(again, tmp_path / "second")

    assert second.manifest.classes == first.manifest.classes
    for split in ("train", "test"):
        before, after = _loaded(first, split), _loaded(second, split)
        assert sorted(before) == sorted(after)
        for key, (label, image) in before.items():
            assert after[key][0] == label
            np.testing.assert_array_equal(after[key][1], image)


def test_tfrecord_files_are_built_and_loaded(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version], photo: np.ndarray
) -> None:
    (tmp_path / "raw/index").mkdir(parents=True)
    for part in range(2):
        with ShardWriter(tmp_path / "raw", tmp_path / "raw/index", f"{part}.tfrecord") as writer:
            for i in range(6):
                crop = encode_image(photo[20 * part : 20 * part + 32, 9 * i : 9 * i + 32], "png")
                writer.write(encode_example({"png": crop, "animal": b"cat" if i % 2 else b"dog"}))
            writer.finish()
    source = {"tfrecord": str(tmp_path / "raw/*.tfrecord"), "features": {"image": "png", "label": "animal"}}

    version = publish_version(make_spec(source=source, splits=None), tmp_path / "out")

    records = _loaded(version, "train")
    assert version.manifest.classes == ["cat", "dog"]
    assert sorted(records) == sorted(f"{part}.tfrecord#{i}" for part in range(2) for i in range(6))
    for part in range(2):
        for i in range(6):
            label, image = records[f"{part}.tfrecord#{i}"]
            assert label == 1 - i % 2
            np.testing.assert_array_equal(image, photo[20 * part : 20 * part + 32, 9 * i : 9 * i + 32])


def test_paths_start_from_the_specs_folder(make_spec: Callable[..., Any], photo_folder: Path) -> None:
    spec = make_spec(source={"folder": f"./{photo_folder.name}/../{photo_folder.name}"})

    listing = list_source(spec.relative_to(photo_folder.parent))

    assert listing.root == photo_folder
    assert listing.addresses.num_rows == 48
    with pytest.raises(SourceError, match="does not exist"):
        list_source(spec.relative_to(photo_folder / "cat"))
