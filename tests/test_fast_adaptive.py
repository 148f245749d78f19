"""Adaptive equalization of all channels at once against the same one channel by channel."""

from __future__ import annotations

import numpy as np
import pytest

from augmill.transforms.fast_adaptive import adaptive_equalization
from augmill.transforms.keras_filter import ContrastLimitedAdaptiveHistogramEqualization as Equalization


def apart(op: Equalization, image: np.ndarray) -> np.ndarray:
    """The difference of each level from the reference kernel's."""
    result = adaptive_equalization(op, image)
    assert result.dtype == np.uint8
    assert result.shape == image.shape
    return np.abs(result.astype(int) - np.rint(op.apply(image, {})))


@pytest.mark.parametrize(
    "op",
    [Equalization(), Equalization(clip_limit=0.0), Equalization(2.5, (3, 5)), Equalization(40.0, (1, 1))],
)
def test_hardly_a_level_differs(photos: dict[str, np.ndarray], photo: np.ndarray, op: Equalization) -> None:
    for image in (*photos.values(), photo, np.ascontiguousarray(photo[..., :1])):
        found = apart(op, image)
        assert found.max() <= 1
        assert found.mean() < 0.002


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (5, 90), (32, 32), (33, 47)])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_may_reach_far_beyond_the_image(photo: np.ndarray, size: tuple[int, int], channels: int) -> None:
    image = np.ascontiguousarray(photo[: size[0], : size[1], :channels])
    for grid in ((8, 8), (100, 60)):
        assert apart(Equalization(tile_grid_size=grid), image).max() <= 1


def test_what_is_too_large_to_resample_is_done_by_the_reference(photo: np.ndarray) -> None:
    image = np.ascontiguousarray(photo[:40, :40])
    assert apart(Equalization(tile_grid_size=(130, 2)), image).max() == 0
    wide = np.ascontiguousarray(np.resize(photo, (2, 11_000, 3)))
    assert apart(Equalization(tile_grid_size=(2, 2)), wide).max() == 0
