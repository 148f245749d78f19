"""The shards' records read one after another and not decoded: what no loader of them can do more than."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import tensorflow as tf

from benchmarks.loaders.task import LoadTask, main


@lru_cache
def pipeline(task: LoadTask) -> Any:
    """Build the pipeline once."""
    names = sorted(str(path) for path in task.data.glob("*.tfrecord-*"))
    return tf.data.TFRecordDataset(names).batch(task.batch).prefetch(tf.data.AUTOTUNE)


def epoch(task: LoadTask, number: int) -> Iterator[tuple[Any, None]]:
    """Open an epoch: batches of records as they are."""
    return ((records, None) for records in pipeline(task))


if __name__ == "__main__":
    main(epoch)
