"""Objects: boxes and outlines, rows kept in step, and the geometry of polygons against pixels and OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from augmill.transforms.objects import (
    Objects,
    clip_to_side,
    clip_to_window,
    lies_inside,
    pixels_outline,
    polygon_area,
)

BOXES = np.array([[10, 20, 30, 60], [0, 0, 5.5, 4.25], [50, 50, 51, 90]])
KEYPOINTS = np.arange(3 * 2 * 3, dtype=np.float64).reshape(3, 2, 3)


def objects(**changes: Any) -> Objects:
    return Objects.from_boxes(BOXES, np.array([4, 5, 6]), keypoints=KEYPOINTS, pairs=((0, 1),), **changes)


def star(seed: int, corners: int = 9) -> np.ndarray:
    """A polygon with corners that point inwards, about (50, 40)."""
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
    return generator.uniform(8, 38, (corners, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1) + (50, 40)


def fine_grid(side: int = 100, steps: int = 8) -> np.ndarray:
    """Points evenly over a square, `steps` of them a pixel, in both directions."""
    along = (np.arange(side * steps) + 0.5) / steps
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def test_boxes_come_back_as_they_were() -> None:
    assert np.array_equal(objects().boxes, BOXES)
    assert objects().areas.tolist() == [20 * 40, 5.5 * 4.25, 40]
    assert objects().visible.tolist() == [1, 1, 1]
    assert objects().numbers.tolist() == [0, 1, 2]


def test_the_box_of_an_outline_is_the_tightest() -> None:
    outline = np.array([[3.5, 9], [7, 2.25], [5, 11]])
    one = Objects((outline,), np.array([1]), np.ones(1), np.arange(1))
    assert one.boxes.tolist() == [[3.5, 2.25, 7, 11]]


def test_no_objects_are_objects_too() -> None:
    none = Objects.from_boxes(np.zeros((0, 4)), np.zeros(0))
    assert (len(none), none.boxes.shape, none.areas.shape) == (0, (0, 4), (0,))
    assert objects().joined(none).boxes.tolist() == BOXES.tolist()
    assert none.joined(objects()).numbers.tolist() == [0, 1, 2]


def test_every_row_of_a_dropped_object_goes() -> None:
    kept = objects().kept([True, False, True])
    assert np.array_equal(kept.boxes, BOXES[[0, 2]])
    assert kept.labels.tolist() == [4, 6]
    assert kept.numbers.tolist() == [0, 2]
    assert kept.visible.tolist() == [1, 1]
    assert np.array_equal(kept.keypoints, KEYPOINTS[[0, 2]])
    assert kept.pairs == ((0, 1),)


def test_numbers_of_joined_objects_differ() -> None:
    joined = objects().kept([True, False, True]).joined(objects())
    assert joined.numbers.tolist() == [0, 2, 3, 4, 5]
    assert joined.labels.tolist() == [4, 6, 4, 5, 6]
    assert np.array_equal(joined.keypoints, np.concatenate([KEYPOINTS[[0, 2]], KEYPOINTS]))


def test_equal_objects_are_at_the_same_places() -> None:
    moved = Objects.from_boxes(BOXES + 1e-9, np.array([4, 5, 6]), keypoints=KEYPOINTS)
    assert objects().equals(objects())
    assert not objects().equals(moved)
    assert not objects().equals(objects().kept([True, True, False]))
    assert not objects().equals(Objects.from_boxes(BOXES, np.array([4, 5, 7]), keypoints=KEYPOINTS))
    assert not objects().equals(Objects.from_boxes(BOXES, np.array([4, 5, 6]), keypoints=KEYPOINTS + 1))


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
    assert Objects((outline,), np.array([1]), np.ones(1), np.arange(1)).boxes.tolist() == [box]
