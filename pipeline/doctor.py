"""What holds a training up: reading, parsing, decoding, the copy to the device, or the training's own step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from augmill.pipeline.loader import Loader
from augmill.pipeline.shard import RecordError
from augmill.pipeline.version import Version

Tell = Callable[[str], None]
_HELD = 8  # batches kept in memory, on which parsing and decoding are measured


@dataclass(frozen=True)
class Stage:
    """What one part of the input can do by itself, all else being there already.

    Attributes:
      name: "read", "parse", "decode", "copy" or "all together".
      rate: records a second on all cores.
      core_seconds: processor time of a record, on whichever cores; None where it is not the processor's.
    """

    name: str
    rate: float
    core_seconds: float | None = None


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
      batch_size: records a batch.
      record_bytes: of a record, in the mean, of those read.
      cores: that this process may use.
      first_seconds: to the first batch, from the call that opens the stream.
      stages: in the order in which a record goes through them.
      together: the whole stream, everything at once.
      device: what batches were copied to, or None where there is no accelerator.
      cold: whether what was read was taken out of the system's memory before.
    """

    batch_size: int
    record_bytes: float
    cores: int
    first_seconds: float
    stages: tuple[Stage, ...]
    together: Stage
    device: str | None
    cold: bool

    @property
    def slowest(self) -> Stage:
        """The stage that the others wait for."""
        return min(self.stages, key=lambda stage: stage.rate)

    @property
    def batch_seconds(self) -> float:
        """How often the input has a batch ready."""
        return self.batch_size / self.together.rate

    def waits(self, step_seconds: float) -> float:
        """The share of the time that an accelerator stands still whose step takes so long."""
        return max(0.0, 1.0 - step_seconds / self.batch_seconds)


def examine(
    path: str | Path | Version,
    *,
    seconds: float = 2.0,
    cold: bool = False,
    tell: Tell = lambda stage: None,
    **options: Any,
) -> Examination:
    """Measure each part of a loader's work by itself, and all of it together.

    Args:
      path: a version, its directory or its URL.
      seconds: how long each part is measured.
      cold: take the version's shards out of the system's memory first, so that the disk itself is read.
      tell: is told what is being measured.
      options: of `Loader`.

    Raises:
      VersionError, ValueError: as `Loader` does.
    """
    loader = Loader(path, **options)
    if cold:
        forget(loader)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    tell("read")
    kept: list[list[np.ndarray]] = []
    read, sizes = _read(loader, seconds, kept)
    tell("parse")
    parse = _on_cores("parse", kept, loader.decoder.parse, seconds, cores)
    tell("decode")
    whole = _on_cores("decode", kept, loader.decoder.whole_batch, seconds, cores)
    assert whole.core_seconds is not None and parse.core_seconds is not None
    spent = max(whole.core_seconds - parse.core_seconds, 1e-9)
    stages = [read, parse, Stage("decode", cores / spent, spent)]
    import tensorflow as tf

    device = next((gpu.name for gpu in tf.config.list_physical_devices("GPU")), None)
    if device is not None:
        tell("copy")
        stages.append(_copy(tf, next(iter(loader.dataset(epoch=0))), seconds))
    tell("all together")
    together, first = _together(loader, seconds)
    batch = len(kept[0])
    return Examination(batch, float(np.mean(sizes)), cores, first, tuple(stages), together, device, cold)


def forget(loader: Loader) -> None:
    """Ask the system to drop what it holds in memory of a version's shards; of those on this machine alone."""
    if not hasattr(os, "posix_fadvise"):
        raise ValueError("this system cannot be asked to forget files: leave cold out")
    folder = loader.version.path
    for split in loader.version.manifest.splits.values():
        for shard in split.shards:
            file = os.open(folder / shard.file, os.O_RDONLY)
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


def _for(seconds: float, batches: Iterator[Any]) -> Iterator[Any]:
    """Batches until the time is over, one at least."""
    end = time.perf_counter() + seconds
    for batch in batches:
        yield batch
        if time.perf_counter() > end:
            return


def _read(loader: Loader, seconds: float, kept: list[list[np.ndarray]]) -> tuple[Stage, list[int]]:
    """Read and check records, over as many epochs as there is time for, and keep the first batches."""
    began, worked, sizes = time.perf_counter(), time.process_time(), list[int]()
    for payloads in _for(seconds, chain.from_iterable(loader.payloads(epoch, 0) for epoch in count())):
        sound = [record for record in payloads.records if not isinstance(record, RecordError)]
        sizes += [len(record) for record in sound]
        if len(kept) < _HELD and sound:
            kept.append(sound)
    wall, core = time.perf_counter() - began, time.process_time() - worked
    return Stage("read", len(sizes) / wall, core / len(sizes)), sizes


def _on_cores(
    name: str, batches: list[list[np.ndarray]], work: Callable[[list[np.ndarray]], Any], seconds: float, cores: int
) -> Stage:
    """The processor time of a record, and what it lets all cores do."""
    work(batches[0])  # which may import something
    began, worked, records = time.perf_counter(), time.process_time(), 0
    for batch in cycle(batches):
        work(batch)
        records += len(batch)
        if time.perf_counter() - began >= seconds:
            break
    spent = (time.process_time() - worked) / records
    return Stage(name, cores / spent, spent)


def _copy(tf: Any, batch: Any, seconds: float) -> Stage:
    """Copy a batch's tensors to the first accelerator, over and over."""
    tensors = [part for part in tf.nest.flatten(batch) if part.dtype not in (tf.string,)]
    began, copies = time.perf_counter(), 0
    while copies == 0 or time.perf_counter() - began < seconds:
        with tf.device("/GPU:0"):
            copied = [tf.identity(part) for part in tensors]
        copied[-1].numpy()  # which waits until it is there
        copies += 1
    return Stage("copy", copies * int(tensors[0].shape[0]) / (time.perf_counter() - began))


def _together(loader: Loader, seconds: float) -> tuple[Stage, float]:
    """Run the stream as a training does, and time its first batch apart."""
    import tensorflow as tf

    began = time.perf_counter()
    batches = iter(loader.dataset(epoch=0))
    sizes = [int(tf.nest.flatten(next(batches))[0].shape[0])]
    first = time.perf_counter() - began
    began, worked = time.perf_counter(), time.process_time()
    sizes_after = [int(tf.nest.flatten(batch)[0].shape[0]) for batch in _for(seconds, islice(batches, 100_000))]
    if not sizes_after:  # an epoch of one batch
        return Stage("all together", sizes[0] / first), first
    records, wall = sum(sizes_after), time.perf_counter() - began
    return Stage("all together", records / wall, (time.process_time() - worked) / records), first
