"""Fast kernels of filters, JPEG and erasing against the reference ones, and Pillow's sharpness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from augmill.transforms.base import Sample, Transform
from augmill.transforms.erase import RandomErasing
from augmill.transforms.fast_filter import FAST_FILTER, cutout, sharpen
from augmill.transforms.fusion import Fused, append, run
from augmill.transforms.jpeg import AdjustJpegQuality, RandomJpegQuality, StatelessRandomJpegQuality
from augmill.transforms.keras_filter import (
    ContrastLimitedAdaptiveHistogramEqualization,
    RandomGaussianBlur,
    RandomSharpness,
)
from augmill.transforms.kernels import AnyKernel
from augmill.transforms.rendering import carry_out, finished

# Each op with the largest mean difference and the largest difference allowed, in levels.
OPS: list[tuple[Transform, float, int]] = [
    (RandomSharpness(1.0), 0.3, 1),
    (RandomGaussianBlur(), 0.05, 1),
    (RandomGaussianBlur(0.7, (7, 3), (0.0, 3.0)), 0.1, 1),
    (RandomGaussianBlur(1.0, 21, (0.0, 10.0)), 0.1, 1),
    (ContrastLimitedAdaptiveHistogramEqualization(), 0.002, 1),
    (RandomErasing(0.8, (0.02, 0.33)), 1e-4, 1),
    (RandomErasing(1.0, (0.1, 1.0), 7.6), 0, 0),
    (AdjustJpegQuality((0, 100), "INTEGER_ACCURATE"), 0, 0),
    (RandomJpegQuality(0, 91), 1.0, 20),
    (StatelessRandomJpegQuality(50, 90), 1.0, 10),
    (AdjustJpegQuality(80), 1.0, 10),
]


def by_kernels(kernels: tuple[AnyKernel, ...], image: np.ndarray) -> np.ndarray:
    row: list[Fused] = []
    for kernel in kernels:
        append(row, kernel, "0", image.shape)
        assert kernel.motion(image.shape) is None  # annotations stay
        assert not kernel.pointwise
    return run(row, Sample(image))


def apart(op: Transform, image: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """The difference of each level between the two kernels, which must leave the image as it is."""
    before = image.copy()
    fast = by_kernels(FAST_FILTER[type(op)](op, params, image.shape), image)
    expected = finished(carry_out(op, Sample(image), params)).image
    assert fast.dtype == np.uint8
    assert fast.shape == expected.shape
    assert np.array_equal(image, before)
    difference: np.ndarray = np.abs(fast.astype(int) - expected)
    return difference


@pytest.mark.parametrize(("op", "mean", "most"), OPS, ids=lambda value: getattr(value, "spec_name", None))
@pytest.mark.parametrize("channels", [3, 1])
def test_the_levels_are_those_of_the_reference(
    photos: dict[str, np.ndarray], drawn: Callable[..., Any], op: Transform, mean: float, most: int, channels: int
) -> None:
    images = [np.ascontiguousarray(photo[:200, :300, :channels]) for photo in photos.values()]
    for i, params in enumerate(drawn(op, images[0].shape, count=6)):
        found = apart(op, images[i % 3], params)
        assert found.mean() <= mean, params
        assert found.max() <= most, params


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3), (33, 47)])
@pytest.mark.parametrize("op", [op for op, _, _ in OPS], ids=lambda op: op.spec_name)
def test_every_size_will_do(photo: np.ndarray, drawn: Callable[..., Any], op: Transform, size: tuple[int, int]) -> None:
    for channels in (1, 3):
        image = np.ascontiguousarray(photo[100 : 100 + size[0], 100 : 100 + size[1], :channels])
        for params in drawn(op, image.shape, count=2):
            assert apart(op, image, params).mean() <= 3


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.9, 1.0, 1.4, 1.9])
def test_sharpen_is_pillows_but_for_a_pixel_here_and_there(photos: dict[str, np.ndarray], factor: float) -> None:
    for photo in photos.values():
        for image in (np.ascontiguousarray(photo), np.ascontiguousarray(photo[..., 0])):
            expected = np.asarray(ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor))
            pixels = by_kernels((sharpen(factor),), image.reshape(*image.shape[:2], -1)).reshape(image.shape)
            found = np.abs(pixels.astype(int) - expected)
            assert found.max() <= 1
            assert found.mean() < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (2, 50), (50, 2), (3, 3)])
def test_sharpen_leaves_the_outermost_pixels_alone(photo: np.ndarray, size: tuple[int, int]) -> None:
    image = np.ascontiguousarray(photo[: size[0], : size[1]])
    changed = by_kernels((sharpen(1.9),), image) != image
    changed[1:-1, 1:-1] = False
    assert not changed.any()


def test_cutout_fills_its_box_and_nothing_else(photo: np.ndarray) -> None:
    filled = by_kernels((cutout([10, 20, 60, 90], 128),), photo)
    expected = photo.copy()
    expected[20:90, 10:60] = 128
    assert np.array_equal(filled, expected)
    assert not (photo[20:90, 10:60] == 128).all()
    assert np.array_equal(by_kernels((cutout([10, 10, 10, 30], 0),), photo), photo)


def test_nothing_is_done_where_the_draw_was_against_it(photo: np.ndarray) -> None:
    against: list[tuple[Transform, dict[str, Any]]] = [
        (RandomSharpness(1.0), {"factor": 0.5}),
        (RandomGaussianBlur(0.5), {"blur": False, "sigma": 1.0}),
        (RandomErasing(0.5, fill_value=3), {"erase": False, "top": 0, "left": 0, "height": 9, "width": 9}),
    ]
    for op, params in against:
        assert FAST_FILTER[type(op)](op, params, photo.shape) == ()


def test_erasing_leaves_the_same_noise(photo: np.ndarray) -> None:
    op = RandomErasing()
    params = {"erase": True, "top": 20, "left": 30, "height": 150, "width": 170, "noise_seed": 2**62 + 5}
    fast = by_kernels(FAST_FILTER[RandomErasing](op, params, photo.shape), photo)
    window = fast[20:170, 30:200]
    assert apart(op, photo, params).mean() < 1e-4
    # Half of a normal distribution lies below 0, and 16 % above its deviation.
    assert abs((window == 0).mean() - 0.5) < 0.01
    assert abs((window == 255).mean() - 0.159) < 0.01


def test_a_colour_is_filled_channel_by_channel(photo: np.ndarray) -> None:
    op = RandomErasing(1.0, fill_value=(3.5, 100.0, 254.6))
    params = {"erase": True, "top": 5, "left": 6, "height": 20, "width": 30}
    assert apart(op, photo, params).max() == 0


@pytest.mark.parametrize("quality", [1, 20, 75, 90])
def test_jpeg_has_the_decoders_bias_too(photo: np.ndarray, quality: int) -> None:
    op = RandomJpegQuality(0, 100)
    encoded = cv2.imencode(".jpg", photo[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    plain = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
    expected = finished(carry_out(op, Sample(photo), {"quality": quality})).image
    found = apart(op, photo, {"quality": quality})
    assert found.mean() < np.abs(plain.astype(int) - expected).mean()
    assert found.mean() <= 0.95


def test_the_best_quality_differs_most(photo: np.ndarray) -> None:
    # What the fast decoder loses grows with the coefficients, and there it is more than a level.
    found = apart(AdjustJpegQuality(100), photo, {"jpeg_quality": 100})
    assert 1.0 < found.mean() < 1.5
    assert apart(AdjustJpegQuality(100, "INTEGER_ACCURATE"), photo, {"jpeg_quality": 100}).max() == 0
