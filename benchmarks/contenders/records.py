"""TFRecord files for the contenders that have no writer of their own: TensorFlow's bytes without TensorFlow."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType

from augmill.pipeline.example import FeatureValue, encode_example
from augmill.pipeline.shard import masked_crc
from benchmarks.contenders.task import Photo

_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")


class RecordFile:
    """A TFRecord file that is being written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, features: dict[str, FeatureValue]) -> None:
        """Append one `tf.train.Example`."""
        payload = encode_example(features)
        length = _LENGTH.pack(len(payload))
        checks = _CRC.pack(masked_crc(length)), _CRC.pack(masked_crc(payload))
        self._file.write(b"".join((length, checks[0], payload, checks[1])))

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def features(photo: Photo, copy: int, encoded: bytes) -> dict[str, FeatureValue]:
    """What every contender writes of a rendition: the image, its class, its source's key and its number."""
    return {"image": encoded, "label": photo.label, "key": photo.key.encode(), "copy": copy}


def box_features(boxes: list[float], labels: list[int]) -> dict[str, FeatureValue]:
    """The boxes of a rendition, one after another, and their classes."""
    return {"boxes": boxes, "box_labels": labels}
