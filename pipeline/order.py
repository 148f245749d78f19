"""The order of an epoch: a pure function of the record index, the seed, the epoch, the rank and the world size.

Records are read in chunks of neighbours, because a seek costs more than a record; the chunks are permuted over the
whole split, and the records of each window of chunks are mixed again. Nothing is remembered from one epoch to the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHUNK = 16  # neighbouring records read together
WINDOW = 256  # chunks whose records are mixed: 4,096 records, or fewer where records are large


@dataclass(frozen=True)
class Order:
    """One rank's way through one epoch.

    Attributes:
      shard, first, count: int64 arrays, a chunk an element, in reading order: its shard, its first record, its length.
      picks: for each window of chunks, which of its records this rank takes, in order.
      window: chunks a window.
      steps: batches that `picks` make.
    """

    shard: np.ndarray
    first: np.ndarray
    count: np.ndarray
    picks: list[np.ndarray]
    window: int
    steps: int

    def records(self) -> Iterator[tuple[int, int]]:
        """The (shard, record number) of every record, in the order in which the rank meets them."""
        for i, picks in enumerate(self.picks):
            chunks = slice(i * self.window, (i + 1) * self.window)
            shards = np.repeat(self.shard[chunks], self.count[chunks])
            numbers = np.concatenate(
                [f + np.arange(n) for f, n in zip(self.first[chunks], self.count[chunks], strict=True)]
            )
            yield from zip(shards[picks].tolist(), numbers[picks].tolist(), strict=True)


def make_order(
    records: list[int],
    *,
    batch_size: int,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    rank: int = 0,
    world_size: int = 1,
    drop_remainder: bool = False,
    window: int = WINDOW,
) -> Order:
    """Decide the order of one epoch.

    A global batch is `batch_size * world_size` records, of which each rank takes its slice: the ranks see together what
    one rank would see with the larger batch.

    Args:
      records: the length of each shard.
      batch_size: records a batch of one rank.
      drop_remainder: leave out the records that do not fill the last global batch.
      window: chunks whose records are mixed with each other.
    """
    shard, first, count = _chunks(records)
    generator = np.random.Philox(key=_key(seed, epoch))
    if shuffle:
        order = _permutation(generator, len(shard))
        shard, first, count = shard[order], first[order], count[order]
    total = int(count.sum())
    kept = total - total % (batch_size * world_size) if drop_remainder else total
    picks = []
    start = 0
    for first_chunk in range(0, len(count), window):
        size = int(count[first_chunk : first_chunk + window].sum())
        mixed = _permutation(generator, size) if shuffle else np.arange(size)
        place = start + np.arange(size)  # in the epoch of all ranks
        mine = (place // batch_size % world_size == rank) & (place < kept)
        picks.append(mixed[mine])
        start += size
    return Order(shard, first, count, picks, window, -(-sum(map(len, picks)) // batch_size))


def _chunks(records: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    firsts = [np.arange(0, length, CHUNK) for length in records]
    shard = np.repeat(np.arange(len(records)), [len(first) for first in firsts])
    first = np.concatenate(firsts) if firsts else np.zeros(0, np.int64)
    count = np.minimum(CHUNK, np.asarray(records, np.int64)[shard] - first)
    return shard, first, count


def _key(seed: int, epoch: int) -> int:
    name = f"order {seed} {epoch}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=16, person=b"augmill").digest(), "little")


def _permutation(generator: np.random.Philox, size: int) -> np.ndarray:
    """A uniform permutation from raw words alone: NumPy promises those across releases, its `permutation` not."""
    return np.argsort(generator.random_raw(size), kind="stable")
