"""AutoAugment: the policies that were learned for ImageNet, CIFAR-10 and SVHN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from augmill.transforms.arguments import check_choice
from augmill.transforms.augment_ops import FILL_IS, INTERPOLATION_IS, Ranges, StepsTransform, check_warp
from augmill.transforms.base import Params, Shape, Transform
from augmill.transforms.randomness import Draws

RANGES = Ranges(
    rotate=(0, 30),
    shear=(0, 0.3),
    translate=(0, 150 / 331),
    posterize=(8, 4),
    solarize=(256, 0),
    enhance=(0.1, 1.9),
    to_nearest=True,
)
_MOST = 9  # of a magnitude's index

SubPolicy = tuple[tuple[str, float, int], tuple[str, float, int]]  # two ops: name, probability, magnitude's index
# The tables in the paper's appendix; indices of ops that take no magnitude are as printed there.
POLICIES: Mapping[str, tuple[SubPolicy, ...]] = {
    "imagenet": (
        (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
        (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
        (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
        (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
        (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
        (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
        (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
        (("rotate", 0.8, 8), ("color", 0.4, 0)),
        (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
        (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("rotate", 0.8, 8), ("color", 1.0, 2)),
        (("color", 0.8, 8), ("solarize", 0.8, 7)),
        (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
        (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
        (("color", 0.4, 0), ("equalize", 0.6, 3)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    ),
    "cifar10": (
        (("invert", 0.1, 7), ("contrast", 0.2, 6)),
        (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
        (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
        (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
        (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
        (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
        (("color", 0.4, 3), ("brightness", 0.6, 7)),
        (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
        (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
        (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
        (("color", 0.7, 7), ("translate_x", 0.5, 8)),
        (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
        (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
        (("brightness", 0.9, 6), ("color", 0.2, 8)),
        (("solarize", 0.5, 2), ("invert", 0.0, 3)),
        (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
        (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
        (("color", 0.9, 9), ("equalize", 0.6, 6)),
        (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
        (("brightness", 0.1, 3), ("color", 0.7, 0)),
        (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
        (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
        (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
        (("equalize", 0.8, 8), ("invert", 0.1, 3)),
        (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1)),
    ),
    "svhn": (
        (("shear_x", 0.9, 4), ("invert", 0.2, 3)),
        (("shear_y", 0.9, 8), ("invert", 0.7, 5)),
        (("equalize", 0.6, 5), ("solarize", 0.6, 6)),
        (("invert", 0.9, 3), ("equalize", 0.6, 3)),
        (("equalize", 0.6, 1), ("rotate", 0.9, 3)),
        (("shear_x", 0.9, 4), ("autocontrast", 0.8, 3)),
        (("shear_y", 0.9, 8), ("invert", 0.4, 5)),
        (("shear_y", 0.9, 5), ("solarize", 0.2, 6)),
        (("invert", 0.9, 6), ("autocontrast", 0.8, 1)),
        (("equalize", 0.6, 3), ("rotate", 0.9, 3)),
        (("shear_x", 0.9, 4), ("solarize", 0.3, 3)),
        (("shear_y", 0.8, 8), ("invert", 0.7, 4)),
        (("equalize", 0.9, 5), ("translate_y", 0.6, 6)),
        (("invert", 0.9, 4), ("equalize", 0.6, 7)),
        (("contrast", 0.3, 3), ("rotate", 0.8, 4)),
        (("invert", 0.8, 5), ("translate_y", 0.0, 2)),
        (("shear_y", 0.7, 6), ("solarize", 0.4, 8)),
        (("invert", 0.6, 4), ("rotate", 0.8, 4)),
        (("shear_y", 0.3, 7), ("translate_x", 0.9, 3)),
        (("shear_x", 0.1, 6), ("invert", 0.6, 5)),
        (("solarize", 0.7, 2), ("translate_y", 0.6, 7)),
        (("shear_y", 0.8, 4), ("invert", 0.8, 8)),
        (("shear_x", 0.7, 9), ("translate_y", 0.8, 3)),
        (("shear_y", 0.8, 5), ("autocontrast", 0.7, 3)),
        (("shear_x", 0.7, 2), ("invert", 0.1, 5)),
    ),
}


@dataclass(frozen=True, repr=False)
class AutoAugment(StepsTransform):
    """Carry out one of the 25 sub-policies of a learned policy: two ops, each with its probability and strength.

    Source: Cubuk et al., "AutoAugment: learning augmentation policies from data", CVPR 2019; the sub-policies and
    ranges are those of the tables in its appendix. A magnitude's index, 0 to 9, takes the range in nine even steps:
    rotate to 30 degrees, shear to 0.3, translate to 150 / 331 of the side (150 pixels in the paper, for images of 331
    as torchvision reads it), posterize from 8 to 4 bits, solarize from level 256 down to 0, color, contrast, brightness
    and sharpness from 0.1 to 1.9. Bits, levels and pixels are the nearest whole ones. Rotations, shears and
    translations go either way, equally likely. The authors' code takes tenths of the ranges, and differs in itself on
    posterize and solarize.

    Interpolation and fill are by default those of the authors' code for ImageNet, nearest and grey. Where neither op's
    chance comes up the image stays as it is.

    Parameters: `sub_policy`, its index, and `ops`, a list of the [name, value] that came up.
    """

    policy: str = "imagenet"
    interpolation: str = "nearest"
    fill: int = 128

    name: ClassVar[str] = "auto_augment"
    takes: ClassVar[Mapping[str, str]] = {
        "policy": "imagenet, cifar10 or svhn: the data that the policy was learned on",
        "interpolation": INTERPOLATION_IS,
        "fill": FILL_IS,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "sub_policy": "one of 0, ..., 24, equally likely",
        "ops": "each of its two with its own probability; signs equally likely",
    }

    def __post_init__(self) -> None:
        check_choice("policy", self.policy, tuple(POLICIES))
        check_warp(self.fill, self.interpolation)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        chosen = draws.integer(0, len(POLICIES[self.policy]))
        return {
            "sub_policy": chosen,
            "ops": [
                RANGES.draw(draws, name, index / _MOST, shape)
                for name, probability, index in POLICIES[self.policy][chosen]
                if draws.chance(probability)
            ],
        }


OPS: tuple[type[Transform], ...] = (AutoAugment,)
