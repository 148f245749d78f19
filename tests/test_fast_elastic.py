"""The fast elastic transform: the reference's field, and boxes and masks with it."""

from __future__ import annotations

import numpy as np
import pytest

from augmill.transforms.base import Sample
from augmill.transforms.fast_elastic import elastic, moved_by_field
from augmill.transforms.keras_warp import RandomElasticTransform
from augmill.transforms.objects import Objects
from augmill.transforms.rendering import carry_out, finished

PARAMS = {"warp": True, "scale": 0.7, "noise_seed": 11}


def test_where_nothing_was_drawn_nothing_is_done(photo: np.ndarray) -> None:
    assert elastic(RandomElasticTransform(), {**PARAMS, "warp": False}, photo.shape) == ()


@pytest.mark.parametrize("fill_mode", ["reflect", "constant", "wrap", "nearest"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_pixels_are_within_a_level_of_the_reference(photo: np.ndarray, fill_mode: str, interpolation: str) -> None:
    op = RandomElasticTransform(fill_mode=fill_mode, interpolation=interpolation, fill_value=90.0)

    fast, plain = (finished(carry_out(op, Sample(photo), PARAMS, kernels)).image for kernels in ("fast", "reference"))

    apart = np.abs(fast.astype(int) - plain)
    assert apart.mean() < 0.1 and (apart <= 1).mean() > 0.998
    assert np.abs(plain.astype(int) - photo).mean() > 3, "it did bend the image"


def test_boxes_and_masks_go_by_the_same_field(photo: np.ndarray) -> None:
    mask = np.zeros((224, 224), np.uint8)
    mask[60:160, 50:170] = 1
    sample = Sample(photo, objects=Objects.from_boxes(np.array([[50, 60, 170, 160]]), np.array([0])), mask=mask)

    fast, plain = (carry_out(RandomElasticTransform(), sample, PARAMS, kernels) for kernels in ("fast", "reference"))

    assert fast.objects is not None and plain.objects is not None
    assert np.allclose(fast.objects.boxes, plain.objects.boxes, atol=1)
    assert fast.mask is not None and (fast.mask == plain.mask).mean() > 0.999


def test_a_field_says_where_each_pixel_is_read(photo: np.ndarray) -> None:
    ys, xs = np.mgrid[0:224, 0:224].astype(np.float32) + 0.5
    field = np.stack([xs + 3, ys - 2], axis=-1)

    moved = moved_by_field(photo, field, "bilinear", "constant", 7.0)

    assert np.array_equal(moved[2:, :-3], photo[:-2, 3:])
    assert (moved[:2] == 7).all() and (moved[:, -3:] == 7).all()
