"""Levels as Keras's documentation has them: pixels against Pillow and OpenCV, draws over the stated ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy import stats

from augmill.transforms.base import PixelTransform, Sample, TransformError
from augmill.transforms.keras_tone import (
    AutoContrast,
    Equalization,
    RandomInvert,
    RandomPosterization,
    Solarization,
)
from augmill.transforms.rendering import carry_out, finished


def transformed(op: PixelTransform, image: np.ndarray, **params: Any) -> np.ndarray:
    return finished(carry_out(op, Sample(image), params)).image


def differences(one: Any, other: Any) -> tuple[int, float]:
    """The largest and the mean difference in levels."""
    apart = np.abs(np.asarray(one, np.int64) - np.asarray(other, np.int64))
    return int(apart.max()), float(apart.mean())


def test_invert_is_pillows(photo: np.ndarray) -> None:
    assert np.array_equal(transformed(RandomInvert(), photo, invert=True), ImageOps.invert(Image.fromarray(photo)))
    assert np.array_equal(transformed(RandomInvert(), photo, invert=False), photo)


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(photo: np.ndarray, bits: int) -> None:
    image = transformed(RandomPosterization((1, 8)), photo, bits=bits)
    assert np.array_equal(image, ImageOps.posterize(Image.fromarray(photo), bits))


@pytest.mark.parametrize(
    ("threshold", "first"), [(0.0, 0), (0.25, 64), (0.5, 128), (100 / 255, 100), (0.999, 255), (1.0, 255)]
)
def test_solarize_is_pillows(photo: np.ndarray, threshold: float, first: int) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    for image in (photo, np.repeat(levels, 3, axis=2)):
        expected = ImageOps.solarize(Image.fromarray(image), first)
        assert np.array_equal(transformed(Solarization(), image, addition=0.0, threshold=threshold), expected)


def test_solarize_adds_first(photo: np.ndarray) -> None:
    brighter = np.clip(photo.astype(int) + 51, 0, 255).astype(np.uint8)
    expected = ImageOps.solarize(Image.fromarray(brighter), 128)
    assert np.array_equal(transformed(Solarization(), photo, addition=0.2, threshold=0.5), expected)


def test_auto_contrast_is_pillows_but_for_its_rounding_down(photos: dict[str, np.ndarray]) -> None:
    for photo in photos.values():
        flat = (photo // 3 + 40).astype(np.uint8)
        expected = ImageOps.autocontrast(Image.fromarray(flat))
        assert differences(transformed(AutoContrast(), flat), expected)[0] <= 1
        stretched = AutoContrast().apply(flat.astype(np.float32), {})
        assert np.array_equal(np.floor(stretched + 1e-3), expected)


@pytest.mark.parametrize("level", [0, 17, 255])
@pytest.mark.parametrize("op", [AutoContrast(), Equalization(), Equalization(bins=2)])
def test_a_channel_of_one_level_stays(photo: np.ndarray, op: PixelTransform, level: int) -> None:
    image = photo.copy()
    image[..., 1] = level
    changed = transformed(op, image)
    assert (changed[..., 1] == level).all()
    assert np.array_equal(changed[..., [0, 2]], transformed(op, photo)[..., [0, 2]])


def test_equalization_is_opencvs_on_each_channel(photos: dict[str, np.ndarray]) -> None:
    for photo in photos.values():
        for image in (photo, (photo // 3 + 40).astype(np.uint8)):
            expected = [cv2.equalizeHist(np.ascontiguousarray(image[..., i])) for i in range(3)]
            assert np.array_equal(transformed(Equalization(), image), np.stack(expected, axis=-1))


def test_equalization_is_near_pillows(photo: np.ndarray, photos: dict[str, np.ndarray]) -> None:
    # Pillow steps by a whole number of pixels a level, which loses up to half a step each.
    largest, mean = differences(transformed(Equalization(), photo), ImageOps.equalize(Image.fromarray(photo)))
    assert largest <= 4
    assert mean < 1.8
    coffee = photos["coffee"]
    largest, mean = differences(transformed(Equalization(), coffee), ImageOps.equalize(Image.fromarray(coffee)))
    assert largest <= 8
    assert mean < 1.5


@pytest.mark.parametrize("bins", [3, 16, 100, 256, 512])
def test_equalization_has_the_pixels_of_its_layer(photo: np.ndarray, bins: int) -> None:
    pixels = photo.astype(np.float32)
    expected = keras.layers.Equalization(bins=bins)(pixels[None])[0]
    assert np.array_equal(Equalization(bins=bins).apply(pixels, {}), expected)
    assert len(np.unique(expected)) <= bins * 3


def test_equalization_of_many_pixels_does_not_overflow_as_in_keras_3_15(photos: dict[str, np.ndarray]) -> None:
    large = np.tile(photos["coffee"][..., :1], (8, 6, 1))
    assert large.size > 2**31 / 255
    assert np.array_equal(transformed(Equalization(), large)[..., 0], cv2.equalizeHist(large))


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 1.0), (0.2, 0.2), ((0.2, 0.8), 0.5), ((0.0, 0.2), 0.1)])
def test_invert_comes_with_the_probability_given(drawn: Callable[..., Any], factor: Any, expected: float) -> None:
    inverted = sum(params["invert"] for params in drawn(RandomInvert(factor)))
    assert stats.binomtest(inverted, 3000, expected).pvalue > 1e-3
    assert RandomInvert() == RandomInvert(1.0)


@pytest.mark.parametrize(
    ("factor", "bits"),
    [(4, [4]), (1, [1]), ((4, 4), [4]), ((2, 5), [2, 3, 4, 5]), ((1, 8), [1, 2, 3, 4, 5, 6, 7, 8])],
)
def test_the_bits_given_are_kept_where_keras_3_15_keeps_fewer(
    drawn: Callable[..., Any], equally_likely: Callable[..., bool], factor: Any, bits: list[int]
) -> None:
    kept = [params["bits"] for params in drawn(RandomPosterization(factor))]
    assert set(kept) == set(bits)
    assert len(bits) == 1 or equally_likely(kept, bits)


@pytest.mark.parametrize(
    ("op", "addition", "threshold"),
    [
        (Solarization(), (0, 0), (0, 0)),
        (Solarization(0.2, 0.6), (0, 0.2), (0, 0.6)),
        (Solarization((0.1, 0.3), (0.4, 1)), (0.1, 0.3), (0.4, 1.0)),
        (Solarization((0.2, 0.2), (0.5, 0.5)), (0.2, 0.2), (0.5, 0.5)),  # Keras 3.15: 0.5 to 127.5 levels
    ],
)
def test_solarize_draws_fractions_of_255(
    drawn: Callable[..., Any],
    follows: Callable[..., bool],
    op: PixelTransform,
    addition: tuple[float, float],
    threshold: tuple[float, float],
) -> None:
    params = drawn(op)
    for part, (low, high) in {"addition": addition, "threshold": threshold}.items():
        values = [each[part] for each in params]
        assert set(values) == {low} if low == high else follows(values, "uniform", low, high - low)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomInvert(0), "factor must be a probability above 0, or nothing ever changes, got 0"),
        (
            lambda: RandomInvert((0.0, 0.0)),
            "factor must be a probability above 0, or nothing ever changes, got (0.0, 0.0)",
        ),
        (lambda: RandomInvert(1.1), "factor must be a number in [0, 1], got 1.1; or [lowest, highest] within it"),
        (lambda: RandomPosterization(8), "factor must be below 8, which keeps every bit, got 8"),
        (lambda: RandomPosterization((8, 8)), "factor must be below 8, which keeps every bit, got (8, 8)"),
        (lambda: RandomPosterization(0), "factor must be a whole number of at least 1 and at most 8, got 0"),
        (lambda: RandomPosterization(2.5), "factor must be a whole number of at least 1 and at most 8, got 2.5"),  # type: ignore[arg-type]
        (lambda: RandomPosterization((5, 2)), "factor must be [least, most], got (5, 2)"),
        (lambda: RandomPosterization([5]), "factor must be a whole number or [least, most], got [5]"),  # type: ignore[arg-type]
        (
            lambda: Solarization(51),
            "addition_factor must be a number in [0, 1], got 51; or [lowest, highest] within it",
        ),
        (lambda: Solarization(0, (0.7, 0.2)), "threshold_factor must be [lowest, highest], got [0.7, 0.2]"),
        (lambda: Equalization(bins=1), "bins must be a whole number of at least 2 and at most 65536, got 1"),
        (
            lambda: AutoContrast(value_range=(0, 1)),
            "value_range must be [0, 255], what images are here, got (0, 1)",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        make()
    assert str(error.value) == message


def test_whole_numbers_and_lists_make_the_same_op() -> None:
    assert Solarization(0, [0, 1]) == Solarization(0.0, (0.0, 1.0))  # type: ignore[arg-type]
    assert RandomPosterization([2, 5]).arguments() == {"value_range": [0, 255], "factor": [2, 5]}  # type: ignore[arg-type]
    assert repr(Equalization()) == "keras.layers.Equalization(value_range=[0, 255], bins=256)"
