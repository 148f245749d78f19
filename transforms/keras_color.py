"""Keras layers that change colours: brightness, contrast, hue, saturation, jitter, degeneration, greyscale.

Each draws one number for an image and hands it to the layer, which does the pixels in float32 [0, 255].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from augmill.transforms.arguments import Pair, as_floats, check_colour, check_pair, check_value_range, with_value_range
from augmill.transforms.backend import TensorKernel, tensorflow
from augmill.transforms.base import Params, PixelTransform, Shape, Transform, TransformError, check_number
from augmill.transforms.keras_layer import KerasTransform
from augmill.transforms.randomness import Draws


@dataclass(frozen=True, repr=False)
class _OneFactor(KerasTransform):
    """What these layers share: one factor for an image, drawn from a range that a number or a pair gives."""

    factor: float | Pair
    value_range: tuple[int, int] = (0, 255)

    draws: ClassVar[Mapping[str, str]] = {"factor": "uniform in [lowest, highest)"}
    idle: ClassVar[float] = 0.0  # the factor that changes nothing
    in_colour: ClassVar[bool] = False  # whether it takes three channels and no fewer

    def __post_init__(self) -> None:
        self.factors("factor", self.factor)
        object.__setattr__(self, "factor", as_floats(self.factor))
        object.__setattr__(self, "value_range", check_value_range(self.value_range))

    @classmethod
    def factors(cls, name: str, value: Any) -> Pair:
        """Read the range that an argument called `name` gives; one that can change nothing is refused."""
        low, high = cls.read(name, value)
        if low == high == cls.idle:
            rule = f"{name} must allow a factor other than {cls.idle:g}, which changes nothing"
            raise TransformError(f"{rule}, got {value!r}")
        return low, high

    @classmethod
    def read(cls, name: str, value: Any) -> Pair:
        return check_pair(name, value, low=0, high=1, scalar="from zero")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        if self.in_colour:
            check_colour(self.name, shape)
        return {"factor": draws.uniform(*self.factors("factor", self.factor))}

    def settings(self) -> dict[str, Any]:
        return {"factor": 1.0, "value_range": self.value_range}


@dataclass(frozen=True, repr=False)
class RandomBrightness(_OneFactor):
    """Add one value to all pixels and clip to [0, 255].

    A factor of 0.1 adds 25.5 levels of 255; -1 gives black and 1 gives white. Equivalent:
    `keras.layers.RandomBrightness`. Parameters: `factor`.
    """

    name: ClassVar[str] = "keras.layers.RandomBrightness"
    layer: ClassVar[str] = "RandomBrightness"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="fraction of the full range that is added, [lowest, highest] within [-1, 1]; f means [-f, f]"
    )

    @classmethod
    def read(cls, name: str, value: Any) -> Pair:
        return check_pair(name, value, low=-1, high=1, scalar="around zero")

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"rgb_delta": _for_image(params["factor"] * 255.0)}


@dataclass(frozen=True, repr=False)
class RandomContrast(_OneFactor):
    """Scale each channel's distance from its mean and clip to [0, 255].

    Equivalent: `keras.layers.RandomContrast` as documented; Keras 3.15 reads a number f as [0, f], so that it never
    lowers the contrast, and sorts a pair. Parameters: `factor`.
    """

    name: ClassVar[str] = "keras.layers.RandomContrast"
    layer: ClassVar[str] = "RandomContrast"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="[lower, upper], both in [0, 1], for factors from 1 - lower to 1 + upper; f means [f, f]"
    )
    draws: ClassVar[Mapping[str, str]] = {"factor": "uniform in [1 - lower, 1 + upper)"}
    idle: ClassVar[float] = 1.0

    @classmethod
    def read(cls, name: str, value: Any) -> Pair:
        ends = value if isinstance(value, (list, tuple)) else (value, value)
        if len(ends) != 2:
            raise TransformError(f"{name} must be a number or [lower, upper], got {value!r}")
        for end in ends:
            check_number(name, end, low=0, high=1, hint="or [lower, upper] within it")
        return 1.0 - ends[0], 1.0 + ends[1]

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"contrast_factor": _for_image(float(params["factor"]))}


@dataclass(frozen=True, repr=False)
class _HsvLayer(_OneFactor):
    """What hue and saturation share: the layer sees three channels in [0, 1]."""

    in_colour: ClassVar[bool] = True

    def settings(self) -> dict[str, Any]:
        return {"factor": 1.0, "value_range": (0, 1)}

    def on_tensor(self, image: Any, params: Params) -> Any:
        # A graph turns a division into this product, and would move it through another if there were no clip.
        changed = super().on_tensor(image * (1 / 255), params) * 255.0
        return tensorflow().clip_by_value(changed, 0.0, 255.0)


@dataclass(frozen=True, repr=False)
class RandomHue(_HsvLayer):
    """Turn the hue (of HSV), either way.

    A factor is a fraction of half a turn: 1 gives the opposite colours. Equivalent: `keras.layers.RandomHue`.
    Parameters: `factor`, negative for a turn backwards.
    """

    name: ClassVar[str] = "keras.layers.RandomHue"
    layer: ClassVar[str] = "RandomHue"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="fraction of half a turn, [lowest, highest] within [0, 1], for a turn either way; f means [0, f]"
    )
    draws: ClassVar[Mapping[str, str]] = {"factor": "its size uniform in [lowest, highest), either sign equally likely"}

    def draw(self, draws: Draws, shape: Shape) -> Params:
        size: float = super().draw(draws, shape)["factor"]
        return {"factor": size if draws.chance(0.5) else -size}

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"factor": tensorflow().constant([params["factor"] * 0.5])}


@dataclass(frozen=True, repr=False)
class RandomSaturation(_HsvLayer):
    """Scale the saturation (of HSV) by factor / (1 - factor).

    Equivalent: `keras.layers.RandomSaturation` as documented. Keras 3.15 clips the saturation, which lies in [0, 1], to
    `value_range`, and so gives levels far below 0; here the layer sees [0, 1]. Parameters: `factor`.
    """

    name: ClassVar[str] = "keras.layers.RandomSaturation"
    layer: ClassVar[str] = "RandomSaturation"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="0 for grey, 0.5 for no change, 1 for full colours; [lowest, highest] in [0, 1]; f means [0, f]"
    )
    idle: ClassVar[float] = 0.5

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"factor": tensorflow().constant([params["factor"] / (1.0 - params["factor"] + 1e-7)])}


_JITTER: dict[str, type[_OneFactor]] = {
    "brightness": RandomBrightness,
    "contrast": RandomContrast,
    "saturation": RandomSaturation,
    "hue": RandomHue,
}


@dataclass(frozen=True, repr=False)
class RandomColorJitter(TensorKernel, PixelTransform):
    """Change brightness, contrast, saturation and hue, in this order, each as the layer of its name does.

    What is None is left alone; at least one must be given. Equivalent: `keras.layers.RandomColorJitter`, which draws
    while it does the pixels. Parameters: `brightness`, `contrast`, `saturation` and `hue`, factors, where given.
    """

    value_range: tuple[int, int] = (0, 255)
    brightness_factor: float | Pair | None = None
    contrast_factor: float | Pair | None = None
    saturation_factor: float | Pair | None = None
    hue_factor: float | Pair | None = None

    name: ClassVar[str] = "keras.layers.RandomColorJitter"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        **{f"{part}_factor": op.takes["factor"] for part, op in _JITTER.items()}
    )
    draws: ClassVar[Mapping[str, str]] = {part: op.draws["factor"] for part, op in _JITTER.items()}
    in_floats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_range", check_value_range(self.value_range))
        for part, op in _JITTER.items():
            factor = getattr(self, f"{part}_factor")
            if factor is not None:
                op.factors(f"{part}_factor", factor)
                object.__setattr__(self, f"{part}_factor", as_floats(factor))
        if not self._parts:
            names = ", ".join(f"{part}_factor" for part in _JITTER)
            raise TransformError(f"{self.name} needs at least one of {names}, got none")

    @cached_property
    def _parts(self) -> dict[str, _OneFactor]:
        given = {part: getattr(self, f"{part}_factor") for part in _JITTER}
        return {part: op(given[part]) for part, op in _JITTER.items() if given[part] is not None}

    def draw(self, draws: Draws, shape: Shape) -> Params:
        if self.saturation_factor is not None or self.hue_factor is not None:
            check_colour(self.name, shape)
        return {part: op.draw(draws, shape)["factor"] for part, op in self._parts.items()}

    def on_tensor(self, image: Any, params: Params) -> Any:
        for part, op in self._parts.items():
            image = op.on_tensor(image, {"factor": params[part]})
        return image


@dataclass(frozen=True, repr=False)
class RandomColorDegeneration(_OneFactor):
    """Blend the image with its grey one: a factor of 0 changes nothing, 1 gives grey.

    Equivalent: `keras.layers.RandomColorDegeneration` as documented; Keras 3.15 reads a number f as [-f, f], and so
    makes every other image more colourful. Parameters: `factor`.
    """

    name: ClassVar[str] = "keras.layers.RandomColorDegeneration"
    layer: ClassVar[str] = "RandomColorDegeneration"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="share of the grey image, [lowest, highest] within [0, 1]; f means [0, f]"
    )
    in_colour: ClassVar[bool] = True

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"factor": _for_image(float(params["factor"]))}


@dataclass(frozen=True, repr=False)
class RandomGrayscale(KerasTransform):
    """Turn the image grey with probability `factor`; it keeps three channels.

    Equivalent: `keras.layers.RandomGrayscale`. Parameters: `grey`, a bool.
    """

    factor: float = 0.5

    name: ClassVar[str] = "keras.layers.RandomGrayscale"
    layer: ClassVar[str] = "RandomGrayscale"
    takes: ClassVar[Mapping[str, str]] = {"factor": "probability that the image turns grey, in (0, 1]"}
    draws: ClassVar[Mapping[str, str]] = {"grey": "true with probability factor"}

    def __post_init__(self) -> None:
        check_number("factor", self.factor, low=0, high=1, open_low=True, hint="it is a probability")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        check_colour(self.name, shape)
        return {"grey": draws.chance(self.factor)}

    def settings(self) -> dict[str, Any]:
        return {"factor": self.factor}

    def chances(self) -> dict[str, float]:
        return {"grey": self.factor}

    def transformation(self, params: Params, shape: Shape) -> Any:
        return _for_image(params["grey"])


def _for_image(value: Any) -> Any:
    """A number in the shape in which a layer has one for each image of its batch."""
    return tensorflow().fill([1, 1, 1, 1], value)


OPS: tuple[type[Transform], ...] = (*_JITTER.values(), RandomColorJitter, RandomColorDegeneration, RandomGrayscale)
