"""The random-resized crop: TensorFlow's windows, TensorFlow's pixels, and objects that stay in view."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.objects import Objects
from augmill.transforms.random_resized_crop import (
    OPS,
    SampleDistortedBoundingBox,
)
from augmill.transforms.randomness import Draws

NAME = "sample_distorted_bounding_box"
ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"min_object_covered": 0.5},
    {"min_object_covered": 0, "area_range": (0.08, 1.0), "aspect_ratio_range": (0.5, 2.0)},
    {"min_object_covered": 0, "area_range": (0.01, 0.02)},
    {"max_attempts": 1},
]


class KernelDraws:
    """The random numbers of TensorFlow's kernel for a seed, handed out as `Draws` hands out its own.

    The kernel takes 32 bits at a time: `random::Uint32ToFloat` and `SimplePhilox::Uniform` in tensorflow/core/lib.
    """

    def __init__(self, seed: list[int]) -> None:
        words = tf.raw_ops.StatelessRandomUniformFullInt(shape=[2000], seed=seed, dtype=tf.uint32)
        self._words = iter(words.numpy().tolist())

    def uniform(self, low: float, high: float) -> float:
        fraction = np.float32((next(self._words) & 0x7FFFFF) * 2.0**-23)
        return float(fraction * (np.float32(high) - np.float32(low)) + np.float32(low))

    def integer(self, low: int, high: int) -> int:
        span = high - low
        skewed = 0 if span & (span - 1) == 0 else 2**32 % span
        word = next(self._words)
        while word < skewed:
            word = next(self._words)
        return low + word % span


def window_of_tensorflow(
    op: SampleDistortedBoundingBox, shape: tuple[int, ...], seed: list[int], boxes: np.ndarray | None = None
) -> dict[str, int]:
    """The window that tf.image draws, with boxes as (xmin, ymin, xmax, ymax) in pixels."""
    height, width = shape[:2]
    given = np.zeros((0, 4)) if boxes is None else boxes[:, [1, 0, 3, 2]] / (height, width, height, width)
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        given[None].astype(np.float32),
        seed,
        op.min_object_covered,
        list(op.aspect_ratio_range),
        list(op.area_range),
        op.max_attempts,
        use_image_if_no_bounding_boxes=True,
    )
    (top, left, _), (rows, columns, _) = begin.numpy().tolist(), size.numpy().tolist()
    return {"top": top, "left": left, "height": rows, "width": columns}


def draws(i: int) -> Draws:
    return Draws(seed=0, key=f"rose/{i}.jpg", copy=1, at="0")


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("shape", [(224, 224, 3), (375, 500, 3), (64, 333, 1), (7, 5, 3), (1, 40, 3)])
def test_windows_are_those_of_the_kernel_for_its_random_numbers(arguments: Any, shape: tuple[int, ...]) -> None:
    op = SampleDistortedBoundingBox(**arguments)
    for seed in ([i, 7] for i in range(25)):
        assert op.draw(KernelDraws(seed), shape) == window_of_tensorflow(op, shape, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("covered", [0.1, 0.6, 1.0])
def test_windows_heed_boxes_as_the_kernel_does(covered: float) -> None:
    op = SampleDistortedBoundingBox(min_object_covered=covered)
    boxes = np.array([[10, 200, 60, 250], [400, 16, 500, 90]])
    sample = Sample(np.zeros((256, 512, 3), np.uint8), objects=Objects.from_boxes(boxes, np.array([1, 2])))
    found = set()
    for seed in ([i, 8] for i in range(100)):
        params = op.draw_for(KernelDraws(seed), sample)  # type: ignore[arg-type]
        assert params == window_of_tensorflow(op, (256, 512, 3), seed, boxes)
        left, top = params["left"], params["top"]
        shares = []
        for box in boxes:
            seen = np.minimum(box[2:], (left + params["width"], top + params["height"])) - np.maximum(
                box[:2], (left, top)
            )
            shares.append(np.prod(seen.clip(0)) / np.prod(box[2:] - box[:2]))
        assert max(shares) >= covered
        found.add(int(np.argmax(shares)))
    assert found == {0, 1}


def test_a_stream_gives_these_windows_for_ever() -> None:
    """What is drawn is part of what a version promises: no change of the code may change it."""
    shape, boxes = (375, 500, 3), np.array([[400.5, 10, 460, 80.25], [20, 300, 60, 330]])
    sample = Sample(np.zeros(shape, np.uint8), objects=Objects.from_boxes(boxes, np.array([0, 1])))
    anywhere, around = SampleDistortedBoundingBox(0.0, (0.75, 1.333), (0.08, 1.0)), SampleDistortedBoundingBox(0.9)
    streams = [{"seed": 7, "key": f"rose/{i}.jpg", "copy": 1, "at": "0"} for i in range(3)]
    found = [tuple(anywhere.draw(Draws(**stream), shape).values()) for stream in streams]  # type: ignore[arg-type]
    assert found == [(29, 152, 220, 247), (101, 52, 134, 136), (22, 118, 338, 358)]
    found = [tuple(around.draw_for(Draws(**stream), sample).values()) for stream in streams]  # type: ignore[arg-type]
    assert found == [(5, 2, 356, 450), (28, 11, 313, 236), (1, 84, 370, 413)]


@pytest.mark.parametrize("arguments", ARGUMENTS[:3])
def test_draws_are_distributed_as_those_of_tensorflow(drawn: Any, arguments: dict[str, Any]) -> None:
    op, shape = SampleDistortedBoundingBox(**arguments), (375, 500, 3)
    ours = drawn(op, shape, 3000)
    theirs = [window_of_tensorflow(op, shape, [i, 9]) for i in range(1500)]
    measures = {
        "area": lambda p: p["height"] * p["width"],
        "aspect": lambda p: p["width"] / p["height"],
        "height": lambda p: p["height"],
        "row": lambda p: p["top"] / max(375 - p["height"], 1),
        "column": lambda p: p["left"] / max(500 - p["width"], 1),
    }
    for name, measure in measures.items():
        found = stats.ks_2samp([measure(p) for p in ours], [measure(p) for p in theirs])
        assert found.pvalue > 1e-3, name


def test_places_are_uniform_and_leave_out_the_last_as_the_kernel_does(drawn: Any, equally_likely: Any) -> None:
    op = SampleDistortedBoundingBox(0, (1.0, 1.0), (0.25, 0.25))
    drawn_here = drawn(op, (12, 12, 3), 4000)
    assert {(p["height"], p["width"]) for p in drawn_here} == {(6, 6)}
    assert equally_likely([(p["top"], p["left"]) for p in drawn_here], [(i, j) for i in range(6) for j in range(6)])


def test_heights_are_uniform_where_the_aspect_ratio_is_given(drawn: Any, equally_likely: Any) -> None:
    op = SampleDistortedBoundingBox(0, (2.0, 2.0), (0.02, 0.08))
    assert equally_likely([p["height"] for p in drawn(op, (100, 100, 3))], list(range(10, 21)))


def test_aspect_ratios_are_uniform(drawn: Any, follows: Any) -> None:
    op = SampleDistortedBoundingBox(0, (0.5, 2.0), (0.1, 0.2))
    assert follows([p["width"] / p["height"] for p in drawn(op, (40000, 40000, 3))], "uniform", 0.5, 1.5)


@pytest.mark.parametrize("size", [None, (96, 128), (300, 280)])
def test_pixels_are_those_of_slice_and_resize(photo: np.ndarray, drawn: Any, size: Any) -> None:
    op = SampleDistortedBoundingBox(size=size)
    for image in (photo, photo[..., :1]):
        for params in drawn(op, image.shape, 8):
            begin, extent = [params["top"], params["left"], 0], [params["height"], params["width"], -1]
            window = tf.slice(image, begin, extent)
            if size is not None:
                window = tf.saturate_cast(tf.round(tf.image.resize(window, size)), tf.uint8)
            assert np.array_equal(op.apply(image, params), window.numpy())


@pytest.mark.parametrize("size", [None, (90, 240)])
@pytest.mark.parametrize("box", [(40, 50, 120, 110), (0, 0, 100, 80), (150, 20, 200, 160)])
def test_annotations_go_with_the_window(overlaps: Any, drawn: Any, size: Any, box: tuple[int, int, int, int]) -> None:
    op = SampleDistortedBoundingBox(0.3, size=size)
    for params in drawn(op, (160, 200, 3), 10):
        box_iou, mask_iou = overlaps(op, params, box)
        assert box_iou >= (1.0 if size is None else 0.9)
        assert mask_iou >= (1.0 if size is None else 0.9)


def test_boxes_are_measured_as_they_are() -> None:
    """TensorFlow cuts coordinates to whole pixels, and so takes this box for one of no width."""
    objects = Objects.from_boxes(np.array([[30.2, 10.0, 30.9, 50.0]]), np.array([1]))
    sample = Sample(np.zeros((64, 64, 3), np.uint8), objects=objects)
    windows = [SampleDistortedBoundingBox().draw_for(draws(i), sample) for i in range(50)]
    assert sum(params["height"] == 64 == params["width"] for params in windows) < 5
    assert all(params["left"] <= 30 < 31 <= params["left"] + params["width"] for params in windows)


def test_without_objects_the_image_stands_for_one(drawn: Any) -> None:
    op, empty = SampleDistortedBoundingBox(0.4), Objects.from_boxes(np.zeros((0, 4)), np.zeros(0))
    image = np.zeros((100, 120, 3), np.uint8)
    for i in range(100):
        params = op.draw(draws(i), image.shape)
        assert params["height"] * params["width"] >= 0.4 * 100 * 120
        assert op.draw_for(draws(i), Sample(image)) == params
        assert op.draw_for(draws(i), Sample(image, objects=empty)) == params


def test_an_image_without_objects_is_an_error_where_it_must_not_stand_for_one() -> None:
    op = SampleDistortedBoundingBox(use_image_if_no_bounding_boxes=False)
    with pytest.raises(TransformError) as error:
        op.draw(draws(0), (100, 100, 3))
    assert str(error.value) == (
        "tf.image.sample_distorted_bounding_box: the image has no boxes; use_image_if_no_bounding_boxes: true lets it "
        "stand for one"
    )


def test_after_all_attempts_the_whole_image_is_kept() -> None:
    op = SampleDistortedBoundingBox(0, (8.0, 9.0), (0.9, 1.0))
    assert op.draw(draws(0), (60, 70, 3)) == {"top": 0, "left": 0, "height": 60, "width": 70}


def test_windows_too_small_to_show_enough_of_the_image_are_an_error() -> None:
    """TensorFlow keeps the whole image then, every time."""
    op = SampleDistortedBoundingBox(area_range=(0.01, 0.05))
    assert window_of_tensorflow(op, (100, 100, 3), [1, 2]) == {"top": 0, "left": 0, "height": 100, "width": 100}
    with pytest.raises(TransformError) as error:
        op.draw(draws(0), (100, 100, 3))
    assert str(error.value) == (
        "tf.image.sample_distorted_bounding_box: without objects a window must show min_object_covered, 0.1, of the "
        "image itself, and area_range allows 0.05: no crop does; lower min_object_covered"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_object_covered": 1.5}, r"min_object_covered must be a number in \[0, 1\], got 1.5"),
        ({"aspect_ratio_range": (0, 1)}, "aspect_ratio_range must be a number above 0, got 0"),
        ({"aspect_ratio_range": 1.5}, r"aspect_ratio_range must be \[lowest, highest\], got 1.5"),
        ({"area_range": [0.5, 1.1]}, r"area_range must be a number in \(0, 1\], got 1.1"),
        ({"area_range": [0.5, 0.1]}, r"area_range must be \[lowest, highest\], got \[0.5, 0.1\]"),
        (
            {"area_range": [1, 1]},
            r"area_range must allow a crop where no size is given: \[1, 1\] keeps the whole image",
        ),
        ({"max_attempts": 0}, "max_attempts must be a whole number of at least 1, got 0"),
        (
            {"use_image_if_no_bounding_boxes": "no"},
            "use_image_if_no_bounding_boxes must be one of True, False, got 'no'",
        ),
        ({"size": [224, 224, 3]}, r"size must be \[height, width\] in whole pixels, got \[224, 224, 3\]"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TransformError, match=f"^{message}$"):
        SampleDistortedBoundingBox(**arguments)


def test_the_defaults_are_those_of_tensorflow() -> None:
    from tensorflow.python.framework import op_def_registry

    op = SampleDistortedBoundingBox()
    definition = op_def_registry.get("StatelessSampleDistortedBoundingBox")
    defaults = {attribute.name: attribute.default_value for attribute in definition.attr}
    assert op.aspect_ratio_range == pytest.approx(tuple(defaults["aspect_ratio_range"].list.f))
    assert op.area_range == pytest.approx(tuple(defaults["area_range"].list.f))
    assert op.max_attempts == defaults["max_attempts"].i
    signature = inspect.signature(tf.image.stateless_sample_distorted_bounding_box)
    assert op.min_object_covered == signature.parameters["min_object_covered"].default


def test_every_op_is_its_spec() -> None:
    assert {op.name[9:] for op in OPS} == {NAME, f"stateless_{NAME}"}
    for op in (kind(0.2, [0.5, 2], (0.1, 1), 7, False, [20, 30]) for kind in OPS):  # type: ignore[call-arg]
        assert type(op)(**op.arguments()) == op
    assert OPS[1]().draw(draws(3), (90, 90, 3)) == OPS[0]().draw(draws(3), (90, 90, 3))
