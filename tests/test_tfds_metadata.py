"""Plain TFDS reads a version, in a process that has never heard of augmill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline.example import decode_example
from augmill.pipeline.image import decode_image
from augmill.pipeline.shard import scan_records
from augmill.pipeline.version import Version

READ_WITH_TFDS = """
import hashlib, json, sys
import tensorflow_datasets as tfds

builder = tfds.builder_from_directory(sys.argv[1])
names = builder.info.features["label"].names
found = {}
for split in builder.info.splits:
    for record in builder.as_dataset(split=split):
        key, copy = record["key"].numpy().decode(), int(record["copy"])
        found[f"{split} {key} {copy}"] = [
            names[int(record["label"])],
            hashlib.sha256(record["image"].numpy().tobytes()).hexdigest(),
            record["augmentation"].numpy().decode(),
        ]
counts = {split: info.num_examples for split, info in builder.info.splits.items()}
assert not any(name.startswith("augmill") for name in sys.modules)
print(json.dumps({"found": found, "counts": counts, "version": str(builder.version), "name": builder.name}))
"""


def test_features_are_described_without_tensorflow() -> None:
    code = """
import sys
from augmill.pipeline.annotation_info import AnnotationInfo
from augmill.pipeline.spec import Spec
from augmill.pipeline.tfds_metadata import tfds_features
for image in ({"encoding": "jpeg"}, {"encoding": "png"}, {"encoding": "raw", "size": [8, 8]}):
    spec = Spec(name="a", version="1.0.0", source={"folder": "."}, image=image, augment=["mix_up"])
    kinds = {"kinds": ("boxes", "masks", "keypoints"), "classes": ("a",), "keypoint_names": ("l",)}
    tfds_features(spec, ["a", "b"], AnnotationInfo(**kinds, mask_classes=("x",), mask_bits=16, crowd=True)).to_json()
print("tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("encoding", ["png", "raw", "jpeg"])
def test_every_record_comes_back_through_tfds(
    encoding: str, tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    version = publish_version(make_spec(image={"size": [32, 32], "encoding": encoding}), tmp_path)

    read = _read_in_another_process(version.path)

    assert (read["name"], read["version"]) == ("crops", "1.0.0")
    assert read["counts"] == {name: split.records for name, split in version.manifest.splits.items()}
    expected = {}
    for name, split in version.manifest.splits.items():
        for shard in split.shards:
            for _, payload in scan_records(version.path / shard.file):
                record = decode_example(payload)
                key = record["key"][0].decode()
                pixels = _pixels(record["image"][0], encoding)
                expected[f"{name} {key} {record['copy'][0]}"] = [
                    key.split("/")[0],
                    _tf_sha256(pixels, record["image"][0], encoding),
                    record["augmentation"][0].decode(),
                ]
    assert read["found"] == expected


def test_images_of_varying_size_come_back_too(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    version = publish_version(make_spec(image={"encoding": "png"}, copies=1), tmp_path)

    assert len(_read_in_another_process(version.path)["found"]) == version.records


def test_a_version_without_labels_has_none_in_tfds(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version], photo: np.ndarray
) -> None:
    import tensorflow_datasets as tfds

    from augmill.pipeline.example import encode_example
    from augmill.pipeline.image import encode_image
    from augmill.pipeline.shard import ShardWriter

    (tmp_path / "index").mkdir()
    with ShardWriter(tmp_path, tmp_path / "index", "raw.tfrecord") as writer:
        for i in range(6):
            writer.write(encode_example({"img": encode_image(photo[i : i + 40, :40], "png")}))
        writer.finish()
    spec = make_spec(source={"tfrecord": str(tmp_path / "raw.tfrecord"), "features": {"image": "img"}}, splits=None)
    version = publish_version(spec, tmp_path / "out")

    features = tfds.builder_from_directory(version.path).info.features

    assert sorted(features) == ["augmentation", "copy", "image", "key"]
    assert not (version.path / "label.labels.txt").exists()


def _read_in_another_process(path: Path) -> dict[str, Any]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", READ_WITH_TFDS, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def _pixels(image: bytes, encoding: str) -> np.ndarray:
    return np.frombuffer(image, np.uint8).reshape(32, 32, 3) if encoding == "raw" else decode_image(image)


def _tf_sha256(pixels: np.ndarray, image: bytes, encoding: str) -> str:
    import hashlib

    import tensorflow as tf

    if encoding == "jpeg":  # TFDS decodes with TensorFlow's faster, less exact transform
        pixels = tf.image.decode_image(image, channels=3).numpy()
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


@pytest.mark.parametrize(("channels", "encoding"), [(3, "png"), (1, "png"), (1, "raw"), (1, "jpeg")])
def test_annotations_come_back_through_tfds_exactly(
    channels: int,
    encoding: str,
    tmp_path: Path,
    make_spec: Callable[..., Any],
    publish_version: Callable[..., Version],
    annotated_records: Callable[[Path], dict[str, Any]],
) -> None:
    import tensorflow_datasets as tfds

    from augmill.pipeline.mask import decode_mask

    image = {"size": [48, 64], "encoding": encoding, "channels": channels}
    ops = ["tf.image.random_flip_left_right"]
    spec = make_spec(source=annotated_records(tmp_path), splits=None, image=image, augment=ops)
    version = publish_version(spec, tmp_path / "out")
    builder = tfds.builder_from_directory(str(version.path))
    stored = {}
    for shard in version.manifest.splits["train"].shards:
        for _, payload in scan_records(version.path / shard.file):
            record = decode_example(payload)
            stored[record["key"][0], record["copy"][0]] = record

    assert builder.info.features["objects"]["label"].names == ["magenta", "lime"]
    assert builder.info.features["image"].shape == (48, 64, channels)
    found = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert len(found) == len(stored) == 36
    for record in found:
        mine, objects = stored[record["key"], record["copy"]], record["objects"]
        count = 0 if record["key"] == b"11" else 2
        assert objects["bbox"].shape == (count, 4) and objects["keypoints"].shape == (count, 2, 3)
        assert objects["bbox"].ravel().tolist() == mine["objects/bbox"]
        assert objects["label"].tolist() == mine["objects/label"]
        assert (objects["is_crowd"].dtype, objects["is_crowd"].tolist()) == (bool, [False, True][:count])
        assert objects["keypoints"].ravel().tolist() == mine["objects/keypoints"]
        np.testing.assert_array_equal(record["mask"][..., 0], decode_mask(mine["mask"][0]))
        assert record["image"].shape == (48, 64, channels)
        if encoding == "png":
            np.testing.assert_array_equal(record["image"], decode_image(mine["image"][0], channels))


def test_a_version_with_annotations_is_itself_a_tfds_source(
    tmp_path: Path,
    make_spec: Callable[..., Any],
    publish_version: Callable[..., Version],
    annotated_records: Callable[[Path], dict[str, Any]],
) -> None:
    plain = {"image": {"size": [48, 64], "encoding": "png"}, "copies": 0, "augment": [], "splits": None}
    first = publish_version(make_spec(source=annotated_records(tmp_path), **plain), tmp_path / "first")
    second = publish_version(make_spec(source={"tfds": str(first.path)}, **plain), tmp_path / "second")

    known = dict(first.manifest.annotations)
    assert second.manifest.annotations == {**known, "kinds": ["boxes", "masks"], "keypoint_names": []}
    records = []
    for version in (first, second):
        paths = [version.path / shard.file for shard in version.manifest.splits["train"].shards]
        payloads = [decode_example(payload) for path in paths for _, payload in scan_records(path)]
        records.append({record.pop("key")[0]: record for record in payloads})
    for key, record in records[0].items():
        record.pop("objects/keypoints")  # they are read where `features` names them
        again = records[1][key]
        np.testing.assert_allclose(again.pop("objects/bbox"), record.pop("objects/bbox"), atol=1e-6)
        assert again == record
