"""A rank's share of an epoch: together the ranks take what one would, from wherever others have stopped."""

from __future__ import annotations

from typing import Any

import pytest

from augmill.pipeline.order import Order
from augmill.pipeline.share import Share

RECORDS = [130, 0, 1, 47, 16, 33, 0, 260]
TOTAL = sum(RECORDS)
Record = tuple[int, int]


def batches(rank: int, world_size: int, *, batch_size: int = 4, window: int = 5, **share: Any) -> list[list[Any]]:
    """The batches of a rank, as lists of (shard, record number, whether it counts)."""
    order = Order(RECORDS, seed=9, window=window)
    mine = Share(TOTAL, batch_size, rank, world_size, **share)
    met = []
    for piece in mine.pieces(order):
        shards, numbers = order.window(piece.window)
        met += list(zip(shards[piece.places].tolist(), numbers[piece.places].tolist(), piece.valid, strict=True))
    found = [met[start : start + batch_size] for start in range(0, len(met), batch_size)]
    assert len(found) == mine.steps
    return found


def together(world_size: int, **share: Any) -> list[list[Any]]:
    """What all ranks see, a list a step."""
    ranks = [batches(rank, world_size, **share) for rank in range(world_size)]
    return [[record for batch in step for record in batch] for step in zip(*ranks, strict=True)]


def plain(steps: list[list[Any]]) -> list[Record]:
    return [(shard, number) for step in steps for shard, number, _ in step]


@pytest.mark.parametrize("remainder", ["drop", "pad"])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
def test_ranks_see_together_what_one_sees_with_the_larger_batch(world_size: int, remainder: str) -> None:
    alone = batches(0, 1, batch_size=4 * world_size, remainder=remainder)
    assert together(world_size, remainder=remainder) == alone


def test_twenty_four_samples_a_step_are_the_same_however_many_share_them() -> None:
    steps = [plain(together(ranks, batch_size=24 // ranks, remainder="drop")) for ranks in (1, 2, 3, 4, 8)]
    assert all(one == steps[0] for one in steps)
    assert len(steps[0]) == TOTAL - TOTAL % 24


@pytest.mark.parametrize("world_size", [1, 3])
def test_every_cut_is_followed_by_the_rest(world_size: int) -> None:
    whole = together(world_size, remainder="pad")
    for step in range(len(whole) + 1):
        start = min(step * 4 * world_size, TOTAL)
        assert together(world_size, remainder="pad", start=start) == whole[step:]


def test_any_number_of_ranks_takes_up_where_another_has_stopped() -> None:
    order = Order(RECORDS, seed=9, window=5)
    met: list[Record] = []
    for world_size, steps in ((2, 7), (8, 5), (1, 3), (3, 11), (4, 2)):
        met += plain(together(world_size, remainder="drop", start=len(met))[:steps])
    assert met == order.between(0, len(met))
    rest = plain(batches(0, 1, batch_size=5, start=len(met)))  # another batch size too
    assert met + rest == order.between(0, TOTAL)


def test_a_remainder_is_kept_dropped_or_padded() -> None:
    rest = TOTAL % 32
    kept, dropped = batches(0, 1, batch_size=32), batches(0, 1, batch_size=32, remainder="drop")
    padded = batches(0, 1, batch_size=32, remainder="pad")

    assert [len(kept[-1]), len(dropped[-1]), len(padded[-1])] == [rest, 32, 32]
    assert kept[:-1] == dropped == padded[:-1]
    assert padded[-1][:rest] == kept[-1]
    again = [(shard, number, False) for shard, number, _ in padded[0]]
    assert padded[-1][rest:] == again[: 32 - rest]  # the epoch's first records


def test_a_batch_larger_than_the_epoch_is_padded_by_several_rounds() -> None:
    (step,) = together(8, batch_size=200, remainder="pad")
    epoch = Order(RECORDS, seed=9, window=5).between(0, TOTAL)
    assert plain([step]) == (epoch * 4)[:1600]
    assert [valid for _, _, valid in step] == [True] * TOTAL + [False] * (1600 - TOTAL)
    assert together(8, batch_size=200, remainder="drop") == []
