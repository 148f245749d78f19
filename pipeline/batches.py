"""An epoch's batches of serialized records for one rank: read a window ahead, by a few threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from augmill.pipeline.order import Order
from augmill.pipeline.reading import RecordReader
from augmill.pipeline.shard import RecordError
from augmill.pipeline.share import Piece, Share

_READERS = 4  # threads: a disk answers several at once, and checksums are reckoned meanwhile
_SOON = 1, 8  # batches that are read before all others of the first window: one, and then these
_TASK = 32  # records, or somewhat more, that a thread reads before it takes up others


class Payloads(NamedTuple):
    """One batch, not decoded yet.

    Attributes:
      records: each one's payload, uint8 [bytes], or why it could not be read.
      shards, numbers: int64 [batch], where each one is from.
      valid: bool [batch], which of them are to count.
    """

    records: list[np.ndarray | RecordError]
    shards: np.ndarray
    numbers: np.ndarray
    valid: np.ndarray

    def part(self, part: slice) -> Payloads:
        """Some of the batch's records."""
        return Payloads(self.records[part], self.shards[part], self.numbers[part], self.valid[part])


def read_batches(order: Order, share: Share, reader: RecordReader, *, size: int | None = None) -> Iterator[Payloads]:
    """Read a rank's batches of an epoch.

    Args:
      size: records a batch, where the share's own is of several such.

    Raises:
      VersionError: a shard is not what the manifest says.
    """
    size = share.batch_size if size is None else size
    rest: Payloads | None = None
    for piece in _read_ahead(order, share, reader):
        rest = piece if rest is None else _joined(rest, piece)
        whole = len(rest.records) // size * size
        for first in range(0, whole, size):
            yield rest.part(slice(first, first + size))
        rest = rest.part(slice(whole, None))
    if rest is not None and rest.records:
        yield rest


def _joined(one: Payloads, other: Payloads) -> Payloads:
    parts = (np.concatenate(both) for both in zip(one[1:], other[1:], strict=True))
    return Payloads(one.records + other.records, *parts)


def _read_ahead(order: Order, share: Share, reader: RecordReader) -> Iterator[Payloads]:
    """The records of each piece of the share; while one is given out the next one is read."""
    threads = ThreadPoolExecutor(_READERS, "augmill-reader")
    try:
        waiting: deque[Callable[[], Payloads]] = deque()
        ahead = 0  # what a training waits for is read alone
        for piece in _small_first(share.pieces(order), share.batch_size):
            waiting.append(_begin(threads, order, piece, reader))
            if len(waiting) > ahead:
                yield waiting.popleft()()
                ahead = 1
        while waiting:
            yield waiting.popleft()()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _small_first(pieces: Iterator[Piece], batch_size: int) -> Iterator[Piece]:
    """Cut the first piece into small ones and what is left: a training waits for the first records alone."""
    for first in pieces:
        ends = np.cumsum([0, *_SOON]) * batch_size
        for begin, end in zip(ends, [*ends[1:], len(first.places)], strict=True):
            if begin < len(first.places):
                yield Piece(first.window, first.places[begin:end], first.valid[begin:end])
        break
    yield from pieces


def _begin(threads: ThreadPoolExecutor, order: Order, piece: Piece, reader: RecordReader) -> Callable[[], Payloads]:
    """Begin to read a piece, each shard's records as they lie; give what waits for them and puts them in order."""
    shards, numbers = (part[piece.places] for part in order.window(piece.window))
    as_stored = np.lexsort((numbers, shards))
    parts = [as_stored[part] for part in _parts(shards[as_stored])]
    tasks = [threads.submit(_read, reader, shards[mine], numbers[mine]) for mine in parts]

    def gather() -> Payloads:
        found: list[Any] = [None] * len(shards)
        for mine, task in zip(parts, tasks, strict=True):
            for place, record in zip(mine.tolist(), task.result(), strict=True):
                found[place] = record
        return Payloads(found, shards, numbers, piece.valid)

    return gather


def _parts(shards: np.ndarray) -> Iterator[slice]:
    """Cut sorted shards into parts to read at once: whole shards until there are enough, and large ones in several."""
    begin = 0
    for end in [*(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(shards)]:
        while end - begin >= 2 * _TASK:
            yield slice(begin, begin + _TASK)
            begin += _TASK
        if end - begin >= _TASK:
            yield slice(begin, end)
            begin = end
    if begin < len(shards):
        yield slice(begin, len(shards))


def _read(reader: RecordReader, shards: np.ndarray, numbers: np.ndarray) -> list[np.ndarray | RecordError]:
    """Read records that are sorted by shard and number."""
    found: list[np.ndarray | RecordError] = []
    ends = [*(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(shards)]
    for first, end in zip([0, *ends], ends, strict=False):
        found += reader.read(int(shards[first]), numbers[first:end])
    return found
