"""Pixels taken from places: the nearest one, whatever way the places are given and however far they lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augmill.transforms.gather import gather, is_affine, keeps_rows, places_under

BEYOND = ("constant", "nearest", "reflect", "wrap")
FILL = 9


def plain_index(place: float, length: int, beyond: str) -> int | None:
    """The pixel that one coordinate lies in, or None where the fill does."""
    index = int(np.floor(place + 1e-7)) if np.isfinite(place) else -1
    if beyond == "constant":
        return index if 0 <= index < length else None
    if beyond == "nearest":
        return max(0, min(length - 1, index))
    repeated = [*range(length), *(reversed(range(length)) if beyond == "reflect" else ())]
    return repeated[index % len(repeated)]


def plainly_gathered(pixels: np.ndarray, x: np.ndarray, y: np.ndarray, beyond: str) -> np.ndarray:
    """Pixel after pixel."""
    x, y = np.broadcast_arrays(x, y)
    result = np.full((*x.shape, *pixels.shape[2:]), FILL, pixels.dtype)
    for place in np.ndindex(x.shape):
        row = plain_index(float(y[place]), pixels.shape[0], beyond)
        column = plain_index(float(x[place]), pixels.shape[1], beyond)
        if row is not None and column is not None:
            result[place] = pixels[row, column]
    return result


def photo_ids(photo: np.ndarray) -> np.ndarray:
    return photo[60:67, 80:91, 0].copy()


@pytest.mark.parametrize("beyond", BEYOND)
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_places_anywhere_show_the_plain_pixels(
    photo: np.ndarray, beyond: str, channels: tuple[int, ...], dtype: str
) -> None:
    pixels = photo[60:67, 80:91].astype(dtype)[..., : (channels or (1,))[0]].reshape(7, 11, *channels)
    x, y = np.random.default_rng(4).uniform(-40, 60, (2, 13, 17))
    moved = gather(pixels, x, y, beyond=beyond, fill=FILL)
    assert moved.dtype == pixels.dtype
    assert np.array_equal(moved, plainly_gathered(pixels, x, y, beyond))


LINES = st.tuples(
    st.sampled_from([1.0, -1.0, 2.0, -0.5, 0.0]), st.sampled_from([-3.0, -0.5, 0.5, 4.5, 7.5, 11.5, 40.25])
)


@given(LINES, LINES, st.sampled_from(BEYOND), st.booleans())
@settings(max_examples=150, deadline=None)
def test_rows_and_columns_alone_are_places_of_all_pixels(
    across: tuple[float, float], down: tuple[float, float], beyond: str, crossed: bool
) -> None:
    pixels = np.random.default_rng(2).integers(10, 250, (7, 11), np.uint8)
    x = across[0] * np.arange(12)[None] + across[1]
    y = down[0] * np.arange(9)[:, None] + down[1]
    if crossed:
        x, y = x.reshape(12, 1), y.reshape(1, 9)
    whole = gather(pixels, *np.broadcast_arrays(x, y), beyond=beyond, fill=FILL)
    assert np.array_equal(gather(pixels, x, y, beyond=beyond, fill=FILL), whole)
    assert np.array_equal(whole, plainly_gathered(pixels, x, y, beyond))


@pytest.mark.parametrize("beyond", BEYOND)
def test_places_that_are_nowhere_are_beyond_the_edges(photo: np.ndarray, beyond: str) -> None:
    pixels = photo_ids(photo)
    x = np.array([[np.nan, 3.5, np.inf, -np.inf, 1e300, -1e300, 3.5]])
    y = np.array([[2.5, np.nan, 2.5, 2.5, 2.5, 2.5, 2.5]])
    moved = gather(pixels, x, y, beyond=beyond, fill=FILL)[0]
    assert moved[6] == pixels[2, 3]
    first = {"constant": FILL, "nearest": pixels[2, 0], "reflect": pixels[2, 0], "wrap": pixels[2, 10]}[beyond]
    assert moved[[0, 2, 3]].tolist() == [first] * 3
    if beyond in ("constant", "nearest"):
        assert moved[[4, 5]].tolist() == ([FILL] * 2 if beyond == "constant" else [pixels[2, 10], pixels[2, 0]])


@pytest.mark.parametrize("beyond", BEYOND)
def test_a_place_on_the_line_between_two_pixels_is_in_the_second(photo: np.ndarray, beyond: str) -> None:
    pixels = photo_ids(photo)
    just_below = np.nextafter(np.arange(11.0), -1)
    assert np.array_equal(gather(pixels, just_below[None], np.full((1, 11), 2.5), beyond=beyond)[0], pixels[2])


@pytest.mark.parametrize("beyond", BEYOND)
@pytest.mark.parametrize(
    "window", [np.s_[:, :], np.s_[::-1, ::-1], np.s_[2:6, 1:9], np.s_[5:1:-1, 9:8:-1], np.s_[6:, 10:]]
)
def test_a_window_of_whole_pixels_is_a_copy_of_them(
    photo: np.ndarray, beyond: str, window: tuple[slice, slice]
) -> None:
    pixels = photo_ids(photo)
    moved = gather(pixels, np.arange(11)[None, window[1]] + 0.5, np.arange(7)[window[0], None] + 0.5, beyond=beyond)
    assert np.array_equal(moved, pixels[window])
    assert moved.flags.c_contiguous
    assert not np.shares_memory(moved, pixels)


@pytest.mark.parametrize(("shift", "shown"), [(-1, [FILL, 1, 2]), (1, [2, 3, FILL])])
@pytest.mark.parametrize("step", [1, -1])
def test_the_pixel_next_to_the_edge_is_the_fill(shift: int, shown: list[int], step: int) -> None:
    places, middle = (np.arange(3) + 0.5 + shift)[::step], np.full((1, 1), 0.5)
    row = np.array([[1, 2, 3]])
    assert gather(row, places[None], middle, beyond="constant", fill=FILL).tolist() == [shown[::step]]
    assert gather(row.T, middle, places[:, None], beyond="constant", fill=FILL).T.tolist() == [shown[::step]]


MATRICES = {
    "as it is": np.eye(3),
    "mirrored": np.array([[-1.0, 0, 11], [0, 1, 0], [0, 0, 1]]),
    "quarter": np.array([[0.0, 1, 0], [-1, 0, 11], [0, 0, 1]]),
    "scaled": np.array([[1.7, 0, -3.2], [0, 0.4, 2.1], [0, 0, 1]]),
    "sheared": np.array([[1.0, 0.3, -2], [0, 1, 0], [0, 0, 1]]),
    "turned": np.array([[0.8, 0.6, 1], [-0.6, 0.8, 5], [0, 0, 1]]),
    "tilted": np.array([[0.9, 0.1, 4.0], [0.05, 1.1, -3.0], [0.04, -0.02, 1.0]]),
    "tilted away": np.array([[-1.0, 0, 20], [0, 1, 0], [-0.1, 0, 1.0]]),  # columns 0 to 9 show nothing
}


@pytest.mark.parametrize("name", MATRICES)
def test_places_are_those_of_homogeneous_coordinates(name: str) -> None:
    matrix = MATRICES[name]
    ys, xs = np.mgrid[3:9, 0:14] + 0.5
    points = np.stack([xs, ys, np.ones_like(xs)], axis=-1) @ np.linalg.inv(matrix).T
    seen = points[..., 2:] > 0
    expected = np.where(seen, points[..., :2] / points[..., 2:], np.nan)
    x, y = np.broadcast_arrays(*places_under(matrix, range(3, 9), 14))
    assert np.allclose(np.stack([x, y], axis=-1), expected, equal_nan=True)
    assert x.shape == (6, 14)
    assert np.isnan(x).any() == (name == "tilted away")


def test_rows_stay_rows_unless_a_matrix_turns_shears_or_tilts() -> None:
    assert {name for name, matrix in MATRICES.items() if keeps_rows(matrix)} == {"as it is", "mirrored", "scaled"}
    assert {name for name, matrix in MATRICES.items() if not is_affine(matrix)} == {"tilted", "tilted away"}
