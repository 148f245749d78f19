"""The objects of a batch of records as tensors: ragged, as many as each image has, or padded to one number."""

from __future__ import annotations

import math
from typing import Any

from augmill.pipeline.manifest import Manifest

_SHAPES = {"bbox": (4,), "label": (), "is_crowd": (), "keypoints": (-1, 3)}  # of each object's part
PADDING = {"bbox": 0.0, "label": -1, "is_crowd": False, "keypoints": 0.0}


def object_features(tf: Any, manifest: Manifest) -> dict[str, Any]:
    """What `tf.io.parse_example` is to read of the objects in records."""
    dtypes = {"bbox": tf.float32, "label": tf.int64}
    if manifest.annotations["crowd"]:
        dtypes["is_crowd"] = tf.int64
    if "keypoints" in manifest.annotations["kinds"]:
        dtypes["keypoints"] = tf.float32
    return {f"objects/{part}": tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for part, dtype in dtypes.items()}


def object_tensors(tf: Any, batch: dict[str, Any], manifest: Manifest, most: int | None = None) -> dict[str, Any]:
    """Put the features of objects together as `objects`, in the shapes that they stand for.

    Args:
      batch: what was parsed by `object_features` and other features.
      most: objects to pad each image to; None for ragged tensors.

    Returns:
      The other features, and under objects a dict of bbox float32 [batch, objects, 4] of (ymin, xmin, ymax, xmax) as
      fractions of the image, label int64 [batch, objects], and if there are any is_crowd bool [batch, objects] and
      keypoints float32 [batch, objects, keypoints, 3] of (y, x, visibility). Padded ones have zeros after the objects
      of an image, label -1 and is_crowd False there, and count int64 [batch], the objects that an image has.

    Raises:
      InvalidArgumentError: as the batch is read, where an image has more objects than `most`; it names the image.
    """
    points = len(manifest.annotations.get("keypoint_names", []))
    others = {name: value for name, value in batch.items() if not name.startswith("objects/")}
    objects = {
        part: _rows(tf, batch[f"objects/{part}"], tuple(points if n == -1 else n for n in shape))
        for part, shape in _SHAPES.items()
        if f"objects/{part}" in batch
    }
    if "is_crowd" in objects:
        objects["is_crowd"] = tf.cast(objects["is_crowd"], tf.bool)
    if most is not None:
        objects = _padded(tf, objects, most, others["key"])
    return {**others, "objects": objects}


def _rows(tf: Any, flat: Any, shape: tuple[int, ...]) -> Any:
    """From numbers one after another, [batch, (objects * n)], to objects, [batch, (objects), *shape]."""
    values = tf.reshape(flat.values, (-1, *shape))
    return tf.RaggedTensor.from_row_splits(values, flat.row_splits // math.prod(shape), validate=False)


def _padded(tf: Any, objects: dict[str, Any], most: int, keys: Any) -> dict[str, Any]:
    count = objects["label"].row_lengths()
    fullest = tf.argmax(count)
    told = f"max_boxes={most} is too few for image", tf.gather(keys, fullest), "whose objects are", tf.reduce_max(count)
    tf.debugging.Assert(tf.reduce_all(count <= most), told)
    padded = {
        part: value.to_tensor(PADDING[part], shape=(None, most, *value.shape[2:])) for part, value in objects.items()
    }
    return {**padded, "count": count}
