"""Hue and saturation by way of float32 against tf.image, level by level."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from augmill.transforms.hsv import shifted


def differing(one: np.ndarray, other: np.ndarray) -> float:
    """The share of levels that differ, none by more than one."""
    apart = np.abs(one.astype(int) - np.asarray(other))
    assert apart.max() <= 1
    return float(apart.mean())


def all_kinds_of_colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)


@pytest.mark.parametrize("turn", [-0.5, -0.13, 0.02, 1 / 3, 0.5, 0.99, 1.25])
def test_hue_has_the_levels_of_tf_image(photos: dict[str, np.ndarray], turn: float) -> None:
    for image in (*photos.values(), all_kinds_of_colours()):
        expected = tf.image.adjust_hue(image, turn - 1 if turn > 1 else turn)
        assert differing(shifted(image, turn, (), whole=True), expected) < 1e-4


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.97, 1.02, 1.5, 3.0, 255.0])
def test_saturation_has_the_levels_of_tf_image(photos: dict[str, np.ndarray], factor: float) -> None:
    for image in (*photos.values(), all_kinds_of_colours()):
        expected = tf.image.adjust_saturation(image, factor)
        assert differing(shifted(image, 0.0, (factor,), whole=True), expected) < 1e-4


@pytest.mark.parametrize(("turn", "factor"), [(0.2, 1.0), (0.0, 0.4), (0.0, 2.2), (-0.3, 1.7)])
@pytest.mark.parametrize("floats", [False, True])
def test_fractions_are_rounded_where_they_are_not_cut_off(
    photo: np.ndarray, turn: float, factor: float, floats: bool
) -> None:
    pixels = tf.image.adjust_saturation(tf.image.adjust_hue(photo.astype(np.float32) / 255, turn), factor) * 255
    given = photo.astype(np.float32) if floats else photo
    # Many numbers lie half-way between two levels, but for the last bit.
    assert differing(shifted(given, turn, (factor,), whole=False), np.rint(pixels)) < 0.02


def test_both_at_once_are_one_after_the_other_but_for_rounding(photo: np.ndarray) -> None:
    one_by_one = tf.image.adjust_saturation(tf.image.adjust_hue(photo, 0.1), 1.4).numpy()
    apart = np.abs(shifted(photo, 0.1, (1.4,), whole=True).astype(int) - one_by_one)
    assert 0 < apart.mean() < 0.5


@hypothesis.given(st.lists(st.floats(0, 4), max_size=4))
def test_factors_are_cut_each_in_its_turn(factors: list[float]) -> None:
    image = np.array([[[200, 100, 50], [90, 80, 85], [10, 250, 10], [0, 0, 255]]], np.uint8)
    brightest = image.max(axis=2, keepdims=True).astype(np.float64)
    expected, saturations = image.astype(np.float64), 1 - image.min(axis=2, keepdims=True) / brightest
    first = saturations
    for factor in factors:
        saturations = np.minimum(saturations * factor, 1)
    expected = brightest - (brightest - expected) * saturations / first

    assert np.abs(shifted(image, 0.0, factors, whole=False) - expected).max() < 0.51


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 2)])
def test_every_size_is_as_it_is_within_a_photo_and_the_photo_stays(photo: np.ndarray, shape: tuple[int, int]) -> None:
    before = photo.copy()
    part = np.ascontiguousarray(photo[: shape[0], : shape[1]])
    for turn, factors in ((0.3, ()), (0.0, (0.5,)), (0.0, (2.0,)), (0.7, (2.0, 0.5))):
        whole_photo = shifted(photo, turn, factors, whole=True)
        assert np.array_equal(shifted(part, turn, factors, whole=True), whole_photo[: shape[0], : shape[1]])
    assert np.array_equal(photo, before)
