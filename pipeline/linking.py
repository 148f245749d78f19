"""A shard that may turn out to be one that stands already: it is then linked, and not written."""

from __future__ import annotations

from concurrent.futures import Executor, Future, wait
from types import TracebackType

from augmill.pipeline.reuse import KeptRecord, OldShard
from augmill.pipeline.shard import ShardInfo, ShardWriter

_WRITTEN_AT_ONCE = 1 << 20  # bytes of records that are handed to the other thread together


class LinkingWriter:
    """Writes a shard of new records and of kept ones, which `pen`, another thread, puts into the file.

    As long as the records are those of one old shard, from its first one on, nothing is written. If they are all of
    them the old file becomes this one; otherwise they are copied once another record comes.
    """

    def __init__(self, writer: ShardWriter, pen: Executor) -> None:
        self._writer, self._pen = writer, pen
        self._waiting: list[bytes | KeptRecord] = []
        self._room = _WRITTEN_AT_ONCE
        self._putting: Future[None] | None = None
        self._followed: OldShard | None = None
        self._following = True
        self._count = 0
        self.linked = False

    def write(self, record: bytes | KeptRecord) -> None:
        """Append one record."""
        if isinstance(record, KeptRecord) and self._follows(record):
            self._count += 1
            return
        self._stop_following()
        self._append(record)

    def _append(self, record: bytes | KeptRecord) -> None:
        self._waiting.append(record)
        self._room -= len(record.framed) if isinstance(record, KeptRecord) else len(record)
        if self._room <= 0:
            self._hand_over()

    def _hand_over(self) -> None:
        """Have what waits put into the file, once what was handed over before is there."""
        self._settle()
        records, self._waiting, self._room = self._waiting, [], _WRITTEN_AT_ONCE
        self._putting = self._pen.submit(self._put, records)

    def _put(self, records: list[bytes | KeptRecord]) -> None:
        for record in records:
            if isinstance(record, KeptRecord):
                self._writer.append(record.framed)
            else:
                self._writer.write(record)

    def _settle(self) -> None:
        """Wait for the other thread, and raise what went wrong in it."""
        putting, self._putting = self._putting, None
        if putting is not None:
            putting.result()

    def _follows(self, record: KeptRecord) -> bool:
        if not self._following or record.number != self._count:
            return False
        if self._followed is None:
            self._followed = record.shard
        return self._followed.path == record.shard.path

    def _stop_following(self) -> None:
        """Copy the records that the old shard would have stood for; each was checked when it was found."""
        if self._following and self._followed is not None:
            for number in range(self._count):
                self._append(KeptRecord(self._followed, number, self._followed.read(number)))
        self._following, self._followed = False, None

    def finish(self) -> ShardInfo:
        """Make the shard and its index durable and visible."""
        old = self._followed
        if old is not None and self._count == old.info.records:
            name = self._writer.name
            self._writer.link(old.path, old.index)
            self.linked = True
            return old.info._replace(file=name)
        self._stop_following()
        self._hand_over()
        self._settle()
        return self._writer.finish()

    def __enter__(self) -> LinkingWriter:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._putting is not None:  # what is given up, for whatever reason
            wait([self._putting])
        self._writer.__exit__(kind, value, trace)
