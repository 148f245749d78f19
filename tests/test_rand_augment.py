"""RandAugment: the published table, every op as often as every other, and Keras's form of it put right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from augmill.transforms.augment_ops import AUGMENT_OPS, FOURTEEN, SCALED
from augmill.transforms.base import Sample, Transform, TransformError
from augmill.transforms.policy import Policy
from augmill.transforms.rand_augment import KerasRandAugment, RandAugment

# official/vision/ops/augment.py of tensorflow/models at levels 9, 5 and 10, for an image of 224 x 224; solved by hand.
PUBLISHED = {
    "identity": (None, None, None),
    "autocontrast": (None, None, None),
    "equalize": (None, None, None),
    "invert": (None, None, None),
    "rotate": (27.0, 15.0, 30.0),
    "posterize": (3, 2, 4),
    "solarize": (230, 128, 256),
    "solarize_add": (99, 55, 110),
    "color": (1.72, 1.0, 1.9),
    "contrast": (1.72, 1.0, 1.9),
    "brightness": (1.72, 1.0, 1.9),
    "sharpness": (1.72, 1.0, 1.9),
    "shear_x": (0.27, 0.15, 0.3),
    "shear_y": (0.27, 0.15, 0.3),
    "translate_x": (90, 50, 100),
    "translate_y": (90, 50, 100),
}
SHAPES = [(32, 32, 3), (224, 224, 3), (375, 500, 3), (1, 50, 3), (50, 1, 3), (33, 20, 1)]
BOTH: list[Transform] = [RandAugment(), KerasRandAugment()]


@pytest.mark.parametrize(("column", "magnitude"), [(0, 9), (1, 5), (2, 10)])
def test_magnitudes_are_the_published_ones(drawn: Callable[..., Any], column: int, magnitude: float) -> None:
    for name, values in PUBLISHED.items():
        alone = RandAugment(num_ops=1, magnitude=magnitude, ops=(name, "equalize"))
        steps = [params["ops"][0] for params in drawn(alone, count=60)]
        found = {value if value is None else abs(value) for other, value in steps if other == name}
        assert len(found) == 1
        assert found.pop() == (None if values[column] is None else pytest.approx(values[column])), name


def test_the_published_table_is_whole() -> None:
    assert set(PUBLISHED) | {"cutout"} == set(AUGMENT_OPS)


def test_translations_and_cutout_are_in_proportion_to_the_image(drawn: Callable[..., Any]) -> None:
    op = RandAugment(ops=("translate_x", "translate_y", "cutout"))
    steps = [step for params in drawn(op, (448, 112, 3), 200) for step in params["ops"]]
    by_name = {name: [value for other, value in steps if other == name] for name, _ in steps}
    assert {abs(value) for value in by_name["translate_x"]} == {45}
    assert {abs(value) for value in by_name["translate_y"]} == {180}
    squares = {(right - left, bottom - top) for left, top, right, bottom in by_name["cutout"]}
    assert max(squares) == (36, 36)  # 2 x 40 x 0.9 x 112 / 224


def test_every_op_is_as_likely_at_every_place(drawn: Callable[..., Any], equally_likely: Callable[..., bool]) -> None:
    params = drawn(RandAugment(num_ops=3), count=4000)
    assert {len(drawn_of["ops"]) for drawn_of in params} == {3}
    for place in range(3):
        assert equally_likely([drawn_of["ops"][place][0] for drawn_of in params], list(FOURTEEN))
    pairs = Counter((drawn_of["ops"][0][0], drawn_of["ops"][1][0]) for drawn_of in params)
    assert len(pairs) == 14 * 14  # each is picked anew


def test_signs_are_equally_likely(drawn: Callable[..., Any], equally_likely: Callable[..., bool]) -> None:
    steps = [step for params in drawn(RandAugment()) for step in params["ops"]]
    for name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y"):
        assert equally_likely([value > 0 for other, value in steps if other == name], [True, False])
    assert all(value > 0 for name, value in steps if name in ("color", "solarize", "posterize"))


def test_the_image_is_what_pillow_makes_of_the_steps(photo: np.ndarray) -> None:
    params = {"ops": [["color", 1.72], ["translate_y", -90], ["posterize", 3], ["sharpness", 1.72], ["equalize", None]]}
    image = Image.fromarray(photo)
    image = ImageEnhance.Color(image).enhance(1.72)
    image = image.transform(image.size, Image.Transform.AFFINE, (1, 0, 0, 0, 1, 90), fillcolor=(128, 128, 128))
    image = ImageEnhance.Sharpness(ImageOps.posterize(image, 3)).enhance(1.72)
    assert np.array_equal(RandAugment().apply(photo, params), np.asarray(ImageOps.equalize(image)))


@pytest.mark.parametrize("op", BOTH, ids=repr)
def test_every_image_is_taken_and_changed(photos: dict[str, np.ndarray], op: Transform) -> None:
    for height, width, channels in SHAPES:
        image = photos["coffee"][:height, :width, :channels]
        changed = 0
        for copy in range(40):
            result, _ = Policy((op,)).run(Sample(image), seed=1, key="cup", copy=copy)
            assert result.image.dtype == np.uint8
            assert result.image.shape == image.shape
            changed += not np.array_equal(result.image, image)
        assert changed >= 25, image.shape  # identity, and color on grey, leave an image as it is


@pytest.mark.parametrize("op", BOTH, ids=repr)
def test_the_same_name_gives_the_same_bytes_and_another_copy_others(photo: np.ndarray, op: Transform) -> None:
    def rendition(copy: int) -> tuple[np.ndarray, Any]:
        after, [step] = Policy((op,)).run(Sample(photo), seed=1, key="cat", copy=copy)
        return after.image, json.loads(json.dumps(step.params))

    images = [rendition(copy)[0] for copy in range(30)]
    assert np.array_equal(images[4], rendition(4)[0])
    assert np.array_equal(images[4], op.transform(Sample(photo), rendition(4)[1]).image)
    assert len({image.tobytes() for image in images}) >= 28


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_boxes_and_masks_follow_whatever_is_drawn(
    drawn: Callable[..., Any], overlaps: Callable[..., tuple[float, float]], interpolation: str
) -> None:
    moving = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
    op = RandAugment(num_ops=2, magnitude=5, ops=moving, interpolation=interpolation, fill=0)
    for i, params in enumerate(drawn(op, (160, 200, 3), 12)):
        box_iou, mask_iou = overlaps(op, params, [(60, 50, 130, 110), (40, 70, 100, 130)][i % 2])
        assert min(box_iou, mask_iou) >= 0.9, (params, box_iou, mask_iou)


def test_keras_boxes_and_masks_follow(drawn: Callable[..., Any], overlaps: Callable[..., tuple[float, float]]) -> None:
    moved = 0
    for params in drawn(KerasRandAugment(num_ops=1, factor=1.0), (160, 200, 3), 60):
        [[name, _]] = params["ops"]
        if name in ("rotate", "translate_x", "translate_y"):  # others fill with a grey that counts as bright
            continue
        if name.startswith("shear"):
            op = RandAugment(interpolation="bilinear", fill=0)
            assert min(overlaps(op, params, (60, 50, 130, 110))) >= 0.9
            moved += 1
    assert moved >= 5


def test_keras_factor_is_the_greatest_strength_either_way(
    drawn: Callable[..., Any], follows: Callable[..., bool], equally_likely: Callable[..., bool]
) -> None:
    """The layer of factor 0.5 turns by 0 to +180 degrees, brightens only, and keeps more bits the higher it is."""
    steps = [step for params in drawn(KerasRandAugment(), (1000, 1000, 3), 6000) for step in params["ops"]]
    assert equally_likely([name for name, _ in steps], list(SCALED))
    by_name = {name: [value for other, value in steps if other == name] for name in SCALED}
    assert follows(by_name["rotate"], "uniform", -15, 30)
    assert follows(by_name["brightness"], "uniform", 0.55, 0.9)
    assert follows(by_name["shear_y"], "uniform", -0.15, 0.3)
    assert set(by_name["posterize"]) == {7, 6}  # to 5.5, and a tie goes to the even
    strong = drawn(KerasRandAugment(factor=1.0, num_ops=1), count=2000)
    assert {value for params in strong for name, value in params["ops"] if name == "posterize"} == {7, 6, 5, 4}


def test_keras_ops_are_drawn_for_each_image(drawn: Callable[..., Any]) -> None:
    """The layer picks one list of ops for a whole batch."""
    assert len({tuple(name for name, _ in params["ops"]) for params in drawn(KerasRandAugment(), count=500)}) > 100


@pytest.mark.parametrize(
    "op",
    [*BOTH, RandAugment(1, 3.5, ("invert", "cutout"), "bilinear", 0), KerasRandAugment([0, 255], 1, 1, "nearest")],  # type: ignore[arg-type]
    ids=repr,
)
def test_an_op_is_made_again_of_its_arguments(op: Transform) -> None:
    again = type(op)(**json.loads(json.dumps(op.arguments())))
    assert again == op
    assert repr(again) == repr(op)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_ops": 0}, "num_ops must be a whole number of at least 1, got 0"),
        ({"magnitude": 11}, "magnitude must be a number in [0, 10], got 11"),
        ({"ops": []}, f"ops must be a list of {', '.join(AUGMENT_OPS)}, got []"),
        ({"ops": "rotate"}, f"ops must be a list of {', '.join(AUGMENT_OPS)}, got 'rotate'"),
        ({"ops": ["flip"]}, f"each of ops must be one of {', '.join(AUGMENT_OPS)}, got 'flip'"),
        ({"ops": ["identity"]}, "ops identity do nothing at magnitude 9"),
        ({"ops": ["rotate", "cutout"], "magnitude": 0}, "ops rotate, cutout do nothing at magnitude 0"),
        ({"ops": ["color", "identity"], "magnitude": 5}, "ops color, identity do nothing at magnitude 5"),
        ({"ops": ["solarize"], "magnitude": 10}, "ops solarize do nothing at magnitude 10"),
    ],
)
def test_arguments_that_make_no_sense_are_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        RandAugment(**arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value_range": [0, 1]}, "value_range must be [0, 255], what images are here, got [0, 1]"),
        ({"num_ops": 1.5}, "num_ops must be a whole number of at least 1, got 1.5"),
        ({"factor": 0}, "factor must be a number in (0, 1], got 0"),
        ({"factor": [0.1, 0.5]}, "factor must be a number in (0, 1], got [0.1, 0.5]"),
        ({"interpolation": "cubic"}, "interpolation must be one of nearest, bilinear, got 'cubic'"),
    ],
)
def test_keras_arguments_that_make_no_sense_are_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        KerasRandAugment(**arguments)
    assert str(error.value) == message
