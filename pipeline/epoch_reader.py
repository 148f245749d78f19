"""Epochs of a selection for one rank, as batches from any sample on; and single records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from augmill.pipeline.batches import Payloads, read_batches
from augmill.pipeline.decoded import decoded_batches
from augmill.pipeline.decoding import Decoder
from augmill.pipeline.faults import Faults
from augmill.pipeline.order import Order
from augmill.pipeline.reading import RecordReader, Verify
from augmill.pipeline.selection import Selection
from augmill.pipeline.shard import RecordError
from augmill.pipeline.share import Share
from augmill.pipeline.version import Version


class EpochReader:
    """Puts order, share, reading, decoding and faults together.

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

    def payloads(self, epoch: int, start: int, *, size: int | None = None) -> Iterator[Payloads]:
        """Read this rank's records of an epoch from a number of samples on, in batches of `size` or of the share's."""
        order = self._order(epoch)
        if self._reader.fetches:
            self._reader.expect(order.shards_from(start))
        return read_batches(order, self.share(start), self._reader, size=size)

    def batches(
        self, epoch: int, start: int, decoder: Decoder, *, with_valid: bool, size: int | None = None
    ) -> Iterator[Any]:
        """The same batches, decoded; tell at the end of the epoch of records that were left out.

        Raises:
          RecordError: a record cannot be read or decoded, and such are not to be left out, or are too many.
        """
        faults = self.faults.epoch(self.samples)

        def on_fault(shard: int, record: int, error: RecordError) -> None:
            faults.meet(self.selection.shards[shard].file, record, error)

        payloads = self.payloads(epoch, start, size=size)
        yield from decoded_batches(payloads, decoder, self._reader.name, on_fault, with_valid=with_valid)
        faults.tell(epoch)

    def one(self, number: int, decoder: Decoder) -> dict[str, Any]:
        """Read and decode one record by its number in stored order.

        Raises:
          RecordError: it cannot be read or decoded.
        """
        shard, within = self.selection.find(number)
        (payload,) = self._reader.read(shard, np.array([within]))
        if isinstance(payload, RecordError):
            raise payload
        try:
            return decoder.one(payload)
        except ValueError as error:
            raise RecordError(f"{self._reader.name(shard, within)}, {error}") from error

    def _order(self, epoch: int) -> Order:
        return self.selection.order(seed=self._seed, epoch=epoch, shuffle=self._shuffle)
