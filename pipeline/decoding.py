"""Records to NumPy arrays, without TensorFlow: one at a time, each image to its place in the batch's one array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from augmill.pipeline.buffers import LENT
from augmill.pipeline.errors import VersionError
from augmill.pipeline.example import feature_values
from augmill.pipeline.manifest import Manifest
from augmill.pipeline.pixels import Pixels, open_mask
from augmill.pipeline.record_image import split_image

Output = Literal["uint8"] | tuple[float, float]


@dataclass(frozen=True)
class DecodeOptions:
    """What a batch of records is made into.

    Attributes:
      output: "uint8" for pixels as stored, or (low, high) for float32 scaled so that 0 becomes low and 255 high.
      size: (height, width) to resize images and masks to, or None for the stored one.
      as_supervised: whether to give (image, label), without what else there is.
      max_boxes: objects to pad each image to, so that their tensors have one shape, or None for ragged ones.

    Raises:
      ValueError: an option is out of its range.
    """

    output: Output = "uint8"
    size: tuple[int, int] | None = None
    as_supervised: bool = False
    max_boxes: int | None = None

    def __post_init__(self) -> None:
        size, output = self.size, self.output
        pixels = isinstance(size, (tuple, list)) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
        if size is not None and not pixels:
            raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
        pair = isinstance(output, (tuple, list)) and len(output) == 2 and output[0] < output[1]
        if output != "uint8" and not pair:
            raise ValueError(f'output must be "uint8" or (low, high) with low < high, got {output!r}')
        if self.max_boxes is not None and (type(self.max_boxes) is not int or self.max_boxes < 1):
            raise ValueError(f"max_boxes must be a whole number of at least 1, or None, got {self.max_boxes!r}")
        if self.max_boxes is not None and self.as_supervised:
            raise ValueError("as_supervised=True leaves objects out: give no max_boxes with it, or map the dicts")

    def kinds(self, manifest: Manifest) -> list[str]:
        """The kinds of annotation that are given of a version's records.

        Raises:
          VersionError: objects are to be padded, and the version has none.
        """
        kinds: list[str] = [] if self.as_supervised else manifest.annotations.get("kinds", [])
        if self.max_boxes is not None and "boxes" not in kinds:
            there = ", ".join(kinds) or "none"
            raise VersionError(f"max_boxes is about boxes, and {manifest.name} has none; its annotations are: {there}")
        return kinds


OBJECTS = {"bbox": np.float32, "label": np.int64, "is_crowd": np.bool_, "keypoints": np.float32}
PADDING = {"bbox": 0.0, "label": -1, "is_crowd": False, "keypoints": 0.0}


class Decoder:
    """Decodes records, and puts them together as batches.

    Attributes:
      manifest, options: what it was made of.
      kinds: the kinds of annotation that it gives.
      objects: the shape of each part of one object; none where objects are not given.
      shape: (height, width, channels) of an image that it gives.
      dtype: of its pixels.
    """

    def __init__(self, manifest: Manifest, options: DecodeOptions) -> None:
        """Prepare to decode a version's records.

        Raises:
          VersionError: objects are to be padded, and the version has none.
        """
        self.manifest, self.options = manifest, options
        self.kinds = options.kinds(manifest)
        self.objects = self._object_shapes()
        self._pixels = Pixels(manifest.image, options.size)
        self.shape = self._pixels.shape
        self._levels = None if options.output == "uint8" else _scaled_levels(*options.output)
        self.dtype: Any = np.uint8 if self._levels is None else np.float32

    def _object_shapes(self) -> dict[str, tuple[int, ...]]:
        if "boxes" not in self.kinds:
            return {}
        known = self.manifest.annotations
        shapes: dict[str, tuple[int, ...]] = {"bbox": (4,), "label": ()}
        if known["crowd"]:
            shapes["is_crowd"] = ()
        if "keypoints" in known["kinds"]:
            shapes["keypoints"] = (len(known["keypoint_names"]), 3)
        return shapes

    @property
    def label(self) -> str | None:
        """What stands for the class, as supervised: its number or the weights of all, or None without classes."""
        if self.manifest.classes is None:
            return None
        return "soft_label" if self.manifest.soft_labels else "label"

    def images(self, count: int) -> np.ndarray:
        """An array for the images of a batch, [count, height, width, channels], with any values in it."""
        return LENT.take(count, *self.shape, dtype=self.dtype)

    def one(self, payload: np.ndarray) -> dict[str, Any]:
        """Decode one record: image, label, key, copy, augmentation and annotations, each without a batch's axis."""
        (image,) = self.images(1)
        others = self.record(payload, image)
        return {"image": image, **{name: np.int64(one) if type(one) is int else one for name, one in others.items()}}

    def record(self, payload: np.ndarray, image: np.ndarray) -> dict[str, Any]:
        """Decode one record, its pixels into `image`, [height, width, channels]; give what else there is of it.

        Raises:
          ValueError: it cannot be decoded, or is not what the manifest says; the message begins with its key.
        """
        features: Mapping[str, Any] = {}
        try:
            encoded, features = split_image(payload, self._pixels.length)
            self._decode(encoded, image)
            return self._others(features)
        except ValueError as error:
            key = _one(features, "key").decode(errors="replace") if "key" in features else "unknown"
            raise ValueError(f"key {key}: {error}") from error

    def parse(self, payloads: list[np.ndarray]) -> None:
        """Parse records, and decode nothing: the part of `whole_batch` that is apart from the pixels."""
        for payload in payloads:
            self._others(split_image(payload, self._pixels.length)[1])

    def whole_batch(self, payloads: list[np.ndarray]) -> Any:
        """Decode records one after the other, and put them together as `batch` does."""
        images = self.images(len(payloads))
        others = [self.record(payload, image) for payload, image in zip(payloads, images, strict=True)]
        return self.batch(images, others, None)

    def _decode(self, encoded: np.ndarray, image: np.ndarray) -> None:
        if self._levels is None:
            self._pixels.decode(encoded, image)
            return
        pixels = self._pixels.decode(encoded, None)
        cv2.LUT(pixels.reshape(-1, self.shape[2]), self._levels, image.reshape(-1, self.shape[2]))

    def _others(self, features: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.label is not None and (self.label == "label" or not self.options.as_supervised):
            found["label"] = _one(features, "label")
        if self.manifest.soft_labels:
            found["soft_label"] = np.array(_all(features, "soft_label"), np.float32)
        if self.options.as_supervised:
            return found
        for name in ("key", "copy", "augmentation"):
            found[name] = _one(features, name)
        if self.objects:
            found["objects"] = {
                part: np.array(_all(features, f"objects/{part}"), OBJECTS[part]).reshape(-1, *shape)
                for part, shape in self.objects.items()
            }
        if "masks" in self.kinds:
            found["mask"] = open_mask(_one(features, "mask"), self._pixels.resized_to)
        return found

    def batch(self, images: np.ndarray, others: list[dict[str, Any]], valid: np.ndarray | None) -> Any:
        """Put decoded records together; `valid`, bool [batch], goes with them where it is given.

        Returns:
          A dict of image [batch, height, width, channels], key and augmentation, arrays of bytes [batch], copy int64
          [batch], and where there are such label int64 [batch], soft_label float32 [batch, classes], mask [batch,
          height, width, 1], valid, and objects, a dict of lists of arrays, one an image, or padded of arrays. As
          supervised it is (image, label or soft_label), and valid as float32 weights where there are such.

        Raises:
          ValueError: an image has more objects than there is room for.
        """
        if self.options.as_supervised:
            labels = _stacked([other[str(self.label)] for other in others])
            return (images, labels) if valid is None else (images, labels, valid.astype(np.float32))
        found = {name: _stacked([other[name] for other in others]) for name in others[0]}
        if self.options.max_boxes is not None:
            found["objects"] = _padded(found["objects"], self.options.max_boxes, found["key"])
        return {"image": images, **found, **({} if valid is None else {"valid": valid})}


def _scaled_levels(low: float, high: float) -> np.ndarray:
    """What each of the 256 levels becomes: float32, reckoned as TensorFlow does."""
    return np.arange(256, dtype=np.float32) * np.float32((high - low) / 255.0) + np.float32(low)


def _stacked(values: list[Any]) -> Any:
    """Stack equal parts of records; objects, of which each image has its own number, become lists of arrays."""
    if isinstance(values[0], dict):
        return {name: [value[name] for value in values] for name in values[0]}
    if isinstance(values[0], bytes):
        return np.array(values, object)
    return np.array(values, np.int64) if isinstance(values[0], int) else np.stack(values)


def _all(features: Mapping[str, Any], name: str) -> list[Any]:
    return feature_values(features[name]) if name in features else []


def _one(features: Mapping[str, Any], name: str) -> Any:
    """The value of a feature that has one.

    Raises:
      ValueError: it is not there.
    """
    values = _all(features, name)
    if not values:
        raise ValueError(f"it has no {name}")
    return values[0]


def _padded(objects: dict[str, list[np.ndarray]], most: int, keys: np.ndarray) -> dict[str, np.ndarray]:
    """Pad the objects of each image to `most`, and count them."""
    count = np.array([len(labels) for labels in objects["label"]], np.int64)
    if count.max() > most:
        fullest = int(count.argmax())
        raise ValueError(
            f"max_boxes={most} is too few for image {keys[fullest].decode()}, whose objects are {count[fullest]}"
        )
    padded = {}
    for part, values in objects.items():
        padded[part] = np.full((len(values), most, *values[0].shape[1:]), PADDING[part], values[0].dtype)
        for row, value in zip(padded[part], values, strict=True):
            row[: len(value)] = value
    return {**padded, "count": count}
