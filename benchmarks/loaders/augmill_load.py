"""augmill itself: `load`, as a training loop calls it."""

from __future__ import annotations

import inspect
from typing import Any

import tensorflow as tf  # noqa: F401  `load` imports it: a training loop has it already

from augmill.pipeline import load
from augmill.pipeline.version import Version
from benchmarks.loaders.task import LoadTask, main

RESUMES = "start_step" in inspect.signature(load).parameters


def epoch(task: LoadTask, number: int) -> Any:
    """Open an epoch: of all copies, or with the option `copies` of one copy of each example, another one each epoch."""
    more: dict[str, Any] = {"copies": _rotated(task, number)} if "copies" in dict(task.options) else {}
    return load(task.data, batch_size=task.batch, seed=1, epoch=number, as_supervised=True, **more)


def _rotated(task: LoadTask, number: int) -> str | list[int]:
    if RESUMES:  # came with the loader that rotates by itself
        return task.option("copies")
    shards = Version(task.data).manifest.splits["train"].shards
    copies = sorted({shard.copy_number for shard in shards})
    return [copies[number % len(copies)]]


if __name__ == "__main__":
    main(epoch)
