"""Kernels that copy pixels as they are, or leave them out: mirrors, windows and boxes that are filled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from augmill.transforms.base import Shape
from augmill.transforms.curves import Counts
from augmill.transforms.motion import Motion, scaling, translation
from augmill.transforms.window import Frame


class Mirror(NamedTuple):
    """Mirrors left to right where `across`, upside down where `down`."""

    across: bool = False
    down: bool = False

    @property
    def pointwise(self) -> bool:
        return False

    def run(self, image: np.ndarray, counts: Counts) -> np.ndarray:
        if not (self.across or self.down):
            return image
        return with_channels(cv2.flip(image, (1 if not self.down else -1) if self.across else 0))

    def result_shape(self, shape: Shape) -> Shape:
        return shape

    def motion(self, shape: Shape) -> Motion:
        return Motion((shape[0], shape[1]), self.matrix(shape))

    def matrix(self, shape: Shape) -> np.ndarray:
        """Where pixels of an image of this shape go, over continuous pixels: float64 [3, 3]."""
        x, y = (-1.0 if self.across else 1.0), (-1.0 if self.down else 1.0)
        right, down = (shape[1] if self.across else 0.0), (shape[0] if self.down else 0.0)
        return np.array([[x, 0.0, right], [0.0, y, down], [0.0, 0.0, 1.0]])


class Window(NamedTuple):
    """Shows the image through a window, resized to `size` if that is given; beyond the image is black.

    Attributes:
      frame: the window, in whole pixels; it may reach beyond the image.
      size: (height, width) of the result.
      interpolation: "bilinear" or "nearest".
    """

    frame: Frame
    size: tuple[int, int] | None = None
    interpolation: str = "bilinear"

    @property
    def pointwise(self) -> bool:
        return False

    @property
    def resizes(self) -> bool:
        """Whether what it shows is resized."""
        return self.size is not None and self.size != self.frame[2:]

    def run(self, image: np.ndarray, counts: Counts) -> np.ndarray:
        top, left, height, width = self.frame
        if top >= 0 and left >= 0 and top + height <= image.shape[0] and left + width <= image.shape[1]:
            seen = image[top : top + height, left : left + width]
        else:
            seen = np.zeros((height, width, image.shape[2]), np.uint8)
            self.show(image, seen)
        if self.size is None or not self.resizes:
            return np.ascontiguousarray(seen)
        if self.interpolation == "nearest":
            return seen[np.ix_(*map(_nearest, self.size, (height, width)))]
        return with_channels(cv2.resize(seen, self.size[::-1], interpolation=cv2.INTER_LINEAR))

    def show(self, image: np.ndarray, shown: np.ndarray) -> None:
        """Put what the frame holds of an image on black pixels of the frame's size."""
        top, left, height, width = self.frame
        seen = image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
        row, column = max(-top, 0), max(-left, 0)
        shown[row : row + seen.shape[0], column : column + seen.shape[1]] = seen

    def result_shape(self, shape: Shape) -> Shape:
        return (*(self.size or self.frame[2:]), shape[2])

    def motion(self, shape: Shape) -> Motion:
        top, left, height, width = self.frame
        size = self.size or (height, width)
        return Motion(size, scaling(size[1] / width, size[0] / height) @ translation(-left, -top))


class Fill(NamedTuple):
    """Fills a box with a level, or one a channel.

    Attributes:
      box: (left, top, right, bottom), in pixels, on the image.
      levels: in whole numbers of [0, 255].
    """

    box: tuple[int, int, int, int]
    levels: int | Sequence[int]

    @property
    def pointwise(self) -> bool:
        return False

    def run(self, image: np.ndarray, counts: Counts) -> np.ndarray:
        image = image.copy()
        self.fill(image)
        return image

    def fill(self, image: np.ndarray) -> None:
        """Do the work on an image that may be changed."""
        left, top, right, bottom = self.box
        image[top:bottom, left:right] = self.levels

    def result_shape(self, shape: Shape) -> Shape:
        return shape

    def motion(self, shape: Shape) -> Motion | None:
        return None


def _nearest(count: int, length: int) -> np.ndarray:
    """The pixels of a side of this length that `count` pixels show, counted as TensorFlow does: in float32."""
    places = (np.arange(count, dtype=np.float32) + np.float32(0.5)) * np.float32(length / count)
    return np.minimum(places.astype(np.int64), length - 1)


def with_channels(image: np.ndarray) -> np.ndarray:
    """Give a grey image its third axis back, which OpenCV drops."""
    return image if image.ndim == 3 else image[..., None]
