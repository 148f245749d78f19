"""The records of two versions compared, byte for byte, by key and copy, reading as little as there is to read."""

from __future__ import annotations

import contextlib
import mmap
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from augmill.pipeline.counts_check import copies_of
from augmill.pipeline.manifest import Shard
from augmill.pipeline.shard import FOOTER, index_offsets
from augmill.pipeline.version import Version
from augmill.pipeline.version_files import VersionFiles

_OPEN = 64  # shards of a version that are open at the same time


class Place(NamedTuple):
    """Where an example's records are: its split, the block in that split, and their number in the block's shards."""

    split: str
    block: int
    number: int


class RecordPlaces:
    """Where each record of a version is, by its table of examples.

    Attributes:
      keys: of the examples of each block that did not fail, by split and the block's number in it.
      places: by key.
    """

    def __init__(self, version: Version, table: pa.Table) -> None:
        columns = (table.column(name).to_pylist() for name in ("key", "split", "block", "failed"))
        first: dict[str, int] = {}
        self.keys: dict[tuple[str, int], list[str]] = {}
        self.places: dict[str, Place] = {}
        for key, split, block, failed in zip(*columns, strict=True):
            number = block - first.setdefault(split, block)
            keys = self.keys.setdefault((split, number), [])
            if not failed:
                self.places[key] = Place(split, number, len(keys))
                keys.append(key)
        self._shards: dict[tuple[str, int, int], Shard] = {}
        for name, split in version.manifest.splits.items():
            copies = copies_of(split)
            blocks = len(split.shards) // len(copies)
            for number, shard in enumerate(split.shards):
                self._shards[name, shard.copy_number, number % blocks] = shard

    def shards(self) -> Iterator[tuple[Shard, list[str]]]:
        """Each shard, and the keys of its records."""
        for (split, _, block), shard in self._shards.items():
            yield shard, self.keys.get((split, block), [])

    def find(self, key: str, copy: int) -> tuple[Shard, int] | None:
        """The shard and the number in it of a record; None where there is none."""
        place = self.places.get(key)
        shard = self._shards.get((place.split, copy, place.block)) if place else None
        return (shard, place.number) if shard and place else None


class OpenShards:
    """The shards of a version, the last ones used of them open."""

    def __init__(self, files: VersionFiles) -> None:
        self._files = files
        self._open: OrderedDict[str, tuple[mmap.mmap | bytes, np.ndarray]] = OrderedDict()

    def record(self, name: str, number: int) -> memoryview:
        """A record's payload and the checksum after it."""
        if name not in self._open:
            if len(self._open) >= _OPEN:
                self._open.popitem(last=False)
            with self._files.held(name) as path, self._files.held(f"index/{name}.npy") as index:
                self._open[name] = (_mapped(path), index_offsets(index.read_bytes()))
        self._open.move_to_end(name)
        data, offsets = self._open[name]
        return memoryview(data)[int(offsets[number]) : int(offsets[number + 1])]


def _mapped(path: Path) -> mmap.mmap | bytes:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def same_records(
    versions: tuple[Version, Version],
    tables: list[pa.Table],
    *,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> dict[str, int]:
    """Count the records of two versions that are the same, and those that are not.

    Of shards with equal digests nothing is read; of records of different lengths nothing but the index; of others first
    the checksums.

    Args:
      versions, tables: with their tables of examples.
      progress: told how many of how many records have been compared.

    Returns:
      The numbers of records that are the `same` and `different`, and that are in one alone: `only_a`, `only_b`.
    """
    a, b = (RecordPlaces(version, table) for version, table in zip(versions, tables, strict=True))
    counts = {"same": 0, "different": 0, "only_a": 0, "only_b": 0}
    done, total = 0, versions[0].records
    with contextlib.ExitStack() as stack:
        opened = [OpenShards(stack.enter_context(version.open_files())) for version in versions]
        for shard, keys in a.shards():
            if keys and _same_shard(shard, b.find(keys[0], shard.copy_number)):
                counts["same"] += shard.records
            else:
                for number, key in enumerate(keys):
                    found = b.find(key, shard.copy_number)
                    kind = "only_a"
                    if found is not None:
                        same = _same(opened, (shard, number), found)
                        kind = "same" if same else "different"
                    counts[kind] += 1
            done += len(keys)
            progress(done, total)
    counts["only_b"] = versions[1].records - counts["same"] - counts["different"]
    return counts


def _same_shard(shard: Shard, found: tuple[Shard, int] | None) -> bool:
    return found is not None and found[1] == 0 and found[0].sha256 == shard.sha256


def _same(opened: list[OpenShards], a: tuple[Shard, int], b: tuple[Shard, int]) -> bool:
    first, second = (side.record(shard.file, number) for side, (shard, number) in zip(opened, (a, b), strict=True))
    return len(first) == len(second) and first[-FOOTER:] == second[-FOOTER:] and first == second
