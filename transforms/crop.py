"""Transforms that show the image through a window whose place is given rather than drawn: crops and black margins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from augmill.transforms.arguments import Pair, check_pair, check_whole
from augmill.transforms.base import DrawsNothing, Params, Shape, Transform, TransformError, check_number
from augmill.transforms.randomness import Draws
from augmill.transforms.window import Frame, WindowTransform, check_within


@dataclass(frozen=True, repr=False)
class CentralCrop(WindowTransform):
    """Keep the middle of the image, cutting off as much left as right and above as below.

    Equivalent: `tf.image.central_crop`, which draws nothing. Parameters: `central_fraction`.
    """

    central_fraction: float | Pair

    name: ClassVar[str] = "tf.image.central_crop"
    takes: ClassVar[Mapping[str, str]] = {
        "central_fraction": "share of the height and of the width that is kept, in (0, 1], or [lowest, highest]"
    }
    draws: ClassVar[Mapping[str, str]] = {"central_fraction": "uniform in [lowest, highest), or the number given"}

    def __post_init__(self) -> None:
        lowest, highest = check_pair("central_fraction", self.central_fraction, low=0, high=1, scalar="exactly")
        check_number("central_fraction", lowest, low=0, high=1, open_low=True)
        if lowest == 1:
            raise TransformError(f"central_fraction must allow a crop: 1 keeps all, got {self.central_fraction!r}")
        pair = isinstance(self.central_fraction, (list, tuple))
        object.__setattr__(self, "central_fraction", (lowest, highest) if pair else lowest)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        given = self.central_fraction
        return {"central_fraction": draws.uniform(*given) if isinstance(given, tuple) else given}

    def frame(self, params: Params, shape: Shape) -> Frame:
        top, left = (int((length - length * params["central_fraction"]) / 2) for length in shape[:2])
        return Frame(top, left, shape[0] - 2 * top, shape[1] - 2 * left)


@dataclass(frozen=True, repr=False)
class _SetWindow(WindowTransform):
    """A window whose place and size are arguments."""

    offset_height: int
    offset_width: int
    target_height: int
    target_width: int

    def __post_init__(self) -> None:
        check_whole("offset_height", self.offset_height, low=0)
        check_whole("offset_width", self.offset_width, low=0)
        check_whole("target_height", self.target_height, low=1)
        check_whole("target_width", self.target_width, low=1)


@dataclass(frozen=True, repr=False)
class CropToBoundingBox(_SetWindow):
    """Cut out a set window, which must lie on the image.

    Equivalent: `tf.image.crop_to_bounding_box`. No parameters.
    """

    name: ClassVar[str] = "tf.image.crop_to_bounding_box"
    takes: ClassVar[Mapping[str, str]] = {
        "offset_height": "rows cut off above, in whole pixels",
        "offset_width": "columns cut off on the left, in whole pixels",
        "target_height": "the window's height in pixels",
        "target_width": "the window's width in pixels",
    }

    def draw(self, draws: Draws, shape: Shape) -> Params:
        check_within(self.name, self.frame({}, shape), shape)
        return {}

    def frame(self, params: Params, shape: Shape) -> Frame:
        return Frame(self.offset_height, self.offset_width, self.target_height, self.target_width)


@dataclass(frozen=True, repr=False)
class PadToBoundingBox(_SetWindow):
    """Put the image at a set place on black, which must have room for it.

    Equivalent: `tf.image.pad_to_bounding_box`. No parameters.
    """

    name: ClassVar[str] = "tf.image.pad_to_bounding_box"
    takes: ClassVar[Mapping[str, str]] = {
        "offset_height": "black rows added above, in whole pixels",
        "offset_width": "black columns added on the left, in whole pixels",
        "target_height": "the result's height in pixels",
        "target_width": "the result's width in pixels",
    }

    def draw(self, draws: Draws, shape: Shape) -> Params:
        height, width = self.offset_height + shape[0], self.offset_width + shape[1]
        if height > self.target_height or width > self.target_width:
            raise TransformError(
                f"{self.name}: {self.target_height}x{self.target_width} has no room for the image, "
                f"{shape[0]}x{shape[1]} here, at row {self.offset_height}, column {self.offset_width}"
            )
        return {}

    def frame(self, params: Params, shape: Shape) -> Frame:
        return Frame(-self.offset_height, -self.offset_width, self.target_height, self.target_width)


@dataclass(frozen=True, repr=False)
class ResizeWithCropOrPad(DrawsNothing, WindowTransform):
    """Bring the image to a size without scaling it: cut off evenly at both sides, or add black there.

    Equivalent: `tf.image.resize_with_crop_or_pad`. No parameters.
    """

    target_height: int
    target_width: int

    name: ClassVar[str] = "tf.image.resize_with_crop_or_pad"
    takes: ClassVar[Mapping[str, str]] = {
        "target_height": "the result's height in pixels",
        "target_width": "the result's width in pixels",
    }

    def __post_init__(self) -> None:
        check_whole("target_height", self.target_height, low=1)
        check_whole("target_width", self.target_width, low=1)

    def frame(self, params: Params, shape: Shape) -> Frame:
        # The odd pixel is cut off or added at the bottom and on the right.
        top, left = (_halved(shape[0] - self.target_height), _halved(shape[1] - self.target_width))
        return Frame(top, left, self.target_height, self.target_width)


def _halved(surplus: int) -> int:
    """Half of a surplus, rounded towards 0."""
    return surplus // 2 if surplus > 0 else -(-surplus // 2)


OPS: tuple[type[Transform], ...] = (CentralCrop, CropToBoundingBox, PadToBoundingBox, ResizeWithCropOrPad)
