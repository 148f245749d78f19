"""Checks of arguments: what each form means, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
from scipy.stats import binomtest

from augmill.transforms.arguments import (
    as_floats,
    check_choice,
    check_colour,
    check_pair,
    check_probability,
    check_value_range,
    check_whole,
    happens,
    mean_chance,
)
from augmill.transforms.base import TransformError
from augmill.transforms.randomness import Draws


@pytest.mark.parametrize(
    ("value", "scalar", "pair"),
    [
        (0.2, "around zero", (-0.2, 0.2)),
        (-0.2, "around zero", (-0.2, 0.2)),
        (0.2, "from zero", (0.0, 0.2)),
        (0.2, "exactly", (0.2, 0.2)),
        ([0.1, 0.4], "exactly", (0.1, 0.4)),
        ((0.4, 0.4), "from zero", (0.4, 0.4)),
        (1, "from zero", (0.0, 1.0)),
    ],
)
def test_a_number_means_what_the_op_says_and_a_pair_itself(value: Any, scalar: str, pair: Any) -> None:
    found = check_pair("factor", value, low=-1, high=1, scalar=scalar)
    assert found == pair
    assert all(isinstance(end, float) for end in found)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2, "factor must be a number in [0, 1], got 2; or [lowest, highest] within it"),
        ("much", "factor must be a number in [0, 1], got 'much'; or [lowest, highest] within it"),
        (True, "factor must be a number in [0, 1], got True; or [lowest, highest] within it"),
        ([0.1], "factor must be a number or [lowest, highest], got [0.1]"),
        ([0.1, 2], "factor must be a number in [0, 1], got 2"),
        ([0.9, 0.1], "factor must be [lowest, highest], got [0.9, 0.1]"),
    ],
)
def test_what_is_neither_is_told_with_the_rule(value: Any, message: str) -> None:
    with pytest.raises(TransformError) as error:
        check_pair("factor", value, low=0, high=1, scalar="exactly")
    assert str(error.value) == message


def test_a_probability_is_not_always_nothing() -> None:
    assert check_probability("factor", 0.3) == (0.3, 0.3)
    assert check_probability("factor", [0, 1]) == (0.0, 1.0)
    for value in (0, [0, 0]):
        with pytest.raises(TransformError, match=r"^factor must be a probability above 0, or nothing ever"):
            check_probability("factor", value)


def test_a_choice_is_one_of_those_there_are() -> None:
    check_choice("mode", "wrap", ("wrap", "nearest"))
    check_choice("all_ops", True, (True, False))
    for value, choices in (("warp", ("wrap", "nearest")), (1, (True, False)), (True, (1, 2))):
        with pytest.raises(TransformError, match=r"^x must be one of .*, got "):
            check_choice("x", value, choices)


@pytest.mark.parametrize("value", [0, 11, 2.0, True, "3", None])
def test_a_whole_number_is_one_within_its_bounds(value: Any) -> None:
    check_whole("n", 1, low=1, high=10)
    with pytest.raises(TransformError, match=r"^n must be a whole number of at least 1 and at most 10, got "):
        check_whole("n", value, low=1, high=10)


def test_a_value_range_can_only_be_what_images_are() -> None:
    assert check_value_range([0, 255]) == (0, 255)
    for value in ([0, 1], 255, None):
        with pytest.raises(TransformError, match=r"^value_range must be \[0, 255\], what images are here, got "):
            check_value_range(value)


def test_arguments_that_mean_the_same_are_the_same() -> None:
    assert as_floats(1) == 1.0 and isinstance(as_floats(1), float)
    assert as_floats([0, 1]) == (0.0, 1.0)
    assert as_floats([0, 1, 2]) == (0.0, 1.0, 2.0)
    assert as_floats(None) is None


@pytest.mark.parametrize(("factor", "mean"), [(0.3, 0.3), (1, 1.0), ([0, 1], 0.5), ((0.2, 0.6), 0.4)])
def test_what_happens_by_a_factor_happens_as_often_as_it_says(factor: Any, mean: float) -> None:
    assert mean_chance(factor) == pytest.approx(mean)
    happened = sum(happens(Draws(seed=0, key=f"{i}.jpg", copy=1, at="0"), factor) for i in range(2000))
    assert binomtest(happened, 2000, mean).pvalue > 0.001


def test_what_changes_colours_needs_three_channels() -> None:
    check_colour("hue", (10, 10, 3))
    for channels in (1, 4):
        with pytest.raises(TransformError) as error:
            check_colour("hue", (10, 10, channels))
        assert str(error.value) == f"hue needs 3 channels, the image has {channels}: grey has no colour to change"
