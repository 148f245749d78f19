"""Augmentation in the input pipeline: `tf.data` that decodes, resizes and augments each photo anew in every epoch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import keras
import tensorflow as tf

from benchmarks.contenders.tensorflow_ops import AUGMENT, decode
from benchmarks.loaders.loose_files import listed
from benchmarks.loaders.task import SHUFFLE, LoadTask, main
from benchmarks.loaders.tfdata_records import FEATURES
from benchmarks.recipes import RECIPES

RECIPE = RECIPES["photo"]
AUTOTUNE = tf.data.AUTOTUNE


@lru_cache
def pipeline(task: LoadTask) -> Any:
    """Build the pipeline once; it shuffles and augments anew each time that it is gone through.

    Options: `photos`, files (500 x 375, to be resized each time) or records (224 x 224, resized once before); `ops`, by
    the image as tf.image has them, or by the batch as Keras layers can.
    """
    images = _files(task) if task.option("photos") == "files" else _records(task)
    if task.option("ops") == "image":
        augmented = images.map(
            lambda image, label: (AUGMENT["photo"](image, {})[0], label),
            num_parallel_calls=AUTOTUNE,
            deterministic=False,
        )
        return augmented.batch(task.batch).prefetch(AUTOTUNE)
    layers = _layers()
    batches = images.batch(task.batch).map(
        lambda some, labels: (_to_uint8(layers(tf.cast(some, tf.float32), training=True)), labels),
        num_parallel_calls=AUTOTUNE,
        deterministic=False,
    )
    return batches.prefetch(AUTOTUNE)


def epoch(task: LoadTask, number: int) -> Any:
    """Open an epoch."""
    return pipeline(task)


def _files(task: LoadTask) -> Any:
    paths, labels = listed(task)

    def opened(path: Any, label: Any) -> Any:
        return tf.ensure_shape(decode(tf.io.read_file(path), RECIPE), (*RECIPE.size, 3)), label

    files = tf.data.Dataset.from_tensor_slices((paths, labels)).shuffle(len(paths))
    return files.map(opened, num_parallel_calls=AUTOTUNE, deterministic=False)


def _records(task: LoadTask) -> Any:
    def opened(record: Any) -> Any:
        parts = tf.io.parse_single_example(record, FEATURES)
        return tf.ensure_shape(tf.io.decode_jpeg(parts["image"], channels=3), (*RECIPE.size, 3)), parts["label"]

    names = sorted(str(path) for path in task.data.glob("*.tfrecord-*"))
    shards = tf.data.Dataset.from_tensor_slices(names).shuffle(len(names))
    records = shards.interleave(tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=AUTOTUNE)
    return records.shuffle(SHUFFLE).map(opened, num_parallel_calls=AUTOTUNE, deterministic=False)


def _layers() -> Any:
    """The recipe in Keras layers, which draw for each image of a batch; brightness and contrast are of these ranges."""
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomBrightness(0.2),
            keras.layers.RandomContrast((0.3, 0.3)),
            keras.layers.RandomRotation(0.1),
            keras.layers.RandomZoom(0.2),
        ]
    )


def _to_uint8(pixels: Any) -> Any:
    return tf.saturate_cast(tf.round(pixels), tf.uint8)


if __name__ == "__main__":
    main(epoch)
