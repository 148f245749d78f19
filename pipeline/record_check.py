"""Records looked into: that a payload holds what the manifest promises, and that its image can be decoded."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from augmill.pipeline.annotations import MASK
from augmill.pipeline.example import AUGMENTATION, COPY, IMAGE, KEY, LABEL, SOFT_LABEL, decode_example
from augmill.pipeline.image import decode_image
from augmill.pipeline.image_header import ImageError
from augmill.pipeline.manifest import Manifest
from augmill.pipeline.mask import decode_mask

SAMPLE = 256  # records of a version that are decoded, besides the first of each shard


def sampled(number: int, records: int) -> bool:
    """Tell whether a record is among the sample: of all records, in order, SAMPLE that lie evenly apart.

    >>> [number for number in range(1024) if sampled(number, 1024)][:3]
    [0, 4, 8]
    """
    return number * SAMPLE % max(records, 1) < SAMPLE


class RecordCheck:
    """Checks the records of a version."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        image = manifest.image
        self._channels = image.get("channels", 3)
        self._shape = (image["height"], image["width"], self._channels) if image["height"] else None

    def __call__(self, payload: bytes, copy: int, key: str | None) -> str | None:
        """Say what is wrong with a record, or nothing.

        Args:
          payload: the serialised example.
          copy: the number that its shard's copies have.
          key: of the example that should be there, where it is known.
        """
        try:
            example = decode_example(payload)
            return self._wrong(example, copy, key)
        except (ImageError, ValueError, KeyError, IndexError, TypeError) as error:
            return f"it cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}"

    def _wrong(self, example: dict[str, list[Any]], copy: int, key: str | None) -> str | None:
        if example[COPY] != [copy]:
            return f"it is copy {example[COPY]} in a shard of copy {copy}"
        if key is not None and example[KEY] != [key.encode("utf-8", "surrogateescape")]:
            return f"its key is {example[KEY][0]!r}, and the table of examples has {key!r}"
        json.loads(example[AUGMENTATION][0])
        classes = self._manifest.classes
        if classes is not None and not 0 <= example[LABEL][0] < len(classes):
            return f"its label {example[LABEL][0]} is none of {len(classes)} classes"
        if self._manifest.soft_labels and len(example[SOFT_LABEL]) != len(classes or []):
            return f"it has {len(example[SOFT_LABEL])} weights for {len(classes or [])} classes"
        shape = self._image(example[IMAGE][0]).shape
        if self._shape is not None and shape != self._shape:
            return f"its image is {list(shape)}, not {list(self._shape)}"
        if MASK in example and decode_mask(example[MASK][0]).shape != shape[:2]:
            return "its mask has another size than its image"
        return None

    def _image(self, data: bytes) -> np.ndarray:
        if self._manifest.image["encoding"] == "raw":
            return np.frombuffer(data, np.uint8).reshape(self._shape or ())
        return decode_image(data, self._channels)
