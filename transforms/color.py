"""Transforms that change colours and leave pixels where they are.

On uint8 images tf.image works in [0, 1] and rounds back, saturating, after each op: so do these. A delta is a fraction
of the full range, a factor has 1 as "no change".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from augmill.transforms.backend import tensorflow
from augmill.transforms.base import Params, PixelTransform, Shape, check_number, check_range
from augmill.transforms.randomness import Draws


@dataclass(frozen=True, repr=False)
class RandomBrightness(PixelTransform):
    """Add one value, drawn from [-max_delta, max_delta), to all pixels.

    `max_delta` is a fraction of the full range, in (0, 1]: 0.2 is 51 levels of 255. Equivalent:
    `tf.image.random_brightness`. Parameters: `delta`.
    """

    max_delta: float

    name: ClassVar[str] = "tf.image.random_brightness"

    def __post_init__(self) -> None:
        hint = "it is a fraction of the full range: 0.2 is 51 levels of 255"
        check_number("max_delta", self.max_delta, low=0, high=1, open_low=True, hint=hint)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"delta": draws.uniform(-self.max_delta, self.max_delta)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return tensorflow().image.adjust_brightness(image, params["delta"]).numpy()


@dataclass(frozen=True, repr=False)
class RandomContrast(PixelTransform):
    """Scale each channel's distance from its mean by a factor drawn from [lower, upper).

    Equivalent: `tf.image.random_contrast`. Parameters: `factor`.
    """

    lower: float
    upper: float

    name: ClassVar[str] = "tf.image.random_contrast"

    def __post_init__(self) -> None:
        check_range("lower", self.lower, "upper", self.upper)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"factor": draws.uniform(self.lower, self.upper)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return tensorflow().image.adjust_contrast(image, params["factor"]).numpy()


@dataclass(frozen=True, repr=False)
class RandomSaturation(PixelTransform):
    """Scale the saturation (of HSV) by a factor drawn from [lower, upper).

    Equivalent: `tf.image.random_saturation`. Parameters: `factor`.
    """

    lower: float
    upper: float

    name: ClassVar[str] = "tf.image.random_saturation"

    def __post_init__(self) -> None:
        check_range("lower", self.lower, "upper", self.upper)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"factor": draws.uniform(self.lower, self.upper)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return tensorflow().image.adjust_saturation(image, params["factor"]).numpy()


@dataclass(frozen=True, repr=False)
class RandomHue(PixelTransform):
    """Turn the hue (of HSV) by an amount drawn from [-max_delta, max_delta).

    `max_delta` is in turns, in (0, 0.5]: 0.5 reaches every hue. Equivalent: `tf.image.random_hue`. Parameters: `delta`.
    """

    max_delta: float

    name: ClassVar[str] = "tf.image.random_hue"

    def __post_init__(self) -> None:
        check_number("max_delta", self.max_delta, low=0, high=0.5, open_low=True, hint="it is a fraction of a turn")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"delta": draws.uniform(-self.max_delta, self.max_delta)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return tensorflow().image.adjust_hue(image, params["delta"]).numpy()
