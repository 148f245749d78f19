"""The table of a version's examples: each one's place in it, and a digest of what the source held.

`examples.parquet` has a row for each example that the plan put in a block, in the order of blocks and of places in
them, a row group a block. The records of a shard are those of its block's rows that did not fail, in the same order: so
the table says which example a record is of, and two versions can be compared, without a shard being read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

EXAMPLES = "examples.parquet"
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("split", pa.string()),
        ("block", pa.int32()),
        ("place", pa.int32()),  # in the block, from 0
        ("label", pa.int32()),  # index into the manifest's classes, or -1
        ("content", pa.binary(32)),  # SHA-256 of the image as the source has it, and its annotations; null: not read
        ("failed", pa.bool_()),  # whether it is in failures.jsonl instead of the shards
        ("objects", pa.list_(pa.int32())),  # the counts of `object_counts.COUNTS` over its copies; null without boxes
    ]
)
_NOT_READ = bytes(32)


def pack_contents(contents: Iterable[bytes | None]) -> str:
    """Write the content digests of a block's examples as one text, for the block's row.

    >>> len(pack_contents([None, bytes(range(32))]))
    128
    """
    return b"".join(content or _NOT_READ for content in contents).hex()


def unpack_contents(text: str) -> list[bytes | None]:
    """Read what `pack_contents` wrote."""
    data = bytes.fromhex(text)
    digests = (data[start : start + 32] for start in range(0, len(data), 32))
    return [None if digest == _NOT_READ else digest for digest in digests]


def block_table(block: int, split: str, keys: Sequence[str], labels: Sequence[int], row: dict[str, Any]) -> pa.Table:
    """The part of the table that is about one finished block.

    Args:
      block, split: which one.
      keys, labels: of its examples, in the order of their places, as the plan has them.
      row: what the worker noted of the block: its `contents`, `failures` and, with boxes, `object_rows`.

    Raises:
      ValueError: the row is about another number of examples.
    """
    contents, failed = unpack_contents(row["contents"]), {failure["key"] for failure in row["failures"]}
    if len(contents) != len(keys):
        raise ValueError(f"block {block} has {len(keys)} examples, and its row is about {len(contents)}")
    count = len(keys)
    columns = [
        pa.array(keys, pa.string()),
        pa.array([split] * count, pa.string()),
        pa.array([block] * count, pa.int32()),
        pa.array(range(count), pa.int32()),
        pa.array(labels, pa.int32()),
        pa.array(contents, pa.binary(32)),
        pa.array([key in failed for key in keys], pa.bool_()),
        pa.array(row.get("object_rows") or [None] * count, SCHEMA.field("objects").type),
    ]
    return pa.table(columns, schema=SCHEMA)


def write_examples(path: Path, blocks: Iterable[pa.Table]) -> None:
    """Write the table, a row group a block; equal rows give equal bytes with the same version of pyarrow."""
    with pq.ParquetWriter(
        path,
        SCHEMA,
        compression="zstd",
        use_dictionary=["split"],
        write_statistics=["block"],
        store_schema=False,
    ) as writer:
        for table in blocks:
            writer.write_table(table, row_group_size=max(1, table.num_rows))


def read_examples(path: Path | BinaryIO, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the table, or some of its columns, whole: some 45 bytes and the key an example.

    Raises:
      ValueError: it is no such table.
    """
    try:
        return pq.ParquetFile(path).read(columns=None if columns is None else list(columns))
    except pa.ArrowException as error:
        raise ValueError(f"{path} is no table of examples: {' '.join(str(error).split())}") from error
