"""The order of an epoch: whole, repeatable, mixed, and any part of it by itself."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from augmill.pipeline.order import CHUNK, WINDOW, Order

UNEVEN = [130, 0, 1, 47, 16, 33, 0, 260]
SEVERAL_WINDOWS = [CHUNK * WINDOW + 5, 700, CHUNK * WINDOW]


def everything(records: list[int]) -> list[tuple[int, int]]:
    return [(shard, number) for shard, length in enumerate(records) for number in range(length)]


def whole(order: Order) -> list[tuple[int, int]]:
    return order.between(0, len(order))


def test_the_first_records_are_the_same_in_every_release() -> None:
    assert Order([40, 25], seed=1, epoch=2).between(0, 6) == [(1, 0), (0, 9), (0, 26), (0, 16), (0, 21), (1, 1)]
    many = Order([1000] * 2000, seed=1, epoch=2)  # so many that the chunks' permutation is no table
    assert many.between(1_000_000, 1_000_004) == [(1142, 486), (896, 143), (888, 817), (621, 100)]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    "records", [UNEVEN, SEVERAL_WINDOWS, [17] * 70_000, [1], [0, 1, 0], [17], [3, 2, 1], [], [0], [0, 0]], ids=len
)
def test_every_record_comes_once(records: list[int], shuffle: bool) -> None:
    order = Order(records, seed=5, epoch=1, shuffle=shuffle)
    met = whole(order)
    assert len(met) == len(order) == sum(records)
    assert sorted(met) == everything(records)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_part_is_what_stands_there_in_the_whole(shuffle: bool) -> None:
    order = Order(SEVERAL_WINDOWS, seed=5, shuffle=shuffle, window=20)
    met = whole(order)
    for start, stop in [(0, 1), (319, 321), (5000, 6000), (len(met) - 1, len(met)), (7, 7)]:
        assert order.between(start, stop) == met[start:stop]
    assert [order.window_of(int(start)) for start in order.starts[:-1]] == list(range(len(order.starts) - 1))


def test_equal_arguments_give_the_same_order_whatever_the_global_generator() -> None:
    orders = []
    for global_seed in (0, 1):
        np.random.seed(global_seed)
        orders.append(whole(Order(UNEVEN, seed=0, epoch=0)))
    assert orders[0] == orders[1]


def test_another_epoch_or_seed_is_another_order() -> None:
    orders = {tuple(whole(Order(UNEVEN, seed=seed, epoch=epoch))) for seed in range(8) for epoch in range(8)}
    assert len(orders) == 64


def test_without_shuffle_records_come_one_after_another_in_every_epoch() -> None:
    for epoch in (0, 5):
        assert whole(Order(UNEVEN, seed=epoch, epoch=epoch, shuffle=False)) == everything(UNEVEN)


def test_records_sorted_by_class_come_out_mixed() -> None:
    records = [400] * 20  # a shard a class
    shards = [shard for shard, _ in whole(Order(records, seed=4))]
    seen = [len(set(shards[start : start + 64])) for start in range(0, len(shards) - 64, 64)]
    assert min(seen) >= 15  # 19.2 of 20 are expected of 64 drawn without regard to class
    most = [Counter(shards[start : start + 64]).most_common(1)[0][1] for start in range(0, len(shards) - 64, 64)]
    assert max(most) <= 16


def test_neighbours_on_disk_do_not_follow_each_other() -> None:
    met = whole(Order([5_000, 5_000], seed=4))
    followed = sum(one[0] == other[0] and other[1] == one[1] + 1 for one, other in pairwise(met))
    assert followed < 20


def test_each_place_of_the_epoch_is_reached_from_anywhere() -> None:
    first = [Order([640], seed=1, epoch=epoch).between(0, 1)[0][1] for epoch in range(400)]
    quarters = np.bincount(np.array(first) // 160, minlength=4)
    assert quarters.min() > 60  # 100 are expected of each


def test_a_hundred_million_records_take_no_memory_to_speak_of() -> None:
    tracemalloc.start()
    order = Order([1000] * 100_000, seed=1, epoch=3)
    middle = order.between(50_000_000, 50_000_064)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(order) == 100_000_000
    assert len(set(middle)) == 64
    assert peak < 32 << 20  # and a byte a record would be 95


class TestTurns:
    """Copies that take turns: the shards are the blocks' of copy 0, then of copy 1, and so on."""

    BLOCKS, COPIES = 8, 3

    def orders(self, seed: int = 5, shuffle: bool = True) -> list[list[tuple[int, int]]]:
        return [whole(Order(UNEVEN, seed=seed, epoch=epoch, shuffle=shuffle, copies=self.COPIES)) for epoch in range(6)]

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_an_epoch_has_each_example_once_and_all_epochs_each_rendition(self, shuffle: bool) -> None:
        renditions: Counter[tuple[int, int]] = Counter()
        for met in self.orders(shuffle=shuffle):
            assert sorted((shard % self.BLOCKS, number) for shard, number in met) == everything(UNEVEN)
            renditions.update(met)
        assert len(renditions) == self.COPIES * sum(UNEVEN)
        assert set(renditions.values()) == {2}  # in six epochs

    def test_a_chunk_is_of_one_copy_and_chunks_of_an_epoch_are_of_all(self) -> None:
        for met in self.orders():
            copies: dict[tuple[int, int], set[int]] = {}
            for shard, number in met:
                copies.setdefault((shard % self.BLOCKS, number // CHUNK), set()).add(shard // self.BLOCKS)
            assert all(len(one) == 1 for one in copies.values())
            assert set.union(*copies.values()) == {0, 1, 2}

    def test_which_copy_begins_is_a_matter_of_the_seed(self) -> None:
        firsts = {tuple(self.orders(seed=seed, shuffle=False)[0][::CHUNK]) for seed in range(10)}
        assert len(firsts) == 10


@pytest.mark.parametrize("copies", [1, 3])
def test_shards_are_told_in_the_order_in_which_they_are_first_met(copies: int) -> None:
    lengths = [40, 25, 70, 33, 90]
    order = Order(lengths, seed=4, epoch=2, copies=copies, window=1)  # so that no two chunks are mixed
    for start in (0, 50, len(order) - 1):
        begin = int(order.starts[order.window_of(start)])
        met = dict.fromkeys(shard for shard, _ in order.between(begin, len(order)))
        assert order.shards_from(start) == list(met)
