"""A `tf.data` pipeline over JPEG files in class folders; the list of files is mixed, which is a perfect shuffle."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import tensorflow as tf

from benchmarks.loaders.task import LoadTask, main


@lru_cache
def pipeline(task: LoadTask) -> Any:
    """Build the pipeline once; it shuffles anew each time that it is gone through."""
    paths, labels = listed(task)

    def opened(path: Any, label: Any) -> Any:
        return tf.ensure_shape(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), (224, 224, 3)), label

    files = tf.data.Dataset.from_tensor_slices((paths, labels)).shuffle(len(paths))
    images = files.map(opened, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
    return images.batch(task.batch).prefetch(tf.data.AUTOTUNE)


def listed(task: LoadTask) -> tuple[list[str], Any]:
    """The files in class folders, and the number of each one's class."""
    folders = sorted(path for path in task.data.iterdir() if path.is_dir())
    found = [(str(path), label) for label, folder in enumerate(folders) for path in sorted(folder.iterdir())]
    return [path for path, _ in found], tf.constant([label for _, label in found], tf.int64)


def epoch(task: LoadTask, number: int) -> Any:
    """Open an epoch."""
    return pipeline(task)


if __name__ == "__main__":
    main(epoch)
