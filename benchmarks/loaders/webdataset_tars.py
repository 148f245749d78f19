"""webdataset over tar shards, in a process a worker.

Its own `WebLoader` stands on PyTorch's DataLoader. In its place are processes of ours around the plain `WebDataset`,
which do what a DataLoader does: each takes every n-th shard, makes whole batches, and hands them over in shared memory.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import webdataset as wds

from benchmarks.loaders.task import SHUFFLE, LoadTask, main

SIZE = (224, 224, 3)
_SLOTS = 3  # batches that a worker may be ahead by; PyTorch has 2, and the one that is in use


def epoch(task: LoadTask, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Open an epoch; a batch is good until the next one is asked for.

    Options: `decoder`, pillow as webdataset has it by itself, or opencv; `start`, how processes begin.
    """
    context: Any = multiprocessing.get_context(task.option("start", "fork"))
    bytes_of_batch = task.batch * int(np.prod(SIZE))
    ready = context.Queue()
    slots = [context.RawArray("B", _SLOTS * bytes_of_batch) for _ in range(task.workers)]
    free = [context.Semaphore(_SLOTS) for _ in range(task.workers)]
    workers = [
        context.Process(target=_work, args=(task, number, worker, slots[worker], free[worker], ready), daemon=True)
        for worker in range(task.workers)
    ]
    for process in workers:
        process.start()
    images = [_as_batches(array, task) for array in slots]
    try:
        at_work = task.workers
        while at_work:
            worker, slot, labels = ready.get()
            if labels is None:
                at_work -= 1
                continue
            yield images[worker][slot][: len(labels)], labels
            free[worker].release()
    finally:
        for process in workers:
            process.terminate()
            process.join()


def _work(task: LoadTask, number: int, worker: int, slots: Any, free: Any, ready: Any) -> None:
    """Fill the slots with batches, one after another, and say so."""
    os.environ |= {"WORKER": str(worker), "NUM_WORKERS": str(task.workers)}  # by which webdataset splits the shards
    images, slot = _as_batches(slots, task), 0
    for samples in pipeline(task, number):
        free.acquire()
        np.stack([image for image, _ in samples], out=images[slot][: len(samples)])
        ready.put((worker, slot, np.array([label for _, label in samples])))
        slot = (slot + 1) % _SLOTS
    ready.put((worker, 0, None))


def pipeline(task: LoadTask, number: int) -> Any:
    """What one worker goes through: lists of (image, label)."""
    shards = sorted(str(path) for path in task.data.glob("*.tar"))
    records = wds.WebDataset(shards, shardshuffle=len(shards), seed=number).shuffle(SHUFFLE)
    decoded = records.decode("rgb8" if task.option("decoder") == "pillow" else _decode_by_opencv)
    return decoded.to_tuple("jpg", "cls").batched(task.batch, collation_fn=None)


def _decode_by_opencv(name: str, data: bytes) -> Any:
    """Decode a JPEG; other files are webdataset's own business."""
    if not name.endswith("jpg"):
        return None
    import cv2

    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def _as_batches(array: Any, task: LoadTask) -> np.ndarray:
    return np.frombuffer(array, np.uint8).reshape(_SLOTS, task.batch, *SIZE)


if __name__ == "__main__":
    main(epoch)
