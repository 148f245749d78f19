"""The plan: every example's split, block and place, decided before any pixel is read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from augmill.pipeline.annotation_info import NO_ANNOTATIONS, AnnotationInfo
from augmill.pipeline.errors import SourceError
from augmill.pipeline.shard import shard_name
from augmill.pipeline.source import BadExample, Dropped, Listing, Reader
from augmill.pipeline.spec import Spec
from augmill.pipeline.splits import assign_splits
from augmill.pipeline.storage import is_url
from augmill.transforms.randomness import keyed_digest

_FEWEST, _MOST = 32, 1000  # examples a block, unless the spec says
_BLOCKS_WANTED = 32  # in a small split, so that a few workers share it evenly


class SplitPlan(NamedTuple):
    """One split: how many examples, and its blocks' consecutive ids."""

    examples: int
    first_block: int
    blocks: int


@dataclass(frozen=True)
class Plan:
    """What is to be built.

    Attributes:
      table: an `Address` a row with its `block`, sorted by block and, in it, by place. Empty where only the head was
        read.
      splits: by name, train first.
      root, container, image_feature, classes, annotations: how the source is read, as in `Listing`.
      bad: examples already known to be unusable.
      source_digest: names the listing.
      dropped: duplicates that were left out.
    """

    table: pa.Table
    splits: dict[str, SplitPlan]
    root: str
    container: str
    image_feature: str | None
    classes: list[str] | None
    bad: list[BadExample]
    source_digest: str
    annotations: AnnotationInfo = NO_ANNOTATIONS
    dropped: list[Dropped] = field(default_factory=list)

    @property
    def examples(self) -> int:
        """Usable examples in all."""
        return sum(split.examples for split in self.splits.values())

    @property
    def blocks(self) -> int:
        return sum(split.blocks for split in self.splits.values())

    @property
    def has_objects(self) -> bool:
        """Whether images come with boxes, be it none in some of them."""
        return "boxes" in self.annotations.kinds

    def reader(self) -> Reader:
        """What reads the examples behind the plan's rows."""
        return reader_of(self)

    def split_of(self, block: int) -> str:
        """The split that a block belongs to."""
        return next(n for n, s in self.splits.items() if s.first_block <= block < s.first_block + s.blocks)

    def records(self, spec: Spec) -> dict[str, int]:
        """Records to be written, by split."""
        return {name: split.examples * len(spec.copies_of(name)) for name, split in self.splits.items()}

    def shards(self, spec: Spec, name: str) -> list[str]:
        """The names of a split's shards, copy-major."""
        count = self.splits[name].blocks * len(spec.copies_of(name))
        return [shard_name(spec.name, name, index, count) for index in range(count)]

    def shard_of(self, spec: Spec, block: int, copy: int) -> str:
        """The name of the shard that holds one copy of a block."""
        name = self.split_of(block)
        split, copies = self.splits[name], spec.copies_of(name)
        index = copies.index(copy) * split.blocks + block - split.first_block
        return shard_name(spec.name, name, index, split.blocks * len(copies))

    def rows_of(self, block: int) -> list[dict[str, Any]]:
        """The rows of one block of a plan in memory; of one on disk `BlockReader` reads them."""
        rows: list[dict[str, Any]] = self.table.filter(pc.equal(self.table.column("block"), block)).to_pylist()
        return rows

    def digest(self) -> str:
        """Name everything in the plan, in hex."""
        names = ("key", "length", "label", "block", *(["annotations"] if self.annotations.kinds else []))
        columns = [self.table.column(name).to_pylist() for name in names]
        rows = (repr(row) for row in zip(*columns, strict=True))
        return keyed_digest(json.dumps(self._head(), sort_keys=True), "\n".join(rows), size=32).hex()

    def _head(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in vars(self).items() if name not in ("table", "splits", "bad", "dropped")},
            "splits": {name: list(split) for name, split in self.splits.items()},
            "bad": [list(example) for example in self.bad],
            "dropped": [list(example) for example in self.dropped],
            "annotations": self.annotations.to_json(),
        }

    def write(self, path: Path) -> None:
        """Write the plan as Parquet, a row group a block, the rest as the file's metadata."""
        schema = self.table.schema.with_metadata({b"augmill": json.dumps(self._head()).encode()})
        temporary = path.with_suffix(".tmp")
        sizes = np.unique(self.table.column("block").to_numpy(), return_counts=True)[1]
        with pq.ParquetWriter(temporary, schema) as writer:
            start = 0
            for size in sizes.tolist():
                writer.write_table(self.table.slice(start, size), row_group_size=size)
                start += size
        temporary.replace(path)

    @classmethod
    def read(cls, file: Path | BinaryIO) -> Plan:
        """Read a plan's head; its rows are read a block at a time by `BlockReader`."""
        schema = pq.read_schema(file)
        head = json.loads(schema.metadata[b"augmill"])
        head["splits"] = {name: SplitPlan(*split) for name, split in head["splits"].items()}
        head["bad"] = [BadExample(*example) for example in head["bad"]]
        head["dropped"] = [Dropped(*example) for example in head["dropped"]]
        head["annotations"] = AnnotationInfo.from_json(head["annotations"])
        return cls(table=schema.empty_table(), **head)


def reader_of(source: Plan | Listing) -> Reader:
    """What reads the examples of a plan or a listing."""
    if is_url(str(source.root)):
        from augmill.pipeline.remote_reader import RemoteReader

        return RemoteReader(str(source.root), source.container, source.image_feature, source.annotations)
    return Reader(Path(source.root), source.container, source.image_feature, source.annotations)


class BlockReader:
    """Reads blocks of a plan on disk; the file's footer, which grows with the blocks, is read once."""

    def __init__(self, file: Path | BinaryIO) -> None:
        self._file = pq.ParquetFile(file)

    def read(self, block: int) -> list[dict[str, Any]]:
        """The rows of one block, in place order."""
        rows: list[dict[str, Any]] = self._file.read_row_group(block).to_pylist()
        return rows

    def columns(self, block: int, *names: str) -> list[list[Any]]:
        """Some columns of one block, in place order."""
        table = self._file.read_row_group(block, columns=list(names))
        return [table.column(name).to_pylist() for name in names]


def make_plan(spec: Spec, listing: Listing) -> Plan:
    """Put each example in its split, its block and its place in the block.

    The split follows from the key, or its group, alone, so that a test image stays a test image under any seed; block
    and place follow from the seed and the key. The order of the listing has no say.

    Raises:
      SourceError: the spec and the source both name splits, no example is left to train on, or the spec is about
        annotations that the source does not have.
    """
    wrong = listing.annotations.check_kinds(spec.annotations.asks_for())
    wrong = wrong or listing.annotations.check_mask_fill(spec.annotations.mask_fill)
    if wrong:
        raise SourceError("; ".join(wrong))
    table = listing.addresses.sort_by("key")
    keys = table.column("key").to_pylist()
    splits = assign_splits(spec, table)
    if spec.copies and "train" not in splits:
        names = ", ".join(sorted(set(splits.tolist())))
        raise SourceError(f"only a split called train is augmented, and there is none, only {names}; set copies: 0")
    places = np.array([int.from_bytes(keyed_digest("order", spec.seed, key, size=8), "big") for key in keys], np.uint64)

    order, blocks, plans, first = [], [], {}, 0
    for name in sorted(set(splits), key=lambda name: (name != "train", name)):
        members = np.flatnonzero(splits == name)
        members = members[np.argsort(places[members], kind="stable")]
        count = _block_count(len(members), spec.block_examples)
        order.append(members)
        blocks.append(first + np.arange(len(members)) * count // len(members))
        plans[name] = SplitPlan(len(members), first, count)
        first += count
    columns = ["key", "uri", "offset", "length", "label", "annotations"]
    planned = table.select(columns).take(pa.array(np.concatenate(order)))
    planned = planned.append_column("block", pa.array(np.concatenate(blocks).astype(np.int32)))
    return Plan(
        table=planned.combine_chunks(),
        splits=plans,
        root=str(listing.root),
        container=listing.container,
        image_feature=listing.image_feature,
        classes=listing.classes,
        bad=sorted(listing.bad, key=lambda example: example[:2]),
        source_digest=listing.digest(),
        annotations=listing.annotations,
        dropped=listing.dropped,
    )


def _block_count(examples: int, wanted: int | None) -> int:
    size = wanted or min(_MOST, max(_FEWEST, -(-examples // _BLOCKS_WANTED)))
    return -(-examples // size)
