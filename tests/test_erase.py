"""Erasing: one rectangle, filled as asked, drawn over the whole image; all else stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from augmill.transforms.backend import in_graph
from augmill.transforms.base import Params, Sample, TransformError
from augmill.transforms.erase import OPS, RandomErasing
from augmill.transforms.objects import Objects
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import carry_out, finished

WINDOW = np.s_[20:70, 90:120]
PARAMS: Params = {"erase": True, "top": 20, "left": 90, "height": 50, "width": 30}


def transformed(op: RandomErasing, image: np.ndarray, params: Params) -> np.ndarray:
    return finished(carry_out(op, Sample(image), params)).image


def outside(image: np.ndarray) -> np.ndarray:
    kept = image.copy()
    kept[WINDOW] = 0
    return kept


@pytest.mark.parametrize("fill", [0, 77, (10, 20, 30), [0, 255, 7.6]])
def test_the_rectangle_has_the_fill_and_nothing_else_changes(photo: np.ndarray, fill: Any) -> None:
    erased = transformed(RandomErasing(fill_value=fill), photo, PARAMS)
    assert (erased[WINDOW] == np.rint(np.broadcast_to(fill, 3)).astype(np.uint8)).all()
    assert np.array_equal(outside(erased), outside(photo))
    floats = photo.astype(np.float32)
    RandomErasing(fill_value=fill).apply(floats, PARAMS)
    assert np.array_equal(floats, photo)  # not in place


def test_without_a_fill_it_is_noise_of_the_normal_distribution(photo: np.ndarray) -> None:
    erased = RandomErasing().apply(photo.astype(np.float32), {**PARAMS, "noise_seed": 5})
    noise = erased[WINDOW].ravel()
    assert noise.min() == 0
    assert noise.max() == 255
    # N(0, 255) clipped to [0, 255]: half of it is black, and 16 % is white.
    assert (noise == 0).mean() == pytest.approx(0.5, abs=0.02)
    assert (noise == 255).mean() == pytest.approx(stats.norm.sf(1), abs=0.02)
    between = noise[(noise > 0) & (noise < 255)]
    assert stats.kstest(between, stats.truncnorm(0, 1, scale=255).cdf).pvalue > 1e-3
    assert np.array_equal(outside(erased), outside(photo))
    again, other = (RandomErasing().apply(photo.astype(np.float32), {**PARAMS, "noise_seed": i}) for i in (5, 6))
    assert np.array_equal(again, erased)
    assert not np.array_equal(other, erased)


@pytest.mark.parametrize("fill", [77, (10, 20, 30)])
def test_the_layer_fills_as_much(photo: np.ndarray, fill: Any) -> None:
    layer = keras.layers.RandomErasing(factor=(1.0, 1.0), fill_value=fill, seed=4)
    batch = photo[None].astype("float32")
    theirs = layer.get_random_transformation(batch, training=True)
    rows, columns = np.nonzero(np.asarray(theirs["batch_masks"])[0, ..., 0])
    params = {
        "erase": True,
        "top": int(rows[0]),
        "left": int(columns[0]),
        "height": int(rows[-1] - rows[0] + 1),
        "width": int(columns[-1] - columns[0] + 1),
    }
    expected = np.asarray(layer.transform_images(batch, theirs))[0]
    assert np.array_equal(RandomErasing(fill_value=fill).apply(batch[0], params), expected)


@pytest.mark.parametrize(
    ("op", "low", "high"),
    [
        (RandomErasing(), 0.02, 0.33),
        (RandomErasing(scale=0.25), 0, 0.25),
        (RandomErasing(scale=(0.1, 0.2), fill_value=0), 0.1, 0.2),
        (RandomErasing(scale=(1, 1)), 1, 1),
    ],
)
def test_sides_are_the_roots_of_draws_from_scale(
    drawn: Any, follows: Callable[..., bool], op: RandomErasing, low: float, high: float
) -> None:
    side = 10**6  # whole pixels are then fine enough for a test of a continuous distribution
    params = drawn(op, (side, 2 * side, 3))
    assert set(params[0]) == {*op.draws} - ({"noise_seed"} if op.fill_value is not None else set())
    shares = {
        name: [(drawing[name] / length) ** 2 for drawing in params]
        for name, length in (("height", side), ("width", 2 * side))
    }
    if low == high:
        assert set(shares["height"]) == set(shares["width"]) == {1.0}
        return
    for values in shares.values():
        assert follows(values, "uniform", low, high - low)
    assert abs(np.corrcoef(*shares.values())[0, 1]) < 0.06
    area = [drawing["height"] * drawing["width"] / (2 * side**2) for drawing in params]
    assert low <= min(area)
    assert max(area) <= high + 1e-5


def test_every_place_is_equally_likely(drawn: Any, equally_likely: Any) -> None:
    params = drawn(RandomErasing(scale=(0.25, 0.25)), (12, 16, 3))
    assert {(drawing["height"], drawing["width"]) for drawing in params} == {(6, 8)}
    assert equally_likely([drawing["top"] for drawing in params], list(range(7)))
    assert equally_likely([drawing["left"] for drawing in params], list(range(9)))


def test_the_first_pixel_is_erased_too_which_keras_never_does(drawn: Any) -> None:
    op = RandomErasing(scale=(0.5, 0.5), fill_value=0)
    white = np.full((10, 10, 3), 255, np.uint8)
    erased = np.mean([transformed(op, white, params) == 0 for params in drawn(op, white.shape, 400)], axis=0)
    assert erased[0, 0, 0] == pytest.approx(1 / 16, abs=0.03)  # a rectangle of 7 x 7 has 4 x 4 places
    layer = keras.layers.RandomErasing(factor=(1.0, 1.0), scale=(0.5, 0.5), seed=1)
    theirs = layer.get_random_transformation(np.zeros((400, 10, 10, 3), "float32"), training=True)
    shares = np.asarray(theirs["batch_masks"]).mean(axis=0)[..., 0]
    assert shares[0].max() == 0  # in Keras 3.15
    assert shares[-1].max() > 0


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 1.0), (1, 1.0), (0.3, 0.3), ((0.2, 0.8), 0.5), ((1, 1), 1.0)])
def test_the_probability_is_the_number_given(drawn: Any, factor: Any, expected: float) -> None:
    erased = [drawing["erase"] for drawing in drawn(RandomErasing(factor), count=1500)]
    assert {type(erase) for erase in erased} == {bool}
    assert np.mean(erased) == pytest.approx(expected, abs=0.04 * (expected < 1))


def test_an_image_that_is_not_erased_stays_as_it_is(photo: np.ndarray) -> None:
    assert np.array_equal(transformed(RandomErasing(), photo, {**PARAMS, "erase": False, "noise_seed": 1}), photo)


def test_annotations_stay(photo: np.ndarray) -> None:
    objects = Objects.from_boxes(np.array([[90, 20, 120, 70]]), np.array([1]), keypoints=np.array([[[100, 30, 2]]]))
    sample = Sample(photo, objects=objects, mask=photo[..., 0])
    after = carry_out(RandomErasing(fill_value=0), sample, PARAMS)
    assert after.objects is objects
    assert after.mask is sample.mask


@pytest.mark.parametrize("shape", [(1, 40, 3), (40, 1, 3), (1, 1, 3), (32, 32, 1), (33, 47, 3)])
@pytest.mark.parametrize("fill", [None, 200])
def test_something_of_every_image_is_erased(drawn: Any, shape: tuple[int, int, int], fill: Any) -> None:
    image = np.full(shape, 100, np.uint8)
    for params in drawn(RandomErasing(fill_value=fill), shape, 20):
        assert (transformed(RandomErasing(fill_value=fill), image, params) != 100).any()


def test_a_colour_needs_three_channels() -> None:
    with pytest.raises(TransformError) as error:
        RandomErasing(fill_value=(1, 2, 3)).draw(Draws(seed=0, key="a", copy=1, at="0"), (32, 32, 1))
    expected = "a fill_value of 3 levels needs images of 3 channels, got 1; give one level"
    assert str(error.value) == f"keras.layers.RandomErasing: {expected}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 0}, "factor must be a probability above 0, or nothing ever changes, got 0"),
        ({"factor": -0.1}, "factor must be a number in [0, 1], got -0.1; or [lowest, highest] within it"),
        ({"scale": 0}, "scale must reach above 0, or there is nothing to erase, got 0"),
        ({"scale": (0.3, 0.1)}, "scale must be [lowest, highest], got [0.3, 0.1]"),
        ({"fill_value": 256}, "fill_value must be a number in [0, 255], got 256"),
        ({"fill_value": (1, 2)}, "fill_value must be a level, [red, green, blue] or none, got (1, 2)"),
        ({"fill_value": (1, 2, -3)}, "fill_value must be a number in [0, 255], got -3"),
        ({"fill_value": "noise"}, "fill_value must be a number in [0, 255], got 'noise'"),
        ({"value_range": (0, 1)}, "value_range must be [0, 255], what images are here, got (0, 1)"),
    ],
)
def test_an_error_says_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        RandomErasing(**arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "op",
    [RandomErasing(), RandomErasing(0.5, 0.2, 7), RandomErasing([0, 1], [0, 1], [1, 2, 3], [0, 255])],  # type: ignore[arg-type]
)
def test_an_op_comes_back_from_its_spec_and_does_the_same_in_a_graph(photo: np.ndarray, op: RandomErasing) -> None:
    again = RandomErasing(**op.arguments())
    assert again == op
    assert again.arguments() == op.arguments()
    assert set(op.takes) == set(op.arguments())
    assert (RandomErasing,) == OPS
    params = {**PARAMS, "noise_seed": 3}
    assert np.array_equal(in_graph(again, params)(tf.constant(photo)).numpy(), transformed(op, photo, params))
