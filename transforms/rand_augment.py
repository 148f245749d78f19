"""RandAugment: a few ops of a list, each equally likely, all at one strength."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from augmill.transforms.arguments import VALUE_RANGE_IS, check_choice, check_value_range, check_whole
from augmill.transforms.augment_ops import (
    AUGMENT_OPS,
    FILL_IS,
    FOURTEEN,
    INTERPOLATION_IS,
    INTERPOLATIONS,
    SCALED,
    Ranges,
    StepsTransform,
    check_warp,
    draw_scaled,
)
from augmill.transforms.base import Params, Shape, Transform, TransformError, check_number
from augmill.transforms.randomness import Draws

# tensorflow/models, official/vision/ops/augment.py: what is at level 10, which the paper gives no figures for.
RANGES = Ranges(
    rotate=(0, 30), shear=(0, 0.3), translate=(0, 100 / 224), posterize=(0, 4), solarize=(0, 256), enhance=(0.1, 1.9)
)
_MAX_LEVEL = 10


@dataclass(frozen=True, repr=False)
class RandAugment(StepsTransform):
    """Carry out `num_ops` ops one after another, each picked anew from `ops`, all at the strength `magnitude`.

    Source: Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space", NeurIPS
    2020, whose fourteen ops are the default; the figures are those of the authors' code,
    `official/vision/ops/augment.py` in tensorflow/models. At magnitude M: rotate 3 M degrees, shear 0.03 M, color,
    contrast, brightness and sharpness 0.1 + 0.18 M, posterize to 0.4 M bits, solarize from level 25.6 M up,
    solarize_add 11 M, translate 10 M pixels and cutout 8 M pixels square in an image of 224 by 224, and in proportion
    in others. Bits, levels and pixels are truncated. Rotations, shears and translations go either way,
    equally likely.

    As published, posterize and solarize change less the higher M is, and color, contrast, brightness and sharpness
    change nothing at 5. Other than published, posterize keeps one bit at least, where no bit is a black image. With
    `identity` among the ops an image may stay as it is, as may a grey one with `color`.

    Parameters: `ops`, a list of [name, value].
    """

    num_ops: int = 2
    magnitude: float = 9
    ops: tuple[str, ...] = FOURTEEN
    interpolation: str = "nearest"
    fill: int = 128

    name: ClassVar[str] = "rand_augment"
    takes: ClassVar[Mapping[str, str]] = {
        "num_ops": "ops carried out on each image, a whole number of at least 1",
        "magnitude": "strength of every op, 0 to 10",
        "ops": f"the ops to pick from: {', '.join(AUGMENT_OPS)}; all but invert, solarize_add and cutout by default",
        "interpolation": INTERPOLATION_IS,
        "fill": FILL_IS,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "ops": "num_ops of them, each equally likely each time; signs equally likely; centres of cutout uniform"
    }

    def __post_init__(self) -> None:
        check_whole("num_ops", self.num_ops, low=1)
        check_number("magnitude", self.magnitude, low=0, high=_MAX_LEVEL)
        if not isinstance(self.ops, (list, tuple)) or not self.ops:
            raise TransformError(f"ops must be a list of {', '.join(AUGMENT_OPS)}, got {self.ops!r}")
        for name in self.ops:
            check_choice("each of ops", name, tuple(AUGMENT_OPS))
        object.__setattr__(self, "ops", tuple(self.ops))
        check_warp(self.fill, self.interpolation)
        if all(self._idles(name) for name in self.ops):
            raise TransformError(f"ops {', '.join(self.ops)} do nothing at magnitude {self.magnitude:g}")

    def _idles(self, name: str) -> bool:
        idle, value = AUGMENT_OPS[name].idle, RANGES.value(name, self.magnitude / _MAX_LEVEL, (1000, 1000))
        return name == "identity" or (idle is not None and value is not None and math.isclose(value, idle))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        picked = [self.ops[draws.integer(0, len(self.ops))] for _ in range(self.num_ops)]
        return {"ops": [RANGES.draw(draws, name, self.magnitude / _MAX_LEVEL, shape) for name in picked]}


@dataclass(frozen=True, repr=False)
class KerasRandAugment(StepsTransform):
    """Carry out `num_ops` ops one after another, each picked anew for each image, at strengths up to `factor`.

    Each op's strength is drawn from [-factor, factor). At strength 1 it is: rotate 30 degrees, shear 0.3, translate 100
    / 224 of the side, color, contrast, brightness and sharpness 1.9; at -1 the same the other way, and 0.1. Posterize
    keeps 7 bits at strength 0 and 4 at 1 and -1, solarize starts from level 256 and 0. Bits, levels and pixels are the
    nearest whole ones. Where the image does not reach is grey, 128.

    Equivalent: `keras.layers.RandAugment`, whose documentation calls `factor` the strength "as a normalized value
    between 0 and 1" and names RandAugment's paper. The layer hands that number to its sub-layers as it is: 0.5 turns by
    0 to 180 degrees and never the other way, only brightens, and posterizes less the higher it is; and it picks one
    list of ops for a whole batch. Here the ranges are those of `rand_augment`, both ways alike, and the ops its own
    less identity, as in the layer; a shear or a translation goes along one axis.

    Parameters: `ops`, a list of [name, value].
    """

    value_range: tuple[int, int] = (0, 255)
    num_ops: int = 2
    factor: float = 0.5
    interpolation: str = "bilinear"

    fill = 128
    name: ClassVar[str] = "keras.layers.RandAugment"
    takes: ClassVar[Mapping[str, str]] = {
        "value_range": VALUE_RANGE_IS,
        "num_ops": "ops carried out on each image, a whole number of at least 1",
        "factor": "greatest strength of an op, above 0 and up to 1",
        "interpolation": INTERPOLATION_IS,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "ops": "num_ops of them, each equally likely each time; their strengths uniform in [-factor, factor)"
    }

    def __post_init__(self) -> None:
        check_whole("num_ops", self.num_ops, low=1)
        check_number("factor", self.factor, low=0, high=1, open_low=True)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        object.__setattr__(self, "value_range", check_value_range(self.value_range))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"ops": [draw_scaled(draws, SCALED, self.factor, shape) for _ in range(self.num_ops)]}


OPS: tuple[type[Transform], ...] = (RandAugment, KerasRandAugment)
