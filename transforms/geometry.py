"""Transforms that mirror and turn the image by right angles, or cut a window out of it at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.base import DrawsNothing, GeometricTransform, Params, Shape, Transform, TransformError
from augmill.transforms.motion import Motion, scaling, still, translation
from augmill.transforms.randomness import Draws
from augmill.transforms.window import Frame, WindowTransform

_QUARTER_TURNS = "0 leaves the image, 1 is 90 degrees counter-clockwise, 2 is 180, 3 is 90 clockwise"


@dataclass(frozen=True, repr=False)
class _Mirror(DrawsNothing, GeometricTransform):
    """A transform that mirrors the image, unless a drawn `flip` says no.

    Attributes:
      axis: along which it is mirrored, 1 for left to right and 0 for upside down.
    """

    axis: ClassVar[int]

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return np.ascontiguousarray(np.flip(image, self.axis)) if params.get("flip", True) else image

    def motion(self, params: Params, shape: Shape) -> Motion:
        if not params.get("flip", True):
            return still(shape)
        if self.axis == 1:
            return Motion((shape[0], shape[1]), translation(shape[1], 0) @ scaling(-1, 1))
        return Motion((shape[0], shape[1]), translation(0, shape[0]) @ scaling(1, -1))


@dataclass(frozen=True, repr=False)
class FlipLeftRight(_Mirror):
    """Mirror the image left to right.

    Equivalent: `tf.image.flip_left_right`. No parameters.
    """

    name: ClassVar[str] = "tf.image.flip_left_right"
    axis: ClassVar[int] = 1


@dataclass(frozen=True, repr=False)
class FlipUpDown(_Mirror):
    """Turn the image upside down, mirrored.

    Equivalent: `tf.image.flip_up_down`. No parameters.
    """

    name: ClassVar[str] = "tf.image.flip_up_down"
    axis: ClassVar[int] = 0


@dataclass(frozen=True, repr=False)
class RandomFlipLeftRight(FlipLeftRight):
    """Mirror the image left to right with probability 0.5.

    Equivalent: `tf.image.random_flip_left_right`. Parameters: `flip`, a bool.
    """

    name: ClassVar[str] = "tf.image.random_flip_left_right"
    draws: ClassVar[Mapping[str, str]] = {"flip": "true with probability 0.5"}

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"flip": draws.chance(0.5)}

    def chances(self) -> dict[str, float]:
        return {"flip": 0.5}


@dataclass(frozen=True, repr=False)
class RandomFlipUpDown(FlipUpDown):
    """Turn the image upside down, mirrored, with probability 0.5.

    Equivalent: `tf.image.random_flip_up_down`. Parameters: `flip`, a bool.
    """

    name: ClassVar[str] = "tf.image.random_flip_up_down"
    draws: ClassVar[Mapping[str, str]] = {"flip": "true with probability 0.5"}

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"flip": draws.chance(0.5)}

    def chances(self) -> dict[str, float]:
        return {"flip": 0.5}


@dataclass(frozen=True, repr=False)
class StatelessRandomFlipLeftRight(RandomFlipLeftRight):
    """Do what `tf.image.random_flip_left_right` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_random_flip_left_right"


@dataclass(frozen=True, repr=False)
class StatelessRandomFlipUpDown(RandomFlipUpDown):
    """Do what `tf.image.random_flip_up_down` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_random_flip_up_down"


@dataclass(frozen=True, repr=False)
class Rot90(GeometricTransform):
    """Turn the image counter-clockwise by `k` quarters of a turn; an odd number exchanges height and width.

    `k` is a number, or a list of numbers of which one is drawn. Equivalent: `tf.image.rot90`, which draws nothing.
    Parameters: `k`.
    """

    k: int | tuple[int, ...] = 1

    name: ClassVar[str] = "tf.image.rot90"
    takes: ClassVar[Mapping[str, str]] = {
        "k": f"quarters of a turn, 0 to 3, or a list of choices; {_QUARTER_TURNS}",
    }
    draws: ClassVar[Mapping[str, str]] = {"k": "each of the choices equally likely"}

    def __post_init__(self) -> None:
        given: Any = self.k
        choices = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        right = all(type(k) is int and 0 <= k <= 3 for k in choices)
        if not right or not choices or len(set(choices)) < len(choices):
            raise TransformError(
                f"k must be 0, 1, 2 or 3, or a list of different ones of them, got {given!r}; {_QUARTER_TURNS}"
            )
        if choices == (0,):
            raise TransformError(f"k must allow a turn: 0 leaves every image as it is, got {given!r}")
        object.__setattr__(self, "k", choices if isinstance(given, (list, tuple)) else given)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"k": self.k[draws.integer(0, len(self.k))] if isinstance(self.k, tuple) else self.k}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(image, params["k"]))

    def motion(self, params: Params, shape: Shape) -> Motion:
        height, width = shape[:2]
        matrix = np.eye(3)
        for _ in range(params["k"]):  # a quarter of a turn takes (x, y) to (y, width - x)
            matrix = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, width], [0.0, 0.0, 1.0]]) @ matrix
            height, width = width, height
        return Motion((height, width), matrix)


@dataclass(frozen=True, repr=False)
class Transpose(DrawsNothing, GeometricTransform):
    """Exchange rows and columns: mirror the image at the diagonal from its top left corner.

    Equivalent: `tf.image.transpose`. No parameters: put it under `sometimes` to leave it to chance.
    """

    name: ClassVar[str] = "tf.image.transpose"

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return np.ascontiguousarray(image.transpose(1, 0, 2))

    def motion(self, params: Params, shape: Shape) -> Motion:
        return Motion((shape[1], shape[0]), np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))


@dataclass(frozen=True, repr=False)
class RandomCrop(WindowTransform):
    """Cut out a window of a fixed size at a uniformly drawn place.

    `size` is [height, width, channels] in pixels, no larger than the image; channels are the image's, 3 for colours and
    1 for grey. Equivalent: `tf.image.random_crop`. Parameters: `top` and `left`, integers in pixels.
    """

    size: tuple[int, int, int]

    name: ClassVar[str] = "tf.image.random_crop"
    takes: ClassVar[Mapping[str, str]] = {
        "size": "[height, width, channels] of the window, whole pixels up to the image's size; 3 channels, 1 for grey"
    }
    draws: ClassVar[Mapping[str, str]] = {
        "top": "uniform over the whole pixels from 0 to the image's height less the window's",
        "left": "uniform over the whole pixels from 0 to the image's width less the window's",
    }

    def __post_init__(self) -> None:
        size: Any = self.size
        whole = isinstance(size, (list, tuple)) and all(type(n) is int and n > 0 for n in size)
        if not whole or len(size) != 3 or size[2] not in (1, 3):
            raise TransformError(
                f"size must be [height, width, 3] in whole pixels, or [height, width, 1] for grey, got {size!r}"
            )
        object.__setattr__(self, "size", tuple(size))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        height, width, channels = self.size
        if shape[2] != channels:
            raise TransformError(f"{self.name}: size asks for {channels} channels, the image has {shape[2]}")
        if shape[0] < height or shape[1] < width:
            raise TransformError(
                f"{self.name}: size {height}x{width} is larger than the image, {shape[0]}x{shape[1]} here; "
                "give a smaller size, or a larger image.work_size"
            )
        return {"top": draws.integer(0, shape[0] - height + 1), "left": draws.integer(0, shape[1] - width + 1)}

    def frame(self, params: Params, shape: Shape) -> Frame:
        return Frame(params["top"], params["left"], self.size[0], self.size[1])


@dataclass(frozen=True, repr=False)
class StatelessRandomCrop(RandomCrop):
    """Do what `tf.image.random_crop` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_random_crop"


OPS: tuple[type[Transform], ...] = (
    RandomFlipLeftRight,
    RandomFlipUpDown,
    RandomCrop,
    StatelessRandomFlipLeftRight,
    StatelessRandomFlipUpDown,
    StatelessRandomCrop,
    FlipLeftRight,
    FlipUpDown,
    Rot90,
    Transpose,
)
