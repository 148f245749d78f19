"""The elementary ops: Pillow's moves, matrices that agree with the pixels, and values by published ranges."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image, ImageOps

from augmill.transforms.augment_ops import (
    AUGMENT_OPS,
    FOURTEEN,
    SCALED,
    Ranges,
    StepsTransform,
    carry_out_step,
    draw_scaled,
    moves,
    step_motion,
)
from augmill.transforms.base import Params, Sample, Shape, TransformError
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy
from augmill.transforms.rand_augment import RandAugment
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import carry_out, finished

MOVING = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
METHODS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}
SHAPES = [(224, 224, 3), (224, 224, 1), (32, 32, 3), (299, 451, 3), (1, 60, 3), (60, 1, 1)]


def carried_out(
    image: np.ndarray, name: str, value: Any, interpolation: str = "nearest", fill: int = 128
) -> np.ndarray:
    return carry_out_step(image, [name, value], fill=fill, interpolation=interpolation)


def by_pillow(image: np.ndarray, name: str, value: float, interpolation: str) -> np.ndarray:
    """What Pillow makes of the image; it takes the way back, from the result to the image."""
    given = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    fill: Any = 128 if image.shape[2] == 1 else (128, 128, 128)
    if name == "rotate":
        return np.asarray(given.rotate(value, METHODS[interpolation], fillcolor=fill)).reshape(image.shape)
    back = {
        "shear_x": (1, -value, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, -value, 1, 0),
        "translate_x": (1, 0, -value, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, -value),
    }[name]
    affine = Image.Transform.AFFINE
    moved = given.transform(given.size, affine, back, METHODS[interpolation], fillcolor=fill)
    return np.asarray(moved).reshape(image.shape)


VALUES = {
    "rotate": [0.0, 27.0, -27.0, 90.0, -90.0, 180.0, 45.0, 12.34, -101.7],
    "shear_x": [0.27, -0.27, 0.99, -0.033],
    "shear_y": [0.27, -0.27, 0.99, -0.033],
    "translate_x": [40, -7, 500, 0],
    "translate_y": [40, -7, 500, 0],
}


@pytest.mark.parametrize("name", MOVING)
def test_nearest_pixels_move_as_in_pillow(photos: dict[str, np.ndarray], name: str) -> None:
    """Where a place lies on the line between two pixels Pillow's 16-bit fractions may take the other one."""
    for height, width, channels in SHAPES:
        image = photos["coffee"][:height, :width, :channels]
        for value in VALUES[name]:
            same = carried_out(image, name, value) == by_pillow(image, name, value, "nearest")
            assert same.mean() > 0.995, (image.shape, value, same.mean())
            if name.startswith("translate"):
                assert same.all()


@pytest.mark.parametrize("name", MOVING)
def test_bilinear_pixels_are_within_a_level_of_pillow_s(photos: dict[str, np.ndarray], name: str) -> None:
    """Pillow truncates, OpenCV rounds."""
    for height, width, channels in SHAPES:
        image = photos["coffee"][:height, :width, :channels]
        for value in VALUES[name]:
            expected = by_pillow(image, name, value, "bilinear").astype(int)
            assert np.abs(carried_out(image, name, value, "bilinear") - expected).max() <= 1, (image.shape, value)


@pytest.mark.parametrize("interpolation", METHODS)
def test_the_way_that_a_value_goes(photo: np.ndarray, interpolation: str) -> None:
    right, down = (
        carried_out(photo, "translate_x", 30, interpolation),
        carried_out(photo, "translate_y", 30, interpolation),
    )
    assert np.array_equal(right[:, 30:], photo[:, :-30])
    assert (right[:, :30] == 128).all()
    assert np.array_equal(down[30:], photo[:-30])
    assert (down[:30] == 128).all()
    assert np.array_equal(carried_out(photo, "rotate", 90.0, interpolation), np.rot90(photo))
    sheared = carried_out(photo, "shear_x", 0.5)
    assert np.array_equal(sheared[101, 51:], photo[101, :-51])  # 101.5 rows down
    assert (sheared[101, :50] == 128).all()


@pytest.mark.parametrize("name", [name for name, op in AUGMENT_OPS.items() if op.idle is not None and name != "cutout"])
@pytest.mark.parametrize("interpolation", METHODS)
def test_an_idle_value_leaves_the_image_as_it_is(photo: np.ndarray, name: str, interpolation: str) -> None:
    idle = AUGMENT_OPS[name].idle
    other = {"posterize": 4, "solarize": 100, "solarize_add": 30, "rotate": 20.0}.get(name, 5)
    assert np.array_equal(carried_out(photo, name, idle, interpolation), photo)
    assert not np.array_equal(carried_out(photo, name, other, interpolation), photo)


def test_an_op_without_a_value_is_pillow_s(photo: np.ndarray) -> None:
    for name in ("autocontrast", "equalize", "invert"):
        assert np.array_equal(
            carried_out(photo, name, None), np.asarray(getattr(ImageOps, name)(Image.fromarray(photo)))
        )
    assert carried_out(photo, "identity", None) is photo


def test_cutout_fills_its_rectangle_and_nothing_else(photo: np.ndarray) -> None:
    kept = photo.copy()
    cut = carried_out(photo, "cutout", [10, 20, 40, 60], fill=7)
    assert (cut[20:60, 10:40] == 7).all()
    cut[20:60, 10:40] = photo[20:60, 10:40]
    assert np.array_equal(cut, photo)
    assert np.array_equal(photo, kept)


def test_the_fourteen_are_the_paper_s() -> None:
    paper = "identity autocontrast equalize rotate solarize color posterize contrast brightness sharpness"
    assert (*paper.split(), "shear_x", "shear_y", "translate_x", "translate_y") == FOURTEEN
    assert set(FOURTEEN) - set(SCALED) == {"identity"}
    assert {name for name in AUGMENT_OPS if moves(name)} == set(MOVING)
    assert {name for name, op in AUGMENT_OPS.items() if op.signed} == set(MOVING)


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("interpolation", METHODS)
def test_boxes_and_masks_follow_each_move(
    overlaps: Callable[..., tuple[float, float]], name: str, interpolation: str
) -> None:
    op = RandAugment(interpolation=interpolation, fill=0)
    values = {"rotate": [27.0, -15.0, 100.0], "translate_x": [30, -40], "translate_y": [25, -60]}
    for value in values.get(name, [0.27, -0.2]):
        for box in [(60, 50, 130, 110), (20, 90, 70, 150), (100, 10, 190, 60)]:
            box_iou, mask_iou = overlaps(op, {"ops": [[name, value]]}, box)
            assert box_iou >= 0.9, (value, box, box_iou)
            assert mask_iou >= (0.999 if interpolation == "nearest" else 0.95), (value, box, mask_iou)


def test_cutout_keeps_annotations(overlaps: Callable[..., tuple[float, float]]) -> None:
    cut = {"ops": [["cutout", [0, 0, 20, 20]]]}
    assert overlaps(RandAugment(fill=0), cut, (60, 50, 130, 110)) == (1.0, 1.0)


def test_what_one_step_moves_out_the_next_does_not_bring_back() -> None:
    boxes = np.array([[150.0, 40, 190, 80], [100, 100, 160, 140], [10, 10, 50, 50]])
    image = np.zeros((160, 200, 3), np.uint8)
    keypoints = np.array([[[170.0, 60, 2]], [[110, 120, 2]], [[30, 30, 2]]])
    objects = Objects.from_boxes(boxes, np.array([1, 2, 3]), keypoints=keypoints)
    there_and_back = {"ops": [["translate_x", 80], ["translate_x", -80]]}
    after = carry_out(RandAugment(), Sample(image, objects=objects, mask=np.ones((160, 200), np.uint8)), there_and_back)
    assert after.objects is not None
    assert after.mask is not None
    assert after.objects.labels.tolist() == [2, 3]
    assert after.objects.boxes.tolist() == [[100, 100, 120, 140], [10, 10, 50, 50]]
    assert after.objects.visible.tolist() == [pytest.approx(1 / 3), 1.0]
    assert (after.mask[:, :120] == 1).all()
    assert (after.mask[:, 120:] == 0).all()
    assert (after.image[:, 120:] == 128).all()
    assert (after.image[:, :120] == 0).all()


def test_the_motion_is_the_product_of_the_steps(photo: np.ndarray) -> None:
    steps: list[list[Any]] = [["rotate", 20.0], ["equalize", None], ["shear_y", -0.2], ["translate_x", 12]]
    points = np.array([[10.0, 20.0], [200.5, 31.25], [112.0, 112.0]])
    moved = points
    for step in steps:
        moved = step_motion(step, photo.shape).move_points(moved)
    motion = RandAugment().motion({"ops": steps}, photo.shape)
    assert motion.shape == (224, 224)
    assert motion.move_points(points) == pytest.approx(moved)
    assert RandAugment().motion({"ops": []}, photo.shape).move_points(points) == pytest.approx(points)


def test_steps_are_carried_out_in_order(photo: np.ndarray) -> None:
    first, second = ["rotate", 30.0], ["invert", None]
    one_by_one = carried_out(carried_out(photo, *first), *second)
    assert np.array_equal(RandAugment().apply(photo, {"ops": [first, second]}), one_by_one)
    assert not np.array_equal(RandAugment().apply(photo, {"ops": [second, first]}), one_by_one)


RANGES = Ranges((0, 30), (0, 0.3), (0, 0.5), posterize=(8, 4), solarize=(256, 0), enhance=(0.1, 1.9))


@pytest.mark.parametrize(
    ("name", "strength", "value"),
    [
        ("rotate", 0.45, 13.5),
        ("shear_x", 0.5, 0.15),
        ("translate_x", 0.33, 33),  # of 200 wide
        ("translate_x", 0.339, 33),
        ("translate_y", 0.33, 16),  # of 100 high: 16.5
        ("posterize", 0.49, 7),  # 8 less 1.96
        ("solarize", 0.5, 128),
        ("solarize", 0.999, 1),  # 256 less 255.7
        ("solarize_add", 0.9, 99),
        ("color", 0.5, 1.0),
        ("sharpness", 1.0, 1.9),
        ("cutout", 0.5, 8),  # half a side: 17.86 of 100, at half strength
        ("equalize", 0.7, None),
        ("identity", 0.7, None),
    ],
)
def test_values_are_evenly_between_the_ends_and_whole_ones_truncated(name: str, strength: float, value: Any) -> None:
    found = RANGES.value(name, strength, (100, 200, 3))
    assert found == (None if value is None else pytest.approx(value))
    assert type(found) is type(value)


def test_values_are_to_the_nearest_whole_pixels_or_degrees_where_asked() -> None:
    shape = (100, 200, 3)
    ends: dict[str, Any] = {"posterize": (8, 4), "solarize": (256, 0), "enhance": (0.1, 1.9)}
    nearest = Ranges((0, 30), (0, 0.3), (0, 0.5), **ends, to_nearest=True)
    assert nearest.value("posterize", 0.49, shape) == 6
    assert nearest.value("translate_x", 0.339, shape) == 34
    assert nearest.value("translate_x", -0.339, shape) == -34
    whole = Ranges((0, 30), (0, 0.3), (0, 32), **ends, in_pixels=True, whole_degrees=True)
    assert whole.value("rotate", 0.45, shape) == 13
    assert whole.value("translate_y", 0.5, shape) == 16


def test_a_whole_number_is_not_lost_to_a_fraction_s_last_bit() -> None:
    thirds = Ranges((0, 30), (0, 0.3), (0, 1 / 3), posterize=(4, 0), solarize=(256, 0), enhance=(0.1, 1.9))
    assert 1 / 3 * 0.3 * 160 < 16
    assert thirds.value("translate_x", 0.3, (160, 160)) == 16
    assert thirds.value("translate_x", -0.3, (160, 160)) == -16


def test_no_image_is_posterized_to_black() -> None:
    assert Ranges((0, 30), (0, 0.3), (0, 0.5), (0, 4), (0, 256), (0.1, 1.9)).value("posterize", 0.2, (9, 9)) == 1


def draws_of(i: int) -> Draws:
    return Draws(seed=0, key=str(i), copy=1, at="0")


def test_signs_are_equally_likely(equally_likely: Callable[..., bool]) -> None:
    for name in MOVING:
        values = [RANGES.draw(draws_of(i), name, 0.5, (100, 100))[1] for i in range(1000)]
        assert equally_likely(values, [abs(values[0]), -abs(values[0])])
    assert {RANGES.draw(draws_of(i), "solarize", 0.5, (100, 100))[1] for i in range(50)} == {128}


def test_cutout_is_a_square_about_any_pixel_cut_at_the_edges(equally_likely: Callable[..., bool]) -> None:
    cuts = [RANGES.draw(draws_of(i), "cutout", 0.5, (100, 200))[1] for i in range(4000)]
    inside = [cut for cut in cuts if cut[0] > 0 and cut[1] > 0 and cut[2] < 200 and cut[3] < 100]
    assert {(right - left, bottom - top) for left, top, right, bottom in inside} == {(16, 16)}
    columns = [right - 8 if right < 200 else left + 8 for left, _, right, _ in cuts]
    rows = [bottom - 8 if bottom < 100 else top + 8 for _, top, _, bottom in cuts]
    assert equally_likely([column // 10 for column in columns], list(range(20)))
    assert equally_likely([row // 10 for row in rows], list(range(10)))
    assert min(min(cut) for cut in cuts) == 0
    assert (max(cut[2] for cut in cuts), max(cut[3] for cut in cuts)) == (200, 100)


def test_scaled_ops_are_equally_likely_and_uniform_either_way(
    equally_likely: Callable[..., bool], follows: Callable[..., bool]
) -> None:
    steps = [draw_scaled(draws_of(i), SCALED, 0.4, (1000, 1000)) for i in range(13000)]
    assert equally_likely([name for name, _ in steps], list(SCALED))
    by_name = {name: [value for other, value in steps if other == name] for name in SCALED}
    assert follows(by_name["rotate"], "uniform", -12, 24)
    assert follows(by_name["shear_x"], "uniform", -0.12, 0.24)
    assert follows(by_name["shear_y"], "uniform", -0.12, 0.24)
    for name in ("color", "contrast", "brightness", "sharpness"):
        assert follows(by_name[name], "uniform", 0.64, 0.72)
    for name in ("translate_x", "translate_y"):
        assert follows(by_name[name], "uniform", -178.57, 357.14)
        assert all(type(value) is int for value in by_name[name])
    assert follows(by_name["solarize"], "uniform", 153.6, 102.4)
    assert set(by_name["posterize"]) == {6, 7}  # 7 to 5.8
    assert set(by_name["equalize"]) == {None}


def test_a_policy_is_what_its_steps_are_and_json(photo: np.ndarray) -> None:
    @dataclass(frozen=True, repr=False)
    class Fixed(StepsTransform):
        fill: int = 9
        interpolation: str = "nearest"
        name: ClassVar[str] = "fixed"

        def draw(self, draws: Draws, shape: Shape) -> Params:
            return {"ops": [["rotate", 30.0], ["invert", None]]}

    rendition, steps = Policy((Fixed(),)).run(Sample(photo), seed=0, key="cat", copy=1)
    params = json.loads(json.dumps(steps[0].params))
    assert np.array_equal(rendition.image, finished(carry_out(Fixed(), Sample(photo), params)).image)
    assert (rendition.image[0, 0] == 255 - 9).all()
    assert {Fixed().treatment(kind) for kind in ("boxes", "masks", "keypoints")} == {"moved"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fill": 256}, "fill must be a whole number of at least 0 and at most 255, got 256"),
        ({"fill": 0.5}, "fill must be a whole number of at least 0 and at most 255, got 0.5"),
        ({"interpolation": "bicubic"}, "interpolation must be one of nearest, bilinear, got 'bicubic'"),
    ],
)
def test_fill_and_interpolation_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        RandAugment(**arguments)
    assert str(error.value) == message
