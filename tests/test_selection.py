"""The shards of a split's copies, and copies that cannot take turns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from augmill.pipeline.errors import VersionError
from augmill.pipeline.manifest import Shard, Split
from augmill.pipeline.selection import select


def version(*copies: list[int], size: int = 1000) -> Any:
    """What `select` looks at of a version whose copies have shards of so many records."""
    shards = [
        Shard(file=f"{copy}-{block}", copy=copy, records=records, bytes=records * size, sha256="0" * 64)
        for copy, lengths in enumerate(copies)
        for block, records in enumerate(lengths)
    ]
    splits = {"train": Split(examples=0, failed=0, shards=shards)}
    return SimpleNamespace(location="flowers/1.0.0", manifest=SimpleNamespace(splits=splits))


def test_copies_that_take_turns_are_counted_by_blocks() -> None:
    rotating = select(version([30, 20], [30, 20], [30, 20]), "train", "rotate")
    assert (rotating.records, rotating.turns, len(rotating.shards)) == ([30, 20], 3, 6)
    every = select(version([30, 20], [30, 20]), "train", "all")
    assert (every.records, every.turns) == ([30, 20, 30, 20], 1)


def test_copies_of_other_lengths_cannot_take_turns() -> None:
    with pytest.raises(VersionError) as told:
        select(version([30, 20], [30, 19]), "train", "rotate")
    assert str(told.value) == (
        "the copies of flowers/1.0.0 cannot take turns: 0-1 holds 20 records and 1-1, copy 1 of the same examples, 19; "
        'read them with copies="all"'
    )
    with pytest.raises(VersionError, match="copy 0 of split train has 2 shards and copy 1 has 1"):
        select(version([30, 20], [30]), "train", "rotate")


def test_a_number_is_found_in_its_shard() -> None:
    selection = select(version([3, 0], [2, 0]), "train", "all")
    assert [selection.find(number) for number in range(5)] == [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)]


def test_a_window_of_large_records_has_fewer_chunks() -> None:
    windows = [select(version([100], size=size), "train", "all").window for size in (1000, 100_000, 1 << 30)]
    assert windows == [256, 83, 1]
