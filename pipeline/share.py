"""What one rank takes of an epoch: its slice of every global batch, from any position on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from augmill.pipeline.order import Order

Remainder = Literal["keep", "drop", "pad"]


class Piece(NamedTuple):
    """Records of one window that follow each other in a rank's way: places in the window, and which of them count."""

    window: int
    places: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Share:
    """One rank's share of an epoch of `records` records.

    A global batch is `batch_size * world_size` records that follow each other in the order; rank r takes the r-th
    `batch_size` of them. So the ranks see together what one rank would see with the larger batch, and any number of
    ranks can take up where another number has stopped.

    Attributes:
      records: of the epoch, over all ranks.
      batch_size: records a batch of this rank.
      start: position of the first record of the first batch.
      remainder: what becomes of the records that do not fill the last global batch: "keep" gives them as a smaller
        batch, "drop" leaves them out, and "pad" fills the batch up with the epoch's first records once more.
    """

    records: int
    batch_size: int
    rank: int = 0
    world_size: int = 1
    start: int = 0
    remainder: Remainder = "keep"

    @property
    def global_batch(self) -> int:
        """Records a step of all ranks."""
        return self.batch_size * self.world_size

    @property
    def steps(self) -> int:
        """Batches of this rank, as many as of every other."""
        left = self.records - self.start
        return left // self.global_batch if self.remainder == "drop" else -(-left // self.global_batch)

    def pieces(self, order: Order) -> Iterator[Piece]:
        """Where this rank's records stand, in order, a piece for each window of `order`."""
        stop = self.start + self.steps * self.global_batch
        for window in range(order.window_of(self.start), len(order.starts) - 1):
            first, end = int(order.starts[window]), int(order.starts[window + 1])
            if first >= min(stop, self.records):
                break
            mine = self._mine(np.arange(max(first, self.start), min(end, stop)))
            yield Piece(window, mine - first, np.ones(len(mine), bool))
        if stop > self.records and self.remainder == "pad":
            again = self._mine(np.arange(self.records, stop)) % self.records
            windows = np.searchsorted(order.starts, again, side="right") - 1
            for part in np.split(np.arange(len(again)), np.flatnonzero(np.diff(windows)) + 1):
                if len(part):
                    window = int(windows[part[0]])
                    yield Piece(window, again[part] - order.starts[window], np.zeros(len(part), bool))

    def _mine(self, positions: np.ndarray) -> np.ndarray:
        mine: np.ndarray = positions[(positions - self.start) % self.global_batch // self.batch_size == self.rank]
        return mine
