"""A shard that may turn out to be one that stands already: it is then linked, and not written."""

from __future__ import annotations

from types import TracebackType

from augmill.pipeline.reuse import KeptRecord, OldShard
from augmill.pipeline.shard import ShardInfo, ShardWriter


class LinkingWriter:
    """Writes a shard of new records and of kept ones.

    As long as the records are those of one old shard, from its first one on, nothing is written. If they are all of
    them the old file becomes this one; otherwise they are copied once another record comes.
    """

    def __init__(self, writer: ShardWriter) -> None:
        self._writer = writer
        self._followed: OldShard | None = None
        self._following = True
        self._count = 0
        self.linked = False

    def write(self, record: bytes | KeptRecord) -> None:
        """Append one record."""
        if isinstance(record, KeptRecord):
            if self._follows(record):
                self._count += 1
                return
            self._stop_following()
            self._writer.append(record.framed)
        else:
            self._stop_following()
            self._writer.write(record)

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
                self._writer.append(self._followed.read(number))
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
        return self._writer.finish()

    def __enter__(self) -> LinkingWriter:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, value, trace)
