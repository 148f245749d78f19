"""Reuse: records of an earlier version that are, byte for byte, what a build would make again.

A record is a function of the recipe, the key, the copy and what the source holds of the example. Where an earlier
version was made by the same recipe, and its table of examples has the same digest of what the source holds, its record
is taken as it stands: checked against its checksums, its key and its copy, and not decoded.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from augmill.pipeline.example import AUGMENTATION, KEY, read_texts
from augmill.pipeline.object_counts import COUNTS
from augmill.pipeline.shard import FOOTER, HEADER, RecordError, ShardInfo, payload_of, read_index
from augmill.pipeline.steps import steps_from_texts
from augmill.transforms.policy import Step

_OPEN_BLOCKS = 4  # of the earlier version, whose shards a worker keeps open

# A row for each of the plan's, a row group a block.
REUSE_SCHEMA = pa.schema(
    [
        ("content", pa.binary(32)),  # as in the table of examples; null where the earlier version knows nothing of it
        ("split", pa.int16()),  # the place of its split among `splits`
        ("block", pa.int32()),  # in that split, from 0
        ("record", pa.int64()),  # its number in the block's shards; -1 where it failed
        ("objects", pa.list_(pa.int32())),
    ]
)


class ReuseError(Exception):
    """An earlier version does not hold what it promised to; the message is for the reader."""


@dataclass(frozen=True)
class ReuseHead:
    """What is known of the earlier version as a whole.

    Attributes:
      path: where it stands. number: its version number.
      splits: (copy numbers, number of blocks, shards copy-major) of each.
      alone: for each block of the plan, whether a rendition in it depends on no other example, or all the others of
        its block are those of one block there.
      all_copies: whether records of an example can be reused only if no copy is missing.
      patch: whether only what failed there may be other than it was.
    """

    path: str
    number: str
    splits: list[tuple[list[int], int, list[tuple[Any, ...]]]]
    alone: list[bool]
    all_copies: bool
    patch: bool

    def to_json(self) -> bytes:
        """This as JSON."""
        return json.dumps(vars(self)).encode()


class OldShard:
    """A shard of the earlier version."""

    def __init__(self, folder: Path, info: ShardInfo) -> None:
        self.info = info
        self.path, self.index = folder / info.file, folder / "index" / f"{info.file}.npy"
        offsets = read_index(folder, info.file)
        if len(offsets) != info.records + 1 or offsets[-1] != info.bytes or self.path.stat().st_size != info.bytes:
            raise RecordError(f"{info.file} or its index is not what the manifest says")
        self._offsets = offsets.tolist()
        self._file = os.open(self.path, os.O_RDONLY)

    def read(self, number: int) -> bytes:
        """Read one record with its length and checksums, which are not looked at."""
        start, end = self._offsets[number], self._offsets[number + 1]
        return os.pread(self._file, end - start, start)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)


class KeptRecord(NamedTuple):
    """A record of the earlier version: where it stands, and its bytes with length and checksums."""

    shard: OldShard
    number: int
    framed: bytes

    @property
    def payload(self) -> bytes:
        return self.framed[HEADER:-FOOTER]


@dataclass(frozen=True)
class Kept:
    """What can be reused of one example.

    Attributes:
      records: by copy number. steps: that these went through. objects: counted over them.
    """

    records: dict[int, KeptRecord]
    steps: list[Step]
    objects: dict[str, int]

    @property
    def size(self) -> int:
        """Bytes of the records."""
        return sum(len(record.framed) for record in self.records.values())


class BlockReuse:
    """What an earlier version holds of the examples of one block."""

    def __init__(self, reuse: Reuse, rows: list[dict[str, Any]], *, alone: bool) -> None:
        self._reuse, self._rows = reuse, rows
        self._alone = alone
        self.damaged: list[str] = []  # files of the earlier version with records that cannot be reused

    def unchanged(self, contents: Sequence[bytes | None]) -> bool:
        """Tell whether every example is what it was, by digests of what the source holds."""
        return [row["content"] for row in self._rows] == list(contents)

    def keep_unaugmented_alone(self) -> None:
        """Let no augmented copy be reused, as it depends on other examples of the block, which have changed."""
        self._alone = False

    def failed(self, place: int) -> bool:
        """Tell whether the example at this place of the block failed, or was not there."""
        return bool(self._rows[place]["record"] is None or self._rows[place]["record"] < 0)

    def find(self, place: int, key: str, content: bytes, copies: Sequence[int]) -> Kept | None:
        """Find what can be reused of the example at a place of the block; nothing where it has changed.

        Raises:
          ReuseError: it has changed, in a patch that may change only what failed.
        """
        row = self._rows[place]
        if self.failed(place):
            return None
        if row["content"] != content:
            if self._reuse.head.patch:
                raise ReuseError(f"{key} has changed since {self._reuse.head.number} was built")
            return None
        there = self._reuse.head.splits[row["split"]][0]
        wanted = [copy for copy in copies if copy in there and (copy == 0 or self._alone)]
        if self._reuse.head.all_copies and not (wanted == list(copies) == list(there)):
            return None
        try:
            found = {copy: self._reuse.record(row, copy, key) for copy in wanted}
            steps = steps_from_texts([text for _, text in found.values()])
        except (OSError, RecordError, ValueError) as error:
            self.damaged.append(f"{key}: {error}")
            return None
        objects = dict(zip(COUNTS, row["objects"] or (), strict=False))
        return Kept({copy: record for copy, (record, _) in found.items()}, steps, objects) if found else None


class Reuse:
    """An earlier version whose records can be reused, as `write_reuse` noted it."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self.head = ReuseHead(**json.loads(self._file.schema_arrow.metadata[b"augmill"]))
        self._folder = Path(self.head.path)
        copies = max(len(copies) for copies, _, _ in self.head.splits)
        self.open_files = _OPEN_BLOCKS * copies
        self._open: OrderedDict[tuple[int, int], OldShard] = OrderedDict()

    def block(self, block: int) -> BlockReuse:
        """What there is for one block of the plan."""
        return BlockReuse(self, self._file.read_row_group(block).to_pylist(), alone=self.head.alone[block])

    def record(self, row: dict[str, Any], copy: int, key: str) -> tuple[KeptRecord, bytes]:
        """Read one copy of an example, and what it says of the steps that it went through.

        Raises:
          OSError, RecordError, ValueError: it is damaged, or not the record of this copy.
        """
        shard = self._shard(row, copy)
        framed = shard.read(row["record"])
        payload = payload_of(framed, f"{shard.info.file}, record {row['record']}")
        text, named = read_texts(payload, AUGMENTATION, KEY)
        if named != key.encode("utf-8", "surrogateescape"):
            raise RecordError(f"record {row['record']} of {shard.info.file} is of {named.decode(errors='replace')}")
        return KeptRecord(shard, row["record"], framed), text

    def _shard(self, row: dict[str, Any], copy: int) -> OldShard:
        copies, blocks, shards = self.head.splits[row["split"]]
        number = list(copies).index(copy) * blocks + row["block"]
        found = self._open.get((row["split"], number))
        if found is None:
            found = self._open[row["split"], number] = OldShard(self._folder, ShardInfo(*shards[number]))
            while len(self._open) > self.open_files:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end((row["split"], number))
        return found
