"""Sharpness, blur and adaptive equalization: pixels against Pillow, SciPy and OpenCV, draws over the stated ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance
from scipy import ndimage, stats

from augmill.transforms.base import PixelTransform, Sample, TransformError
from augmill.transforms.keras_filter import ContrastLimitedAdaptiveHistogramEqualization as Clahe
from augmill.transforms.keras_filter import (
    RandomGaussianBlur,
    RandomSharpness,
)
from augmill.transforms.rendering import carry_out, finished


def transformed(op: PixelTransform, image: np.ndarray, **params: Any) -> np.ndarray:
    return finished(carry_out(op, Sample(image), params)).image


def differences(one: Any, other: Any) -> tuple[int, float]:
    """The largest and the mean difference in levels."""
    apart = np.abs(np.asarray(one, np.int64) - np.asarray(other, np.int64))
    return int(apart.max()), float(apart.mean())


@pytest.mark.parametrize(("factor", "most"), [(0.0, 0), (0.3, 1), (0.5, 0), (0.8, 1), (1.0, 0)])
def test_sharpness_is_pillows_but_for_rounding_and_the_edges(photo: np.ndarray, factor: float, most: int) -> None:
    image = transformed(RandomSharpness(1.0), photo, factor=factor)
    expected = np.asarray(ImageEnhance.Sharpness(Image.fromarray(photo)).enhance(2 * factor))
    assert differences(image[1:-1, 1:-1], expected[1:-1, 1:-1])[0] <= most
    # Pillow leaves the pixels at the edges, the layer takes black beyond them.
    assert np.array_equal(expected[0], photo[0])
    assert factor != 0.0 or (image[0] < 0.85 * photo[0].max(axis=0)).all()


@pytest.mark.parametrize(("side", "sigma"), [(3, 1.0), (5, 0.7), (9, 2.5), (3, 0.001)])
def test_blur_has_the_pixels_of_its_layer_and_of_scipy(photo: np.ndarray, side: int, sigma: float) -> None:
    pixels = photo.astype(np.float32)
    blurred = RandomGaussianBlur(1.0, side).apply(pixels, {"blur": True, "sigma": sigma})
    radius = side // 2
    expected = ndimage.gaussian_filter(pixels, sigma, mode="constant", radius=(radius, radius), axes=(0, 1))
    assert np.abs(blurred - expected).max() < 1e-3
    drawn = {"should_apply_blur": np.array([True]), "blur_factor": tf.fill([2], sigma + 1e-6)}
    layer = keras.layers.RandomGaussianBlur(kernel_size=side)
    assert np.abs(blurred - layer.transform_images(pixels[None], drawn)[0]).max() < 1e-3


@pytest.mark.parametrize("sides", [(3, 7), (9, 1), (1, 5)])
def test_a_kernel_may_be_higher_than_wide_where_keras_3_15_shuffles_it(photo: np.ndarray, sides: Any) -> None:
    pixels = photo.astype(np.float32)
    blurred = RandomGaussianBlur(1.0, sides).apply(pixels, {"blur": True, "sigma": 1.7})
    radius = (sides[0] // 2, sides[1] // 2)
    expected = ndimage.gaussian_filter(pixels, 1.7, mode="constant", radius=radius, axes=(0, 1))
    assert np.abs(blurred - expected).max() < 1e-3


def test_blur_that_is_not_drawn_leaves_the_image(photo: np.ndarray) -> None:
    assert np.array_equal(transformed(RandomGaussianBlur(0.5), photo, blur=False, sigma=1.0), photo)


@pytest.mark.skipif(
    not hasattr(keras.layers, "ContrastLimitedAdaptiveHistogramEqualization"), reason="older Keras lacks the layer"
)
@pytest.mark.parametrize(
    "arguments", [{}, {"clip_limit": 2.0, "tile_grid_size": (4, 6)}, {"clip_limit": 0.0}, {"tile_grid_size": (1, 1)}]
)
@pytest.mark.parametrize("size", [(224, 224), (101, 222), (20, 32)])
def test_adaptive_equalization_has_the_pixels_of_its_layer(photo: np.ndarray, arguments: Any, size: Any) -> None:
    pixels = photo[: size[0], : size[1]].astype(np.float32)
    expected = keras.layers.ContrastLimitedAdaptiveHistogramEqualization(**arguments)(pixels[None])[0]
    assert np.abs(Clahe(**arguments).apply(pixels, {}) - expected).max() < 0.01


def opencvs(image: np.ndarray, clip_limit: float, grid: tuple[int, int]) -> np.ndarray:
    """OpenCV's, on each channel. It gives what it clips to whole levels, and does not take level 0 to 0."""
    clahe = cv2.createCLAHE(clip_limit, grid[::-1])
    return np.stack([clahe.apply(np.ascontiguousarray(image[..., i])) for i in range(3)], axis=-1)


@pytest.mark.parametrize(("clip_limit", "grid", "most", "mean"), [(4.0, (8, 8), 22, 4.1), (2.0, (4, 7), 12, 2.3)])
def test_adaptive_equalization_is_near_opencvs(
    photo: np.ndarray, clip_limit: float, grid: tuple[int, int], most: int, mean: float
) -> None:
    image = transformed(Clahe(clip_limit=clip_limit, tile_grid_size=grid), photo)
    expected = opencvs(photo, clip_limit, grid)
    apart = differences(image, expected)
    assert apart[0] <= most
    assert apart[1] < mean
    assert differences(expected, photo)[1] > 25  # what the op does is ten times as much


def test_one_tile_without_limit_is_plain_equalization(photo: np.ndarray) -> None:
    image = transformed(Clahe(clip_limit=0, tile_grid_size=(1, 1)), photo)
    expected = [cv2.equalizeHist(np.ascontiguousarray(photo[..., i])) for i in range(3)]
    assert differences(image, np.stack(expected, axis=-1))[0] <= 1


def test_more_tiles_than_rows_are_taken_where_keras_3_15_fails(photo: np.ndarray) -> None:
    row = photo[100:101]
    padded = np.repeat(row, 8, axis=0)
    assert np.array_equal(transformed(Clahe(), row)[0], transformed(Clahe(), padded)[0])


@pytest.mark.parametrize(("factor", "low", "high"), [(1.0, 0, 1), (0.4, 0, 0.4), ((0.5, 0.9), 0.5, 0.9)])
def test_sharpness_is_uniform_over_the_documented_range(
    drawn: Callable[..., Any], follows: Callable[..., bool], factor: Any, low: float, high: float
) -> None:
    assert follows([params["factor"] for params in drawn(RandomSharpness(factor))], "uniform", low, high - low)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 1.0), (0.3, 0.3), ((0.5, 1.0), 0.75)])
def test_blur_comes_with_the_probability_given(drawn: Callable[..., Any], factor: Any, expected: float) -> None:
    blurred = sum(params["blur"] for params in drawn(RandomGaussianBlur(factor)))
    assert stats.binomtest(blurred, 3000, expected).pvalue > 1e-3


def test_sigma_is_what_was_given_or_uniform_between_two(
    drawn: Callable[..., Any], follows: Callable[..., bool]
) -> None:
    sigmas = [params["sigma"] for params in drawn(RandomGaussianBlur(0.5, 5, (0.3, 2.1)))]
    assert follows(sigmas, "uniform", 0.3, 1.8)
    # Keras 3.15 draws from 0 to a single number, and takes none above 1.
    for sigma in (1.0, 2.5):
        assert {params["sigma"] for params in drawn(RandomGaussianBlur(sigma=sigma), count=50)} == {sigma}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: RandomSharpness([0.5, 0.5]),  # type: ignore[arg-type]
            "factor must allow a factor other than 0.5, which changes nothing, got [0.5, 0.5]",
        ),
        (lambda: RandomSharpness(2), "factor must be a number in [0, 1], got 2; or [lowest, highest] within it"),
        (lambda: RandomGaussianBlur(0.0), "factor must be a probability above 0, or nothing ever changes, got 0.0"),
        (lambda: RandomGaussianBlur(sigma=0), "sigma must reach above 0, or nothing ever changes, got 0"),
        (
            lambda: RandomGaussianBlur(sigma=-1),
            "sigma must be a number in [0, 1000], got -1; or [lowest, highest] within it",
        ),
        (
            lambda: RandomGaussianBlur(kernel_size=4),
            "kernel_size must be an odd whole number or [height, width], both odd, got 4",
        ),
        (
            lambda: RandomGaussianBlur(kernel_size=(3, 5, 7)),  # type: ignore[arg-type]
            "kernel_size must be an odd whole number or [height, width], both odd, got (3, 5, 7)",
        ),
        (lambda: RandomGaussianBlur(kernel_size=1), "kernel_size must be above 1, which changes nothing, got 1"),
        (lambda: Clahe(clip_limit=-1), "clip_limit must be a number of at least 0, got -1"),
        (lambda: Clahe(tile_grid_size=8), "tile_grid_size must be [rows, columns], got 8"),  # type: ignore[arg-type]
        (lambda: Clahe(tile_grid_size=(8, 0)), "tile_grid_size must be a whole number of at least 1, got 0"),
        (lambda: Clahe(value_range=(0, 1)), "value_range must be [0, 255], what images are here, got (0, 1)"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        make()
    assert str(error.value) == message


def test_whole_numbers_and_lists_make_the_same_op() -> None:
    assert RandomSharpness(1) == RandomSharpness(1.0)
    assert RandomGaussianBlur(1, [3, 5], [1, 2]) == RandomGaussianBlur(1.0, (3, 5), (1.0, 2.0))  # type: ignore[arg-type]
    assert Clahe(clip_limit=2).arguments() == {"value_range": [0, 255], "clip_limit": 2.0, "tile_grid_size": [8, 8]}
