"""Transforms that move pixels: flips and crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.backend import tensorflow
from augmill.transforms.base import Params, PixelTransform, Shape, TransformError
from augmill.transforms.randomness import Draws


@dataclass(frozen=True, repr=False)
class RandomFlipLeftRight(PixelTransform):
    """Mirror the image left to right with probability 0.5.

    Equivalent: `tf.image.random_flip_left_right`. Parameters: `flip`, a bool.
    """

    name: ClassVar[str] = "tf.image.random_flip_left_right"

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"flip": draws.chance(0.5)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return tensorflow().image.flip_left_right(image).numpy() if params["flip"] else image


@dataclass(frozen=True, repr=False)
class RandomFlipUpDown(PixelTransform):
    """Turn the image upside down, mirrored, with probability 0.5.

    Equivalent: `tf.image.random_flip_up_down`. Parameters: `flip`, a bool.
    """

    name: ClassVar[str] = "tf.image.random_flip_up_down"

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"flip": draws.chance(0.5)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return tensorflow().image.flip_up_down(image).numpy() if params["flip"] else image


@dataclass(frozen=True, repr=False)
class RandomCrop(PixelTransform):
    """Cut out a window of a fixed size at a uniformly drawn place.

    `size` is [height, width, 3] in pixels, no larger than the image. Equivalent: `tf.image.random_crop`. Parameters:
    `top` and `left`, integers in pixels.
    """

    size: tuple[int, int, int]

    name: ClassVar[str] = "tf.image.random_crop"

    def __post_init__(self) -> None:
        size: Any = self.size
        whole = isinstance(size, (list, tuple)) and all(type(n) is int and n > 0 for n in size)
        if not whole or len(size) != 3 or size[2] != 3:
            raise TransformError(f"size must be [height, width, 3] in whole pixels, got {size!r}")
        object.__setattr__(self, "size", tuple(size))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        height, width = self.size[:2]
        if shape[0] < height or shape[1] < width:
            raise TransformError(
                f"{self.name}: size {height}x{width} is larger than the image, {shape[0]}x{shape[1]} here; "
                "give a smaller size, or a larger image.work_size"
            )
        return {"top": draws.integer(0, shape[0] - height + 1), "left": draws.integer(0, shape[1] - width + 1)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return tensorflow().slice(image, [params["top"], params["left"], 0], self.size).numpy()
