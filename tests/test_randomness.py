"""The draws: pure functions of their name, and distributed as they say."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import stats

from augmill.transforms.randomness import Draws, keyed_digest

KEYS = [f"rose/{i}.jpg" for i in range(4000)]
CHANCE = 1e-3  # the draws are always the same ones: a p-value under this is a fault, not bad luck


def stream(**changes: Any) -> Draws:
    return Draws(**{"seed": 7, "key": "rose/1.jpg", "copy": 1, "at": "2", **changes})


def first_of_each_key(**changes: Any) -> np.ndarray:
    return np.array([stream(key=key, **changes).uniform(0, 1) for key in KEYS])


def test_the_same_name_gives_the_same_draws() -> None:
    one, other = stream(), stream()
    assert [one.uniform(-1, 1) for _ in range(50)] == [other.uniform(-1, 1) for _ in range(50)]


def test_a_stream_is_named_by_seed_key_copy_and_place() -> None:
    changes: list[dict[str, Any]] = [
        {},
        *({"seed": seed} for seed in (0, 1, 8, -7, 2**40)),
        *({"key": key} for key in ("rose/2.jpg", "rose/1.jpg ", "Rose/1.jpg", "")),
        *({"copy": copy} for copy in (0, 2, -1)),
        *({"at": at} for at in ("3", "2.0", "")),
    ]
    assert len({stream(**change).uniform(0, 1) for change in changes}) == len(changes)


def test_a_draw_is_pinned_for_ever() -> None:
    draws = stream()
    assert [draws.uniform(0, 1) for _ in range(3)] == [0.6013661255861135, 0.8148928137642042, 0.387943760342225]
    assert draws.integer(0, 1000) == 344
    assert draws.seed_pair() == (1670503343, -2069419284)
    assert draws.pick("abcdef", 3) == ["a", "c", "f"]
    assert keyed_digest("a", 1).hex() == "51e7425225f259e026df790c9b1fd1dc"


@pytest.mark.parametrize("name", [{}, {"seed": 2**62, "key": "\udcff/größe.jpg"}, {"copy": 9, "at": "4.1~3"}])
def test_a_stream_is_that_of_numpys_philox_with_the_hash_of_its_name_as_key(name: dict[str, Any]) -> None:
    draws = stream(**name)
    parts = {"seed": 7, "key": "rose/1.jpg", "copy": 1, "at": "2", **name}
    key = int.from_bytes(keyed_digest("draws", *parts.values()), "little")
    words = np.random.Philox(key=key).random_raw(19)
    assert [draws.uniform(0, 1) for _ in range(19)] == ((words >> np.uint64(11)) * 2.0**-53).tolist()


def test_streams_that_are_drawn_from_in_turns_do_not_meet() -> None:
    """Whatever they share, in one thread or in several."""
    from concurrent.futures import ThreadPoolExecutor

    def draw(key: str) -> list[float]:
        draws = stream(key=key)
        return [draws.uniform(0, 1) for _ in range(40)]

    alone = [draw(key) for key in KEYS[:60]]
    streams = [stream(key=key) for key in KEYS[:60]]
    turns = [[each.uniform(0, 1) for each in streams] for _ in range(40)]
    assert [list(drawn) for drawn in zip(*turns, strict=True)] == alone
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(draw, KEYS[:60])) == alone


def test_draws_neither_use_nor_move_the_global_generators() -> None:
    drawn = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        before = random.getstate(), np.random.get_state(legacy=False)
        drawn.append(stream().uniform(0, 1))
        assert random.getstate() == before[0]
        np.testing.assert_equal(np.random.get_state(legacy=False), before[1])
    assert drawn[0] == drawn[1]


def test_digests_do_not_collide_by_concatenation() -> None:
    names: list[tuple[str | int, ...]] = [("abc",), ("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")]
    names += [(1, 23), (12, 3), (123,), ("123",), ("1", "23"), ("1", 23), ("s", "abc"), ("sabc",)]
    assert len({keyed_digest(*name) for name in names}) == len(names)


def test_a_digest_has_the_size_asked_for() -> None:
    assert [len(keyed_digest("a", size=size)) for size in (8, 16, 32)] == [8, 16, 32]


def test_a_key_may_be_a_file_name_that_is_no_utf8() -> None:
    names = [os.fsdecode(name) for name in (b"\xff.jpg", b"\xfe.jpg", b".jpg")]
    drawn = [stream(key=name).uniform(0, 1) for name in names]
    assert len(set(drawn)) == 3
    assert drawn == [stream(key=name).uniform(0, 1) for name in names]


@pytest.mark.parametrize("name", [{"seed": 0}, {"seed": 7}, {"copy": -1}, {"at": "4.1"}])
def test_uniform_is_uniform_over_keys(name: dict[str, Any]) -> None:
    assert stats.kstest(first_of_each_key(**name), "uniform").pvalue > CHANCE


def test_uniform_is_uniform_along_a_stream_and_stays_in_its_range() -> None:
    draws = stream()
    values = np.array([draws.uniform(-3, 5) for _ in range(4000)])
    assert values.min() >= -3
    assert values.max() < 5
    assert stats.kstest(values, "uniform", args=(-3, 8)).pvalue > CHANCE


@pytest.mark.parametrize(
    ("one", "other"),
    [({"at": "0"}, {"at": "1"}), ({"copy": 1}, {"copy": 2}), ({"seed": 0}, {"seed": 1}), ({"at": "4"}, {"at": "4.0"})],
)
def test_two_streams_are_uncorrelated(one: dict[str, Any], other: dict[str, Any]) -> None:
    correlation = stats.pearsonr(first_of_each_key(**one), first_of_each_key(**other))
    assert correlation.pvalue > CHANCE


@pytest.mark.parametrize(("low", "high"), [(0, 2), (0, 7), (-3, 4), (10, 20)])
def test_integers_are_equally_likely_up_to_both_ends(low: int, high: int) -> None:
    counts = Counter(stream(key=key).integer(low, high) for key in KEYS)
    assert set(counts) == set(range(low, high))
    assert stats.chisquare([counts[i] for i in range(low, high)]).pvalue > CHANCE


def test_integers_of_a_huge_range_do_not_favour_the_small() -> None:
    span = 3 << 62  # a bare remainder of 64 bits would fall into the lowest third half of the time
    thirds = Counter(stream(key=key).integer(0, span) >> 62 for key in KEYS)
    assert stats.chisquare([thirds[i] for i in range(3)]).pvalue > CHANCE


@pytest.mark.parametrize("high", [5, 4])
def test_an_empty_range_of_integers_is_an_error(high: int) -> None:
    with pytest.raises(ValueError, match=f"low < high, got low 5, high {high}"):
        stream().integer(5, high)


@pytest.mark.parametrize("p", [0.02, 0.5, 0.9])
def test_chance_has_the_rate_asked_for(p: float) -> None:
    hits = sum(stream(key=key).chance(p) for key in KEYS)
    assert stats.binomtest(hits, len(KEYS), p).pvalue > CHANCE


def test_chance_of_zero_never_comes_and_of_one_always() -> None:
    assert not any(stream(key=key).chance(0.0) for key in KEYS)
    assert all(stream(key=key).chance(1.0) for key in KEYS)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_pick_draws_each_subset_equally_and_keeps_the_order(count: int) -> None:
    picked = Counter("".join(stream(key=key).pick("abcd", count)) for key in KEYS)
    subsets = ["".join(subset) for subset in itertools.combinations("abcd", count)]
    assert set(picked) == set(subsets)
    assert stats.chisquare([picked[subset] for subset in subsets]).pvalue > CHANCE


def test_pick_can_take_nothing_and_everything() -> None:
    assert stream().pick("abcd", 0) == []
    assert stream().pick("abcd", 4) == list("abcd")


def test_seed_pairs_fill_int32() -> None:
    pairs = np.array([stream(key=key).seed_pair() for key in KEYS])
    assert np.array_equal(pairs.astype(np.int32), pairs)
    for half in pairs.T:
        assert stats.kstest(half, "uniform", args=(-(2**31), 2**32)).pvalue > CHANCE
    signs = Counter(map(tuple, np.sign(pairs).tolist()))
    assert set(signs) == {(-1, -1), (-1, 1), (1, -1), (1, 1)}
