"""Epochs of a selection for one rank, as batches of serialized records from any sample on; and single records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from augmill.pipeline.batches import Payloads, read_batches
from augmill.pipeline.faults import Faults
from augmill.pipeline.reading import RecordReader, Verify
from augmill.pipeline.selection import Selection
from augmill.pipeline.shard import RecordError
from augmill.pipeline.share import Share
from augmill.pipeline.version import Version


class EpochReader:
    """Puts order, share, reading and faults together.

    Attributes:
      selection: what is read. faults: the records of it that could not be.
    """

    def __init__(
        self,
        version: Version,
        selection: Selection,
        share: Share,
        *,
        seed: int,
        shuffle: bool,
        verify: Verify | None,
        faults: Faults,
        cache: str | Path | None = None,
    ) -> None:
        """Take what is read, `share` being a whole epoch's."""
        self.selection, self.faults = selection, faults
        self._share, self._seed, self._shuffle = share, seed, shuffle
        self._reader = RecordReader(version, selection.shards, verify=verify, cache=cache)

    @property
    def samples(self) -> int:
        """Records that an epoch meets, over all ranks."""
        return self._share.records

    def share(self, start: int = 0) -> Share:
        """This rank's share of an epoch from a number of samples on."""
        return replace(self._share, start=start)

    def payloads(self, epoch: int, start: int) -> Iterator[Payloads]:
        """Read this rank's batches of an epoch from a number of samples on; at its end tell of records left out."""
        order = self.selection.order(seed=self._seed, epoch=epoch, shuffle=self._shuffle)
        if self._reader.fetches:
            self._reader.expect(order.shards_from(start))
        faults = self.faults.epoch(self.samples)

        def on_fault(shard: int, record: int, error: RecordError) -> None:
            faults.meet(self.selection.shards[shard].file, record, error)

        yield from read_batches(order, self.share(start), self._reader, on_fault)
        faults.tell(epoch)

    def payload(self, number: int) -> bytes:
        """Read one record by its number in stored order.

        Raises:
          RecordError: it cannot be read.
        """
        shard, within = self.selection.find(number)
        (payload,) = self._reader.read(shard, np.array([within]))
        if isinstance(payload, RecordError):
            raise payload
        return payload
