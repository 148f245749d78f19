"""A record to tensors, for the loader: the image, its label, its objects and its mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from augmill.pipeline.version import Manifest

_OBJECTS = {"bbox": (4,), "label": (), "is_crowd": (), "keypoints": (-1, 3)}  # the shape of each object's part


def make_decoder(
    manifest: Manifest, scale: tuple[float, float] | None, size: tuple[int, int] | None, as_supervised: bool
) -> Callable[[Any], Any]:
    """Make the function that a `tf.data` stream of a version's records is mapped with.

    `numpy_decoding.py` gives the same values without TensorFlow.

    Args:
      manifest: of the version.
      scale: (low, high) for float32 pixels between these, or None for uint8 as stored.
      size: (height, width) to resize to, or None.
      as_supervised: give (image, label) alone.
    """
    import tensorflow as tf

    stored = manifest.image
    shape, channels = (stored["height"], stored["width"]), stored.get("channels", 3)
    size = None if size is None or tuple(size) == shape else size
    features = _features(tf, manifest, as_supervised)

    def decode_pixels(encoded: Any) -> Any:
        if stored["encoding"] == "raw":
            return tf.reshape(tf.io.decode_raw(encoded, tf.uint8), (*shape, channels))
        if stored["encoding"] == "jpeg":
            # The exact transform: as fast as the default, which each build may choose, and what OpenCV and Pillow take.
            image = tf.io.decode_jpeg(encoded, channels=channels, dct_method="INTEGER_ACCURATE")
        else:
            image = tf.io.decode_png(encoded, channels=channels)
        return tf.ensure_shape(image, (*shape, channels))

    def decode(record: Any) -> Any:
        example = tf.io.parse_single_example(record, features)
        image = decode_pixels(example.pop("image"))
        if size is not None:
            resized = tf.image.resize(image, size, antialias=True)
            image = tf.saturate_cast(tf.round(resized), tf.uint8)
        if scale is not None:
            low, high = scale
            image = tf.cast(image, tf.float32) * ((high - low) / 255.0) + low
        if as_supervised:
            return image, example["soft_label" if manifest.soft_labels else "label"]
        return {"image": image, **_with_annotations(tf, manifest, example, size)}

    return decode


def _features(tf: Any, manifest: Manifest, as_supervised: bool) -> dict[str, Any]:
    """What to read of a record."""
    dtypes = {"image": tf.string, "key": tf.string, "copy": tf.int64, "augmentation": tf.string}
    if manifest.classes is not None:
        dtypes["label"] = tf.int64
    kinds = [] if as_supervised else manifest.annotations.get("kinds", [])
    if "masks" in kinds:
        dtypes["mask"] = tf.string
    features = {name: tf.io.FixedLenFeature([], dtype) for name, dtype in dtypes.items()}
    if manifest.soft_labels:
        features["soft_label"] = tf.io.FixedLenFeature([len(manifest.classes or [])], tf.float32)
    if "boxes" in kinds:
        parts = {"bbox": tf.float32, "label": tf.int64}
        if manifest.annotations["crowd"]:
            parts["is_crowd"] = tf.int64
        if "keypoints" in kinds:
            parts["keypoints"] = tf.float32
        features |= {f"objects/{part}": tf.io.RaggedFeature(dtype) for part, dtype in parts.items()}
    return features


def _with_annotations(tf: Any, manifest: Manifest, example: dict[str, Any], size: tuple[int, int] | None) -> Any:
    """Give the parts of a record the shapes that they stand for."""
    found = {name: value for name, value in example.items() if not name.startswith("objects/")}
    keypoints = len(manifest.annotations.get("keypoint_names", []))
    objects = {
        part: tf.reshape(example[f"objects/{part}"], (-1, *(keypoints if n == -1 else n for n in shape)))
        for part, shape in _OBJECTS.items()
        if f"objects/{part}" in example
    }
    if objects:
        if "is_crowd" in objects:
            objects["is_crowd"] = tf.cast(objects["is_crowd"], tf.bool)
        found["objects"] = objects
    if "mask" in example:
        dtype = tf.uint16 if manifest.annotations["mask_bits"] == 16 else tf.uint8
        mask = tf.io.decode_png(example["mask"], channels=1, dtype=dtype)
        mask = tf.ensure_shape(mask, (manifest.image["height"], manifest.image["width"], 1))
        found["mask"] = mask if size is None else tf.image.resize(mask, size, method="nearest")
    return found
