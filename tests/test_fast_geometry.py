"""Fast kernels of ops that move pixels: exact where nothing is interpolated, and annotations as by the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from augmill.transforms.base import Sample, Shape
from augmill.transforms.catalog import OPS
from augmill.transforms.examples import example_of
from augmill.transforms.fast_geometry import FAST_GEOMETRY
from augmill.transforms.objects import Objects
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import carry_out, finished

NAMES = [name for name, op in OPS.items() if op in FAST_GEOMETRY]
# What pixels that only change places, or are cut off, go through.
EXACT = [name for name in NAMES if any(word in name for word in ("flip", "Flip", "rot90", "transpose", "crop", "pad"))]
EXACT = [name for name in EXACT if name != "tf.image.resize_with_pad"]


def drawn(op: Any, shape: Shape, key: str) -> dict[str, Any]:
    return op.draw_for(Draws(seed=0, key=key, copy=1, at="0"), Sample(np.zeros(shape, np.uint8)))


@pytest.mark.parametrize("name", EXACT)
def test_pixels_that_are_not_interpolated_are_the_reference_s(name: str, photo: np.ndarray) -> None:
    op = example_of(name)
    for key in "abcd":
        params = drawn(op, photo.shape, key)
        fast, plain = (finished(carry_out(op, Sample(photo), params, kernels)) for kernels in ("fast", "reference"))
        assert np.array_equal(fast.image, plain.image)


@pytest.mark.parametrize("name", NAMES)
def test_boxes_and_masks_are_the_reference_s(name: str, photo: np.ndarray) -> None:
    op = example_of(name)
    boxes = np.array([[20.0, 30.0, 90.0, 80.0], [100.0, 60.0, 215.0, 220.0]])
    mask = (photo[..., 1] // 64).astype(np.uint8)
    for key in "abcd":
        params = drawn(op, photo.shape, key)
        sample = Sample(photo, objects=Objects.from_boxes(boxes, np.array([0, 1])), mask=mask)
        fast, plain = (carry_out(op, sample, params, kernels) for kernels in ("fast", "reference"))
        assert fast.objects is not None and plain.objects is not None
        assert np.allclose(fast.objects.boxes, plain.objects.boxes, atol=1e-6)
        assert np.allclose(fast.objects.visible, plain.objects.visible)
        assert np.array_equal(fast.mask, plain.mask)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", ["reflect", "constant", "wrap", "nearest"])
@pytest.mark.parametrize("layer", ["RandomRotation", "RandomTranslation", "RandomZoom", "RandomShear"])
def test_every_way_of_sampling_is_the_layer_s(
    layer: str, fill_mode: str, interpolation: str, photo: np.ndarray
) -> None:
    arguments = {"RandomRotation": (0.1,), "RandomZoom": (0.3,)}.get(layer, (0.3, 0.3))
    op = OPS[f"keras.layers.{layer}"](*arguments, fill_mode=fill_mode, interpolation=interpolation, fill_value=99.0)
    params = drawn(op, photo.shape, "a")

    fast, plain = (finished(carry_out(op, Sample(photo), params, kernels)).image for kernels in ("fast", "reference"))

    apart = np.abs(fast.astype(int) - plain)
    assert apart.mean() < 0.3 and (apart <= 1).mean() > 0.99


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tf.image.resize", {"size": [100, 70], "method": "nearest"}),
        ("tf.image.resize", {"size": [300, 300], "preserve_aspect_ratio": True}),
        ("tf.image.resize_with_pad", {"target_height": 100, "target_width": 150, "method": "nearest"}),
        ("keras.layers.Resizing", {"height": 100, "width": 50, "crop_to_aspect_ratio": True}),
        ("keras.layers.Resizing", {"height": 100, "width": 50, "pad_to_aspect_ratio": True}),
        ("keras.layers.RandomCrop", {"height": 300, "width": 400}),
        ("keras.layers.CenterCrop", {"height": 100, "width": 400}),
    ],
)
def test_resizing_in_every_way_is_the_reference_s(name: str, arguments: dict[str, Any], photo: np.ndarray) -> None:
    op = OPS[name](**arguments)
    params = drawn(op, photo.shape, "a")

    fast, plain = (finished(carry_out(op, Sample(photo), params, kernels)).image for kernels in ("fast", "reference"))

    assert fast.shape == plain.shape
    assert np.abs(fast.astype(int) - plain).mean() < 0.5
