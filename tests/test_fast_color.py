"""Fast kernels of colours against the reference ones: the same parameters, the same levels but for a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from augmill.transforms import adjust, color, keras_color
from augmill.transforms.base import Sample, Shape, Transform
from augmill.transforms.curves import keras_brightness
from augmill.transforms.fast_color import FAST_COLOR, blend_with_grey, contrast
from augmill.transforms.fusion import Fused, append, run
from augmill.transforms.kernels import AnyKernel, Hsv, tone
from augmill.transforms.rendering import carry_out, finished, rendering

# Each op with the largest mean difference allowed, in levels. The ops of tf.image cut fractions off by a rule that
# depends on the level, which hue and saturation keep to but nearly; a jitter's colours are rounded after each part.
OPS: list[tuple[Transform, float]] = [
    (color.RandomHue(0.5), 0.1),
    (color.StatelessRandomHue(0.05), 0.1),
    (adjust.AdjustHue((-1.0, 1.0)), 0.1),
    (color.RandomSaturation(0.0, 4.0), 0.3),
    (color.StatelessRandomSaturation(0.5, 1.5), 0.3),
    (adjust.AdjustSaturation((0.0, 2.0)), 0.3),
    (keras_color.RandomHue(1.0), 1e-3),
    (keras_color.RandomSaturation(1.0), 0.01),
    (keras_color.RandomColorDegeneration(1.0), 0.1),
    (keras_color.RandomGrayscale(0.7), 0.05),
    (keras_color.RandomColorJitter((0, 255), 0.2, 0.4, 1.0, 0.5), 0.4),
    (keras_color.RandomColorJitter(brightness_factor=0.2, contrast_factor=0.4), 0.01),
    (keras_color.RandomColorJitter(saturation_factor=0.8), 5e-3),
]


def by_kernels(kernels: tuple[AnyKernel, ...], image: np.ndarray) -> np.ndarray:
    row: list[Fused] = []
    for kernel in kernels:
        append(row, kernel, "0", image.shape)
    return run(row, Sample(image))


def by_fast(op: Transform, image: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    return by_kernels(FAST_COLOR[type(op)](op, params, image.shape), image)


def apart(op: Transform, image: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """The difference of each level between the two kernels, which must leave the image as it is."""
    before = image.copy()
    fast = by_fast(op, image, params)
    assert fast.dtype == np.uint8
    assert np.array_equal(image, before)
    difference: np.ndarray = np.abs(fast.astype(int) - finished(carry_out(op, Sample(image), params)).image)
    return difference


def most_apart(params: dict[str, Any]) -> float:
    """Two levels; more where a jitter scales saturations that Keras would not have rounded."""
    share = params.get("saturation", 0.0) if "contrast" in params else 0.0
    return 2 + share / (1 - share + 1e-7)


@pytest.mark.parametrize(("op", "bound"), OPS, ids=lambda value: getattr(value, "spec_name", None))
def test_the_levels_are_those_of_the_reference(
    photos: dict[str, np.ndarray], drawn: Callable[..., Any], op: Transform, bound: float
) -> None:
    images = [np.ascontiguousarray(photo[:200, :300]) for photo in photos.values()]
    for i, params in enumerate(drawn(op, count=6)):
        found = apart(op, images[i % 3], params)
        assert found.mean() <= bound, params
        assert found.max() <= most_apart(params)
        assert np.quantile(found, 0.995) <= np.ceil(most_apart(params)) - 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (40, 1, 3), (32, 32, 3)])
@pytest.mark.parametrize("op", [op for op, _ in OPS], ids=lambda op: op.spec_name)
def test_every_size_will_do(photo: np.ndarray, drawn: Callable[..., Any], op: Transform, shape: Shape) -> None:
    image = np.ascontiguousarray(photo[-shape[0] :, -shape[1] :])
    for params in drawn(op, shape, count=3):
        assert apart(op, image, params).max() <= most_apart(params)


def test_jitter_takes_a_grey_image(photo: np.ndarray, drawn: Callable[..., Any]) -> None:
    op, grey = OPS[-2][0], np.ascontiguousarray(photo[..., :1])
    for params in drawn(op, grey.shape, count=4):
        assert apart(op, grey, params).mean() < 0.01


def test_jitter_is_one_way_through_hsv_in_the_order_of_the_layer(photo: np.ndarray) -> None:
    op = OPS[-3][0]
    row: list[Fused] = []
    params = {"hue": 0.1, "saturation": 0.7, "contrast": 1.2, "brightness": -0.1}  # as JSON may order them
    for kernel in FAST_COLOR[type(op)](op, params, photo.shape):
        append(row, kernel, "0", photo.shape)
    assert [type(fused.kernel) for fused in row] == [Hsv]
    assert apart(op, photo, params).mean() < 0.3


def test_hue_and_saturation_of_two_ops_are_joined(photo: np.ndarray) -> None:
    hue, saturation = color.RandomHue(0.2), color.RandomSaturation(0.5, 2.0)
    after = finished(carry_out(hue, Sample(photo), {"delta": 0.15}))
    expected = finished(carry_out(saturation, after, {"factor": 1.3})).image
    kernels = [
        *FAST_COLOR[type(hue)](hue, {"delta": 0.15}, photo.shape),
        *FAST_COLOR[type(saturation)](saturation, {"factor": 1.3}, photo.shape),
    ]
    row: list[Fused] = []
    joined = [append(row, kernel, "0", photo.shape) for kernel in kernels]
    assert joined == [None, Hsv(0.15, (1.3,), whole=True)]
    found = np.abs(run(row, Sample(photo)).astype(int) - expected)
    assert 0 < found.mean() < 0.5


@pytest.mark.parametrize(
    ("op", "params", "most"),
    [
        (keras_color.RandomSaturation(1.0), {"factor": 0.7}, 0.5),  # which takes fractions
        (color.RandomSaturation(0.5, 3.0), {"factor": 2.2}, 0.15),
        (keras_color.RandomHue(1.0), {"factor": 0.2}, 0.1),
        (color.RandomHue(0.5), {"delta": 0.1}, 0.1),
    ],
)
def test_what_a_table_before_makes_is_rounded(
    photo: np.ndarray, op: Transform, params: dict[str, float], most: float
) -> None:
    darker = keras_color.RandomBrightness(0.5)
    after = carry_out(darker, Sample(photo), {"factor": -0.101})
    expected = finished(carry_out(op, after if op.in_floats else finished(after), params)).image
    first = tone(keras_brightness(-0.101), whole=False)
    found = np.abs(by_kernels((first, *FAST_COLOR[type(op)](op, params, photo.shape)), photo).astype(int) - expected)
    assert found.max() <= (2 if op.in_floats else 1)
    assert found.mean() < most


@pytest.mark.parametrize(("delta", "factor", "saturation", "hue"), [(0.1, 1.4, 0.6, 0.2), (-0.12, 0.6, 1.5, -0.17)])
def test_a_jitter_of_tf_image_is_one_kernel_with_the_levels_of_its_ops(
    photos: dict[str, np.ndarray], delta: float, factor: float, saturation: float, hue: float
) -> None:
    ops: list[tuple[Transform, dict[str, float]]] = [
        (color.RandomBrightness(0.2), {"delta": delta}),
        (color.RandomContrast(0.5, 1.5), {"factor": factor}),
        (color.RandomSaturation(0.5, 1.5), {"factor": saturation}),
        (color.RandomHue(0.2), {"delta": hue}),
    ]
    for photo in photos.values():
        by, plain = rendering(Sample(photo), "fast"), Sample(photo)
        for op, params in ops:
            by.apply(op, "0", params)
            plain = finished(carry_out(op, plain, params))
        found = np.abs(by.sample().image.astype(int) - plain.image)
        assert found.max() <= 3
        assert found.mean() < 0.4


def test_what_changes_nothing_makes_no_kernel(photo: np.ndarray) -> None:
    idle: list[tuple[Transform, dict[str, Any]]] = [
        (color.RandomHue(0.5), {"delta": 0.0}),
        (adjust.AdjustHue((-1.0, 1.0)), {"delta": -1.0}),
        (color.RandomSaturation(0.5, 1.5), {"factor": 1.0}),
        (keras_color.RandomGrayscale(0.5), {"grey": False}),
    ]
    for op, params in idle:
        assert FAST_COLOR[type(op)](op, params, photo.shape) == ()
        assert np.array_equal(finished(carry_out(op, Sample(photo), params)).image, photo)


def test_no_kernel_moves_annotations(photo: np.ndarray, drawn: Callable[..., Any]) -> None:
    for op, _ in OPS:
        for kernel in FAST_COLOR[type(op)](op, drawn(op, count=1)[0], photo.shape):
            assert kernel.motion(photo.shape) is None
            assert kernel.pointwise


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.6, 1.0, 1.3, 1.9])
def test_the_elementary_ops_are_pillows(photos: dict[str, np.ndarray], factor: float) -> None:
    for photo in photos.values():
        original = Image.fromarray(photo)
        coloured = by_kernels((blend_with_grey(factor),), np.ascontiguousarray(photo))
        found = np.abs(coloured.astype(int) - np.asarray(ImageEnhance.Color(original).enhance(factor)))
        assert found.max() <= 1
        assert found.mean() < 0.005
        contrasted = by_kernels((contrast(factor),), np.ascontiguousarray(photo))
        assert np.array_equal(contrasted, ImageEnhance.Contrast(original).enhance(factor))


def test_the_elementary_ops_take_a_grey_image(photo: np.ndarray) -> None:
    grey = np.ascontiguousarray(photo[..., :1])
    expected = ImageEnhance.Contrast(Image.fromarray(grey[..., 0])).enhance(1.6)
    assert np.array_equal(by_kernels((contrast(1.6),), grey)[..., 0], expected)
    assert np.array_equal(by_kernels((blend_with_grey(0.3),), grey), grey)
