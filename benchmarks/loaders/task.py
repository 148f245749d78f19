"""What every loader is given, and the line that it prints when it has read an epoch."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

SHUFFLE = 2000  # records of the buffer, for the loaders that mix by one


@dataclass(frozen=True)
class LoadTask:
    """One run of one loader.

    Attributes:
      data: what to read.
      batch: records a batch.
      workers: processes, where a loader works in processes of its own.
      options: what this loader alone understands, (name, value) each.
    """

    data: Path
    batch: int
    workers: int
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str, default: str | None = None) -> str:
        """The value of an option; without a default it must have been given."""
        found = dict(self.options)
        return found[name] if default is None else found.get(name, default)


# Opens an epoch by its number: batches of (images, labels), or of (records, None) where nothing is decoded.
Epoch = Callable[[LoadTask, int], Iterable[tuple[Any, Any]]]


class Reading(NamedTuple):
    """What reading an epoch took.

    Attributes:
      records: read.
      seconds: from when the epoch was asked for to the last batch.
      closing_seconds: from the last batch until the epoch's iterator was gone.
      cpu_seconds: of all that, in this process and its children.
    """

    records: int
    seconds: float
    closing_seconds: float
    cpu_seconds: float


def main(epoch: Epoch) -> None:
    """Take the first batch of one epoch, then read another one from end to end, and print what it took as JSON.

    Both times begin when the epoch is asked for, so that what a loader prepares for an epoch, such as filling a buffer,
    is in them. The modules are imported by then. `first_batch_seconds` is that of a fresh process; the whole epoch
    after it finds all warm.
    """
    task = parse_task()
    started = time.monotonic()
    first = take_first(epoch(task, 0))
    first_batch_seconds = time.monotonic() - started
    if len(first) != task.batch:
        raise SystemExit(f"the first batch has {len(first)} records, not {task.batch}")
    del first
    tell(**read(lambda: epoch(task, 1))._asdict(), first_batch_seconds=first_batch_seconds)


def read(opened: Callable[[], Iterable[tuple[Any, Any]]], each: Callable[[Any, Any], object] | None = None) -> Reading:
    """Open an epoch and read all of it, doing `each(images, labels)` on every batch.

    The clock stops at the last batch. To throw a `tf.data` iterator away then takes no time in some runs, and in others
    as long again as the epoch, with the same pipeline: it seems to wait for the thread that tunes it, which sleeps for
    longer and longer. Whom this meets is chance, so it is told apart.
    """
    busy, started = cpu_seconds(), time.monotonic()
    iterator = iter(opened())
    records, last = 0, started
    for images, labels in iterator:
        if each is not None:
            each(images, labels)
        records += len(images)
        last = time.monotonic()
    del iterator
    return Reading(records, last - started, time.monotonic() - last, cpu_seconds() - busy)


def take_first(batches: Iterable[tuple[Any, Any]]) -> Any:
    """The images of the first batch; what would have brought the others is ended."""
    iterator = iter(batches)
    images = next(iterator)[0]
    if hasattr(iterator, "close"):
        iterator.close()
    return images


def parse_task() -> LoadTask:
    """The task that the command line tells."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--batch", required=True, type=int)
    parser.add_argument("--workers", required=True, type=int)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    options = [option.split("=", 1) for option in given.option]
    return LoadTask(given.data, given.batch, given.workers, tuple((name, value) for name, value in options))


def tell(**values: Any) -> None:
    """Print JSON values as the last line."""
    print(f"\n{json.dumps(values)}", flush=True)  # some library may have left a line open


def cpu_seconds() -> float:
    """Processor time of this process and of all its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
