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
