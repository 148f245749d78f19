"""What too little is left of is left out, and every object is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from augmill.pipeline.object_counts import left_out, net, storable
from augmill.pipeline.spec import AnnotationSpec
from augmill.transforms.objects import Objects


@pytest.fixture
def objects() -> Objects:
    """Four objects with areas of 4, 100, 400 and 900 square pixels, of which 1, 0.2, 0.6 and 1 - 1e-9 is visible."""
    boxes = np.array([[0, 0, 2, 2], [0, 0, 10, 10], [5, 5, 25, 25], [0, 0, 30, 30]])
    made = Objects.from_boxes(boxes, np.arange(4), keypoints=np.ones((4, 1, 3)), crowd=np.array([0, 1, 0, 1], bool))
    return replace(made, visible=np.array([1, 0.2, 0.6, 1 - 1e-9]))


@pytest.mark.parametrize(
    ("limits", "kept", "counts"),
    [
        ({}, [0, 1, 2, 3], {"too_small": 0, "hidden": 0}),
        ({"min_area": 4}, [0, 1, 2, 3], {"too_small": 0, "hidden": 0}),
        ({"min_area": 5}, [1, 2, 3], {"too_small": 1, "hidden": 0}),
        ({"min_visibility": 0.5}, [0, 2, 3], {"too_small": 0, "hidden": 1}),
        ({"min_visibility": 1.0}, [0, 3], {"too_small": 0, "hidden": 2}),
        ({"min_area": 101, "min_visibility": 0.7}, [3], {"too_small": 2, "hidden": 1}),
    ],
    ids=str,
)
def test_small_and_hidden_objects_go_with_all_that_is_theirs(
    limits: dict[str, float], kept: list[int], counts: dict[str, int], objects: Objects
) -> None:
    left, found = left_out(objects, AnnotationSpec(**limits))
    assert left.labels.tolist() == left.numbers.tolist() == kept
    assert left.crowd.tolist() == [bool(number % 2) for number in kept]
    assert len(left.keypoints) == len(left) == len(kept)
    assert dict(found) == counts


def test_a_box_that_float32_would_make_empty_is_not_stored() -> None:
    boxes = np.array([[150, 10, 150 + 1e-6, 90], [150, 10, 150.01, 90], [0, 0, 1e-6, 50]])
    left = storable(Objects.from_boxes(boxes, np.arange(3)), (224, 224, 3))
    assert left.labels.tolist() == [1, 2]


@pytest.mark.parametrize(("before", "after", "counts"), [(5, 3, {"cut_off": 2}), (2, 6, {"mixed_in": 4}), (3, 3, {})])
def test_a_change_in_number_is_a_loss_or_a_gain(before: int, after: int, counts: dict[str, int]) -> None:
    assert +net(before, after) == Counter(counts)
