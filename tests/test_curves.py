"""Curves are what tf.image, Keras and Pillow make of each of the 256 levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from augmill.transforms import curves
from augmill.transforms.curves import LEVEL_CURVES, Curve
from augmill.transforms.kernels import Tone
from augmill.transforms.levels import Counted, histogram, look_up

LEVELS = np.arange(256, dtype=np.float32)[None]
EVERY_LEVEL = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)


def unasked() -> np.ndarray:
    raise AssertionError("the curve asked for counts that it has no use for")


def bent(image: np.ndarray, *row: Curve) -> np.ndarray:
    """The image after a row of curves on whole levels."""
    return look_up(image, Tone(row, (True,) * len(row)).table(Counted(image)))


def apart(ours: Any, theirs: Any) -> np.ndarray:
    return np.abs(np.ravel(ours).astype(np.float64) - np.ravel(theirs))


def numbers(low: float, high: float, count: int = 400) -> list[float]:
    return np.random.default_rng(11).uniform(low, high, count).tolist()


def test_tf_brightness_is_tensorflow_s_on_every_level() -> None:
    for delta in [*numbers(-1, 1), *(k / 255 for k in range(-255, 256)), 0.5, -0.2]:
        expected = tf.image.adjust_brightness(EVERY_LEVEL, delta).numpy()
        assert np.array_equal(curves.tf_brightness(delta)(LEVELS, unasked)[0], expected.ravel()), delta


def test_tf_gamma_is_tensorflow_s_on_every_level_but_for_a_few_in_a_million() -> None:
    # TensorFlow's power in float32 has a last bit of its own.
    drawn = [*zip(numbers(0, 3), numbers(0, 2), strict=True), *((gamma, 1.0) for gamma in numbers(0, 3, 200))]
    found = [
        apart(curves.tf_gamma(*pair)(LEVELS, unasked), tf.image.adjust_gamma(EVERY_LEVEL, *pair)) for pair in drawn
    ]
    assert np.max(found) <= 1
    assert np.mean(found) < 2e-5
    for pair in [(0.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 0.5), (1.0, 1.5), (0.0, 0.0), (1.0, 0.0), (255.0, 255.0)]:
        assert not apart(curves.tf_gamma(*pair)(LEVELS, unasked), tf.image.adjust_gamma(EVERY_LEVEL, *pair)).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_tf_contrast_is_tensorflow_s_but_for_one_image_in_thousands(
    photos: dict[str, np.ndarray], channels: int
) -> None:
    images = [photo[40 * i : 40 * i + 73, 30 * i : 30 * i + 59, :channels] for photo in photos.values() for i in (1, 3)]
    images += [images[0][:1, :1], images[0][:1], images[0][:, :1]]
    found = []
    for image in images:
        for factor in [*numbers(0, 3, 40), 0.0, 0.5, 1.0, 2.0, -1.5, 255.0]:
            found.append(apart(bent(image, curves.tf_contrast(factor)), tf.image.adjust_contrast(image, factor)))
    assert np.max([differences.max() for differences in found]) <= 1
    assert np.mean([differences.any() for differences in found]) < 0.01


def keras_pixels(layer: keras.Layer, levels: np.ndarray, **transformation: float) -> np.ndarray:
    """What a layer makes of one row of pixels of these levels, handed what it would have drawn."""
    drawn = {name: tf.fill([1, 1, 1, 1], value) for name, value in transformation.items()}
    pixels = tf.constant(levels.reshape(1, 1, -1, 1))
    return layer.transform_images(pixels, drawn, training=True).numpy().ravel()


@pytest.mark.parametrize("levels", [LEVELS, LEVELS * np.float32(0.93) + np.float32(5.3)], ids=["whole", "fractions"])
def test_keras_curves_are_the_layers_on_every_level_and_on_fractions(levels: np.ndarray) -> None:
    once = np.ones((1, 256), np.int64)
    brightness, contrast = keras.layers.RandomBrightness(1.0), keras.layers.RandomContrast(1.0)
    solarization, stretching = keras.layers.Solarization(1.0, 1.0), keras.layers.AutoContrast()
    for one, other in zip(numbers(-1, 1), numbers(0, 1)[::-1], strict=True):
        brighter = np.clip(curves.keras_brightness(one)(levels, unasked), 0, 255)
        assert np.array_equal(brighter[0], keras_pixels(brightness, levels, rgb_delta=one * 255.0))
        turned = curves.keras_solarize(other, abs(one))(levels, unasked)
        drawn = {"additions": other * 255.0, "thresholds": abs(one) * 255.0}
        assert np.array_equal(turned[0], keras_pixels(solarization, levels, **drawn))
        contrasted = np.clip(curves.keras_contrast(1 + one)(levels, Counted(EVERY_LEVEL, lambda: once)), 0, 255)
        assert apart(contrasted, keras_pixels(contrast, levels, contrast_factor=1 + one)).max() < 1e-4
    stretched = curves.keras_autocontrast(levels, Counted(EVERY_LEVEL, lambda: once))
    assert apart(stretched, keras_pixels(stretching, levels)).max() < 1e-4


def test_keras_posterize_clears_bits_of_fractions_truncated() -> None:
    fractions = LEVELS * np.float32(0.99) + np.float32(0.7)
    layer = keras.layers.RandomPosterization(8)
    for bits in range(1, 9):
        shift = {"shift_factor": tf.constant([8 - bits], tf.uint8)}
        expected = layer.transform_images(tf.constant(fractions.reshape(1, 1, -1, 1)), shift, training=True)
        assert np.array_equal(curves.posterize(bits)(fractions, unasked)[0], expected.numpy().ravel())


# For each elementary op its values, and what Pillow makes of an image.
AS_PILLOW: list[tuple[str, list[Any], Callable[[Image.Image, Any], Image.Image]]] = [
    ("autocontrast", [None], lambda image, _: ImageOps.autocontrast(image)),
    ("equalize", [None], lambda image, _: ImageOps.equalize(image)),
    ("invert", [None], lambda image, _: ImageOps.invert(image)),
    ("posterize", list(range(1, 9)), ImageOps.posterize),
    ("solarize", [0, 1, 64, 113.5, 128.0000000001, 255, 256], ImageOps.solarize),
    ("brightness", [0.0, 0.1, 1.0, 1.9], lambda image, factor: ImageEnhance.Brightness(image).enhance(factor)),
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "values", "reference"), AS_PILLOW, ids=[row[0] for row in AS_PILLOW])
def test_ops_of_policies_are_pillow_s_by_themselves_and_after_another(
    photo: np.ndarray, name: str, values: list[Any], reference: Any, channels: int
) -> None:
    for image in (photo, photo // 8 + 90, photo[:1, :57], photo[:57, :1], photo[:1, :1], np.full_like(photo, 77)):
        given = np.ascontiguousarray(image[..., :channels])
        pillow = Image.fromarray(given[..., 0] if channels == 1 else given)
        for value in values:
            curve = LEVEL_CURVES[name](value)
            expected = np.asarray(reference(pillow, value)).reshape(given.shape)
            assert np.array_equal(bent(given, curve), expected), value
            for first, filter_ in (
                ("invert", ImageOps.invert),
                ("posterize", lambda it: ImageOps.posterize(it, 3)),
                ("equalize", ImageOps.equalize),
            ):
                expected = np.asarray(reference(filter_(pillow), value)).reshape(given.shape)
                assert np.array_equal(bent(given, LEVEL_CURVES[first](3), curve), expected), (first, value)


@pytest.mark.parametrize(("addition", "added"), [(0, 127), (50, 177), (-40, 87), (255, 255), (-255, 0)])
def test_solarize_add_adds_to_the_darker_half_alone(addition: int, added: int) -> None:
    levels = LEVEL_CURVES["solarize_add"](addition)(LEVELS, unasked)[0]
    assert levels[127] == added
    assert np.array_equal(levels[128:], LEVELS[0, 128:])


def test_blend_with_the_mean_grey_is_pillow_s_contrast(photo: np.ndarray) -> None:
    pillow = Image.fromarray(photo)
    mean = int(np.asarray(pillow.convert("L")).mean() + 0.5)
    for factor in (0.0, 0.28, 0.7431, 1.0, 1.72, 3.0):
        expected = np.asarray(ImageEnhance.Contrast(pillow).enhance(factor))
        assert np.array_equal(bent(photo, curves.blend_with(mean, factor)), expected)


EVERY_CURVE: dict[str, Curve] = {
    **{name: make(4) for name, make in LEVEL_CURVES.items()},
    "tf_brightness": curves.tf_brightness(0.1),
    "tf_contrast": curves.tf_contrast(1.2),
    "tf_gamma": curves.tf_gamma(1.3, 0.9),
    "keras_brightness": curves.keras_brightness(-0.1),
    "keras_contrast": curves.keras_contrast(0.6),
    "keras_solarize": curves.keras_solarize(0.1, 0.5),
    "keras_autocontrast": curves.keras_autocontrast,
    "keras_equalize": curves.keras_equalize(64),
}


@pytest.mark.parametrize("name", EVERY_CURVE)
def test_every_curve_gives_float32_and_leaves_what_it_is_given(photo: np.ndarray, name: str) -> None:
    counts = histogram(photo)
    counted = counts.copy()
    for rows in (1, 3):
        levels = np.repeat(LEVELS, rows, axis=0)
        made = EVERY_CURVE[name](levels, Counted(photo, lambda: counts))
        assert made.dtype == np.float32
        assert made.shape in ((1, 256), (3, 256))
        assert np.isfinite(made).all()
        assert np.array_equal(levels, np.repeat(LEVELS, rows, axis=0)) and np.array_equal(counts, counted)
