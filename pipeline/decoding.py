"""Records to tensors, for the loader: a batch at once, with its images, labels, objects and masks.

A `tf.data` element costs some 10 microseconds whatever is in it, and parsing one record alone as much again: small
records are parsed by the batch. Raw pixels are decoded by the batch too, with no step for each image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from augmill.pipeline.errors import VersionError
from augmill.pipeline.manifest import Manifest
from augmill.pipeline.object_tensors import object_features, object_tensors

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


def make_batch_decoder(manifest: Manifest, options: DecodeOptions) -> Callable[..., Any]:
    """Make the function that a `tf.data` stream of batches of a version's records is mapped with.

    `numpy_decoding.py` gives the same values without TensorFlow.

    Args:
      manifest: of the version.
      options: what to make of its records.

    Returns:
      decode(serialized, valid=None), of serialized records, string [batch], and of what says which of these count,
      bool [batch]: a batch that is filled up repeats some record there. It gives a dict of image [batch, height, width,
      channels], key and augmentation strings [batch], copy int64 [batch], and, where there are such, label int64
      [batch], soft_label float32 [batch, classes], objects as `object_tensors` has them, mask [batch, height, width, 1]
      and valid. As supervised it gives (image, label or soft_label), and valid as float32 weights where there are such,
      as `model.fit` takes them.

    Raises:
      VersionError: objects are to be padded, and the version has none.
    """
    import tensorflow as tf

    kinds = options.kinds(manifest)
    parse = make_parser(manifest, options)
    decode_pixels = _pixel_decoder(tf, manifest, options.size)
    decode_masks = _mask_decoder(tf, manifest, options.size)

    def decode(serialized: Any, valid: Any = None) -> Any:
        batch = parse(serialized)
        images = decode_pixels(batch.pop("image"))
        if options.output != "uint8":
            low, high = options.output
            images = tf.cast(images, tf.float32) * ((high - low) / 255.0) + low
        if options.as_supervised:
            weights = () if valid is None else (tf.cast(valid, tf.float32),)
            return images, batch["soft_label" if manifest.soft_labels else "label"], *weights
        if "boxes" in kinds:
            batch = object_tensors(tf, batch, manifest, options.max_boxes)
        if "masks" in kinds:
            batch["mask"] = decode_masks(batch["mask"])
        return {"image": images, **batch, **({} if valid is None else {"valid": valid})}

    return decode


def make_parser(manifest: Manifest, options: DecodeOptions) -> Callable[[Any], Any]:
    """Make the part of `make_batch_decoder`'s function that parses records, and leaves images and masks encoded."""
    import tensorflow as tf

    features = _features(tf, manifest, options, options.kinds(manifest))
    return lambda serialized: tf.io.parse_example(serialized, features)


def _features(tf: Any, manifest: Manifest, options: DecodeOptions, kinds: list[str]) -> dict[str, Any]:
    """What to read of a record."""
    dtypes = {"image": tf.string}
    if not options.as_supervised:
        dtypes |= {"key": tf.string, "copy": tf.int64, "augmentation": tf.string}
    if manifest.classes is not None:
        dtypes["label"] = tf.int64
    if "masks" in kinds:
        dtypes["mask"] = tf.string
    features = {name: tf.io.FixedLenFeature([], dtype) for name, dtype in dtypes.items()}
    if manifest.soft_labels:
        features["soft_label"] = tf.io.FixedLenFeature([len(manifest.classes or [])], tf.float32)
    return features | (object_features(tf, manifest) if "boxes" in kinds else {})


def _pixel_decoder(tf: Any, manifest: Manifest, size: tuple[int, int] | None) -> Callable[[Any], Any]:
    """From encoded images, string [batch], to uint8 [batch, height, width, channels]."""
    stored = manifest.image
    shape, channels = (stored["height"], stored["width"]), stored.get("channels", 3)
    # The exact transform: as fast as the default, which each build may choose, and what OpenCV and Pillow take.
    decode_jpeg = partial(tf.io.decode_jpeg, dct_method="INTEGER_ACCURATE")
    decode_image = decode_jpeg if stored["encoding"] == "jpeg" else tf.io.decode_png

    def resized(pixels: Any) -> Any:
        if size is None or tuple(size) == shape:
            return pixels
        return tf.saturate_cast(tf.round(tf.image.resize(pixels, size, antialias=True)), tf.uint8)

    def decode_one(encoded: Any) -> Any:
        return resized(tf.ensure_shape(decode_image(encoded, channels=channels), (*shape, channels)))

    def decode_raw(encoded: Any) -> Any:
        return resized(tf.reshape(tf.io.decode_raw(encoded, tf.uint8), (-1, *shape, channels)))

    if stored["encoding"] == "raw":
        return decode_raw
    signature = tf.TensorSpec((*(size or shape), channels), tf.uint8)
    return lambda encoded: tf.map_fn(decode_one, encoded, fn_output_signature=signature)


def _mask_decoder(tf: Any, manifest: Manifest, size: tuple[int, int] | None) -> Callable[[Any], Any]:
    """From encoded masks, string [batch], to uint8 or uint16 [batch, height, width, 1]; no id is made up."""
    shape = (manifest.image["height"], manifest.image["width"])
    dtype = tf.uint16 if manifest.annotations.get("mask_bits") == 16 else tf.uint8

    def decode_one(encoded: Any) -> Any:
        mask = tf.ensure_shape(tf.io.decode_png(encoded, channels=1, dtype=dtype), (*shape, 1))
        return mask if size is None else tf.image.resize(mask, size, method="nearest")

    signature = tf.TensorSpec((*(size or shape), 1), dtype)
    return lambda encoded: tf.map_fn(decode_one, encoded, fn_output_signature=signature)
