"""Polygons: their areas, boxes and cuts, against plain code, pixels and OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augmill.transforms.polygon import (
    Polygons,
    clip_to_side,
    clip_to_window,
    lies_inside,
    pixels_outline,
    polygon_area,
)


def star(seed: int, corners: int = 9) -> np.ndarray:
    """A polygon with corners that point inwards, about (50, 40)."""
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
    return generator.uniform(8, 38, (corners, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1) + (50, 40)


def fine_grid(side: int = 100, steps: int = 8) -> np.ndarray:
    """Points evenly over a square, `steps` of them a pixel, in both directions."""
    along = (np.arange(side * steps) + 0.5) / steps
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def plainly_cut(outline: np.ndarray, axis: int, limit: float, *, above: bool) -> np.ndarray:
    """Sutherland and Hodgman's cut at one side of a window, corner by corner."""
    kept = []
    depth = outline[:, axis] - limit if above else limit - outline[:, axis]
    for i in range(len(outline)):
        j = (i + 1) % len(outline)
        if depth[i] >= 0:
            kept.append(outline[i])
        if (depth[i] >= 0) != (depth[j] >= 0):
            kept.append(outline[i] + depth[i] / (depth[i] - depth[j]) * (outline[j] - outline[i]))
    return np.array(kept).reshape(-1, 2)


def plain_area(outline: np.ndarray) -> float:
    """The area as the sum of triangles from the first corner."""
    a, b = outline[1:-1] - outline[0], outline[2:] - outline[0]
    return abs(float(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]))) / 2


# Some corners are on the very sides of the window, from (10, 20) to (100, 60).
COORDINATES = st.one_of(st.sampled_from([0.0, 10, 20, 60, 100, 120]), st.floats(-30, 130, width=32))
OUTLINES = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=9).map(np.array)


@given(OUTLINES)
@settings(max_examples=300, deadline=None)
def test_a_cut_is_the_plain_one(outline: np.ndarray) -> None:
    expected = plainly_cut(plainly_cut(outline, 0, 10.0, above=True), 1, 20.0, above=True)
    expected = plainly_cut(plainly_cut(expected, 0, 100.0, above=False), 1, 60.0, above=False)
    # where the plain one is outside by the last bit of a rounded number, this one is not
    assert np.array_equal(clip_to_window(outline, (10, 20), (100, 60)), np.clip(expected, (10, 20), (100, 60)))


@given(st.lists(OUTLINES, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_many_polygons_are_measured_as_one_is(outlines: list[np.ndarray]) -> None:
    polygons = Polygons.of(outlines)
    assert all(map(np.array_equal, polygons.split(), outlines))
    assert polygons.boxes().tolist() == [[*outline.min(axis=0), *outline.max(axis=0)] for outline in outlines]
    expected = [plain_area(outline) for outline in outlines]
    assert polygons.areas() == pytest.approx(expected, abs=1e-8)
    assert [polygon_area(outline) for outline in outlines] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("corners", [1, 2])
def test_points_and_lines_have_no_area(corners: int) -> None:
    thin = np.array([[3.5, 9], [7, 2.25]])[:corners]
    assert polygon_area(thin) == 0
    assert Polygons.of([thin, star(1), thin]).areas().tolist() == [0, pytest.approx(polygon_area(star(1))), 0]


def test_the_area_of_a_polygon() -> None:
    triangle = np.array([[0.0, 0], [4, 0], [0, 3]])
    for outline in (triangle, triangle[::-1], triangle + 100):
        assert polygon_area(outline) == pytest.approx(6)
    for seed in range(5):
        assert polygon_area(star(seed)) == pytest.approx(cv2.contourArea(star(seed).astype(np.float32)), rel=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_a_clipped_polygon_covers_what_lies_in_the_window(seed: int) -> None:
    outline, points = star(seed), fine_grid()
    low, high = (35.0, 20.0), (70.0, 52.0)
    clipped = clip_to_window(outline, low, high)
    assert (clipped >= np.array(low) - 1e-9).all()
    assert (clipped <= np.array(high) + 1e-9).all()
    both = lies_inside(points, outline) & ((points > low) & (points < high)).all(axis=1)
    assert polygon_area(clipped) == pytest.approx(both.sum() / 64, rel=0.01)


def test_what_is_inside_stays_as_it_is_and_what_is_outside_goes() -> None:
    outline = star(1)
    assert clip_to_window(outline, (0, 0), (100, 100)) is outline
    assert len(clip_to_window(outline, (200, 0), (300, 100))) == 0
    assert len(clip_to_side(np.zeros((0, 2)), (1, 0), 3.0)) == 0


def test_a_cut_is_made_on_the_line() -> None:
    square = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    assert sorted(map(tuple, clip_to_side(square, (1, 0), 1.5))) == [(1.5, 0), (1.5, 4), (4, 0), (4, 4)]
    triangle = clip_to_side(square, (1, 1), 6.0)
    assert polygon_area(triangle) == pytest.approx(2)


@pytest.mark.parametrize("seed", range(4))
def test_opencv_agrees_on_what_lies_inside(seed: int) -> None:
    outline = star(seed)
    points = np.random.default_rng(seed).uniform(0, 100, (500, 2))
    contour = outline.astype(np.float32)[:, None]
    distances = np.array([cv2.pointPolygonTest(contour, tuple(map(float, point)), True) for point in points])
    clear = np.abs(distances) > 1e-3  # OpenCV reckons in float32
    inside = lies_inside(points, outline)
    assert np.array_equal(inside[clear], distances[clear] > 0)
    assert inside.any()
    assert not inside.all()


@pytest.mark.parametrize(
    "windows",
    [
        [np.s_[3:9, 2:20]],
        [np.s_[5:6, 7:8]],
        [np.s_[0:4, 0:30]],
        [np.s_[3:9, 2:20], np.s_[9:15, 10:14]],
        [np.s_[3:9, 2:20], np.s_[12:15, 24:27], np.s_[19:20, 0:1]],
    ],
)
def test_the_outline_of_pixels_is_their_edge(windows: list[Any]) -> None:
    shown = np.zeros((20, 30), np.uint8)
    for window in windows:
        shown[window] = 1
    outline = pixels_outline(shown)
    assert polygon_area(outline) == shown.sum()
    centres = np.stack(np.meshgrid(np.arange(30) + 0.5, np.arange(20) + 0.5), axis=-1).reshape(-1, 2)
    assert np.array_equal(lies_inside(centres, outline).reshape(20, 30), shown == 1)
    rows, columns = np.nonzero(shown)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert Polygons.of([outline]).boxes().tolist() == [box]
