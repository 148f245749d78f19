"""A limit to the number of objects: the first stay, whole, and the image as it was."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.box_limit import OPS, MaxNumBoundingBoxes
from augmill.transforms.objects import Objects
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import draw_and_apply, finished

BOXES = np.array([[10, 20, 30, 60], [0, 0, 5, 4], [50, 50, 51, 90]], float)


def draws() -> Draws:
    return Draws(seed=0, key="rose/1.jpg", copy=1, at="0")


def sample(photo: np.ndarray, **changes: Any) -> Sample:
    keypoints = np.arange(3 * 2 * 3, dtype=np.float64).reshape(3, 2, 3)
    return Sample(photo, objects=Objects.from_boxes(BOXES, np.array([4, 5, 6]), keypoints=keypoints), **changes)


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_the_first_objects_stay_with_all_that_is_theirs(photo: np.ndarray, most: int) -> None:
    before = sample(photo, mask=photo[..., 0], label=3)
    params, after = draw_and_apply(MaxNumBoundingBoxes(most), draws(), before)
    after = finished(after)
    assert params == {}
    assert after.objects is not None
    assert before.objects is not None
    assert np.array_equal(after.objects.boxes, BOXES[:most])
    assert after.objects.labels.tolist() == [4, 5, 6][:most]
    assert np.array_equal(after.objects.keypoints, before.objects.keypoints[:most])  # type: ignore[arg-type, index]
    assert np.array_equal(after.image, photo)
    assert after.mask is before.mask
    assert after.label == 3


def test_the_layer_keeps_the_same_ones(photo: np.ndarray) -> None:
    layer = keras.layers.MaxNumBoundingBoxes(2, bounding_box_format="xyxy")
    boxes = {"boxes": keras.ops.convert_to_tensor(BOXES[None]), "labels": keras.ops.convert_to_tensor([[4, 5, 6]])}
    theirs = layer.transform_bounding_boxes(boxes, None)
    _, after = draw_and_apply(MaxNumBoundingBoxes(2), draws(), sample(photo))
    assert after.objects is not None
    assert np.array_equal(after.objects.boxes, np.asarray(theirs["boxes"])[0])
    assert np.array_equal(after.objects.labels, np.asarray(theirs["labels"])[0])


def test_an_image_with_no_object_in_it_is_fine(photo: np.ndarray) -> None:
    none = Sample(photo, objects=Objects.from_boxes(np.zeros((0, 4)), np.zeros(0)))
    _, after = draw_and_apply(MaxNumBoundingBoxes(2), draws(), none)
    assert after.objects is not None
    assert len(after.objects) == 0


def test_a_source_without_objects_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(TransformError) as error:
        draw_and_apply(MaxNumBoundingBoxes(2), draws(), Sample(photo, label=1))
    expected = "needs images with objects, and this source has none; take the op out"
    assert str(error.value) == f"keras.layers.MaxNumBoundingBoxes {expected}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_number": 0}, "max_number must be a whole number of at least 1, got 0"),
        ({"max_number": 2.0}, "max_number must be a whole number of at least 1, got 2.0"),
        (
            {"max_number": 2, "fill_value": 0},
            "fill_value must be left at -1, got 0: objects are not padded here, but where they are read into batches",
        ),
    ],
)
def test_an_error_says_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        MaxNumBoundingBoxes(**arguments)
    assert str(error.value) == message


def test_an_op_comes_back_from_its_spec() -> None:
    op = MaxNumBoundingBoxes(7)
    assert MaxNumBoundingBoxes(**op.arguments()) == op
    assert set(op.takes) == set(op.arguments())
    assert (MaxNumBoundingBoxes,) == OPS
    assert [op.treatment(kind) for kind in ("boxes", "masks", "keypoints")] == ["moved", "kept", "moved"]
