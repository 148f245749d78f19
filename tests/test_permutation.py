"""Permutations by name: each value once, found both ways, and every one as likely as another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from augmill.pipeline.permutation import Permutation, keyed_words, shuffled

SIZES = [1, 2, 3, 1000, 65_535, 65_536, 65_537, 100_000, 131_072, 131_073]  # a table up to 65,536, a network above


@pytest.mark.parametrize("size", SIZES)
def test_each_value_stands_at_one_place_and_is_found_there(size: int) -> None:
    permutation = Permutation("p", size)
    values = permutation.at(np.arange(size))
    assert np.array_equal(np.sort(values), np.arange(size))
    assert np.array_equal(permutation.places_of(values), np.arange(size))


def test_the_values_are_the_same_in_every_release() -> None:
    assert Permutation("p", 1000).at(np.arange(5)).tolist() == [979, 488, 750, 625, 425]
    assert Permutation("p", 10**8).at(np.arange(4)).tolist() == [6753953, 73713673, 78239524, 5307823]


def test_a_part_can_be_asked_for_in_any_order() -> None:
    permutation = Permutation("p", 10**9)
    places = np.array([999_999_999, 5, 123_456_789, 5])
    assert permutation.at(places).tolist() == [int(permutation.at(np.array([place]))[0]) for place in places]


def test_names_give_permutations_of_their_own() -> None:
    one, other = (Permutation(name, 100_000).at(np.arange(100_000)) for name in ("1", "2"))
    assert np.count_nonzero(one == other) < 10  # one is expected
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.015


def test_a_networks_values_are_spread_like_random_ones(equally_likely: Any) -> None:
    size = 100_000
    values = np.concatenate([Permutation(str(name), size).at(np.arange(0, size, 97)) for name in range(40)])
    assert equally_likely((values * 50 // size).tolist(), list(range(50)))
    steps = np.diff(Permutation("p", size).at(np.arange(size))) % size  # from a place's value to the next one's
    assert equally_likely((steps * 50 // size).tolist(), list(range(50)))
    low_bits = Permutation("p", size).at(np.arange(20_000)) % 8
    assert equally_likely((low_bits[:-1] * 8 + low_bits[1:]).tolist(), list(range(64)))


def test_a_first_value_is_any_of_a_table(equally_likely: Any) -> None:
    firsts = [int(shuffled(str(name), 24)[0]) for name in range(2400)]
    assert equally_likely(firsts, list(range(24)))


def test_words_follow_from_the_name_alone() -> None:
    np.random.seed(0)
    one = keyed_words("a", 3)
    np.random.seed(1)
    assert one.tolist() == keyed_words("a", 3).tolist() != keyed_words("b", 3).tolist()
