"""Keras layers without state: pure functions of (image, seed) that keep the layer's own meaning."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.keras_layer import REFUSED, KerasLayer, layer_names
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws

# Every layer with arguments under which it changes an image.
FIXED: dict[str, dict[str, Any]] = {
    "AutoContrast": {},
    "CenterCrop": {"height": 60, "width": 70},
    "ContrastLimitedAdaptiveHistogramEqualization": {"clip_limit": 3.0},
    "Equalization": {},
    "Resizing": {"height": 60, "width": 70},
}
RANDOM: dict[str, dict[str, Any]] = {
    "RandAugment": {"factor": 0.4},
    "RandomBrightness": {"factor": 0.2},
    "RandomColorDegeneration": {"factor": [0.2, 0.9]},
    "RandomColorJitter": {"brightness_factor": 0.3, "contrast_factor": 0.3, "hue_factor": 0.1},
    "RandomContrast": {"factor": [0.3, 0.3]},
    "RandomCrop": {"height": 60, "width": 70},
    "RandomElasticTransform": {"factor": [1.0, 1.0]},
    "RandomErasing": {"factor": [1.0, 1.0]},
    "RandomFlip": {"mode": "horizontal"},
    "RandomGaussianBlur": {"factor": [1.0, 1.0], "kernel_size": 5, "sigma": [0.5, 3.0]},
    "RandomGrayscale": {"factor": 0.5},
    "RandomHue": {"factor": [0.1, 0.5]},
    "RandomInvert": {"factor": [0.5, 0.5]},
    "RandomPerspective": {"factor": [1.0, 1.0]},
    "RandomPosterization": {"factor": 6},
    "RandomRotation": {"factor": 0.1},
    "RandomSaturation": {"factor": [0.2, 0.9]},
    "RandomSharpness": {"factor": [0.2, 0.9]},
    "RandomShear": {"x_factor": 0.3, "y_factor": 0.3},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.3},
    "Solarization": {"addition_factor": 0.2, "threshold_factor": 0.5},
}
# Older releases of Keras, which Python 3.10 gets, have fewer layers.
ARGUMENTS = {layer: arguments for layer, arguments in {**FIXED, **RANDOM}.items() if layer in layer_names()}


@pytest.fixture(scope="module")
def face(photo: np.ndarray) -> np.ndarray:
    """A window small enough to go through every layer many times."""
    return np.ascontiguousarray(photo[40:136, 60:156])


def draws(i: int, *, at: str = "0") -> Draws:
    return Draws(seed=5, key=f"rose/{i}.jpg", copy=1, at=at)


def test_every_layer_of_keras_is_tried_here_or_refused() -> None:
    assert {*ARGUMENTS, *REFUSED} == set(layer_names())


@pytest.mark.parametrize("layer", ARGUMENTS)
def test_the_seed_alone_decides_the_bytes(face: np.ndarray, layer: str) -> None:
    one, other = KerasLayer(layer, ARGUMENTS[layer]), KerasLayer(layer, ARGUMENTS[layer])
    images = []
    for i in range(8):
        params = one.draw(draws(i), face.shape)
        images.append(one.apply(face, params))
        assert np.array_equal(other.apply(face, {"seed": params["seed"]}), images[-1])
        assert images[-1].dtype == np.uint8
        assert images[-1].shape == ((60, 70, 3) if "height" in ARGUMENTS[layer] else face.shape)
    assert any(not np.array_equal(image, face) for image in images)
    distinct = len({image.tobytes() for image in images})
    assert distinct == 1 if layer in FIXED else distinct > 1


@pytest.mark.parametrize("layer", RANDOM)
def test_a_layer_remembers_nothing(face: np.ndarray, layer: str) -> None:
    op = KerasLayer(layer, RANDOM[layer])
    a, b = {"seed": [11, -4]}, {"seed": [-9, 2]}
    first = op.apply(face, a)
    assert np.array_equal(op.apply(face, a), first)
    smaller = op.apply(face[:80, :90], a)
    assert np.array_equal(smaller, KerasLayer(layer, RANDOM[layer]).apply(face[:80, :90], a))
    op.apply(face, b)
    op.draw(draws(0), face.shape)
    assert np.array_equal(op.apply(face, a), first)


@pytest.mark.parametrize("layer", ARGUMENTS)
def test_parameters_are_named_json_values(face: np.ndarray, layer: str) -> None:
    params = KerasLayer(layer, ARGUMENTS[layer]).draw(draws(0), face.shape)
    assert json.loads(json.dumps(params)) == params
    assert all(params)  # a parameter without a name can't be read in a record or a report


def test_the_global_seed_of_keras_changes_nothing(face: np.ndarray) -> None:
    images = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        images.append(KerasLayer("RandAugment", {"factor": 0.4}).apply(face, {"seed": [3, 4]}))
    assert np.array_equal(*images)


@pytest.mark.parametrize("layer", ARGUMENTS)
def test_what_is_set_for_keras_as_a_whole_changes_nothing(face: np.ndarray, layer: str) -> None:
    expected = KerasLayer(layer, ARGUMENTS[layer]).apply(face, {"seed": [3, 4]})
    config = keras.config
    before = config.image_data_format(), config.floatx(), config.epsilon(), config.dtype_policy()
    config.set_image_data_format("channels_first")
    config.set_floatx("float16")
    config.set_epsilon(0.1)
    config.set_dtype_policy("mixed_float16")
    try:
        image = KerasLayer(layer, ARGUMENTS[layer]).apply(face, {"seed": [3, 4]})
        assert (config.image_data_format(), config.floatx(), config.epsilon()) == ("channels_first", "float16", 0.1)
    finally:
        config.set_image_data_format(before[0])
        config.set_floatx(before[1])
        config.set_epsilon(before[2])
        config.set_dtype_policy(before[3])
    assert np.array_equal(image, expected)


def test_a_layer_twice_in_a_policy_draws_twice(face: np.ndarray) -> None:
    policy = Policy((KerasLayer("RandomBrightness", {"factor": 0.2}), KerasLayer("RandomBrightness", {"factor": 0.2})))
    runs = [policy.run(Sample(face[:8, :8]), seed=0, key=f"rose/{i}.jpg", copy=1)[1] for i in range(400)]
    deltas = np.array([[step.params["rgb_delta"] for step in steps] for steps in runs])
    assert stats.pearsonr(*deltas.T).pvalue > 1e-3
    for column in deltas.T:
        assert stats.kstest(column, "uniform", args=(-51, 102)).pvalue > 1e-3


def test_the_draws_of_one_layer_are_independent() -> None:
    op = KerasLayer("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2})
    shifts = np.array([op.draw(draws(i), (100, 100, 3))["translations"] for i in range(400)])
    assert stats.pearsonr(*shifts.T).pvalue > 1e-3
    for column in shifts.T:
        assert stats.kstest(column, "uniform", args=(-20, 40)).pvalue > 1e-3


def test_both_numbers_of_the_seed_count(face: np.ndarray) -> None:
    op = KerasLayer("RandomContrast", {"factor": [0.3, 0.3]})
    images = [op.apply(face, {"seed": seed}) for seed in ([1, 2], [1, 3], [4, 2])]
    assert len({image.tobytes() for image in images}) == 3


def test_contrast_is_the_layers_own_with_the_factor_drawn(face: np.ndarray) -> None:
    op, layer = KerasLayer("RandomContrast", {"factor": [0.3, 0.3]}), keras.layers.RandomContrast((0.3, 0.3))
    factors = []
    for i in range(300):
        params = op.draw(draws(i), face.shape)
        factors.append(params["contrast_factor"])
        if i < 5:
            own = {"contrast_factor": tf.reshape(tf.constant(factors[-1]), (1, 1, 1))}
            pixels = layer.transform_single_image(tf.constant(face, "float32"), own).numpy()
            assert np.array_equal(op.apply(face, params), np.rint(pixels).astype(np.uint8))
    assert stats.kstest(factors, "uniform", args=(0.7, 0.6)).pvalue > 1e-3


def test_brightness_adds_the_levels_drawn(face: np.ndarray) -> None:
    op = KerasLayer("RandomBrightness", {"factor": [-0.6, 0.6]})
    for i in range(5):
        params = op.draw(draws(i), face.shape)
        expected = np.rint(np.clip(face.astype(np.float32) + np.float32(params["rgb_delta"]), 0, 255))
        assert np.array_equal(op.apply(face, params), expected.astype(np.uint8))


def test_a_flip_mirrors_half_of_the_images(face: np.ndarray) -> None:
    op = KerasLayer("RandomFlip", {"mode": "horizontal"})
    flips = []
    for i in range(300):
        params = op.draw(draws(i), face.shape)
        flips.append(params["flips"])
        if i < 8:
            assert np.array_equal(op.apply(face, params), face[:, ::-1] if flips[-1] else face)
    assert stats.binomtest(sum(flips), len(flips), 0.5).pvalue > 1e-3


def test_a_quarter_turn_is_a_quarter_turn(face: np.ndarray) -> None:
    image = KerasLayer("RandomRotation", {"factor": [0.25, 0.25]}).apply(face, {"seed": [1, 2]})
    assert np.abs(image.astype(int) - np.rot90(face)).max() <= 1


@pytest.mark.parametrize("layer", ["CenterCrop", "RandomCrop"])
def test_a_crop_is_a_window_of_the_image(face: np.ndarray, layer: str) -> None:
    image = KerasLayer(layer, {"height": 60, "width": 70}).apply(face, {"seed": [1, 2]})
    windows = np.lib.stride_tricks.sliding_window_view(face, (60, 70, 3))[:, :, 0]
    places = np.argwhere((windows == image).all(axis=(2, 3, 4))).tolist()
    assert len(places) == 1
    assert places == [[18, 13]] or layer == "RandomCrop"


def test_inversion_mirrors_the_levels(face: np.ndarray) -> None:
    image = KerasLayer("RandomInvert", {"factor": [1.0, 1.0]}).apply(face, {"seed": [1, 2]})
    assert np.array_equal(image, 255 - face)


@pytest.mark.parametrize("factor", [0.2, 0.5, 0.7, 0.9])
def test_saturation_is_scaled_as_on_the_unit_range(face: np.ndarray, factor: float) -> None:
    image = KerasLayer("RandomSaturation", {"factor": [factor, factor]}).apply(face, {"seed": [1, 2]})
    expected = tf.image.adjust_saturation(face, factor / (1 - factor)).numpy()
    assert np.abs(image.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("factor", [0.2, 0.5, 0.7, 0.9])
def test_colour_jitter_scales_saturation_as_on_the_unit_range(face: np.ndarray, factor: float) -> None:
    image = KerasLayer("RandomColorJitter", {"saturation_factor": [factor, factor]}).apply(face, {"seed": [1, 2]})
    expected = tf.image.adjust_saturation(face, factor / (1 - factor)).numpy()
    assert np.abs(image.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("layer", REFUSED)
def test_a_layer_that_cannot_work_on_one_image_is_refused_with_the_reason(layer: str) -> None:
    with pytest.raises(TransformError) as error:
        KerasLayer(layer)
    assert str(error.value) == f"keras.layers.{layer} cannot be used here: {REFUSED[layer]}"


@pytest.mark.parametrize("layer", ["RandomContrats", "Dense", ""])
def test_an_unknown_layer_is_answered_with_the_nearest(layer: str) -> None:
    with pytest.raises(TransformError, match=f"^keras.layers.{layer} is not an image layer of Keras; ") as error:
        KerasLayer(layer)
    assert ("did you mean keras.layers.RandomContrast? " in str(error.value)) == (layer == "RandomContrats")
    assert "RandomZoom, Resizing, Solarization" in str(error.value)


@pytest.mark.parametrize(
    ("layer", "given", "message"),
    [
        (
            "RandomContrast",
            {"facter": 0.3},
            r"no argument 'facter'; did you mean factor\? It takes factor, value_range$",
        ),
        ("RandomContrast", {"factor": 0.3, "seed": 4}, "leave out seed; the spec's own seed rules every draw$"),
        ("RandomContrast", {"factor": 0.3, "value_range": [0, 1]}, r"value_range must be \[0, 255\].* got \[0, 1\]$"),
        ("RandomContrast", {}, "missing 1 required positional argument: 'factor'$"),
        ("RandomContrast", {"factor": 1.5}, r"in the range \[0, 1\]. Received: factor=1.5$"),
        ("RandomContrast", {"factor": "much"}, "Received: factor=much$"),
        ("RandomRotation", {"factor": 0.1, "fill_mode": "mirrored"}, "fill_mode.* mirrored"),
        ("RandomZoom", {"height_factor": 0.1, "interpolation": "cubic"}, "interpolation.* cubic"),
        ("RandomContrast", {"factor": 0.3, "value_range": 255}, r"value_range must be \[0, 255\].* got 255$"),
        ("RandomContrast", {"factor": 0.3, 1: 2}, "has no argument 1"),
    ],
)
def test_wrong_arguments_are_an_error_that_names_layer_and_argument(
    layer: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TransformError, match=message) as error:
        KerasLayer(layer, given)
    assert f"keras.layers.{layer}" in str(error.value)


def test_the_usual_value_range_may_be_written_out(face: np.ndarray) -> None:
    for layer in ("RandomContrast", "RandomSaturation"):
        written = KerasLayer(layer, {"factor": [0.3, 0.3], "value_range": [0, 255]})
        plain = KerasLayer(layer, {"factor": [0.3, 0.3]})
        assert np.array_equal(written.apply(face, {"seed": [1, 2]}), plain.apply(face, {"seed": [1, 2]}))
        assert written.arguments() == {"factor": [0.3, 0.3], "value_range": [0, 255]}
