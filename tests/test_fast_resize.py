"""The fast mean over areas stays near the exact one, on real photos, and shows exactly what it is told to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from augmill.pipeline.fast_resize import resize_fast
from augmill.pipeline.image import fit_image

FACTORS = (1.04, 1.2, 1.25, 1.3, 1.5, 1.67, 1.9, 2.0, 2.23, 2.6, 2.95)


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one.astype(int) - other.astype(int))


@pytest.mark.parametrize("factor", FACTORS)
def test_shrunk_photos_are_near_the_exact_mean(factor: float, photos: dict[str, np.ndarray]) -> None:
    """Mean difference up to 0.7 levels in each photo; 99 of 100 values within 6."""
    for photo in photos.values():
        height, width = int(photo.shape[0] / factor), int(photo.shape[1] / factor)
        exact = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        apart = difference(resize_fast(photo, height, width), exact)
        assert apart.mean() < 0.7
        assert np.quantile(apart, 0.99) <= 6


@pytest.mark.parametrize("size", [(112, 112), (74, 74), (40, 60), (224, 224), (300, 260), (448, 448)])
def test_where_the_exact_mean_is_fast_or_nothing_shrinks_it_is_the_same(
    size: tuple[int, int], photo: np.ndarray
) -> None:
    """By two, by three or more, and where the image grows both ways."""
    np.testing.assert_array_equal(fit_image(photo, size, fast=True), fit_image(photo, size))


def test_an_image_that_grows_one_way_and_shrinks_the_other_is_as_it_always_was(photo: np.ndarray) -> None:
    np.testing.assert_array_equal(fit_image(photo, (300, 100), fast=True), fit_image(photo, (300, 100)))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(150, 150), (96, 160)])
def test_every_fit_keeps_its_window_and_its_place(
    fit: str, size: tuple[int, int], photos: dict[str, np.ndarray]
) -> None:
    for photo in photos.values():
        fast, exact = fit_image(photo, size, fit, fast=True), fit_image(photo, size, fit)
        assert fast.shape == exact.shape and fast.flags.c_contiguous
        assert difference(fast, exact).mean() < 0.7


def test_one_channel_is_resized_as_three_are(photo: np.ndarray) -> None:
    grey = np.repeat(photo[..., :1], 3, axis=2)
    np.testing.assert_array_equal(resize_fast(photo[..., :1], 150, 130), resize_fast(grey, 150, 130)[..., :1])


@pytest.mark.parametrize("size", [(100, 90), (80, 80), (50, 40)])
def test_an_extent_leaves_out_the_part_of_the_last_pixels_that_does_not_count(
    size: tuple[int, int], photo: np.ndarray
) -> None:
    """223 x 221 pixels, halved with the last row and column shown once more; then 111.5 x 110.5 of these are shown."""
    whole = photo[:223, :221]
    halved = cv2.resize(np.pad(whole, ((0, 1), (0, 1), (0, 0)), "edge"), (111, 112), interpolation=cv2.INTER_AREA)
    exact = cv2.resize(whole, size[::-1], interpolation=cv2.INTER_AREA)

    right, wrong = resize_fast(halved, *size, extent=(111.5, 110.5)), resize_fast(halved, *size)

    assert right.shape == exact.shape
    assert difference(right, exact).mean() < 0.75 * difference(wrong, exact).mean()
