"""Windows of given place: the pixels of tf.image, and annotations that are cut and shifted with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.base import TransformError
from augmill.transforms.crop import OPS, CentralCrop, CropToBoundingBox, PadToBoundingBox, ResizeWithCropOrPad
from augmill.transforms.randomness import Draws

BOXES = [(30, 40, 90, 80), (0, 0, 70, 60), (120, 90, 200, 160), (0, 60, 200, 70)]
MADE = [CentralCrop(0.5), CropToBoundingBox(3, 4, 20, 30), PadToBoundingBox(3, 4, 300, 310), ResizeWithCropOrPad(9, 8)]
SHAPES = [(224, 224), (1, 60), (61, 1), (37, 80), (1, 1)]


def draws() -> Draws:
    return Draws(seed=0, key="rose/1.jpg", copy=1, at="0")


def windows(photo: np.ndarray) -> list[np.ndarray]:
    return [photo[:height, :width, :channels] for height, width in SHAPES for channels in (1, 3)]


def test_a_central_crop_is_the_op_of_tensorflow(photo: np.ndarray, drawn: Any) -> None:
    op = CentralCrop((0.05, 1.0))
    for image in windows(photo):
        for params in drawn(op, image.shape, 40):
            reference = tf.image.central_crop(image, params["central_fraction"]).numpy()
            assert np.array_equal(op.apply(image, params), reference)


def test_the_fraction_is_drawn_from_its_range(drawn: Any, follows: Any) -> None:
    assert follows([params["central_fraction"] for params in drawn(CentralCrop([0.3, 0.9]))], "uniform", 0.3, 0.6)  # type: ignore[arg-type]
    assert CentralCrop(0.5).draw(draws(), (9, 9, 3)) == {"central_fraction": 0.5}


def test_a_window_is_the_op_of_tensorflow(photo: np.ndarray) -> None:
    for place in [(0, 0, 224, 224), (5, 7, 30, 40), (223, 0, 1, 224)]:
        op = CropToBoundingBox(*place)
        assert op.draw(draws(), photo.shape) == {}
        assert np.array_equal(op.apply(photo, {}), tf.image.crop_to_bounding_box(photo, *place).numpy())


def test_margins_are_those_of_tensorflow(photo: np.ndarray) -> None:
    for image in windows(photo):
        for place in [(0, 0, 224, 224), (5, 7, 300, 231), (76, 0, 300, 224)]:
            op = PadToBoundingBox(*place)
            assert op.draw(draws(), image.shape) == {}
            assert np.array_equal(op.apply(image, {}), tf.image.pad_to_bounding_box(image, *place).numpy())


@pytest.mark.parametrize("size", [(224, 224), (101, 300), (300, 100), (31, 32), (1, 1), (225, 223)])
def test_crop_or_pad_is_the_op_of_tensorflow(photo: np.ndarray, size: tuple[int, int]) -> None:
    for image in windows(photo):
        reference = tf.image.resize_with_crop_or_pad(image, *size).numpy()
        assert np.array_equal(ResizeWithCropOrPad(*size).apply(image, {}), reference)


@pytest.mark.parametrize("box", BOXES)
def test_annotations_go_with_the_window(overlaps: Any, box: tuple[int, int, int, int]) -> None:
    for fraction in (0.9, 0.55, 0.301):
        assert overlaps(CentralCrop(0.5), {"central_fraction": fraction}, box) == (1.0, 1.0)
    for op in (
        CropToBoundingBox(20, 30, 77, 99),
        PadToBoundingBox(11, 5, 200, 207),
        ResizeWithCropOrPad(101, 303),
        ResizeWithCropOrPad(200, 55),
    ):
        assert overlaps(op, {}, box) == (1.0, 1.0)


@pytest.mark.parametrize("fraction", [0, -0.5, 1.5, "half", None, True, [0, 0.5], [0.5, 1.2]])
def test_a_fraction_is_above_0_and_at_most_1(fraction: Any) -> None:
    with pytest.raises(TransformError, match=r"^central_fraction must be a number in "):
        CentralCrop(fraction)


@pytest.mark.parametrize("fraction", [1, [1.0, 1.0]])
def test_a_crop_that_keeps_all_is_refused(fraction: Any) -> None:
    with pytest.raises(TransformError) as error:
        CentralCrop(fraction)
    assert str(error.value) == f"central_fraction must allow a crop: 1 keeps all, got {fraction!r}"


def test_a_window_that_leaves_the_image_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(TransformError) as error:
        CropToBoundingBox(200, 5, 25, 10).draw(draws(), photo.shape)
    assert str(error.value) == (
        "tf.image.crop_to_bounding_box: the window of 25x10 at row 200, column 5 leaves the image, which is 224x224 "
        "here"
    )


@pytest.mark.parametrize("place", [(100, 0, 300, 300), (0, 100, 300, 300)])
def test_an_image_without_room_is_refused(photo: np.ndarray, place: tuple[int, int, int, int]) -> None:
    with pytest.raises(TransformError) as error:
        PadToBoundingBox(*place).draw(draws(), photo.shape)
    assert str(error.value) == (
        f"tf.image.pad_to_bounding_box: 300x300 has no room for the image, 224x224 here, at row {place[0]}, "
        f"column {place[1]}"
    )


@pytest.mark.parametrize("op", [CropToBoundingBox, PadToBoundingBox])
def test_places_and_sizes_are_whole_pixels(op: Any) -> None:
    with pytest.raises(TransformError, match=r"^offset_width must be a whole number of at least 0, got -1$"):
        op(0, -1, 10, 10)
    with pytest.raises(TransformError, match=r"^offset_height must be a whole number of at least 0, got 2\.5$"):
        op(2.5, 0, 10, 10)
    with pytest.raises(TransformError, match=r"^target_height must be a whole number of at least 1, got 0$"):
        op(0, 0, 0, 10)
    with pytest.raises(TransformError, match=r"^target_width must be a whole number of at least 1, got None$"):
        ResizeWithCropOrPad(10, None)  # type: ignore[arg-type]


def test_every_op_is_its_spec() -> None:
    assert {type(op) for op in MADE} == set(OPS)
    for op in [*MADE, CentralCrop([0.5, 0.75])]:  # type: ignore[arg-type]
        assert type(op)(**op.arguments()) == op
