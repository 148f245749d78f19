"""How long augmill's loader takes to the first batch, at the start of an epoch and in its middle."""

from __future__ import annotations

import time
from typing import Any

import tensorflow as tf  # noqa: F401  a training loop has it already

from augmill.pipeline import load
from augmill.pipeline.version import Version
from benchmarks.loaders.task import LoadTask, parse_task, take_first, tell

_AGAIN = 5


def main() -> None:
    """Take a first batch in the fresh process, then those of more epochs, and print the seconds as JSON.

    The option `start` is first or middle.
    """
    task = parse_task()
    steps = Version(task.data).manifest.splits["train"].records // task.batch
    step = {"first": 0, "middle": steps // 2}[task.option("start")]
    seconds = [first_batch(task, number, step) for number in range(1 + _AGAIN)]
    tell(step=step, seconds=seconds[0], again_seconds=seconds[1:])


def first_batch(task: LoadTask, number: int, step: int) -> float:
    """Seconds from the call of `load` to its first batch."""
    started = time.monotonic()
    images: Any = take_first(
        load(task.data, batch_size=task.batch, seed=1, epoch=number, start_step=step, as_supervised=True)
    )
    seconds = time.monotonic() - started
    if len(images) != task.batch:
        raise SystemExit(f"the batch at step {step} has {len(images)} records, not {task.batch}")
    return seconds


if __name__ == "__main__":
    main()
