"""Transforms that change colours at random and leave pixels where they are.

On uint8 images tf.image works in [0, 1] and rounds back, saturating, after each op: so do these. A delta is a fraction
of the full range, a factor has 1 as "no change".
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from augmill.transforms.arguments import Pair, check_colour
from augmill.transforms.backend import TensorKernel, tensorflow
from augmill.transforms.base import Params, PixelTransform, Shape, Transform, check_number, check_range
from augmill.transforms.randomness import Draws

_IN_RANGE = "uniform in [lower, upper)"
_AROUND_ZERO = "uniform in [-max_delta, max_delta)"


@dataclass(frozen=True, repr=False)
class _RandomAdjustment(TensorKernel, PixelTransform):
    """A transform that draws one number and hands it to a function of tf.image.

    Attributes:
      function: the name in tf.image.
      parameter: what the number is called.
      in_colour: whether the op makes sense on three channels alone.
    """

    function: ClassVar[str]
    parameter: ClassVar[str]
    in_colour: ClassVar[bool] = False

    @property
    @abstractmethod
    def span(self) -> Pair:
        """Lowest and highest value drawn."""

    def draw(self, draws: Draws, shape: Shape) -> Params:
        if self.in_colour:
            check_colour(self.name, shape)
        return {self.parameter: draws.uniform(*self.span)}

    def on_tensor(self, image: Any, params: Params) -> Any:
        return getattr(tensorflow().image, self.function)(image, params[self.parameter])


@dataclass(frozen=True, repr=False)
class RandomBrightness(_RandomAdjustment):
    """Add one value, drawn from [-max_delta, max_delta), to all pixels.

    `max_delta` is a fraction of the full range, in (0, 1]: 0.2 is 51 levels of 255. Equivalent:
    `tf.image.random_brightness`. Parameters: `delta`.
    """

    max_delta: float

    name: ClassVar[str] = "tf.image.random_brightness"
    takes: ClassVar[Mapping[str, str]] = {
        "max_delta": "a fraction of the full range, in (0, 1]: 0.2 is 51 levels of 255"
    }
    draws: ClassVar[Mapping[str, str]] = {"delta": _AROUND_ZERO}
    function: ClassVar[str] = "adjust_brightness"
    parameter: ClassVar[str] = "delta"

    def __post_init__(self) -> None:
        hint = "it is a fraction of the full range: 0.2 is 51 levels of 255"
        check_number("max_delta", self.max_delta, low=0, high=1, open_low=True, hint=hint)

    @property
    def span(self) -> Pair:
        return (-self.max_delta, self.max_delta)


@dataclass(frozen=True, repr=False)
class RandomHue(_RandomAdjustment):
    """Turn the hue (of HSV) by an amount drawn from [-max_delta, max_delta).

    `max_delta` is in turns, in (0, 0.5]: 0.5 reaches every hue. Equivalent: `tf.image.random_hue`. Parameters: `delta`.
    """

    max_delta: float

    name: ClassVar[str] = "tf.image.random_hue"
    takes: ClassVar[Mapping[str, str]] = {"max_delta": "a fraction of a turn, in (0, 0.5]: 0.5 reaches every hue"}
    draws: ClassVar[Mapping[str, str]] = {"delta": _AROUND_ZERO}
    function: ClassVar[str] = "adjust_hue"
    parameter: ClassVar[str] = "delta"
    in_colour: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number("max_delta", self.max_delta, low=0, high=0.5, open_low=True, hint="it is a fraction of a turn")

    @property
    def span(self) -> Pair:
        return (-self.max_delta, self.max_delta)


@dataclass(frozen=True, repr=False)
class _RandomFactor(_RandomAdjustment):
    """A transform that draws a factor from [lower, upper)."""

    lower: float
    upper: float

    takes: ClassVar[Mapping[str, str]] = {
        "lower": "lowest factor, at least 0; 1 changes nothing",
        "upper": "end of the factors, above lower",
    }
    draws: ClassVar[Mapping[str, str]] = {"factor": _IN_RANGE}
    parameter: ClassVar[str] = "factor"

    def __post_init__(self) -> None:
        check_range("lower", self.lower, "upper", self.upper)

    @property
    def span(self) -> Pair:
        return (self.lower, self.upper)


@dataclass(frozen=True, repr=False)
class RandomContrast(_RandomFactor):
    """Scale each channel's distance from its mean by a factor drawn from [lower, upper).

    Equivalent: `tf.image.random_contrast`. Parameters: `factor`.
    """

    name: ClassVar[str] = "tf.image.random_contrast"
    function: ClassVar[str] = "adjust_contrast"


@dataclass(frozen=True, repr=False)
class RandomSaturation(_RandomFactor):
    """Scale the saturation (of HSV) by a factor drawn from [lower, upper).

    Equivalent: `tf.image.random_saturation`. Parameters: `factor`.
    """

    name: ClassVar[str] = "tf.image.random_saturation"
    function: ClassVar[str] = "adjust_saturation"
    in_colour: ClassVar[bool] = True


@dataclass(frozen=True, repr=False)
class StatelessRandomBrightness(RandomBrightness):
    """Do what `tf.image.random_brightness` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_random_brightness"


@dataclass(frozen=True, repr=False)
class StatelessRandomContrast(RandomContrast):
    """Do what `tf.image.random_contrast` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_random_contrast"


@dataclass(frozen=True, repr=False)
class StatelessRandomSaturation(RandomSaturation):
    """Do what `tf.image.random_saturation` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_random_saturation"


@dataclass(frozen=True, repr=False)
class StatelessRandomHue(RandomHue):
    """Do what `tf.image.random_hue` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_random_hue"


OPS: tuple[type[Transform], ...] = (
    RandomBrightness,
    RandomContrast,
    RandomSaturation,
    RandomHue,
    StatelessRandomBrightness,
    StatelessRandomContrast,
    StatelessRandomSaturation,
    StatelessRandomHue,
)
