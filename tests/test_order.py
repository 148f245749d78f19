"""The order of an epoch: whole, repeatable, shared among ranks, and mixed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from augmill.pipeline.order import CHUNK, WINDOW, make_order

UNEVEN = [130, 0, 1, 47, 16, 33, 0, 260]


def everything(records: list[int]) -> list[tuple[int, int]]:
    return [(shard, number) for shard, length in enumerate(records) for number in range(length)]


def test_the_first_records_are_the_same_in_every_release() -> None:
    order = make_order([40, 25], batch_size=4, seed=1, epoch=2)
    assert list(order.records())[:8] == [(0, 26), (0, 39), (1, 6), (0, 38), (0, 31), (0, 30), (0, 33), (0, 35)]
    assert order.steps == 17


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_record_comes_once_an_epoch_over_all_ranks(world_size: int, shuffle: bool) -> None:
    met: list[tuple[int, int]] = []
    for rank in range(world_size):
        order = make_order(UNEVEN, batch_size=8, seed=5, epoch=1, shuffle=shuffle, rank=rank, world_size=world_size)
        met += order.records()
    assert sorted(met) == everything(UNEVEN)


def test_every_record_comes_once_when_there_are_several_windows() -> None:
    records = [CHUNK * WINDOW + 5, 700, CHUNK * WINDOW]
    order = make_order(records, batch_size=64, seed=2)
    assert len(order.picks) == 3
    assert sorted(order.records()) == everything(records)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("records", [UNEVEN, [CHUNK * WINDOW + 5, 700]], ids=["one window", "two windows"])
def test_ranks_see_together_what_one_sees_with_the_larger_batch(records: list[int], shuffle: bool) -> None:
    ranks = [
        list(make_order(records, batch_size=4, seed=9, shuffle=shuffle, rank=rank, world_size=3).records())
        for rank in range(3)
    ]
    together: list[tuple[int, int]] = []
    while any(ranks):
        together += [record for rank in ranks for record in rank[:4]]
        ranks = [rank[4:] for rank in ranks]
    assert together == list(make_order(records, batch_size=12, seed=9, shuffle=shuffle).records())


def test_equal_arguments_give_the_same_order_whatever_the_global_generator() -> None:
    orders = []
    for global_seed in (0, 1):
        np.random.seed(global_seed)
        orders.append(list(make_order(UNEVEN, batch_size=8, seed=0, epoch=0).records()))
    assert orders[0] == orders[1]


def test_another_epoch_or_seed_is_another_order() -> None:
    orders = {
        tuple(make_order(UNEVEN, batch_size=8, seed=seed, epoch=epoch).records())
        for seed in range(8)
        for epoch in range(8)
    }
    assert len(orders) == 64


def test_the_batch_size_does_not_change_the_order() -> None:
    orders = {tuple(make_order(UNEVEN, batch_size=size, seed=3).records()) for size in (1, 8, 100)}
    assert len(orders) == 1


def test_without_shuffle_records_come_one_after_another_in_every_epoch() -> None:
    for epoch in (0, 5):
        order = make_order(UNEVEN, batch_size=8, seed=epoch, epoch=epoch, shuffle=False)
        assert list(order.records()) == everything(UNEVEN)


@pytest.mark.parametrize("world_size", [1, 2, 5])
def test_dropping_the_remainder_leaves_every_rank_the_same_whole_batches(world_size: int) -> None:
    orders = [
        make_order(UNEVEN, batch_size=7, seed=1, rank=rank, world_size=world_size, drop_remainder=True)
        for rank in range(world_size)
    ]
    steps = sum(UNEVEN) // (7 * world_size)
    assert [order.steps for order in orders] == [steps] * world_size
    assert [len(list(order.records())) for order in orders] == [7 * steps] * world_size


def test_other_records_are_left_out_in_another_epoch() -> None:
    left_out = set()
    for epoch in range(20):
        order = make_order([30], batch_size=8, epoch=epoch, drop_remainder=True)
        left_out.add(tuple(sorted(set(everything([30])) - set(order.records()))))
    assert {len(records) for records in left_out} == {6}
    assert len(left_out) > 15


def test_steps_count_the_last_small_batch() -> None:
    assert [make_order([n], batch_size=8).steps for n in (1, 8, 9, 16, 17)] == [1, 1, 2, 2, 3]
    ranks = [make_order([20], batch_size=8, rank=rank, world_size=2) for rank in (0, 1)]
    assert [(order.steps, len(list(order.records()))) for order in ranks] == [(2, 12), (1, 8)]


def test_records_sorted_by_class_come_out_mixed() -> None:
    records = [400] * 20  # a shard a class
    shards = [shard for shard, _ in make_order(records, batch_size=64, seed=4).records()]
    seen = [len(set(shards[start : start + 64])) for start in range(0, len(shards) - 64, 64)]
    assert min(seen) >= 15  # 19.2 of 20 are expected of 64 drawn without regard to class
    most = [Counter(shards[start : start + 64]).most_common(1)[0][1] for start in range(0, len(shards) - 64, 64)]
    assert max(most) <= 16


def test_neighbours_on_disk_do_not_follow_each_other() -> None:
    met = list(make_order([5_000, 5_000], batch_size=64, seed=4).records())
    followed = sum(one[0] == other[0] and other[1] == one[1] + 1 for one, other in pairwise(met))
    assert followed < 20


def test_each_place_of_the_epoch_is_reached_from_anywhere() -> None:
    first = [next(iter(make_order([640], batch_size=8, seed=1, epoch=epoch).records()))[1] for epoch in range(400)]
    quarters = np.bincount(np.array(first) // 160, minlength=4)
    assert quarters.min() > 60  # 100 are expected of each


@pytest.mark.parametrize("records", [[1], [0, 1, 0], [17], [3, 2, 1]])
def test_a_batch_larger_than_all_there_is_is_one_step(records: list[int]) -> None:
    order = make_order(records, batch_size=1_000)
    assert order.steps == 1
    assert sorted(order.records()) == everything(records)


@pytest.mark.parametrize("records", [[], [0], [0, 0]])
def test_nothing_to_read_is_no_step(records: list[int]) -> None:
    order = make_order(records, batch_size=8)
    assert (order.steps, list(order.records())) == (0, [])


def test_a_remainder_that_is_everything_leaves_nothing() -> None:
    order = make_order([5], batch_size=8, drop_remainder=True)
    assert (order.steps, list(order.records())) == (0, [])
