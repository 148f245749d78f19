"""The recipes as a user of TensorFlow writes them: tf.image functions and Keras layers on one image at a time.

The same functions serve `tf.data`, which traces them into a graph, and a TFDS builder, which calls them eagerly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import keras
import tensorflow as tf

from benchmarks.recipes import QUALITY, Recipe

Boxes = dict[str, Any]  # "boxes", float32 [boxes, 4] of xmin, ymin, xmax, ymax in pixels, and "labels"
Augment = Callable[[Any, Boxes], tuple[Any, Boxes]]


def decode(encoded: Any, recipe: Recipe) -> Any:
    """Decode to uint8 [height, width, 3], and bring it to the recipe's size unless the ops do so."""
    decoder = tf.io.decode_jpeg if recipe.source_encoding == "jpeg" else tf.io.decode_png
    image = decoder(encoded, channels=3)
    if recipe.fitted and recipe.source_size != recipe.size:
        image = _to_uint8(tf.image.resize(image, recipe.size))
    return image


def encode(image: Any, recipe: Recipe) -> Any:
    """Encode uint8 pixels as the recipe has it."""
    if recipe.encoding == "png":
        return tf.io.encode_png(image, compression=1)
    return tf.io.encode_jpeg(image, quality=QUALITY)


def opened_boxes(boxes: Any, labels: Any, recipe: Recipe) -> Boxes:
    """Bring boxes of a source image to the recipe's size; an empty dict where the recipe has none."""
    if not recipe.boxes:
        return {}
    (height, width), (to_height, to_width) = recipe.source_size, recipe.size
    scale = tf.constant([to_width / width, to_height / height] * 2)
    return {"boxes": tf.cast(boxes, tf.float32) * scale, "labels": tf.cast(labels, tf.float32)}


def _to_uint8(pixels: Any) -> Any:
    return tf.saturate_cast(tf.round(pixels), tf.uint8)


@lru_cache
def _layer(name: str, **arguments: Any) -> Any:
    """A layer, made once: it holds the state of its own generator."""
    return getattr(keras.layers, name)(**arguments)


def _tone(image: Any, brightness: float, contrast: float) -> Any:
    image = tf.image.random_brightness(image, brightness)
    return tf.image.random_contrast(image, 1 - contrast, 1 + contrast)


def _photo(image: Any, boxes: Boxes) -> tuple[Any, Boxes]:
    image = _tone(tf.image.random_flip_left_right(image), 0.2, 0.3)
    pixels = _layer("RandomRotation", factor=0.1)(tf.cast(image, tf.float32), training=True)
    return _to_uint8(_layer("RandomZoom", height_factor=0.2)(pixels, training=True)), boxes


def _imagenet(image: Any, boxes: Boxes) -> tuple[Any, Boxes]:
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        tf.shape(image),
        [[[0.0, 0.0, 1.0, 1.0]]],
        min_object_covered=0.0,
        aspect_ratio_range=(0.75, 1.333),
        area_range=(0.08, 1.0),
    )
    image = _to_uint8(tf.image.resize(tf.slice(image, begin, size), (224, 224)))
    image = _tone(tf.image.random_flip_left_right(image), 0.125, 0.5)
    return tf.image.random_hue(tf.image.random_saturation(image, 0.5, 1.5), 0.2), boxes


def _cifar(image: Any, boxes: Boxes) -> tuple[Any, Boxes]:
    image = tf.image.random_crop(tf.image.resize_with_crop_or_pad(image, 40, 40), (32, 32, 3))
    image = tf.image.random_flip_left_right(image)
    erase = _layer("RandomErasing", factor=(1.0, 1.0), scale=(0.25, 0.25), fill_value=0.0)
    return _to_uint8(erase(tf.cast(image, tf.float32), training=True)), boxes


def _randaugment(image: Any, boxes: Boxes) -> tuple[Any, Boxes]:
    image = tf.cast(tf.image.random_flip_left_right(image), tf.float32)
    return _to_uint8(_layer("RandAugment", value_range=(0, 255), num_ops=2, factor=0.9)(image, training=True)), boxes


def _detection(image: Any, boxes: Boxes) -> tuple[Any, Boxes]:
    data = {"images": tf.cast(_tone(image, 0.2, 0.3), tf.float32), "bounding_boxes": boxes}
    moves = (
        ("RandomFlip", {"mode": "horizontal"}),
        ("RandomTranslation", {"height_factor": 0.1, "width_factor": 0.1}),
        ("RandomZoom", {"height_factor": 0.2}),
    )
    for name, arguments in moves:
        layer = _layer(name, **arguments)
        layer.bounding_box_format = "xyxy"
        data = layer(data, training=True)
    return _to_uint8(data["images"]), data["bounding_boxes"]


AUGMENT: dict[str, Augment] = {
    "photo": _photo,
    "imagenet": _imagenet,
    "cifar": _cifar,
    "randaugment": _randaugment,
    "detection": _detection,
}
