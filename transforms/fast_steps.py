"""Fast kernels of the published policies: those of the elementary ops that they are made of, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from augmill.transforms.aug_mix import AugMix, KerasAugMix
from augmill.transforms.augment_ops import moves, step_matrix
from augmill.transforms.auto_augment import AutoAugment
from augmill.transforms.base import Params, Sample, Shape, Transform
from augmill.transforms.copying import with_channels
from augmill.transforms.curves import LEVEL_CURVES
from augmill.transforms.fast_color import blend_with_grey, contrast
from augmill.transforms.fast_filter import cutout, sharpen
from augmill.transforms.fusion import Fused, append, run
from augmill.transforms.kernels import AnyKernel, MakeKernels, Pixels, Warp, tone
from augmill.transforms.rand_augment import KerasRandAugment, RandAugment
from augmill.transforms.trivial_augment import TrivialAugmentWide

_BY_FACTOR: Mapping[str, Callable[[float], AnyKernel]] = {
    "color": blend_with_grey,
    "contrast": contrast,
    "sharpness": sharpen,
}


def _steps(op: Any, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    return tuple(kernel for step in params["ops"] for kernel in _step(op, step, shape))


def _step(op: Any, step: Sequence[Any], shape: Shape) -> tuple[AnyKernel, ...]:
    """What one step, [name, value], does."""
    name, value = step
    if name == "identity":
        return ()
    if moves(name):
        return (Warp(step_matrix(step, shape), op.interpolation, "constant", op.fill),)
    if name == "cutout":
        return (cutout(value, op.fill),)
    return (_BY_FACTOR[name](value) if name in _BY_FACTOR else tone(LEVEL_CURVES[name](value), whole=True),)


def _mixed_chains(op: Any, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    """AugMix: every chain by its own joined kernels, then all of them blended in one rounding."""

    def mixed(image: np.ndarray) -> np.ndarray:
        sample, rest = Sample(image), 1.0 - params["m"]
        blend, share = image, params["m"]
        for chain, weight in zip(params["chains"], params["weights"], strict=True):
            row: list[Fused] = []
            for step in chain:
                for kernel in _step(op, step, shape):
                    append(row, kernel, "", shape)
            blend = cv2.addWeighted(blend, share, run(row, sample), weight * rest, 0, dtype=cv2.CV_32F)
            share = 1.0
        return with_channels(cv2.convertScaleAbs(blend))  # of floats in [0, 255]: it rounds them

    return (Pixels(mixed),)


FAST_STEPS: Mapping[type[Transform], MakeKernels] = {
    **dict.fromkeys((RandAugment, KerasRandAugment, AutoAugment, TrivialAugmentWide), _steps),
    **dict.fromkeys((AugMix, KerasAugMix), _mixed_chains),
}
