"""A record parsed around its image, whose bytes stay where they are: to parse them with the rest copies them twice."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from augmill.pipeline.example import IMAGE, before_bytes, message_class

_MARK = b"\x0a\x05image\x12"  # the image's name, and what begins its value
_SEARCHED = 1 << 12  # bytes of a record in which its image must begin to be found where it lies


def split_image(payload: np.ndarray, length: int | None = None) -> tuple[np.ndarray, Mapping[str, Any]]:
    """Parse a `tf.train.Example` but for its image.

    Args:
      payload: uint8, the serialized record.
      length: of the image in bytes, where it is known: it is found faster.

    Returns:
      The image's bytes, a part of `payload`, and all other features by name, for `feature_values`.

    Raises:
      ValueError: the bytes are not an Example, or it has not one image.
    """
    found = _find_image(payload, length)
    if found is not None:
        rest, image = found
        with contextlib.suppress(DecodeError):  # it only looked like the image
            return image, _features_class().FromString(rest).feature
    try:
        whole = message_class().FromString(payload.tobytes())  # another may have written it, in another order
    except DecodeError as error:
        raise ValueError(f"it is not a tf.train.Example: {error}") from None
    images = whole.features.feature[IMAGE].bytes_list.value
    if len(images) != 1:
        raise ValueError(f"it has {len(images)} images, and not one")
    return np.frombuffer(images[0], np.uint8), whole.features.feature


@lru_cache(maxsize=1)
def _features_class() -> Any:
    return type(message_class()().features)


def _find_image(payload: np.ndarray, length: int | None) -> tuple[bytes, np.ndarray] | None:
    """All features but the image, serialized, and the image; None where it is not as `encode_example` writes it."""
    head = payload[:_SEARCHED].tobytes()
    try:
        _, first = _number(head, 1)
        if length is None:
            mark = head.index(_MARK)
            _, inner = _number(head, mark + len(_MARK))  # of the value, of the list in it, and of the image in that
            _, inner = _number(head, inner + 1)
            length, _ = _number(head, inner + 1)
        before = before_bytes(IMAGE, length)
        begin = head.index(before, first)
    except (IndexError, ValueError):
        return None
    start = begin + len(before)
    if start + length > len(payload):
        return None
    return head[first:begin] + payload[start + length :].tobytes(), payload[start : start + length]


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of protobuf, seven bits a byte and the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
