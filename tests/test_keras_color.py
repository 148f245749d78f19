"""Colours as Keras's documentation has them: pixels against TensorFlow and Pillow, draws over the stated ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance
from scipy import stats

from augmill.transforms.base import PixelTransform, Sample, TransformError
from augmill.transforms.keras_color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from augmill.transforms.rendering import carry_out, finished

JITTER = RandomColorJitter(
    brightness_factor=0.2, contrast_factor=(0.5, 0.1), saturation_factor=(0.3, 0.8), hue_factor=1
)


def transformed(op: PixelTransform, image: np.ndarray, **params: Any) -> np.ndarray:
    return finished(carry_out(op, Sample(image), params)).image


def largest(one: Any, other: Any) -> int:
    return int(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).max())


@pytest.mark.parametrize("factor", [-1.0, -0.4, 0.1, 1.0])
def test_brightness_adds_a_fraction_of_255_levels(photo: np.ndarray, factor: float) -> None:
    image = transformed(RandomBrightness(1.0), photo, factor=factor)
    assert np.array_equal(image, np.clip(photo + np.float32(factor * 255), 0, 255).round())
    assert factor not in (-1.0, 1.0) or (image == (0 if factor < 0 else 255)).all()


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.6])
def test_contrast_scales_the_distance_from_each_channels_mean(photo: np.ndarray, factor: float) -> None:
    mean = photo.mean(axis=(0, 1))
    image = RandomContrast(1.0).apply(photo.astype(np.float32), {"factor": factor})
    assert np.abs(image - np.clip((photo - mean) * factor + mean, 0, 255)).max() < 0.002


@pytest.mark.parametrize("factor", [-1.0, -0.3, 0.5, 1.0])
def test_hue_turns_by_a_fraction_of_half_a_turn(photo: np.ndarray, factor: float) -> None:
    image = RandomHue(1.0).apply(photo.astype(np.float32), {"factor": factor})
    expected = tf.image.adjust_hue(photo.astype(np.float32) / 255, factor / 2) * 255
    assert np.abs(image - expected).max() < 0.002


def test_two_thirds_of_half_a_turn_of_hue_exchange_the_channels(photo: np.ndarray) -> None:
    assert largest(transformed(RandomHue(1.0), photo, factor=2 / 3), photo[..., [2, 0, 1]]) == 0


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.5, 0.75, 0.95])
def test_saturation_is_scaled_by_the_odds_of_the_factor(photo: np.ndarray, factor: float) -> None:
    image = RandomSaturation(1.0).apply(photo.astype(np.float32), {"factor": factor})
    expected = tf.image.adjust_saturation(photo.astype(np.float32) / 255, factor / (1 - factor)) * 255
    assert np.abs(image - expected).max() < 0.01


def test_saturation_goes_from_grey_by_the_image_itself_to_full_colours(photo: np.ndarray) -> None:
    op = RandomSaturation(1.0)
    assert largest(transformed(op, photo, factor=0.0), photo.max(axis=2, keepdims=True)) == 0
    assert largest(transformed(op, photo, factor=0.5), photo) == 0
    full = transformed(op, photo, factor=1.0)
    coloured = photo.min(axis=2) < photo.max(axis=2)
    assert (full.min(axis=2)[coloured] == 0).all()
    assert np.array_equal(full.max(axis=2), photo.max(axis=2))


def test_saturation_stays_in_range_where_keras_3_15_goes_far_below_0(photo: np.ndarray) -> None:
    pixels = RandomSaturation(1.0).apply(photo.astype(np.float32), {"factor": 0.9})
    assert 0 <= pixels.min() < pixels.max() <= 255
    # Hue and the brightest channel are those of the photo.
    before, after = (tf.image.rgb_to_hsv(image / np.float32(255)).numpy() for image in (photo, pixels))
    turned = np.abs(before[..., 0] - after[..., 0])[before[..., 1] > 0.05]
    assert np.minimum(turned, 1 - turned).max() < 1e-4
    assert np.abs(before[..., 2] - after[..., 2]).max() < 1e-6


@pytest.mark.parametrize("factor", [0.2, 0.7, 1.0])
def test_degeneration_is_pillows_color_but_for_rounding(photo: np.ndarray, factor: float) -> None:
    image = transformed(RandomColorDegeneration(1.0), photo, factor=factor)
    expected = ImageEnhance.Color(Image.fromarray(photo)).enhance(1 - factor)
    assert largest(image, expected) <= (0 if factor == 1 else 1)


def test_grey_is_pillows_luma_in_three_channels(photos: dict[str, np.ndarray]) -> None:
    for photo in photos.values():
        image = transformed(RandomGrayscale(1.0), photo, grey=True)
        assert largest(image, np.asarray(Image.fromarray(photo).convert("L"))[..., None]) <= 1
        assert np.array_equal(transformed(RandomGrayscale(0.1), photo, grey=False), photo)


def test_jitter_has_the_pixels_of_its_layer(photo: np.ndarray) -> None:
    layer = keras.layers.RandomColorJitter((0, 1), 1.0, 1.0, 1.0, 1.0)
    each = np.ones((1, 1, 1, 1), np.float32)
    given = {
        layer.random_brightness: {"rgb_delta": 0.13 * each},
        layer.random_contrast: {"contrast_factor": 0.71 * each},
        layer.random_saturation: {"factor": np.array([0.62 / 0.38])},
        layer.random_hue: {"factor": np.array([-0.4 / 2])},
    }
    for part, transformation in given.items():
        part.get_random_transformation = lambda *_, drawn=transformation, **__: drawn
    expected = layer(photo[None].astype(np.float32) / 255)[0] * 255
    params = {"brightness": 0.13, "contrast": 0.71, "saturation": 0.62, "hue": -0.4}
    assert np.abs(JITTER.apply(photo.astype(np.float32), params) - expected).max() < 0.01


def test_jitter_leaves_alone_what_is_not_given(photo: np.ndarray, drawn: Callable[..., Any]) -> None:
    op = RandomColorJitter(contrast_factor=0.4)
    assert [list(params) for params in drawn(op, count=3)] == [["contrast"]] * 3
    expected = transformed(RandomContrast(0.4), photo, factor=1.3)
    assert np.array_equal(transformed(op, photo, contrast=1.3), expected)


@pytest.mark.parametrize(
    ("op", "low", "high"),
    [
        (RandomBrightness(0.2), -0.2, 0.2),
        (RandomBrightness(-0.2), -0.2, 0.2),
        (RandomBrightness((-0.1, 0.6)), -0.1, 0.6),
        (RandomContrast(0.3), 0.7, 1.3),  # Keras 3.15: only 1 to 1.3
        (RandomContrast((0.8, 0.2)), 0.2, 1.2),  # Keras 3.15 sorts the pair: 0.8 to 1.8
        (RandomContrast((0.0, 1.0)), 1.0, 2.0),
        (RandomHue(0.4), -0.4, 0.4),
        (RandomSaturation(0.6), 0.0, 0.6),
        (RandomSaturation((0.4, 0.9)), 0.4, 0.9),
        (RandomColorDegeneration(0.5), 0.0, 0.5),  # Keras 3.15: -0.5 to 0.5
        (RandomColorDegeneration((0.2, 1)), 0.2, 1.0),
    ],
)
def test_factors_are_uniform_over_the_documented_range(
    drawn: Callable[..., Any], follows: Callable[..., bool], op: PixelTransform, low: float, high: float
) -> None:
    factors = [params["factor"] for params in drawn(op)]
    assert low <= min(factors) < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < max(factors) < high
    assert follows(factors, "uniform", low, high - low)


def test_a_hue_turns_either_way_by_a_size_within_the_pair(
    drawn: Callable[..., Any], follows: Callable[..., bool], equally_likely: Callable[..., bool]
) -> None:
    factors = [params["factor"] for params in drawn(RandomHue((0.3, 0.8)))]
    assert follows(np.abs(factors), "uniform", 0.3, 0.5)
    assert equally_likely(np.sign(factors).tolist(), [-1.0, 1.0])
    assert stats.pearsonr(np.abs(factors), np.sign(factors)).pvalue > 1e-3


@pytest.mark.parametrize(("part", "low", "high"), [("brightness", -0.2, 0.2), ("contrast", 0.5, 1.1)])
def test_jitter_draws_as_the_layers_do(
    drawn: Callable[..., Any], follows: Callable[..., bool], part: str, low: float, high: float
) -> None:
    assert follows([params[part] for params in drawn(JITTER)], "uniform", low, high - low)


def test_jitter_draws_each_part_apart(drawn: Callable[..., Any], follows: Callable[..., bool]) -> None:
    parts = {part: [params[part] for params in drawn(JITTER)] for part in RandomColorJitter.draws}
    assert follows(parts["saturation"], "uniform", 0.3, 0.5)
    assert follows(parts["hue"], "uniform", -1, 2)
    correlations = np.corrcoef(list(parts.values())) - np.eye(4)
    assert np.abs(correlations).max() < 0.06


@pytest.mark.parametrize("factor", [0.5, 0.1, 1.0])
def test_grey_comes_with_the_probability_given(drawn: Callable[..., Any], factor: float) -> None:
    grey = sum(params["grey"] for params in drawn(RandomGrayscale(factor)))
    assert stats.binomtest(grey, 3000, factor).pvalue > 1e-3
    assert RandomGrayscale() == RandomGrayscale(0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomBrightness(1.5), "factor must be a number in [-1, 1], got 1.5; or [lowest, highest] within it"),
        (lambda: RandomBrightness((0.4, 0.1)), "factor must be [lowest, highest], got [0.4, 0.1]"),
        (
            lambda: RandomBrightness([0, 0]),
            "factor must allow a factor other than 0, which changes nothing, got [0, 0]",
        ),
        (lambda: RandomContrast(0), "factor must allow a factor other than 1, which changes nothing, got 0"),
        (lambda: RandomContrast(-0.3), "factor must be a number in [0, 1], got -0.3; or [lower, upper] within it"),
        (lambda: RandomContrast([0.1] * 3), "factor must be a number or [lower, upper], got [0.1, 0.1, 0.1]"),
        (lambda: RandomHue(0.0), "factor must allow a factor other than 0, which changes nothing, got 0.0"),
        (
            lambda: RandomSaturation((0.5, 0.5)),
            "factor must allow a factor other than 0.5, which changes nothing, got (0.5, 0.5)",
        ),
        (lambda: RandomColorDegeneration(0), "factor must allow a factor other than 0, which changes nothing, got 0"),
        (lambda: RandomGrayscale(0), "factor must be a number in (0, 1], got 0; it is a probability"),
        (
            lambda: RandomColorJitter(),
            "keras.layers.RandomColorJitter needs at least one of brightness_factor, contrast_factor, "
            "saturation_factor, hue_factor, got none",
        ),
        (
            lambda: RandomColorJitter(hue_factor=0.2, saturation_factor=2),
            "saturation_factor must be a number in [0, 1], got 2; or [lowest, highest] within it",
        ),
        (
            lambda: RandomColorJitter(brightness_factor=0.0),
            "brightness_factor must allow a factor other than 0, which changes nothing, got 0.0",
        ),
        (
            lambda: RandomColorJitter(value_range=(0, 1), hue_factor=0.2),
            "value_range must be [0, 255], what images are here, got (0, 1)",
        ),
        (
            lambda: RandomHue(0.2, value_range=[0, 1]),  # type: ignore[arg-type]
            "value_range must be [0, 255], what images are here, got [0, 1]",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        make()
    assert str(error.value) == message


def test_colours_need_three_channels(drawn: Callable[..., Any]) -> None:
    on_colour: list[Any] = [RandomHue(0.2), RandomSaturation(0.2), RandomColorDegeneration(0.2), RandomGrayscale(0.2)]
    for op in [*on_colour, RandomColorJitter(saturation_factor=0.2), RandomColorJitter(hue_factor=0.2)]:
        with pytest.raises(TransformError) as error:
            drawn(op, shape=(32, 32, 1), count=1)
        assert str(error.value) == f"{op.name} needs 3 channels, the image has 1: grey has no colour to change"


def test_brightness_and_contrast_take_a_grey_image(photo: np.ndarray, drawn: Callable[..., Any]) -> None:
    grey = photo[..., :1]
    op = RandomColorJitter(brightness_factor=0.2, contrast_factor=0.3)
    params = drawn(op, shape=grey.shape, count=1)[0]
    assert np.array_equal(transformed(op, grey, **params), transformed(op, photo, **params)[..., :1])


def test_whole_numbers_and_lists_make_the_same_op() -> None:
    assert RandomBrightness(1) == RandomBrightness(1.0)
    assert RandomContrast([1, 0]) == RandomContrast((1.0, 0.0))  # type: ignore[arg-type]
    assert repr(RandomHue(0.2)) == "keras.layers.RandomHue(factor=0.2, value_range=[0, 255])"
    assert RandomColorJitter(hue_factor=[0, 1]).arguments()["hue_factor"] == [0.0, 1.0]  # type: ignore[arg-type]
