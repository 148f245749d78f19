"""Records become the arrays that their bytes stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline import Spec, Version
from augmill.pipeline.decoding import DecodeOptions, Decoder
from augmill.pipeline.errors import VersionError
from augmill.pipeline.example import decode_example, encode_example
from augmill.pipeline.mask import decode_mask
from augmill.pipeline.shard import scan_records


@pytest.fixture(scope="module")
def publish(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Callable[..., Any]:
    def make(**changes: Any) -> Version:
        parts: dict[str, Any] = {"name": "crops", "version": "1.0.0", "source": {"folder": str(photo_folder)}}
        parts |= {"copies": 0, "image": {"size": [28, 20], "encoding": "png"}}
        published: Version = publish_version(Spec(**{**parts, **changes}), tmp_path_factory.mktemp("decoding"))
        return published

    return make


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory, annotated_records: Any, publish: Any) -> Version:
    """Twelve gray images with labels, boxes, keypoints and masks; the last one has no object."""
    source = annotated_records(tmp_path_factory.mktemp("annotated"))
    version: Version = publish(source=source, image={"size": [48, 64], "encoding": "png", "channels": 1})
    return version


def records(version: Version) -> list[np.ndarray]:
    files = [shard.file for shard in version.manifest.splits["train"].shards]
    return [np.frombuffer(payload, np.uint8) for file in files for _, payload in scan(version, file)]


def scan(version: Version, file: str) -> Any:
    return scan_records(version.path / file)


def decoded(version: Version, **options: Any) -> Any:
    """All of a version's records as one batch."""
    return Decoder(version.manifest, DecodeOptions(**options)).whole_batch(records(version))


@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
@pytest.mark.parametrize("channels", [3, 1])
def test_pixels_are_those_that_are_stored(publish: Callable[..., Version], encoding: str, channels: int) -> None:
    version = publish(image={"size": [28, 20], "encoding": encoding, "channels": channels})
    batch = decoded(version)

    assert batch["image"].shape == (48, 28, 20, channels) and batch["image"].dtype == np.uint8
    for pixels, payload in zip(batch["image"], records(version), strict=True):
        stored = decode_example(payload.tobytes())["image"][0]
        if encoding == "raw":
            assert pixels.tobytes() == stored
        else:
            exact = {"dct_method": "INTEGER_ACCURATE"}
            expected = tf.io.decode_jpeg(stored, **exact) if encoding == "jpeg" else tf.io.decode_png(stored)
            assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("encoding", ["png", "raw"])
def test_a_size_and_a_range_are_what_tf_image_makes_of_them(publish: Callable[..., Version], encoding: str) -> None:
    version = publish(image={"size": [28, 20], "encoding": encoding})
    plain = decoded(version)["image"]

    resized = decoded(version, size=(14, 30))["image"]
    scaled = decoded(version, size=(14, 30), output=(-1.0, 1.0))["image"]

    expected = tf.image.resize(plain, (14, 30), antialias=True).numpy()
    assert resized.dtype == np.uint8 and np.abs(resized - expected).max() <= 0.5 + 1e-3
    np.testing.assert_allclose(scaled, resized / 127.5 - 1, atol=1e-6)
    assert np.array_equal(decoded(version, size=(28, 20))["image"], plain)


def test_images_and_masks_of_varying_size_follow_the_size(
    tmp_path: Path, annotated_records: Any, publish: Callable[..., Version]
) -> None:
    version = publish(source=annotated_records(tmp_path), image={"encoding": "png"})
    batch = decoded(version, size=(60, 80))

    assert batch["image"].shape == (12, 60, 80, 3) and batch["mask"].shape == (12, 60, 80, 1)
    for mask, payload in zip(batch["mask"], records(version), strict=True):
        stored = decode_mask(decode_example(payload.tobytes())["mask"][0])
        assert np.array_equal(mask[..., 0], tf.image.resize(stored[..., None], (60, 80), method="nearest")[..., 0])
        assert set(np.unique(mask)) <= set(np.unique(stored))


def test_padded_objects_are_the_ragged_ones_with_nothing_after_them(annotated: Version) -> None:
    ragged, padded = decoded(annotated)["objects"], decoded(annotated, max_boxes=3)["objects"]
    counts = padded["count"]

    assert sorted(set(counts)) == [0, 2]
    assert {name: list(part.shape) for name, part in padded.items()} == {
        "bbox": [12, 3, 4],
        "label": [12, 3],
        "is_crowd": [12, 3],
        "keypoints": [12, 3, 2, 3],
        "count": [12],
    }
    padding = {"bbox": 0, "label": -1, "is_crowd": False, "keypoints": 0}
    for i, count in enumerate(counts):
        for name, value in padding.items():
            assert np.array_equal(padded[name][i, :count], ragged[name][i])
            assert (padded[name][i, count:] == value).all()


def test_an_image_with_more_objects_is_named(annotated: Version) -> None:
    parsed = [decode_example(record.tobytes()) for record in records(annotated)]
    first = next(record["key"][0].decode() for record in parsed if record["objects/label"])
    with pytest.raises(ValueError, match=f"max_boxes=1 is too few for image {first}, whose objects are 2"):
        decoded(annotated, max_boxes=1)


def test_what_says_which_records_count_goes_through(annotated: Version) -> None:
    valid = np.array([True] * 11 + [False])
    payloads = records(annotated)
    for supervised in (False, True):
        decoder = Decoder(annotated.manifest, DecodeOptions(as_supervised=supervised))
        images = decoder.images(12)
        batch = decoder.batch(images, [decoder.record(one, images[i]) for i, one in enumerate(payloads)], valid)
        if supervised:
            assert batch[0] is images and batch[2].dtype == np.float32 and batch[2].tolist() == valid.tolist()
        else:
            assert batch["image"] is images and batch["valid"] is valid


def test_what_a_record_lacks_is_told_with_its_key(publish: Callable[..., Version]) -> None:
    version = publish()
    payload = records(version)[0].tobytes()
    features = {name: values[0] for name, values in decode_example(payload).items()}
    decoder = Decoder(version.manifest, DecodeOptions())
    key = features["key"].decode()

    def told(**changes: Any) -> str:
        changed = {name: value for name, value in {**features, **changes}.items() if value is not None}
        with pytest.raises(ValueError) as raised:
            decoder.one(np.frombuffer(encode_example(changed), np.uint8))
        return str(raised.value)

    assert told(label=None) == f"key {key}: it has no label"
    assert told(image=None) == "key unknown: it has 0 images, and not one"
    assert told(image=b"no image") == f"key {key}: an image cannot be decoded"
    small = cv2.imencode(".png", np.zeros((5, 6, 3), np.uint8))[1].tobytes()
    assert told(image=small) == f"key {key}: its image has shape [5, 6, 3], and the manifest has [28, 20, 3]"
    assert decoder.one(np.frombuffer(payload, np.uint8))["key"] == features["key"]


def test_soft_labels_come_where_images_were_mixed(publish: Callable[..., Version]) -> None:
    version = publish(augment=["mix_up"], copies=1)
    batch, (_, soft) = decoded(version), decoded(version, as_supervised=True)

    assert soft.shape == (96, 3) and np.array_equal(batch["soft_label"], soft)
    np.testing.assert_allclose(soft.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": 32}, r"size must be \(height, width\) in whole pixels, got 32"),
        ({"output": (1.0, 0.0)}, r'must be "uint8" or \(low, high\) with low < high, got \(1.0, 0.0\)'),
        ({"max_boxes": 0}, "max_boxes must be a whole number of at least 1, or None, got 0"),
        ({"max_boxes": 5, "as_supervised": True}, "as_supervised=True leaves objects out"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        DecodeOptions(**options)


def test_boxes_cannot_be_padded_where_there_are_none(publish: Callable[..., Version]) -> None:
    with pytest.raises(VersionError, match="max_boxes is about boxes, and crops has none; its annotations are: none"):
        decoded(publish(), max_boxes=5)
