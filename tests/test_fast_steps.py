"""Fast kernels of the published policies: each elementary op near its reference, and the annotations with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from augmill.transforms.aug_mix import AugMix
from augmill.transforms.augment_ops import AUGMENT_OPS
from augmill.transforms.base import Sample
from augmill.transforms.objects import Objects
from augmill.transforms.rand_augment import RandAugment
from augmill.transforms.rendering import carry_out, finished

VALUES: dict[str, Any] = {
    "posterize": 4,
    "solarize": 130,
    "solarize_add": 60,
    "color": 1.7,
    "contrast": 0.4,
    "brightness": 1.5,
    "sharpness": 1.8,
    "rotate": 20.0,
    "shear_x": 0.2,
    "shear_y": -0.2,
    "translate_x": 31,
    "translate_y": -17,
    "cutout": [20, 30, 90, 100],
}


def both(photo: np.ndarray, *steps: list[Any], op: Any = None) -> tuple[np.ndarray, np.ndarray]:
    op = op or RandAugment(interpolation="bilinear", fill=128)
    params = {"ops": [list(step) for step in steps]}
    fast, plain = (finished(carry_out(op, Sample(photo), params, kernels)).image for kernels in ("fast", "reference"))
    return fast, plain


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", AUGMENT_OPS)
def test_each_elementary_op_is_within_a_level(name: str, channels: int, photo: np.ndarray) -> None:
    image = np.ascontiguousarray(photo[..., :channels])
    fast, plain = both(image, [name, VALUES.get(name)])

    apart = np.abs(fast.astype(int) - plain)
    assert fast.shape == plain.shape
    assert apart.mean() < 0.6, name
    if name not in ("identity", "color"):
        assert not np.array_equal(plain, image), "it changed something"


def test_two_motions_leave_the_fill_of_both(photo: np.ndarray) -> None:
    fast, plain = both(photo, ["translate_x", 60], ["translate_x", -60])

    assert (fast[:, -60:] == 128).all()
    assert np.array_equal(fast, plain)


def test_boxes_are_cut_step_by_step_as_the_pixels_are(photo: np.ndarray) -> None:
    sample = Sample(photo, objects=Objects.from_boxes(np.array([[100, 50, 200, 150]]), np.array([0])))
    params = {"ops": [["translate_x", 60], ["translate_x", -60]]}

    fast, plain = (carry_out(RandAugment(), sample, params, kernels) for kernels in ("fast", "reference"))

    assert fast.objects is not None and plain.objects is not None
    assert np.allclose(fast.objects.boxes, [[100, 50, 164, 150]])
    assert np.allclose(fast.objects.boxes, plain.objects.boxes)


@pytest.mark.parametrize("channels", [1, 3])
def test_aug_mix_blends_its_chains_by_their_weights(photo: np.ndarray, channels: int) -> None:
    image = np.ascontiguousarray(photo[..., :channels])
    chains = [[["posterize", 3], ["rotate", 10.0]], [], [["solarize", 128]]]
    params = {"chains": chains, "weights": [0.5, 0.2, 0.3], "m": 0.4}

    fast, plain = (
        finished(carry_out(AugMix(), Sample(image), params, kernels)).image for kernels in ("fast", "reference")
    )

    assert fast.shape == plain.shape
    assert np.abs(fast.astype(int) - plain).mean() < 0.3
