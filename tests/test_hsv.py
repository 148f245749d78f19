"""Hue and saturation in whole numbers against tf.image, level by level."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from augmill.transforms.hsv import shifted

TURNS = [-0.5, -0.2, -0.13, 0.02, 1 / 6, 1 / 3, 0.41, 0.5, 0.99, 1.25]


def differing(one: np.ndarray, other: np.ndarray) -> float:
    """The share of levels that differ, none by more than one."""
    apart = np.abs(one.astype(int) - np.asarray(other))
    assert apart.max() <= 1
    return float(apart.mean())


def all_kinds_of_colours() -> np.ndarray:
    """Also saturated ones, greys, black and white."""
    colours = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    colours[:20] &= 128
    colours[20:40, :, 1:] = colours[20:40, :, :1]
    colours[40], colours[41], colours[42:60, :, 2] = 0, 255, 0
    return colours


@pytest.mark.parametrize("turn", TURNS)
def test_hue_has_the_levels_of_tf_image(photos: dict[str, np.ndarray], turn: float) -> None:
    for image in (*photos.values(), all_kinds_of_colours()):
        expected = tf.image.adjust_hue(image, turn - 1 if turn > 1 else turn)
        assert differing(shifted(image, turn, (), whole=True), expected) < 0.1


@pytest.mark.parametrize("turn", TURNS)
def test_hue_is_rounded_where_it_is_not_cut_off(photos: dict[str, np.ndarray], turn: float) -> None:
    for image in (*photos.values(), all_kinds_of_colours()):
        exact = tf.image.adjust_hue(image.astype(np.float32) / 255, turn - 1 if turn > 1 else turn).numpy() * 255
        apart = np.abs(shifted(image, turn, (), whole=False) - exact)
        assert apart.max() < 0.501


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.97, 1.02, 1.5, 3.0, 255.0])
def test_saturation_has_the_levels_of_tf_image(photos: dict[str, np.ndarray], factor: float) -> None:
    for image in (*photos.values(), all_kinds_of_colours()):
        expected = tf.image.adjust_saturation(image, factor)
        assert differing(shifted(image, 0.0, (factor,), whole=True), expected) < 0.5


@pytest.mark.parametrize(("turn", "factor"), [(0.1, 1.4), (0.3, 0.5), (-0.2, 3.0)])
def test_both_at_once_are_saturation_and_then_hue(photos: dict[str, np.ndarray], turn: float, factor: float) -> None:
    for image in photos.values():
        one_by_one = tf.image.adjust_hue(tf.image.adjust_saturation(image, factor), turn).numpy()
        apart = np.abs(shifted(image, turn, (factor,), whole=True).astype(int) - one_by_one)
        assert apart.max() <= 2  # a level of the one moves that of the other
        assert apart.mean() < 0.25


@pytest.mark.parametrize(("turn", "factor"), [(0.2, 1.0), (0.0, 0.4), (0.0, 2.2), (-0.3, 1.7)])
def test_both_at_once_round_twice_at_most(photo: np.ndarray, turn: float, factor: float) -> None:
    pixels = tf.image.adjust_saturation(tf.image.adjust_hue(photo.astype(np.float32) / 255, turn), factor).numpy() * 255
    apart = np.abs(shifted(photo, turn, (factor,), whole=False) - pixels)
    once = turn == 0 or factor == 1
    assert apart.max() < (0.501 if once else 2.01)
    assert apart.mean() < (0.3 if once else 0.45)


@pytest.mark.parametrize("factors", [(0.4,), (2.2,), (50.0,), (3.0, 0.6)])
def test_saturations_are_rounded_once(photo: np.ndarray, factors: tuple[float, ...]) -> None:
    exact = photo.astype(np.float32) / 255
    for factor in factors:
        exact = tf.image.adjust_saturation(exact, factor)
    found = shifted(photo, 0.0, factors, whole=False)
    assert np.abs(found - exact.numpy() * 255).max() < 0.501


@pytest.mark.parametrize(("turn", "factors"), [(0.0, ()), (0.2, ()), (0.0, (1.4,)), (-0.1, (0.6,))])
def test_a_table_goes_before_it_for_all_channels_or_each(
    photo: np.ndarray, turn: float, factors: tuple[float, ...]
) -> None:
    levels = np.arange(256, dtype=np.uint8)
    for table in (255 - levels[None], np.stack([levels // 2, 255 - levels, levels])):
        before = np.stack([table[channel % len(table)][photo[..., channel]] for channel in range(3)], axis=-1)
        expected = shifted(before, turn, factors, whole=True)
        assert np.array_equal(shifted(photo, turn, factors, whole=True, table=table), expected)


@pytest.mark.parametrize("whole", [False, True])
def test_grey_black_and_white_stay_exactly_as_they_are(whole: bool) -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for turn in TURNS:
        for factors in ((), (0.0,), (0.7,), (1.5,), (255.0,), (2.0, 0.3)):
            assert np.array_equal(shifted(grey, turn, factors, whole=whole), grey)


@pytest.mark.parametrize("whole", [False, True])
def test_the_brightest_stays_and_no_turn_goes_beyond_the_darkest(photo: np.ndarray, whole: bool) -> None:
    for turn in TURNS:
        for factor in (1.0, 0.4, 2.5):
            scaled, both = (shifted(photo, by, (factor,), whole=whole) for by in (0.0, turn))
            assert np.array_equal(scaled.max(axis=2), photo.max(axis=2))
            assert np.array_equal(both.max(axis=2), scaled.max(axis=2))
            assert np.array_equal(both.min(axis=2), scaled.min(axis=2))


@pytest.mark.parametrize("whole", [False, True])
def test_nothing_to_do_leaves_all_as_it_is(whole: bool) -> None:
    colours = all_kinds_of_colours()
    for turn in (0.0, 1.0, -2.0, -1e-18):
        assert np.array_equal(shifted(colours, turn, (1.0,), whole=whole), colours)
    for third in range(4):
        assert np.array_equal(shifted(colours, third / 3, (), whole=False), np.roll(colours, third, axis=2))


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


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (4, 1), (3, 2)])
def test_every_size_is_as_it_is_within_a_photo_and_the_photo_stays(photo: np.ndarray, shape: tuple[int, int]) -> None:
    before = photo.copy()
    part = np.ascontiguousarray(photo[: shape[0], : shape[1]])
    for turn, factors in ((0.3, ()), (0.0, (0.5,)), (0.0, (2.0,)), (0.7, (2.0, 0.5))):
        whole_photo = shifted(photo, turn, factors, whole=True)
        assert np.array_equal(shifted(part, turn, factors, whole=True), whole_photo[: shape[0], : shape[1]])
    assert np.array_equal(photo, before)
