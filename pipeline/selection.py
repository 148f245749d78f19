"""Which shards of a version are read: those of a split and of the copies chosen."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from augmill.pipeline.errors import VersionError
from augmill.pipeline.manifest import Shard
from augmill.pipeline.order import CHUNK, WINDOW, Order
from augmill.pipeline.version import Version

Copies = Literal["all", "rotate"] | int | list[int]

_WINDOW_BYTES = 128 << 20


class Selection(NamedTuple):
    """What is read.

    Attributes:
      shards: in stored order.
      records: the lengths that the order is made of: of each shard or, where copies take turns, of each block.
      turns: how many copies take turns; 1 where they do not.
      window: chunks whose records are mixed.
    """

    shards: list[Shard]
    records: list[int]
    turns: int
    window: int

    def order(self, *, seed: int, epoch: int, shuffle: bool) -> Order:
        """The order of an epoch of it."""
        return Order(self.records, seed=seed, epoch=epoch, shuffle=shuffle, copies=self.turns, window=self.window)

    def find(self, number: int) -> tuple[int, int]:
        """The shard and the record in it of a number counted over all shards in stored order."""
        ends = np.cumsum([shard.records for shard in self.shards])
        shard = int(np.searchsorted(ends, number, side="right"))
        return shard, number - int(ends[shard]) + self.shards[shard].records


def select(version: Version, split: str, copies: Copies) -> Selection:
    """Choose the shards of a split's copies.

    Raises:
      ValueError: `copies` is nothing of the kind.
      VersionError: there is no such split or copy, or copies cannot take turns.
    """
    splits = version.manifest.splits
    if split not in splits:
        raise VersionError(f"{version.location} has no split {split!r}; it has {', '.join(splits)}")
    there = sorted({shard.copy_number for shard in splits[split].shards})
    wanted = _wanted(copies, there)
    missing = [copy for copy in wanted if copy not in there]
    if missing or not wanted:
        asked = ", ".join(map(str, missing)) or "in an empty list"
        raise VersionError(f"split {split} has no copy {asked}; it has {there[0]} to {there[-1]}")
    shards = [shard for shard in splits[split].shards if shard.copy_number in wanted]
    if copies == "rotate":
        return Selection(shards, _blocks(version, split, shards, there), len(there), _window(shards))
    return Selection(shards, [shard.records for shard in shards], 1, _window(shards))


def _wanted(copies: Copies, there: list[int]) -> list[int]:
    if copies in ("all", "rotate"):
        return there
    wanted = list(copies) if isinstance(copies, (list, tuple)) else [copies]
    if not all(type(copy) is int for copy in wanted):
        raise ValueError(f'copies must be "all", "rotate", a copy\'s number or a list of such, got {copies!r}')
    return [copy for copy in wanted if isinstance(copy, int)]


def _blocks(version: Version, split: str, shards: list[Shard], there: list[int]) -> list[int]:
    """The examples of each block, of which every copy has a shard with as many records."""
    by_copy = [[shard for shard in shards if shard.copy_number == copy] for copy in there]
    for copy, mine in zip(there, by_copy, strict=True):
        for first, other in zip(by_copy[0], mine, strict=False):
            if first.records != other.records:
                raise VersionError(
                    f"the copies of {version.location} cannot take turns: {first.file} holds {first.records} records "
                    f'and {other.file}, copy {copy} of the same examples, {other.records}; read them with copies="all"'
                )
        if len(mine) != len(by_copy[0]):
            raise VersionError(
                f"the copies of {version.location} cannot take turns: copy {there[0]} of split {split} has "
                f'{len(by_copy[0])} shards and copy {copy} has {len(mine)}; read them with copies="all"'
            )
    return [shard.records for shard in by_copy[0]]


def _window(shards: list[Shard]) -> int:
    """Chunks to mix at once: as many as hold _WINDOW_BYTES, by the version's mean record, so that memory is bounded."""
    mean = sum(shard.bytes for shard in shards) / max(1, sum(shard.records for shard in shards))
    return int(min(WINDOW, max(1, _WINDOW_BYTES / (CHUNK * max(mean, 1)))))
