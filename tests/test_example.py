"""Records as bytes, held against TensorFlow's own `tf.train.Example`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline.example import decode_example, encode_example
from augmill.pipeline.image import encode_image


@pytest.fixture
def features(photo: np.ndarray) -> dict[str, Any]:
    return {
        "image": encode_image(photo, "jpeg"),
        "label": 3,
        "key": "katze/größe 1.jpg".encode(),
        "copy": 0,
        "augmentation": b'[{"at":"0","op":"tf.image.random_flip_left_right","params":{"flip":true}}]',
        "numbers": [-1, 0, 2**63 - 1, -(2**63)],
        "weights": [0.5, -1.25, 3.0],
        "names": [b"a", b"", b"\x00\xff"],
        "scale": 0.75,
    }


def listed(features: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: value if isinstance(value, list) else [value] for name, value in features.items()}


@pytest.fixture
def theirs() -> Callable[[dict[str, Any]], Any]:
    """Build TensorFlow's message from features."""

    def build(features: dict[str, Any]) -> Any:
        example = tf.train.Example()
        for name, values in listed(features).items():
            feature = example.features.feature[name]
            kind = {bytes: feature.bytes_list, int: feature.int64_list, float: feature.float_list}[type(values[0])]
            kind.value.extend(values)
        return example

    return build


def test_tensorflow_parses_the_features_that_were_encoded(
    features: dict[str, Any], theirs: Callable[[dict[str, Any]], Any]
) -> None:
    assert tf.train.Example.FromString(encode_example(features)) == theirs(features)


def test_the_bytes_are_those_of_tensorflows_deterministic_writer(
    features: dict[str, Any], theirs: Callable[[dict[str, Any]], Any]
) -> None:
    assert encode_example(features) == theirs(features).SerializeToString(deterministic=True)


def test_tensorflows_graph_parser_reads_a_record(features: dict[str, Any], photo: np.ndarray) -> None:
    parsed = tf.io.parse_single_example(
        encode_example(features),
        {"image": tf.io.FixedLenFeature([], tf.string), "numbers": tf.io.FixedLenFeature([4], tf.int64)},
    )
    assert parsed["image"].numpy() == encode_image(photo, "jpeg")
    assert parsed["numbers"].numpy().tolist() == features["numbers"]


def test_what_tensorflow_wrote_is_read(features: dict[str, Any], theirs: Callable[[dict[str, Any]], Any]) -> None:
    assert decode_example(theirs(features).SerializeToString()) == listed(features)


def test_floats_are_read_with_the_32_bits_they_were_written_with() -> None:
    assert decode_example(encode_example({"scale": 0.1})) == {"scale": [float(np.float32(0.1))]}


def test_a_packed_and_an_unpacked_list_read_alike() -> None:
    unpacked = bytes.fromhex("0a0d0a0b0a016e12061a0408050806")  # n = [5, 6], a tag before each number
    assert tf.train.Example.FromString(unpacked).features.feature["n"].int64_list.value == [5, 6]
    assert decode_example(unpacked) == {"n": [5, 6]}


def test_features_without_values_read_as_empty_lists() -> None:
    example = tf.train.Example()
    example.features.feature["no kind"].SetInParent()
    example.features.feature["no numbers"].int64_list.SetInParent()
    assert decode_example(example.SerializeToString()) == {"no kind": [], "no numbers": []}
    assert decode_example(encode_example({"nothing": []})) == {"nothing": []}
    assert decode_example(b"") == {}


def test_the_order_of_insertion_does_not_change_the_bytes(features: dict[str, Any]) -> None:
    some = {name: features[name] for name in ("key", "label", "copy", "weights")}
    assert len({encode_example(dict(items)) for items in permutations(some.items())}) == 1
    assert encode_example(dict(reversed(features.items()))) == encode_example(features)


def test_different_features_give_different_bytes(features: dict[str, Any]) -> None:
    changed = [{**features, name: 7} for name in features] + [{**features, "label": 4}, {**features, "more": 1}]
    assert len({encode_example(each) for each in [features, *changed]}) == len(changed) + 1


@pytest.mark.parametrize("data", [b"\xff\xd8\xff\xe0 a photo", b"{}", b"\x0a\x05abc"])
def test_bytes_that_are_no_example_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        decode_example(data)


def test_a_record_cut_short_is_refused(features: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        decode_example(encode_example(features)[:-10])
