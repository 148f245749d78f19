"""The contract every transform keeps: draw the parameters, then apply them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.randomness import Draws

Params = dict[str, Any]  # what a draw decided: JSON values only, enough to apply the transform again
Shape = tuple[int, ...]  # [height, width, channels]


class TransformError(ValueError):
    """A transform was given an argument, an image or a result that it cannot take."""


@dataclass(frozen=True)
class Sample:
    """What travels through a policy: an image and the annotations that must move with it.

    Attributes:
      image: uint8 [height, width, 3], RGB.
      label: index of the class, or None where the source has no labels.
    """

    image: np.ndarray
    label: int | None = None


@dataclass(frozen=True)
class Transform(ABC):
    """One randomised operation on a sample.

    A subclass is a frozen dataclass whose fields are the arguments that the op takes in a spec. `draw` decides,
    `transform` acts, and neither keeps state: the same parameters on the same sample give the same pixels.
    """

    name: ClassVar[str] = ""

    @abstractmethod
    def draw(self, draws: Draws, shape: Shape) -> Params:
        """Decide this rendition's parameters for an image of `shape`, from `draws` alone."""

    @abstractmethod
    def transform(self, sample: Sample, params: Params) -> Sample:
        """Carry out `params` on a whole sample."""

    @property
    def spec_name(self) -> str:
        """The name the op has in a spec."""
        return self.name

    def arguments(self) -> dict[str, Any]:
        """The arguments as they stand in a spec, defaults included."""
        given = {field: getattr(self, field.name) for field in fields(self)}
        # 1 and 1.0 are one argument, and have one spec.
        return {
            field.name: float(value) if field.type == "float" else plain_value(value) for field, value in given.items()
        }

    def __repr__(self) -> str:
        """The op as it stands in a spec."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments().items())
        return f"{self.spec_name}({given})"


@dataclass(frozen=True, repr=False)
class PixelTransform(Transform):
    """A transform that sees the image alone and leaves the label as it is."""

    @abstractmethod
    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        """Carry out `params` on a uint8 [height, width, 3] image and return a uint8 one."""

    def transform(self, sample: Sample, params: Params) -> Sample:
        return replace(sample, image=self.apply(sample.image, params))


def plain_value(value: Any) -> Any:
    """Turn tuples into lists, as YAML and JSON have them."""
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain_value(item) for key, item in value.items()}
    return value


_HUGE = 1e300  # no parameter is: what is not below it is infinite, not a number or a slip


def check_number(
    name: str,
    value: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    open_low: bool = False,
    hint: str = "",
) -> None:
    """Raise TransformError unless `value` is a number in [low, high], or (low, high] with `open_low`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _HUGE
    too_low = is_number and low is not None and (value < low or (open_low and value == low))
    too_high = is_number and high is not None and value > high
    if is_number and not too_low and not too_high:
        return
    if low is not None and high is not None:
        rule = f"a number in {'(' if open_low else '['}{low:g}, {high:g}]"
    elif low is not None:
        rule = f"a number {'above' if open_low else 'of at least'} {low:g}"
    else:
        rule = "a number"
    raise TransformError(f"{name} must be {rule}, got {value!r}{'; ' + hint if hint else ''}")


def check_range(low_name: str, low: Any, high_name: str, high: Any) -> None:
    """Raise TransformError unless low and high are numbers with 0 <= low < high."""
    check_number(low_name, low, low=0)
    check_number(high_name, high, low=0)
    if not low < high:
        raise TransformError(f"{low_name} must be less than {high_name}, got {low_name} {low:g}, {high_name} {high:g}")
