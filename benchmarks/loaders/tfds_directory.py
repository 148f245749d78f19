"""TFDS reading a version's directory, as its guides have it; it needs no augmill for that."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks.loaders.task import SHUFFLE, LoadTask, main


@lru_cache
def pipeline(task: LoadTask) -> Any:
    """Build the pipeline once; it shuffles anew each time that it is gone through."""
    builder = tfds.builder_from_directory(str(task.data))
    dataset = builder.as_dataset(split="train", shuffle_files=True, as_supervised=True)
    return dataset.shuffle(SHUFFLE).batch(task.batch).prefetch(tf.data.AUTOTUNE)


def epoch(task: LoadTask, number: int) -> Any:
    """Open an epoch."""
    return pipeline(task)


if __name__ == "__main__":
    main(epoch)
