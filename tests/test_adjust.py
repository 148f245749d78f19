"""The adjustments of tf.image: its pixels, for a number given and for one drawn from a range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.adjust import (
    OPS,
    AdjustBrightness,
    AdjustContrast,
    AdjustGamma,
    AdjustHue,
    AdjustSaturation,
)
from augmill.transforms.base import TransformError
from augmill.transforms.randomness import Draws

# The op, its argument, a range, and the function of tf.image.
CASES = [
    (AdjustBrightness, "delta", (-0.7, 0.4), tf.image.adjust_brightness),
    (AdjustContrast, "contrast_factor", (-0.5, 3.0), tf.image.adjust_contrast),
    (AdjustSaturation, "saturation_factor", (0.0, 2.5), tf.image.adjust_saturation),
    (AdjustHue, "delta", (-1.0, 0.9), tf.image.adjust_hue),
    (AdjustGamma, "gamma", (0.3, 2.5), tf.image.adjust_gamma),
    (AdjustGamma, "gain", (0.5, 1.5), tf.image.adjust_gamma),
]
each_case = pytest.mark.parametrize(("kind", "argument", "span", "function"), CASES)
IN_COLOUR = (AdjustSaturation, AdjustHue)


def draws() -> Draws:
    return Draws(seed=0, key="rose/1.jpg", copy=1, at="0")


@each_case
def test_pixels_are_those_of_tensorflow(
    photo: np.ndarray, drawn: Any, kind: Any, argument: str, span: Any, function: Any
) -> None:
    op = kind(**{argument: list(span)})
    for image in (photo, photo[:1], photo[:, :1], photo[..., :1]):
        if image.shape[2] == 3 or kind not in IN_COLOUR:
            for params in drawn(op, image.shape, 8):
                changed = op.apply(image, params)
                assert changed.dtype == np.uint8
                assert np.array_equal(changed, function(image, **params).numpy())
                assert not np.array_equal(changed, image)


@each_case
def test_a_range_is_drawn_from_uniformly(
    drawn: Any, follows: Any, kind: Any, argument: str, span: Any, function: Any
) -> None:
    values = [params[argument] for params in drawn(kind(**{argument: list(span)}))]
    assert follows(values, "uniform", span[0], span[1] - span[0])


@each_case
def test_a_number_is_taken_as_it_is(kind: Any, argument: str, span: Any, function: Any) -> None:
    params = kind(**{argument: 0.5}).draw(draws(), (8, 8, 3))
    assert params == {**({"gamma": 1.0, "gain": 1.0} if kind is AdjustGamma else {}), argument: 0.5}


def test_gamma_and_gain_are_drawn_apart(drawn: Any, follows: Any) -> None:
    pairs = [(p["gamma"], p["gain"]) for p in drawn(AdjustGamma((0.5, 1.5), (1.0, 2.0)))]
    gammas, gains = np.array(pairs).T
    assert follows(gammas, "uniform", 0.5, 1.0)
    assert follows(gains, "uniform", 1.0, 1.0)
    assert abs(np.corrcoef(gammas, gains)[0, 1]) < 0.06


@pytest.mark.parametrize(("gamma", "gain"), [(0.5, 1.0), (2.0, 1.3), (1.0, 0.5)])
def test_gamma_is_a_power_of_the_fraction_of_full_light(photo: np.ndarray, gamma: float, gain: float) -> None:
    changed = AdjustGamma(gamma, gain).apply(photo, {"gamma": gamma, "gain": gain})
    assert np.abs(changed.astype(int) - np.clip(255 * gain * (photo / 255) ** gamma, 0, 255)).max() <= 1


@pytest.mark.parametrize(
    ("make", "still"),
    [
        (lambda: AdjustBrightness(0), "delta 0"),
        (lambda: AdjustBrightness([0, 0.0]), "delta 0"),  # type: ignore[arg-type]
        (lambda: AdjustContrast(1), "contrast_factor 1"),
        (lambda: AdjustSaturation(1.0), "saturation_factor 1"),
        (lambda: AdjustHue(0), "delta 0"),
        (lambda: AdjustHue(-1), "delta -1"),
        (lambda: AdjustGamma(), "gamma 1 and gain 1"),
    ],
)
def test_what_changes_nothing_is_refused(make: Any, still: str) -> None:
    with pytest.raises(TransformError) as error:
        make()
    assert str(error.value) == f"{still} changes nothing; give another value or [lowest, highest]"


@pytest.mark.parametrize(
    ("kind", "argument", "value", "message"),
    [
        (AdjustBrightness, "delta", 51, r"delta must be a number in \[-1, 1\], got 51; or .*"),
        (AdjustHue, "delta", [0, 1.5], r"delta must be a number in \[-1, 1\], got 1.5"),
        (AdjustContrast, "contrast_factor", [2, 1], r"contrast_factor must be \[lowest, highest\], got \[2, 1\]"),
        (AdjustSaturation, "saturation_factor", -1, r"saturation_factor must be a number in \[0, 255\], got -1; or .*"),
        (AdjustGamma, "gamma", -0.1, r"gamma must be a number in \[0, 255\], got -0.1; or .*"),
        (AdjustGamma, "gain", "2", r"gain must be a number in \[0, 255\], got '2'; or .*"),
        (AdjustGamma, "gamma", [1, 2, 3], r"gamma must be a number or \[lowest, highest\], got \[1, 2, 3\]"),
        (AdjustHue, "delta", True, r"delta must be a number in \[-1, 1\], got True; or .*"),
    ],
)
def test_errors_say_the_rule_and_the_value(kind: Any, argument: str, value: Any, message: str) -> None:
    with pytest.raises(TransformError, match=f"^{message}$"):
        kind(**{argument: value})


@pytest.mark.parametrize("kind", IN_COLOUR)
def test_grey_has_no_colour_to_change(kind: Any) -> None:
    op = kind(0.5)
    with pytest.raises(TransformError) as error:
        op.draw(draws(), (8, 8, 1))
    assert str(error.value) == f"{op.name} needs 3 channels, the image has 1: grey has no colour to change"


def test_every_op_is_its_spec() -> None:
    assert {kind for kind, *_ in CASES} == set(OPS)
    for kind, argument, span, _ in CASES:
        for value in (0.5, list(span)):
            op = kind(**{argument: value})
            assert kind(**op.arguments()) == op
            assert op.arguments()[argument] == value
