"""Examples read and hashed by another thread before they are asked for, so that neither waits for the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, NamedTuple

from augmill.pipeline.shard import RecordError
from augmill.pipeline.source import Encoded, Reader

UNREADABLE = (OSError, RecordError, ValueError)  # what an example that cannot be read raises
_TOGETHER = 32  # examples that are read by one order, and
_BYTES_TOGETHER = 4 << 20  # bytes of their images, but for one that is larger


class Read(NamedTuple):
    """What the source holds of an example, and the SHA-256 of its image alone and of all of it."""

    found: Encoded
    image: bytes
    content: bytes


def read_ahead(
    reader: Reader, rows: Sequence[Mapping[str, Any]], ahead: Executor | None = None
) -> Iterator[Callable[[], Read]]:
    """Yield, for each row in its turn, what gives the example or raises why it cannot be read.

    Args:
      reader, rows: where the examples are.
      ahead: reads some examples further than has been asked for; without it each is read when it is asked for.
    """
    if ahead is None:
        yield from (partial(_read, reader, row) for row in rows)
        return
    waiting: Future[list[Callable[[], Read]]] | None = None
    for some in _together(rows):
        read, waiting = waiting, ahead.submit(_read_all, reader, some)
        if read is not None:
            yield from read.result()
    if waiting is not None:
        yield from waiting.result()


def _together(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    some, size = list[Mapping[str, Any]](), 0
    for row in rows:
        if some and (len(some) == _TOGETHER or size + row["length"] > _BYTES_TOGETHER):
            yield some
            some, size = [], 0
        some.append(row)
        size += row["length"]
    if some:
        yield some


def _read_all(reader: Reader, rows: Sequence[Mapping[str, Any]]) -> list[Callable[[], Read]]:
    return [_attempted(reader, row) for row in rows]


def _attempted(reader: Reader, row: Mapping[str, Any]) -> Callable[[], Read]:
    try:
        read = _read(reader, row)
    except UNREADABLE as error:
        return partial(_raise, error)
    return lambda: read


def _raise(error: Exception) -> Read:
    raise error


def _read(reader: Reader, row: Mapping[str, Any]) -> Read:
    found = reader.read_example(row)
    image = found.image_digest()
    return Read(found, image, found.digest(image))
