"""The image of a record is found where it lies, and all else is parsed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline.example import decode_example, encode_example, feature_values
from augmill.pipeline.record_image import split_image


@pytest.mark.parametrize("length", [0, 1, 127, 128, 20_000, 150_528])
@pytest.mark.parametrize("before", [0, 5, 200, 10_000])
def test_an_image_is_found_where_it_lies(length: int, before: int) -> None:
    features = {"image": bytes(range(256)) * (length // 256) + b"x" * (length % 256), "label": 3, "key": b"a/b.jpg"}
    features |= {"augmentation": b"[" * before, "objects/bbox": [0.5, 1.0], "soft_label": [0.25]}
    data = encode_example(features)
    payload = np.frombuffer(data, np.uint8)
    for known in (None, length, length + 1):
        image, others = split_image(payload, known)
        assert image.tobytes() == features["image"]
        assert np.shares_memory(image, payload) == (length > 0 and before < 10_000 and known != length + 1)
        rest = {name: feature_values(feature) for name, feature in others.items() if name != "image"}
        assert rest == {name: value for name, value in decode_example(data).items() if name != "image"}


def test_a_record_that_another_has_written_is_parsed_as_well() -> None:
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(b"pixels")
    example.features.feature["label"].int64_list.value.append(7)
    data = example.SerializeToString()
    backwards = encode_example({"label": 7})[2:] + encode_example({"image": b"pixels"})[2:]
    for payload in (data, b"\x0a" + bytes([len(backwards)]) + backwards):
        image, others = split_image(np.frombuffer(payload, np.uint8), 6)
        assert image.tobytes() == b"pixels" and feature_values(others["label"]) == [7]


def test_what_looks_like_an_image_in_another_feature_is_none() -> None:
    mark = b"\x0a\x05image\x12"
    features: dict[str, Any] = {"augmentation": mark + b"\x05\x0a\x03\x0a\x01x", "image": b"pixels"}
    image, others = split_image(np.frombuffer(encode_example(features), np.uint8))
    assert image.tobytes() == b"pixels" and feature_values(others["augmentation"]) == [features["augmentation"]]


@pytest.mark.parametrize("images", [[], [b"one", b"two"]])
def test_a_record_without_one_image_is_refused(images: list[bytes]) -> None:
    with pytest.raises(ValueError, match=f"it has {len(images)} images, and not one"):
        split_image(np.frombuffer(encode_example({"image": images, "label": 1}), np.uint8))
