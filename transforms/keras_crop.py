"""Keras layers that change the image's frame: random crop, centre crop, resizing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from augmill.transforms.arguments import check_choice, check_whole
from augmill.transforms.backend import TensorKernel, tensorflow
from augmill.transforms.base import (
    DrawsNothing,
    GeometricTransform,
    Params,
    Shape,
    Transform,
    TransformError,
    check_number,
)
from augmill.transforms.keras_layer import KerasTransform
from augmill.transforms.motion import Motion, scaling, translation
from augmill.transforms.randomness import Draws
from augmill.transforms.window import Frame

_TAKES = {"height": "the result's height in pixels", "width": "the result's width in pixels"}


@dataclass(frozen=True, repr=False)
class _Crop(TensorKernel, GeometricTransform):
    """A crop to a set size; an image too small for it gives the largest window of its proportions, enlarged."""

    height: int
    width: int

    takes: ClassVar[Mapping[str, str]] = _TAKES
    in_floats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("height", self.height, low=1)
        check_whole("width", self.width, low=1)

    @abstractmethod
    def place(self, params: Params, shape: Shape) -> tuple[int, int]:
        """Top and left of the window on an image that is large enough."""

    def fits(self, shape: Shape) -> bool:
        """Whether an image of `shape` is large enough."""
        return shape[0] >= self.height and shape[1] >= self.width

    def frame(self, params: Params, shape: Shape) -> Frame:
        """The window that is shown."""
        if self.fits(shape):
            return Frame(*self.place(params, shape), self.height, self.width)
        return _largest((self.height, self.width), shape)

    def on_tensor(self, image: Any, params: Params) -> Any:
        top, left, height, width = self.frame(params, tuple(image.shape))
        window = image[top : top + height, left : left + width]
        if (height, width) == (self.height, self.width):
            return window
        return tensorflow().image.resize(window, (self.height, self.width), "bilinear")

    def motion(self, params: Params, shape: Shape) -> Motion:
        top, left, height, width = self.frame(params, shape)
        matrix = scaling(self.width / width, self.height / height) @ translation(-left, -top)
        return Motion((self.height, self.width), matrix)


@dataclass(frozen=True, repr=False)
class RandomCrop(_Crop):
    """Cut out a window at a drawn place.

    An image that is smaller than the window gives the largest one of the same proportions in its middle, enlarged.
    Equivalent: `keras.layers.RandomCrop` as documented. In Keras 3.15 an image as high or as wide as the window is
    never cropped at random, a smaller one is stretched out of its proportions, and boxes move by the wrong axis.
    Parameters: `top` and `left`, in pixels.
    """

    name: ClassVar[str] = "keras.layers.RandomCrop"
    draws: ClassVar[Mapping[str, str]] = {
        "top": "every row at which the window lies on the image is equally likely; the middle of a smaller image",
        "left": "every column, likewise",
    }

    def draw(self, draws: Draws, shape: Shape) -> Params:
        if not self.fits(shape):
            top, left, _, _ = self.frame({}, shape)
            return {"top": top, "left": left}
        return {
            "top": draws.integer(0, shape[0] - self.height + 1),
            "left": draws.integer(0, shape[1] - self.width + 1),
        }

    def place(self, params: Params, shape: Shape) -> tuple[int, int]:
        return params["top"], params["left"]


@dataclass(frozen=True, repr=False)
class CenterCrop(DrawsNothing, _Crop):
    """Cut out the middle of the image.

    Where the surplus is odd, one pixel more is cut off at the bottom and on the right. An image that is smaller than
    the window gives the largest one of the same proportions in its middle, enlarged. Equivalent:
    `keras.layers.CenterCrop`. It draws nothing.
    """

    name: ClassVar[str] = "keras.layers.CenterCrop"

    def place(self, params: Params, shape: Shape) -> tuple[int, int]:
        return (shape[0] - self.height) // 2, (shape[1] - self.width) // 2


@dataclass(frozen=True, repr=False)
class Resizing(DrawsNothing, KerasTransform, GeometricTransform):
    """Resize the image: stretched, cropped to the result's proportions, or padded to them.

    Equivalent: `keras.layers.Resizing`. It draws nothing.
    """

    height: int
    width: int
    interpolation: str = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    fill_mode: str = "constant"
    fill_value: float = 0.0
    antialias: bool = False

    name: ClassVar[str] = "keras.layers.Resizing"
    layer: ClassVar[str] = "Resizing"
    takes: ClassVar[Mapping[str, str]] = {
        **_TAKES,
        "interpolation": "bilinear, nearest, bicubic, lanczos3 or lanczos5",
        "crop_to_aspect_ratio": "whether to cut off what exceeds the result's proportions, evenly, before resizing",
        "pad_to_aspect_ratio": "whether to add margins up to the result's proportions, evenly, before resizing",
        "fill_mode": "what margins are: constant",
        "fill_value": "level of the margins, in [0, 255]",
        "antialias": "whether to filter when the image shrinks",
    }

    def __post_init__(self) -> None:
        check_whole("height", self.height, low=1)
        check_whole("width", self.width, low=1)
        check_choice("interpolation", self.interpolation, ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"))
        for switch in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
            check_choice(switch, getattr(self, switch), (True, False))
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise TransformError("crop_to_aspect_ratio and pad_to_aspect_ratio can't both be true; choose one")
        check_choice("fill_mode", self.fill_mode, ("constant",))
        check_number("fill_value", self.fill_value, low=0, high=255)

    def settings(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def transformation(self, params: Params, shape: Shape) -> Any:
        return shape[0], shape[1]

    def motion(self, params: Params, shape: Shape) -> Motion:
        top, left, height, width = self.frame(shape)
        matrix = scaling(self.width / width, self.height / height) @ translation(-left, -top)
        return Motion((self.height, self.width), matrix)

    def frame(self, shape: Shape) -> Frame:
        """What of the image, margins included, is resized."""
        size = (self.height, self.width)
        if self.crop_to_aspect_ratio:
            return _largest(size, shape)
        if not self.pad_to_aspect_ratio:
            return Frame(0, 0, shape[0], shape[1])
        height, width = _in_proportion(size, shape)
        above, beside = (max(0, more) // 2 for more in (height - shape[0], width - shape[1]))
        return Frame(-above, -beside, shape[0] + 2 * above, shape[1] + 2 * beside)


def _in_proportion(size: tuple[int, int], shape: Shape) -> tuple[int, int]:
    """The height that has the proportions of `size` at the image's width, and the width at its height, in pixels."""
    return shape[1] * size[0] // size[1], shape[0] * size[1] // size[0]


def _largest(size: tuple[int, int], shape: Shape) -> Frame:
    """The largest window with the proportions of `size`, in the middle of the image."""
    height, width = (max(min(exact, side), 1) for exact, side in zip(_in_proportion(size, shape), shape, strict=False))
    return Frame((shape[0] - height) // 2, (shape[1] - width) // 2, height, width)


OPS: tuple[type[Transform], ...] = (RandomCrop, CenterCrop, Resizing)
