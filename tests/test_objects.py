"""Objects: boxes and outlines, and rows kept in step."""

from __future__ import annotations

from typing import Any

import numpy as np

from augmill.transforms.objects import Objects

BOXES = np.array([[10, 20, 30, 60], [0, 0, 5.5, 4.25], [50, 50, 51, 90]])
KEYPOINTS = np.arange(3 * 2 * 3, dtype=np.float64).reshape(3, 2, 3)


def objects(**changes: Any) -> Objects:
    return Objects.from_boxes(BOXES, np.array([4, 5, 6]), keypoints=KEYPOINTS, pairs=((0, 1),), **changes)


def test_boxes_come_back_as_they_were() -> None:
    assert np.array_equal(objects().boxes, BOXES)
    assert objects().areas.tolist() == [20 * 40, 5.5 * 4.25, 40]
    assert objects().visible.tolist() == [1, 1, 1]
    assert objects().numbers.tolist() == [0, 1, 2]


def test_the_box_of_an_outline_is_the_tightest() -> None:
    outline = np.array([[3.5, 9], [7, 2.25], [5, 11]])
    one = Objects((outline,), np.array([1]), np.ones(1), np.arange(1))
    assert one.boxes.tolist() == [[3.5, 2.25, 7, 11]]


def test_boxes_of_outlines_with_any_number_of_corners() -> None:
    generator = np.random.default_rng(5)
    outlines = tuple(generator.normal(40, 30, (corners, 2)) for corners in generator.integers(1, 12, 60))
    many = Objects(outlines, np.zeros(60, np.int64), np.ones(60), np.arange(60))
    assert many.boxes.tolist() == [[*outline.min(axis=0), *outline.max(axis=0)] for outline in outlines]
    assert many.areas.tolist() == [np.ptp(outline[:, 0]) * np.ptp(outline[:, 1]) for outline in outlines]


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


def test_all_objects_kept_are_the_same_objects() -> None:
    every, none = objects().kept(np.ones(3, bool)), objects().kept([False] * 3)
    assert every.equals(objects())
    assert every.numbers.tolist() == [0, 1, 2]
    assert (len(none), none.boxes.shape, none.labels.shape) == (0, (0, 4), (0,))


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
