"""The adjustments of tf.image, which draw nothing there: here each number may be a range that it is drawn from.

On uint8 images tf.image works in [0, 1] and rounds back, saturating, after each op: so do these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from augmill.transforms.arguments import Pair, check_colour, check_pair
from augmill.transforms.backend import TensorKernel, tensorflow
from augmill.transforms.base import Params, PixelTransform, Shape, Transform, TransformError
from augmill.transforms.randomness import Draws

_DRAWN = "uniform in [lowest, highest), or the number given"
_MOST = 255.0  # a factor that takes a difference of one level over the whole range: none does more


@dataclass(frozen=True, repr=False)
class _RangedAdjustment(TensorKernel, PixelTransform):
    """A transform that hands its arguments, numbers or ranges to draw from, to the function of tf.image of its name.

    Attributes:
      bounds: for each argument, what it must lie within.
      idle: numbers, in the order of the arguments, that change nothing.
      in_colour: whether the op makes sense on three channels alone.
    """

    bounds: ClassVar[Mapping[str, Pair]]
    idle: ClassVar[tuple[tuple[float, ...], ...]]
    in_colour: ClassVar[bool] = False

    def __post_init__(self) -> None:
        spans = []
        for name, (low, high) in self.bounds.items():
            given = getattr(self, name)
            span = check_pair(name, given, low=low, high=high, scalar="exactly")
            object.__setattr__(self, name, span if isinstance(given, (list, tuple)) else span[0])
            spans.append(span)
        for numbers in self.idle:
            if all(span == (number, number) for span, number in zip(spans, numbers, strict=True)):
                still = " and ".join(f"{name} {number:g}" for name, number in zip(self.bounds, numbers, strict=True))
                raise TransformError(f"{still} changes nothing; give another value or [lowest, highest]")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        if self.in_colour:
            check_colour(self.name, shape)
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: draws.uniform(*value) if isinstance(value, tuple) else value for name, value in given.items()}

    def on_tensor(self, image: Any, params: Params) -> Any:
        return getattr(tensorflow().image, self.name.removeprefix("tf.image."))(image, **params)


@dataclass(frozen=True, repr=False)
class AdjustBrightness(_RangedAdjustment):
    """Add one value to all pixels.

    Equivalent: `tf.image.adjust_brightness`. Parameters: `delta`.
    """

    delta: float | Pair

    name: ClassVar[str] = "tf.image.adjust_brightness"
    takes: ClassVar[Mapping[str, str]] = {
        "delta": "a fraction of the full range, in [-1, 1], or [lowest, highest]: 0.2 is 51 levels of 255"
    }
    draws: ClassVar[Mapping[str, str]] = {"delta": _DRAWN}
    bounds: ClassVar[Mapping[str, Pair]] = {"delta": (-1.0, 1.0)}
    idle: ClassVar[tuple[tuple[float, ...], ...]] = ((0.0,),)


@dataclass(frozen=True, repr=False)
class AdjustContrast(_RangedAdjustment):
    """Scale each channel's distance from its mean.

    Equivalent: `tf.image.adjust_contrast`. Parameters: `contrast_factor`.
    """

    contrast_factor: float | Pair

    name: ClassVar[str] = "tf.image.adjust_contrast"
    takes: ClassVar[Mapping[str, str]] = {
        "contrast_factor": "what the distance is multiplied by, in [-255, 255], or [lowest, highest]; 1 changes "
        "nothing, less than 0 turns light to dark"
    }
    draws: ClassVar[Mapping[str, str]] = {"contrast_factor": _DRAWN}
    bounds: ClassVar[Mapping[str, Pair]] = {"contrast_factor": (-_MOST, _MOST)}
    idle: ClassVar[tuple[tuple[float, ...], ...]] = ((1.0,),)


@dataclass(frozen=True, repr=False)
class AdjustSaturation(_RangedAdjustment):
    """Scale the saturation (of HSV).

    Equivalent: `tf.image.adjust_saturation`. Parameters: `saturation_factor`.
    """

    saturation_factor: float | Pair

    name: ClassVar[str] = "tf.image.adjust_saturation"
    takes: ClassVar[Mapping[str, str]] = {
        "saturation_factor": "what the saturation is multiplied by, in [0, 255], or [lowest, highest]; 0 gives grey, 1 "
        "changes nothing"
    }
    draws: ClassVar[Mapping[str, str]] = {"saturation_factor": _DRAWN}
    bounds: ClassVar[Mapping[str, Pair]] = {"saturation_factor": (0.0, _MOST)}
    idle: ClassVar[tuple[tuple[float, ...], ...]] = ((1.0,),)
    in_colour: ClassVar[bool] = True


@dataclass(frozen=True, repr=False)
class AdjustHue(_RangedAdjustment):
    """Turn the hue (of HSV).

    Equivalent: `tf.image.adjust_hue`. Parameters: `delta`.
    """

    delta: float | Pair

    name: ClassVar[str] = "tf.image.adjust_hue"
    takes: ClassVar[Mapping[str, str]] = {"delta": "in turns of the hue, in [-1, 1], or [lowest, highest]"}
    draws: ClassVar[Mapping[str, str]] = {"delta": _DRAWN}
    bounds: ClassVar[Mapping[str, Pair]] = {"delta": (-1.0, 1.0)}
    idle: ClassVar[tuple[tuple[float, ...], ...]] = ((0.0,), (-1.0,), (1.0,))
    in_colour: ClassVar[bool] = True


@dataclass(frozen=True, repr=False)
class AdjustGamma(_RangedAdjustment):
    """Take each pixel to `gain * pixel ** gamma`, pixels being in [0, 1].

    A gamma above 1 darkens and one below 1 brightens. Equivalent: `tf.image.adjust_gamma`. Parameters: `gamma`, `gain`.
    """

    gamma: float | Pair = 1.0
    gain: float | Pair = 1.0

    name: ClassVar[str] = "tf.image.adjust_gamma"
    takes: ClassVar[Mapping[str, str]] = {
        "gamma": "the exponent, in [0, 255], or [lowest, highest]; 1 changes nothing",
        "gain": "what the power is multiplied by, in [0, 255], or [lowest, highest]; 1 changes nothing",
    }
    draws: ClassVar[Mapping[str, str]] = {"gamma": _DRAWN, "gain": _DRAWN}
    bounds: ClassVar[Mapping[str, Pair]] = {"gamma": (0.0, _MOST), "gain": (0.0, _MOST)}
    idle: ClassVar[tuple[tuple[float, ...], ...]] = ((1.0, 1.0),)


OPS: tuple[type[Transform], ...] = (AdjustBrightness, AdjustContrast, AdjustSaturation, AdjustHue, AdjustGamma)
