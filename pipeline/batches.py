"""An epoch's batches of serialized records for one rank: read a window ahead, by a few threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from augmill.pipeline.order import Order
from augmill.pipeline.reading import RecordReader
from augmill.pipeline.shard import RecordError
from augmill.pipeline.share import Piece, Share

_READERS = 4  # threads: a disk answers several at once, and checksums are reckoned meanwhile
_SOON = 2  # batches that are read before all else
_TASK = 64  # records, at most, that a thread reads before it takes up others

OnFault = Callable[[int, int, RecordError], None]


class Payloads(NamedTuple):
    """One batch: serialized records, and bool [batch], which of them are to count."""

    records: list[bytes]
    valid: np.ndarray


def read_batches(order: Order, share: Share, reader: RecordReader, on_fault: OnFault) -> Iterator[Payloads]:
    """Read a rank's batches of an epoch.

    The place of a record that cannot be read is taken by the last good one before it in the batch, or the first one
    after it, which then is not valid there. All other records stand where they would have stood.

    Args:
      on_fault: is told of each record that cannot be read: shard, record number and error. It may raise.

    Raises:
      VersionError: a shard is not what the manifest says.
      RecordError: none of a batch's records can be read; or what `on_fault` raises.
    """
    records: list[bytes | None] = []
    valid: list[bool] = []
    for piece, found in _read_ahead(order, share, reader):
        for one, counts in zip(found, piece.valid.tolist(), strict=True):
            if isinstance(one, _Fault):
                on_fault(*one)
            records.append(None if isinstance(one, _Fault) else one)
            valid.append(counts and not isinstance(one, _Fault))
            if len(records) == share.batch_size:
                yield Payloads(_filled(records), np.array(valid))
                records, valid = [], []
    if records:
        yield Payloads(_filled(records), np.array(valid))


def _filled(records: list[bytes | None]) -> list[bytes]:
    """Fill the places of records that could not be read."""
    whole = [record for record in records if record is not None]
    if len(whole) == len(records):
        return whole
    if not whole:
        raise RecordError(f"none of the {len(records)} records of a batch can be read")
    last, filled = whole[0], []
    for record in records:
        last = last if record is None else record
        filled.append(last)
    return filled


class _Fault(NamedTuple):
    shard: int
    record: int
    error: RecordError


_Found = list["bytes | _Fault"]


def _read_ahead(order: Order, share: Share, reader: RecordReader) -> Iterator[tuple[Piece, _Found]]:
    """The records of each piece of the share; while one is given out the next one is read."""
    threads = ThreadPoolExecutor(_READERS, "augmill-reader")
    try:
        waiting: deque[tuple[Piece, Callable[[], _Found]]] = deque()
        for piece in _small_first(share.pieces(order), _SOON * share.batch_size):
            waiting.append((piece, _begin(threads, order, piece, reader)))
            if len(waiting) > 1:
                done, gather = waiting.popleft()
                yield done, gather()
        while waiting:
            done, gather = waiting.popleft()
            yield done, gather()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _small_first(pieces: Iterator[Piece], size: int) -> Iterator[Piece]:
    """Make the first `size` records of the first piece one of their own: a training waits for these alone."""
    for first in pieces:
        yield Piece(first.window, first.places[:size], first.valid[:size])
        if len(first.places) > size:
            yield Piece(first.window, first.places[size:], first.valid[size:])
        break
    yield from pieces


def _begin(threads: ThreadPoolExecutor, order: Order, piece: Piece, reader: RecordReader) -> Callable[[], _Found]:
    """Begin to read a piece, each shard's records as they lie; give what waits for them and puts them in order."""
    shards, numbers = (part[piece.places] for part in order.window(piece.window))
    as_stored = np.lexsort((numbers, shards))
    by_shard = np.flatnonzero(np.diff(shards[as_stored])) + 1
    tasks: list[tuple[np.ndarray, Future[list[bytes | RecordError]]]] = []
    for of_shard in np.split(as_stored, by_shard):
        for first in range(0, len(of_shard), _TASK):
            mine = of_shard[first : first + _TASK]
            tasks.append((mine, threads.submit(reader.read, int(shards[mine[0]]), numbers[mine])))

    def gather() -> _Found:
        found: _Found = [b""] * len(shards)
        for mine, task in tasks:
            for place, one in zip(mine.tolist(), task.result(), strict=True):
                if isinstance(one, RecordError):
                    found[place] = _Fault(int(shards[place]), int(numbers[place]), one)
                else:
                    found[place] = one
        return found

    return gather
