"""A `tf.data` pipeline over a version's shards, written and tuned by hand: files mixed, then a shuffle buffer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import tensorflow as tf

from benchmarks.loaders.task import SHUFFLE, LoadTask, main

AUTOTUNE = tf.data.AUTOTUNE
SIZE = (224, 224, 3)
FEATURES = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}


@lru_cache
def pipeline(task: LoadTask) -> Any:
    """Build the pipeline once; it shuffles anew each time that it is gone through.

    Options: `cycle`, how many files are read at a time; `parse`, whether records are parsed and decoded one by one
    (`one`), parsed by the batch and decoded one by one (`many`), or both by the batch (`whole`); `calls`, how many of
    these at a time; `deterministic`; `encoding`, jpeg or raw. `auto` leaves a number to TensorFlow.
    """
    cycle, calls = (_number(task.option(name)) for name in ("cycle", "calls"))
    deterministic = task.option("deterministic") == "yes"
    names = sorted(str(path) for path in task.data.glob("*.tfrecord-*"))
    shards = tf.data.Dataset.from_tensor_slices(names).shuffle(len(names), seed=1)
    length = None if cycle == AUTOTUNE else cycle
    read = shards.interleave(tf.data.TFRecordDataset, cycle_length=length, num_parallel_calls=AUTOTUNE)
    parse = _PARSERS[task.option("parse")]
    batches = parse(read.shuffle(SHUFFLE, seed=1), task.batch, calls, task.option("encoding", "jpeg"))
    options = tf.data.Options()
    options.deterministic = deterministic
    return batches.with_options(options).prefetch(AUTOTUNE)


def epoch(task: LoadTask, number: int) -> Any:
    """Open an epoch."""
    return pipeline(task)


def _number(text: str) -> int:
    return AUTOTUNE if text == "auto" else int(text)


def _decode(image: Any, encoding: str) -> Any:
    if encoding == "raw":
        return tf.reshape(tf.io.decode_raw(image, tf.uint8), SIZE)
    return tf.ensure_shape(tf.io.decode_jpeg(image, channels=3), SIZE)


def _one(records: Any, batch: int, calls: int, encoding: str) -> Any:
    def parse(record: Any) -> Any:
        parts = tf.io.parse_single_example(record, FEATURES)
        return _decode(parts["image"], encoding), parts["label"]

    return records.map(parse, num_parallel_calls=calls).batch(batch)


def _many(records: Any, batch: int, calls: int, encoding: str) -> Any:
    parsed = records.batch(batch).map(lambda some: tf.io.parse_example(some, FEATURES), num_parallel_calls=AUTOTUNE)
    decoded = parsed.unbatch().map(
        lambda parts: (_decode(parts["image"], encoding), parts["label"]), num_parallel_calls=calls
    )
    return decoded.batch(batch)


def _whole(records: Any, batch: int, calls: int, encoding: str) -> Any:
    def parse(some: Any) -> Any:
        parts = tf.io.parse_example(some, FEATURES)
        if encoding == "raw":
            return tf.reshape(tf.io.decode_raw(parts["image"], tf.uint8), (-1, *SIZE)), parts["label"]
        shape = tf.TensorSpec(SIZE, tf.uint8)
        images = tf.map_fn(lambda image: _decode(image, encoding), parts["image"], fn_output_signature=shape)
        return images, parts["label"]

    return records.batch(batch).map(parse, num_parallel_calls=calls)


_PARSERS = {"one": _one, "many": _many, "whole": _whole}


if __name__ == "__main__":
    main(epoch)
