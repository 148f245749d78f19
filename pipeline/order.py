"""The order of an epoch: one sequence of records, a pure function of the manifest, the seed and the epoch.

Neither batch size nor the number of ranks has a say in it. Records are read in chunks of neighbours, because a seek
costs more than a record; the chunks are permuted over the whole split, and the records of each window of chunks are
mixed again. Nothing is remembered from one epoch to the next, and a window is worked out when it is asked for: an epoch
of any length starts at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from augmill.pipeline.permutation import Permutation, keyed_words, mixed, shuffled

ORDER_VERSION = 2  # of the rule; a position means nothing under another one
CHUNK = 16  # neighbouring records read together
WINDOW = 256  # chunks whose records are mixed: 4,096 records, or fewer where records are large


class Order:
    """The sequence of one epoch's records, by position.

    Attributes:
      starts: int64 [windows + 1], the position at which each window begins, and the number of records.
    """

    def __init__(
        self,
        records: Sequence[int],
        *,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool = True,
        copies: int = 1,
        window: int = WINDOW,
    ) -> None:
        """Decide the order of one epoch.

        Args:
          records: the length of each shard; or, where copies take turns, of each block.
          copies: how many copies take turns. Each epoch has every example once; a chunk of examples is read from one
            copy, from the next one in the next epoch, and after `copies` epochs it has been read from all.
          window: chunks whose records are mixed with each other.
        """
        self._name = f"{seed} {epoch}"
        self._epoch, self._copies, self._shuffle, self._window = epoch, copies, shuffle, window
        self._records = np.asarray(records, np.int64).reshape(-1)
        self._before = np.concatenate([[0], np.cumsum(-(-self._records // CHUNK))])  # chunks before each shard
        self._turn = keyed_words(f"turn {seed}", 1)[0]
        self.starts = self._starts()

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def _chunks(self) -> Permutation:
        return Permutation(f"chunks {self._name}", int(self._before[-1]))

    def _starts(self) -> np.ndarray:
        """Where windows begin: CHUNK records after CHUNK, but for what the last chunk of each shard lacks."""
        chunks = int(self._before[-1])
        slots = np.minimum(np.arange(-(-chunks // self._window) + 1) * self._window, chunks)
        lacks = -self._records % CHUNK
        short = np.flatnonzero(lacks)
        last = self._before[short + 1] - 1
        places = self._chunks.places_of(last) if self._shuffle else last
        by_place = np.argsort(places)
        lacking = np.concatenate([[0], np.cumsum(lacks[short][by_place])])
        return slots * CHUNK - lacking[np.searchsorted(places[by_place], slots)]

    def window_of(self, position: int) -> int:
        """The window that holds a position."""
        return int(np.searchsorted(self.starts, position, side="right")) - 1

    def window(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The shard and the record number, both int64, of each record of a window, in order.

        Where copies take turns, shards count as they are stored, all blocks of one copy and then all of the next: copy
        c of block b is shard c * blocks + b.
        """
        chunks, home, shards = self._chunks_at(number * self._window, (number + 1) * self._window)
        first = (chunks - self._before[home]) * CHUNK
        counts = np.minimum(CHUNK, self._records[home] - first)
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        shard, record = np.repeat(shards, counts), np.repeat(first, counts) + within
        if not self._shuffle:
            return shard, record
        mix = shuffled(f"window {self._name} {number}", len(record))
        return shard[mix], record[mix]

    def shards_from(self, position: int) -> list[int]:
        """The shards that are read from a position on, in the order in which they are first met."""
        chunks = int(self._before[-1])
        _, _, shards = self._chunks_at(min(self.window_of(position) * self._window, chunks), chunks)
        met, first = np.unique(shards, return_index=True)
        return [int(shard) for shard in met[np.argsort(first)]]

    def _chunks_at(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The chunks that stand at some places of the epoch, what they are a chunk of, and the shard each is read from.

        What they are a chunk of is a shard, or where copies take turns a block.
        """
        slots = np.arange(start, min(stop, int(self._before[-1])))
        chunks = self._chunks.at(slots) if self._shuffle else slots
        home = np.searchsorted(self._before, chunks, side="right") - 1
        return chunks, home, self._copy_of(chunks) * len(self._records) + home

    def _copy_of(self, chunks: np.ndarray) -> np.ndarray:
        """The copy whose turn it is to give each of `chunks`."""
        turns = (mixed(chunks, self._turn) % np.uint64(self._copies)).astype(np.int64)
        return (turns + self._epoch) % self._copies

    def between(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The (shard, record number) of the positions from `start` up to `stop`, which is one too far."""
        found: list[tuple[int, int]] = []
        for number in range(self.window_of(start), len(self.starts) - 1):
            begin = int(self.starts[number])
            if begin >= stop:
                break
            part = slice(max(0, start - begin), stop - begin)
            shard, record = self.window(number)
            found += zip(shard[part].tolist(), record[part].tolist(), strict=True)
        return found
