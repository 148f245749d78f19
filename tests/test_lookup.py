"""Tables of 256 levels, byte by byte."""

from __future__ import annotations

import numpy as np
import pytest

from augmill.transforms.lookup import look_up_in_place, looked_up

TABLE = np.random.default_rng(0).permutation(256).astype(np.uint8)


@pytest.mark.parametrize("length", [0, 1, 31, 32, 63, 64, 65, 257, 4099])
def test_every_level_is_replaced_at_every_length(length: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, length).astype(np.uint8)
    before = pixels.copy()
    assert np.array_equal(looked_up(pixels, TABLE), TABLE[pixels])
    assert np.array_equal(pixels, before)


def test_views_of_any_kind_are_looked_up_as_they_stand(photo: np.ndarray) -> None:
    for view in (photo[:, ::-1], photo.transpose(2, 0, 1), photo[3:50, 7:20, 1], photo[..., None]):
        assert np.array_equal(looked_up(view, TABLE), TABLE[view])


def test_a_part_of_an_array_is_looked_up_in_place(photo: np.ndarray) -> None:
    pixels = photo.copy()
    look_up_in_place(pixels[5:9], TABLE)
    assert np.array_equal(pixels[5:9], TABLE[photo[5:9]])
    assert np.array_equal(pixels[9:], photo[9:])


def test_only_contiguous_arrays_are_changed_in_place(photo: np.ndarray) -> None:
    pixels = photo.copy()
    with pytest.raises(ValueError, match="contiguous"):
        look_up_in_place(pixels[:, 3:9], TABLE)
    assert np.array_equal(pixels, photo)
