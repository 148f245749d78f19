"""A record to NumPy arrays without TensorFlow, bit for bit what `decoding.py` gives; and records to batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from augmill.pipeline.batches import Payloads
from augmill.pipeline.decoding import DecodeOptions
from augmill.pipeline.example import decode_example
from augmill.pipeline.manifest import Manifest
from augmill.pipeline.object_tensors import PADDING

_AHEAD = 2  # batches that are decoded while another one is worked with
_OBJECTS = {"bbox": np.float32, "label": np.int64, "is_crowd": np.bool_, "keypoints": np.float32}


class NumpyDecoder:
    """Decodes records, and stacks them into batches.

    OpenCV decodes JPEG by the exact transform, which TensorFlow is asked for too: their pixels are equal. Only resizing
    is left to TensorFlow, since no other library's is equal to its own.
    """

    def __init__(self, manifest: Manifest, options: DecodeOptions) -> None:
        """Take what `make_batch_decoder` takes."""
        stored, size = manifest.image, options.size
        self._manifest, self._supervised, self._most = manifest, options.as_supervised, options.max_boxes
        self._kinds = options.kinds(manifest)
        self._levels = None if options.output == "uint8" else _scaled_levels(*options.output)
        self._shape = (stored["height"], stored["width"], stored.get("channels", 3))
        self._size = None if size is None or tuple(size) == self._shape[:2] else size

    def one(self, payload: bytes) -> dict[str, Any]:
        """Decode one record: image, label, key, copy, augmentation and annotations, each without a batch's axis."""
        found = self.record(payload)
        return {**found, "image": self._scaled(found["image"])}

    def record(self, payload: bytes) -> dict[str, Any]:
        """Decode one record for a batch, with its pixels as uint8 still."""
        example = decode_example(payload)
        found: dict[str, Any] = {"image": self._image(example["image"][0])}
        if self._manifest.classes is not None:
            found["label"] = np.int64(example["label"][0])
        if self._manifest.soft_labels:
            found["soft_label"] = np.array(example["soft_label"], np.float32)
        if self._supervised:
            return found
        found |= {"key": example["key"][0], "copy": np.int64(example["copy"][0])}
        found["augmentation"] = example["augmentation"][0]
        objects = self._objects(example)
        if objects:
            found["objects"] = objects
        if "masks" in self._kinds:
            found["mask"] = self._mask(example["mask"][0])
        return found

    def batch(self, records: list[dict[str, Any]], valid: np.ndarray | None) -> Any:
        """Stack decoded records; `valid`, bool [batch], goes with them where it is given."""
        if self._supervised:
            label = "soft_label" if self._manifest.soft_labels else "label"
            image, labels = (np.stack([record[name] for record in records]) for name in ("image", label))
            pair = (self._scaled(image), labels)
            return pair if valid is None else (*pair, valid.astype(np.float32))
        found = {name: _stacked([record[name] for record in records]) for name in records[0]}
        found["image"] = self._scaled(found["image"])
        if self._most is not None:
            found["objects"] = _padded(found["objects"], self._most, found["key"])
        return found if valid is None else {**found, "valid": valid}

    def _image(self, encoded: bytes) -> np.ndarray:
        channels = self._shape[2]
        if self._manifest.image["encoding"] == "raw":
            image = np.frombuffer(encoded, np.uint8).reshape(self._shape)
        else:
            # Pixels as they are stored: what an EXIF tag says of them was seen to when they were written.
            how = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
            image = _opened(encoded, how | cv2.IMREAD_IGNORE_ORIENTATION)
            image = image.reshape(*image.shape[:2], channels)
        if self._shape[0] is not None and image.shape != self._shape:
            raise ValueError(f"an image has shape {list(image.shape)}, and the manifest has {list(self._shape)}")
        if self._size is not None:
            image = _resize(image, self._size)
        return image

    def _scaled(self, image: np.ndarray) -> np.ndarray:
        """Bring uint8 pixels of any shape to the range asked for."""
        if self._levels is None:
            return image
        return cv2.LUT(image.reshape(-1, image.shape[-1]), self._levels).reshape(image.shape)

    def _objects(self, example: dict[str, list[Any]]) -> dict[str, np.ndarray]:
        known = self._manifest.annotations
        if "boxes" not in self._kinds:
            return {}
        shapes: dict[str, tuple[int, ...]] = {"bbox": (-1, 4), "label": (-1,)}
        if known["crowd"]:
            shapes["is_crowd"] = (-1,)
        if "keypoints" in known["kinds"]:
            shapes["keypoints"] = (-1, len(known["keypoint_names"]), 3)
        return {
            part: np.array(example.get(f"objects/{part}", []), _OBJECTS[part]).reshape(shape)
            for part, shape in shapes.items()
        }

    def _mask(self, encoded: bytes) -> np.ndarray:
        mask = _opened(encoded, cv2.IMREAD_UNCHANGED)[..., None]
        return mask if self._size is None else _resize(mask, self._size, method="nearest")


def _opened(encoded: bytes, how: int) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), how)
    if image is None:
        raise ValueError("an image cannot be decoded")
    return image


def _scaled_levels(low: float, high: float) -> np.ndarray:
    """What each of the 256 levels becomes: float32, reckoned as TensorFlow does."""
    return np.arange(256, dtype=np.float32) * np.float32((high - low) / 255.0) + np.float32(low)


def _resize(image: np.ndarray, size: tuple[int, int], **method: str) -> np.ndarray:
    import tensorflow as tf

    with tf.device("CPU"):
        if method:
            resized = tf.image.resize(image, size, **method)
        else:
            resized = tf.saturate_cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8)
        return np.asarray(resized)


def _stacked(values: list[Any]) -> Any:
    """Stack equal parts of records; objects, of which each image has its own number, become lists of arrays."""
    if isinstance(values[0], dict):
        return {name: [value[name] for value in values] for name in values[0]}
    return np.array(values, object) if isinstance(values[0], bytes) else np.stack(values)


def _padded(objects: dict[str, list[np.ndarray]], most: int, keys: np.ndarray) -> dict[str, np.ndarray]:
    """Pad the objects of each image to `most`, and count them, as `object_tensors` does."""
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


def decoded_batches(payloads: Iterator[Payloads], decoder: NumpyDecoder, *, with_valid: bool) -> Iterator[Any]:
    """Decode batches by a thread a core, a few batches ahead, in order."""
    threads = ThreadPoolExecutor(os.cpu_count() or 1, "augmill-decoder")
    waiting: deque[tuple[Iterator[dict[str, Any]], np.ndarray | None]] = deque()
    try:
        for records, valid in payloads:
            waiting.append((threads.map(decoder.record, records), valid if with_valid else None))
            if len(waiting) > _AHEAD:
                decoded, counts = waiting.popleft()
                yield decoder.batch(list(decoded), counts)
        while waiting:
            decoded, counts = waiting.popleft()
            yield decoder.batch(list(decoded), counts)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
