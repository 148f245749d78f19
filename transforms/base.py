"""The contract every transform keeps: draw the parameters, then apply them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.levels import histogram
from augmill.transforms.motion import Motion
from augmill.transforms.objects import Objects
from augmill.transforms.randomness import Draws

Params = dict[str, Any]  # what a draw decided: JSON values only, enough to apply the transform again
Shape = tuple[int, ...]  # [height, width, channels]

# The kinds of annotation that must go with the pixels, and what an op may do with a kind.
KINDS = ("boxes", "masks", "keypoints")
KEPT, MOVED, MIXED, REFUSED = "kept", "moved", "mixed", "refused"


class TransformError(ValueError):
    """A transform was given an argument, an image or a result that it cannot take."""


@dataclass(frozen=True)
class Sample:
    """What travels through a policy: an image and the annotations that must move with it.

    Attributes:
      image: uint8 [height, width, channels], RGB or one channel of grey; between float ops float32 in [0, 255].
      label: index of the class, or None where the source has no labels.
      mixture: (label, weight) pairs that add up to 1, where images were mixed; else None.
      objects: boxes with their classes and keypoints, or None where the source has none.
      mask: integer [height, width] of ids, or None where the source has none.
      mask_fill: the id that stands in the mask where a constant fill stands in the image.
    """

    image: np.ndarray
    label: int | None = None
    mixture: tuple[tuple[int, float], ...] | None = None
    objects: Objects | None = None
    mask: np.ndarray | None = None
    mask_fill: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of annotation that this sample has."""
        keypoints = self.objects is not None and self.objects.keypoints is not None
        has = {"boxes": self.objects is not None, "masks": self.mask is not None, "keypoints": keypoints}
        return tuple(kind for kind in KINDS if has[kind])

    @property
    def has_annotations(self) -> bool:
        """Whether there is anything that must go with the pixels."""
        return self.objects is not None or self.mask is not None

    @cached_property
    def counts(self) -> np.ndarray:
        """How many pixels of each channel of a uint8 image have each level: int64 [channels, 256], counted once."""
        return histogram(self.image)

    def showing(self, image: np.ndarray) -> Sample:
        """This sample with another image, as `dataclasses.replace` would make it in twice the time."""
        shown = object.__new__(Sample)
        shown.__dict__.update(
            image=image,
            label=self.label,
            mixture=self.mixture,
            objects=self.objects,
            mask=self.mask,
            mask_fill=self.mask_fill,
        )
        return shown

    def moved(self, image: np.ndarray, motion: Motion) -> Sample:
        """This sample with `image`, which `motion` made of its own, and every annotation moved along."""
        return replace(
            self,
            image=image,
            objects=None if self.objects is None else motion.move_objects(self.objects),
            mask=None if self.mask is None else motion.move_mask(self.mask, self.mask_fill),
        )

    def equals(self, other: Sample) -> bool:
        """Tell whether both hold the same pixels and annotations."""
        mine, theirs = (self.objects, self.mask), (other.objects, other.mask)
        return (
            (self.label, self.mixture) == (other.label, other.mixture)
            and (self.image is other.image or np.array_equal(self.image, other.image))
            and (mine[0] is theirs[0] or (mine[0] is not None and theirs[0] is not None and mine[0].equals(theirs[0])))
            and (mine[1] is theirs[1] or np.array_equal(mine[1], theirs[1]))  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Transform(ABC):
    """One randomised operation on a sample.

    A subclass is a frozen dataclass whose fields are the arguments that the op takes in a spec. `draw` decides,
    `transform` acts, and neither keeps state: the same parameters on the same sample give the same pixels.

    Attributes:
      name: what the op is called in a spec.
      takes: for each argument, what it is and its range.
      draws: for each drawn parameter, its distribution.
      in_floats: whether the op takes and gives float32 in [0, 255], rounded only after the last such op in a row;
        others take and give uint8.
    """

    name: ClassVar[str] = ""
    takes: ClassVar[Mapping[str, str]] = {}
    draws: ClassVar[Mapping[str, str]] = {}
    in_floats: ClassVar[bool] = False

    @abstractmethod
    def draw(self, draws: Draws, shape: Shape) -> Params:
        """Decide this rendition's parameters for an image of `shape`, from `draws` alone."""

    def draw_for(self, draws: Draws, sample: Sample) -> Params:
        """Decide the parameters for a sample; few ops look at more of it than its shape."""
        return self.draw(draws, sample.image.shape)

    @abstractmethod
    def transform(self, sample: Sample, params: Params) -> Sample:
        """Carry out `params` on a whole sample."""

    def treatment(self, kind: str) -> str:
        """What becomes of boxes, masks or keypoints: "kept", "moved", "mixed", or "refused" where they can't follow."""
        return REFUSED

    def remedy(self, kind: str) -> str:
        """What to do where the op refuses a kind of annotation."""
        return "take the op out"

    def chances(self) -> dict[str, float]:
        """For each drawn parameter that is yes or no, how likely yes is meant to be."""
        return {}

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
    """A transform that sees the image alone and leaves every pixel where it is, and so all annotations."""

    @abstractmethod
    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        """Carry out `params` on a [height, width, channels] image: uint8, or float32 for an op `in_floats`."""

    def transform(self, sample: Sample, params: Params) -> Sample:
        return replace(sample, image=self.apply(sample.image, params))

    def treatment(self, kind: str) -> str:
        return KEPT


class DrawsNothing:
    """Mixin for a transform that leaves nothing to chance; it stands first among the bases."""

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {}


def draws_nothing(op: Any) -> bool:
    """Tell whether an op leaves nothing to chance; a `DrawsNothing` with a `draw` of its own draws after all."""
    return getattr(type(op), "draw", None) is DrawsNothing.draw


@dataclass(frozen=True, repr=False)
class GeometricTransform(PixelTransform):
    """A transform that moves pixels, by a motion that annotations follow."""

    @abstractmethod
    def motion(self, params: Params, shape: Shape) -> Motion:
        """Where `params` move the pixels of an image of `shape`."""

    def transform(self, sample: Sample, params: Params) -> Sample:
        moved = self.apply(sample.image, params)
        return sample.moved(moved, self.motion(params, sample.image.shape))

    def treatment(self, kind: str) -> str:
        return MOVED


@dataclass(frozen=True, repr=False)
class MixTransform(Transform):
    """A transform that mixes an example with a partner, another example of its block."""

    @abstractmethod
    def mix(self, sample: Sample, partner: Sample, params: Params) -> Sample:
        """Carry out `params` on a sample and its partner, both uint8."""

    def transform(self, sample: Sample, params: Params) -> Sample:
        raise TransformError(f"{self.spec_name} mixes an example with another of its block, and got none")


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
