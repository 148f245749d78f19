"""Batches of records to decoded ones: by threads, a few batches ahead, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from augmill.pipeline.batches import Payloads
from augmill.pipeline.decoding import Decoder
from augmill.pipeline.shard import RecordError

_AHEAD = 2  # batches that are decoded while another one is worked with
_LEAST = 8  # records that a thread decodes before it takes up others: to hand less over costs more than it spares

OnFault = Callable[[int, int, RecordError], None]
_Others = list["dict[str, Any] | RecordError"]


def decoded_batches(
    batches: Iterator[Payloads],
    decoder: Decoder,
    name: Callable[[int, int], str],
    on_fault: OnFault,
    *,
    with_valid: bool,
) -> Iterator[Any]:
    """Decode batches.

    The place of a record that cannot be read or decoded is taken by the last good one before it in the batch, or the
    first one after it, which then is not valid there. All other records stand where they would have stood.

    Args:
      name: gives the name of a record for people, by its shard and its number.
      on_fault: is told of each bad record: shard, record number and error. It may raise.
      with_valid: whether batches have `valid`.

    Raises:
      RecordError: none of a batch's records can be read; or what `on_fault` raises.
    """
    workers = _threads(decoder)
    threads = ThreadPoolExecutor(workers, "augmill-decoder")

    def begin(payloads: Payloads) -> Callable[[], Any]:
        count = len(payloads.records)
        images, size = decoder.images(count), max(-(-count // workers), _LEAST)
        parts = [slice(first, first + size) for first in range(0, count, size)]
        tasks = [threads.submit(_decode, decoder, name, payloads, images, part) for part in parts]

        def gather() -> Any:
            others = [other for task in tasks for other in task.result()]
            filled, valid = _fill(payloads, images, others, on_fault)
            return decoder.batch(images, filled, valid if with_valid else None)

        return gather

    waiting: deque[Callable[[], Any]] = deque()
    ahead = 0  # the first batch waits for no other one
    try:
        for payloads in batches:
            waiting.append(begin(payloads))
            if len(waiting) > ahead:
                yield waiting.popleft()()
                ahead = _AHEAD
        while waiting:
            yield waiting.popleft()()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _threads(decoder: Decoder) -> int:
    """How many threads decode: one more than there are cores, for one waits for the interpreter at times.

    Raw pixels are but copied, which one thread does as fast as the interpreter hands records over; others hinder it.
    """
    return 1 if decoder.manifest.image["encoding"] == "raw" else (os.cpu_count() or 1) + 1


def _decode(
    decoder: Decoder, name: Callable[[int, int], str], payloads: Payloads, images: np.ndarray, part: slice
) -> _Others:
    """Decode some records of a batch: pixels into `images`, and give what else there is of each."""
    found: _Others = []
    for place in range(len(images))[part]:
        payload = payloads.records[place]
        try:
            found.append(payload if isinstance(payload, RecordError) else decoder.record(payload, images[place]))
        except ValueError as error:
            record = name(int(payloads.shards[place]), int(payloads.numbers[place]))
            found.append(RecordError(f"{record}, {error}"))
    return found


def _fill(
    payloads: Payloads, images: np.ndarray, others: _Others, on_fault: OnFault
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Fill the places of records that are bad; give the others' parts, and which of all are to count, bool [batch]."""
    valid, last = payloads.valid.copy(), -1
    sound = [place for place, other in enumerate(others) if isinstance(other, dict)]
    filled: list[dict[str, Any]] = []
    for place, other in enumerate(others):
        if isinstance(other, RecordError):
            on_fault(int(payloads.shards[place]), int(payloads.numbers[place]), other)
            if not sound:
                continue
            last, valid[place] = sound[0] if last < 0 else last, False
            images[place], other = images[last], others[last]
        else:
            last = place
        assert isinstance(other, dict)
        filled.append(other)
    if not sound:
        raise RecordError(f"none of the {len(others)} records of a batch can be read")
    return filled, valid
