"""TrivialAugment: one op, at a strength drawn with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from augmill.transforms.augment_ops import FILL_IS, FOURTEEN, INTERPOLATION_IS, Ranges, StepsTransform, check_warp
from augmill.transforms.base import Params, Shape, Transform
from augmill.transforms.randomness import Draws

RANGES = Ranges(
    rotate=(0, 135),
    shear=(0, 0.99),
    translate=(0, 32),
    posterize=(8, 2),
    solarize=(256, 0),
    enhance=(0.01, 2.0),
    in_pixels=True,
    whole_degrees=True,
)
_STRONGEST = 30


@dataclass(frozen=True, repr=False)
class TrivialAugmentWide(StepsTransform):
    """Carry out one op, picked from RandAugment's fourteen, at one of 31 strengths.

    Source: Mueller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", ICCV 2021, its
    wide augmentation space. At strength k of 0 to 30: rotate 4.5 k degrees, shear 0.033 k, translate 32 / 30 k pixels
    whatever the image's size, color, contrast, brightness and sharpness 0.01 + 1.99 k / 30, posterize to 8 - k / 5
    bits, solarize from level 256 - 256 k / 30 up. Degrees, pixels, and what is taken off bits and levels, are
    truncated. Rotations, shears and translations go either way, equally likely.

    Interpolation and fill are by default those of the authors' code, nearest and black. An image may stay as it is: by
    identity, at the lowest strengths, or a grey one by color.

    Parameters: `ops`, a list of one [name, value], and its `strength`.
    """

    interpolation: str = "nearest"
    fill: int = 0

    name: ClassVar[str] = "trivial_augment_wide"
    takes: ClassVar[Mapping[str, str]] = {"interpolation": INTERPOLATION_IS, "fill": FILL_IS}
    draws: ClassVar[Mapping[str, str]] = {
        "ops": "one of the fourteen, equally likely; signs equally likely",
        "strength": "one of 0, ..., 30, equally likely",
    }

    def __post_init__(self) -> None:
        check_warp(self.fill, self.interpolation)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        name = FOURTEEN[draws.integer(0, len(FOURTEEN))]
        strength = draws.integer(0, _STRONGEST + 1)
        return {"strength": strength, "ops": [RANGES.draw(draws, name, strength / _STRONGEST, shape)]}


OPS: tuple[type[Transform], ...] = (TrivialAugmentWide,)
