"""Transforms that resize the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.arguments import check_choice, check_whole
from augmill.transforms.backend import TensorKernel, tensorflow
from augmill.transforms.base import DrawsNothing, GeometricTransform, Params, Shape, Transform
from augmill.transforms.motion import Motion, scaling, translation
from augmill.transforms.window import ANTIALIAS, METHOD, Frame, check_resizing, check_size, resized


@dataclass(frozen=True, repr=False)
class Resize(DrawsNothing, TensorKernel, GeometricTransform):
    """Resize the image, rounding and saturating the floats that some methods give.

    Equivalent: `tf.image.resize`. No parameters.
    """

    size: tuple[int, int]
    method: str = "bilinear"
    preserve_aspect_ratio: bool = False
    antialias: bool = False

    name: ClassVar[str] = "tf.image.resize"
    takes: ClassVar[Mapping[str, str]] = {
        "size": "[height, width] of the result in pixels",
        "method": METHOD,
        "preserve_aspect_ratio": "whether to keep the proportions and to read `size` as the most that it may become",
        "antialias": ANTIALIAS,
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size("size", self.size))
        check_resizing(self.method, self.antialias)
        check_choice("preserve_aspect_ratio", self.preserve_aspect_ratio, (True, False))

    def on_tensor(self, image: Any, params: Params) -> Any:
        return resized(image, self._size_for(tuple(image.shape)), self.method, antialias=self.antialias)

    def motion(self, params: Params, shape: Shape) -> Motion:
        height, width = self._size_for(shape)
        return Motion((height, width), scaling(width / shape[1], height / shape[0]))

    def _size_for(self, shape: Shape) -> tuple[int, int]:
        if not self.preserve_aspect_ratio:
            return self.size
        whole = np.array(shape[:2], np.float32)  # as TensorFlow has them: in doubles some sizes differ by a pixel
        within = np.rint((np.array(self.size, np.float32) / whole).min() * whole)
        return (max(1, int(within[0])), max(1, int(within[1])))


@dataclass(frozen=True, repr=False)
class ResizeWithPad(DrawsNothing, TensorKernel, GeometricTransform):
    """Resize the image to fit into a size with its proportions kept, in the middle of black.

    Equivalent: `tf.image.resize_with_pad`. No parameters. A side never becomes less than 1 pixel, where TensorFlow
    fails.
    """

    target_height: int
    target_width: int
    method: str = "bilinear"
    antialias: bool = False

    name: ClassVar[str] = "tf.image.resize_with_pad"
    takes: ClassVar[Mapping[str, str]] = {
        "target_height": "the result's height in pixels",
        "target_width": "the result's width in pixels",
        "method": METHOD,
        "antialias": ANTIALIAS,
    }

    def __post_init__(self) -> None:
        check_whole("target_height", self.target_height, low=1)
        check_whole("target_width", self.target_width, low=1)
        check_resizing(self.method, self.antialias)

    def on_tensor(self, image: Any, params: Params) -> Any:
        top, left, height, width = self.place(tuple(image.shape))
        inner = resized(image, (height, width), self.method, antialias=self.antialias)
        below, right = self.target_height - top - height, self.target_width - left - width
        return tensorflow().pad(inner, [[top, below], [left, right], [0, 0]])

    def motion(self, params: Params, shape: Shape) -> Motion:
        top, left, height, width = self.place(shape)
        matrix = translation(left, top) @ scaling(width / shape[1], height / shape[0])
        return Motion((self.target_height, self.target_width), matrix)

    def place(self, shape: Shape) -> Frame:
        """Where the resized image stands in the result."""
        whole = np.array(shape[:2], np.float32)
        target = np.array([self.target_height, self.target_width], np.float32)
        exact = whole / (whole / target).max()
        height, width = np.maximum(np.floor(exact), 1).astype(int)
        top, left = np.maximum(np.floor((target - exact) / 2), 0).astype(int)
        return Frame(int(top), int(left), int(height), int(width))


OPS: tuple[type[Transform], ...] = (Resize, ResizeWithPad)
