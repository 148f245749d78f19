"""What the ops that change an image's frame share: a window that is cut out of it, and resizing."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from augmill.transforms.arguments import check_choice, check_whole
from augmill.transforms.backend import tensorflow
from augmill.transforms.base import GeometricTransform, Params, Shape, TransformError
from augmill.transforms.motion import Motion, translation

METHODS = ("bilinear", "lanczos3", "lanczos5", "bicubic", "gaussian", "nearest", "area", "mitchellcubic")
METHOD = "how pixels are interpolated: " + ", ".join(METHODS)
ANTIALIAS = "whether to filter when the image shrinks; nearest and area never heed it"


class Frame(NamedTuple):
    """A rectangle of whole pixels, which may reach beyond the image."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, repr=False)
class WindowTransform(GeometricTransform):
    """A transform that shows the image through a window: what is outside is cut off, what lies beyond is black."""

    @abstractmethod
    def frame(self, params: Params, shape: Shape) -> Frame:
        """Where the window lies on an image of `shape`."""

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        top, left, height, width = self.frame(params, image.shape)
        seen = image[max(top, 0) : top + height, max(left, 0) : left + width]
        shown = np.zeros((height, width, image.shape[2]), image.dtype)
        row, column = max(-top, 0), max(-left, 0)
        shown[row : row + seen.shape[0], column : column + seen.shape[1]] = seen
        return shown

    def motion(self, params: Params, shape: Shape) -> Motion:
        top, left, height, width = self.frame(params, shape)
        return Motion((height, width), translation(-left, -top))


def check_within(op: str, frame: Frame, shape: Shape) -> None:
    """Raise TransformError unless the window lies wholly on an image of `shape`."""
    top, left, height, width = frame
    if min(top, left) < 0 or top + height > shape[0] or left + width > shape[1]:
        raise TransformError(
            f"{op}: the window of {height}x{width} at row {top}, column {left} leaves the image, which is "
            f"{shape[0]}x{shape[1]} here"
        )


def check_size(name: str, value: Any) -> tuple[int, int]:
    """Read [height, width] in whole pixels of at least 1."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise TransformError(f"{name} must be [height, width] in whole pixels, got {value!r}")
    for part, length in zip(("height", "width"), value, strict=True):
        check_whole(f"{name}: the {part}", length, low=1)
    return (value[0], value[1])


def check_resizing(method: Any, antialias: Any) -> None:
    """Raise TransformError unless these are arguments of `tf.image.resize`."""
    check_choice("method", method, METHODS)
    check_choice("antialias", antialias, (True, False))


def resized(image: Any, size: tuple[int, int], method: str = "bilinear", *, antialias: bool = False) -> Any:
    """Resize a uint8 tensor with `tf.image.resize`, rounding and saturating its floats."""
    tf = tensorflow()
    return tf.saturate_cast(tf.round(tf.image.resize(image, size, method, antialias=antialias)), tf.uint8)
