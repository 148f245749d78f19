"""Colours: the pixels of tf.image, and draws over the whole of the stated range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.base import Transform, TransformError
from augmill.transforms.color import (
    OPS,
    RandomBrightness,
    RandomContrast,
    RandomHue,
    RandomSaturation,
    StatelessRandomBrightness,
    StatelessRandomContrast,
    StatelessRandomHue,
    StatelessRandomSaturation,
)
from augmill.transforms.randomness import Draws

# The op, its parameter, the range it is drawn from, and the op of tf.image with the arguments it takes.
CASES: list[Any] = [
    case
    for kinds, parameter, low, high, stateless, arguments in [
        ((RandomBrightness, StatelessRandomBrightness), "delta", -0.3, 0.3, "brightness", (0.3,)),
        ((RandomContrast, StatelessRandomContrast), "factor", 0.4, 1.7, "contrast", (0.4, 1.7)),
        ((RandomSaturation, StatelessRandomSaturation), "factor", 0.1, 2.5, "saturation", (0.1, 2.5)),
        ((RandomHue, StatelessRandomHue), "delta", -0.2, 0.2, "hue", (0.2,)),
    ]
    for case in (
        (kind(*arguments), parameter, low, high, getattr(tf.image, f"stateless_random_{stateless}"), arguments)  # type: ignore[operator]
        for kind in kinds
    )
]
each_op = pytest.mark.parametrize(("op", "parameter", "low", "high", "stateless", "arguments"), CASES)


def levels(image: np.ndarray) -> np.ndarray:
    return image.astype(int)


@each_op
def test_pixels_are_those_of_the_op_of_tensorflow(
    photo: np.ndarray, op: Transform, parameter: str, low: float, high: float, stateless: Any, arguments: Any
) -> None:
    for seed in ([3, i] for i in range(5)):
        drawn = float(tf.random.stateless_uniform([], seed, low, high))
        image = op.apply(photo, {parameter: drawn})
        assert image.dtype == np.uint8
        assert np.array_equal(image, stateless(photo, *arguments, seed=seed).numpy())
        assert not np.array_equal(image, photo)


@each_op
def test_draws_are_uniform_and_reach_both_ends(
    drawn: Any, follows: Any, op: Transform, parameter: str, low: float, high: float, stateless: Any, arguments: Any
) -> None:
    values = [params[parameter] for params in drawn(op, count=4000)]
    assert low <= min(values) < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < max(values) < high
    assert follows(values, "uniform", low, high - low)


@each_op
def test_grey_images_have_brightness_and_contrast_alone(
    photo: np.ndarray, op: Transform, parameter: str, low: float, high: float, stateless: Any, arguments: Any
) -> None:
    streams, grey = Draws(seed=0, key="rose/1.jpg", copy=1, at="0"), photo[..., :1]
    if isinstance(op, (RandomSaturation, RandomHue)):
        with pytest.raises(TransformError) as error:
            op.draw(streams, grey.shape)
        assert str(error.value) == f"{op.name} needs 3 channels, the image has 1: grey has no colour to change"
    else:
        drawn = float(tf.random.stateless_uniform([], [3, 1], low, high))
        image = op.apply(grey, {parameter: drawn})  # type: ignore[attr-defined]
        assert np.array_equal(image, stateless(grey, *arguments, seed=[3, 1]).numpy())
        assert image.shape == grey.shape


def test_every_op_is_its_spec() -> None:
    ops = [case[0] for case in CASES]
    assert {type(op) for op in ops} == set(OPS)
    for op in ops:
        assert type(op)(**op.arguments()) == op


@pytest.mark.parametrize(("delta", "added"), [(0.2, 51), (-0.4, -102), (0.0, 0)])
def test_brightness_adds_a_fraction_of_255_levels_and_saturates(photo: np.ndarray, delta: float, added: int) -> None:
    image = RandomBrightness(0.5).apply(photo, {"delta": delta})
    assert np.abs(levels(image) - np.clip(levels(photo) + added, 0, 255)).max() <= 1


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.4])
def test_contrast_scales_the_distance_from_the_mean_of_each_channel(photo: np.ndarray, factor: float) -> None:
    mean = photo.mean(axis=(0, 1))
    image = RandomContrast(0.1, 2).apply(photo, {"factor": factor})
    assert np.abs(levels(image) - np.clip((photo - mean) * factor + mean, 0, 255)).max() <= 1


def test_no_saturation_is_the_brightest_channel_in_grey(photo: np.ndarray) -> None:
    image = RandomSaturation(0, 2).apply(photo, {"factor": 0.0})
    assert np.abs(levels(image) - levels(photo).max(axis=2, keepdims=True)).max() <= 1
    assert np.array_equal(RandomSaturation(0, 2).apply(photo, {"factor": 1.0}), photo)


def test_a_third_of_a_turn_of_hue_exchanges_the_channels(photo: np.ndarray) -> None:
    image = RandomHue(0.5).apply(photo, {"delta": 1 / 3})
    assert np.abs(levels(image) - levels(photo[..., [2, 0, 1]])).max() <= 1


def test_a_delta_in_levels_is_told_that_it_is_a_fraction() -> None:
    with pytest.raises(TransformError) as error:
        RandomBrightness(32)
    assert str(error.value) == (
        "max_delta must be a number in (0, 1], got 32; it is a fraction of the full range: 0.2 is 51 levels of 255"
    )


@pytest.mark.parametrize("max_delta", [0, -0.1, 0.6, "0.1", None, True])
def test_a_hue_is_at_most_half_a_turn(max_delta: Any) -> None:
    with pytest.raises(TransformError) as error:
        RandomHue(max_delta)
    assert str(error.value) == f"max_delta must be a number in (0, 0.5], got {max_delta!r}; it is a fraction of a turn"


@pytest.mark.parametrize("op", [RandomContrast, RandomSaturation])
@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        (-0.5, 1.5, "lower must be a number of at least 0, got -0.5"),
        (1.5, 0.5, "lower must be less than upper, got lower 1.5, upper 0.5"),
        (0.5, [1.5], r"upper must be a number of at least 0, got \[1.5\]"),
    ],
)
def test_factors_are_a_range_of_positive_numbers(op: Any, lower: Any, upper: Any, message: str) -> None:
    with pytest.raises(TransformError, match=f"^{message}$"):
        op(lower, upper)
