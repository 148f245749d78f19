"""Labels that stand for something, and weights that add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from augmill.pipeline.annotation_info import AnnotationInfo
from augmill.pipeline.labels import check_labels, soft_label
from augmill.transforms.base import Sample, TransformError
from augmill.transforms.objects import Objects

KNOWN = AnnotationInfo(kinds=("boxes", "masks"), classes=("face",), mask_classes=("skin", "fur"))
CORNER = np.array([[2, 2, 22, 22]])


def test_a_label_or_an_id_that_stands_for_nothing_is_refused(photo: np.ndarray) -> None:
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[0] = 255  # none
    boxes = Objects.from_boxes(CORNER, np.array([0]))
    good = Sample(photo, 1, mixture=((0, 0.2), (1, 0.8)), objects=boxes, mask=mask)
    check_labels(good, ["cat", "coffee"], KNOWN)
    for wrong, what in (
        ({"label": 2}, "label 2"),
        ({"label": -1}, "label -1"),
        ({"mixture": ((1, 0.9), (99, 0.1))}, "label 99"),
        ({"objects": Objects.from_boxes(CORNER, np.array([1]))}, "box label 1"),
        ({"mask": np.full_like(mask, 7)}, "mask id 7"),
    ):
        with pytest.raises(TransformError, match=rf"^an op returned the {what}, which is none of the \d classes$"):
            check_labels(replace(good, **wrong), ["cat", "coffee"], KNOWN)


def test_where_no_classes_are_named_any_label_will_do(photo: np.ndarray) -> None:
    check_labels(Sample(photo, 99), None, AnnotationInfo())


def test_weights_are_those_of_the_mixture_or_all_on_the_label(photo: np.ndarray) -> None:
    assert soft_label(Sample(photo, 2), 3) == [0, 0, 1]
    assert soft_label(Sample(photo, 1, mixture=((2, 0.25), (1, 0.75))), 3) == [0, 0.75, 0.25]
