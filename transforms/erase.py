"""Transforms that blank out a part of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.arguments import (
    VALUE_RANGE_IS,
    Pair,
    as_floats,
    check_pair,
    check_probability,
    check_value_range,
    happens,
    mean_chance,
)
from augmill.transforms.base import Params, PixelTransform, Shape, Transform, TransformError, check_number
from augmill.transforms.randomness import Draws, normal_noise

Color = tuple[float, float, float]


@dataclass(frozen=True, repr=False)
class RandomErasing(PixelTransform):
    """Fill one rectangle of the image with a level, a colour or noise.

    The rectangle's height is the image's times the root of a draw from `scale`, its width likewise by a draw of its
    own, so that it covers a share of the image that lies within `scale`; both are rounded to whole pixels, at least
    one. Every place on the image is equally likely. Annotations are left as they are.

    Equivalent: `keras.layers.RandomErasing`, where a number p for `factor` is a probability between 0 and p; here it is
    p. Its documentation calls `scale` a range of aspect ratios, which it is not in its code; in that the first row and
    column are never erased, and an image of one row never is. Source: Zhong et al., "Random erasing data augmentation",
    AAAI 2020. Parameters: `erase`, a bool; `top`, `left`, `height` and `width` in pixels; `noise_seed`, the name of the
    noise, where there is no `fill_value`.
    """

    factor: float | Pair = 1.0
    scale: float | Pair = (0.02, 0.33)
    fill_value: float | Color | None = None
    value_range: tuple[int, int] = (0, 255)

    name: ClassVar[str] = "keras.layers.RandomErasing"
    takes: ClassVar[Mapping[str, str]] = {
        "factor": "probability to erase, in (0, 1]; [lowest, highest] draws it uniformly for each image",
        "scale": "share of the image that is erased, within [0, 1]: [lowest, highest], or s for [0, s]",
        "fill_value": "level in [0, 255], or [red, green, blue]; none for normal noise of mean 0 and deviation 255, "
        "clipped to [0, 255]",
        "value_range": VALUE_RANGE_IS,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "erase": "true with the probability factor",
        "height": "sqrt(uniform over scale) of the image's height, in whole pixels",
        "width": "sqrt(uniform over scale) of the image's width, in whole pixels, independent of height",
        "top": "every row at which the rectangle lies on the image is equally likely",
        "left": "every column, likewise",
        "noise_seed": "uniform over the whole numbers below 2**63",
    }
    in_floats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability("factor", self.factor)
        if self._scales[1] == 0:
            raise TransformError(f"scale must reach above 0, or there is nothing to erase, got {self.scale!r}")
        for level in _levels(self.fill_value):
            check_number("fill_value", level, low=0, high=255)
        object.__setattr__(self, "value_range", check_value_range(self.value_range))
        for name in ("factor", "scale", "fill_value"):
            object.__setattr__(self, name, as_floats(getattr(self, name)))

    def chances(self) -> dict[str, float]:
        return {"erase": mean_chance(self.factor)}

    @cached_property
    def _scales(self) -> Pair:
        return check_pair("scale", self.scale, low=0, high=1, scalar="from zero")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        if isinstance(self.fill_value, tuple) and shape[2] != 3:
            raise TransformError(
                f"{self.name}: a fill_value of 3 levels needs images of 3 channels, got {shape[2]}; give one level"
            )
        erase = happens(draws, self.factor)
        low, high = self._scales
        height = max(1, round(draws.uniform(low, high) ** 0.5 * shape[0]))
        width = max(1, round(draws.uniform(low, high) ** 0.5 * shape[1]))
        top, left = draws.integer(0, shape[0] - height + 1), draws.integer(0, shape[1] - width + 1)
        params = {"erase": erase, "top": top, "left": left, "height": height, "width": width}
        return params if self.fill_value is not None else {**params, "noise_seed": draws.noise_seed()}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        if not params["erase"]:
            return image
        bottom, right = params["top"] + params["height"], params["left"] + params["width"]
        window = np.s_[params["top"] : bottom, params["left"] : right]
        erased = image.copy()
        if self.fill_value is None:
            noise = 255.0 * normal_noise(params["noise_seed"], erased[window].shape)
            erased[window] = np.clip(noise, 0, 255)
        else:
            erased[window] = self.fill_value
        return erased


def _levels(fill_value: Any) -> list[Any]:
    """The levels that a fill is made of: none of noise, one of a level, three of a colour."""
    if fill_value is None:
        return []
    if not isinstance(fill_value, (list, tuple)):
        return [fill_value]
    if len(fill_value) != 3:
        raise TransformError(f"fill_value must be a level, [red, green, blue] or none, got {fill_value!r}")
    return list(fill_value)


OPS: tuple[type[Transform], ...] = (RandomErasing,)
