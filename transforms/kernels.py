"""What fast kernels are made of: a few kinds of work on uint8 pixels, of which neighbours can be joined.

An op's fast kernel says what it does to an image as one or more of these, its parameters drawn. What is said is not yet
done: neighbours that are tables become one table, neighbours that move pixels become one motion, and each pixel is then
touched as seldom as can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Union

import cv2
import numpy as np

from augmill.transforms.base import Params, Shape
from augmill.transforms.copying import Fill, Mirror, Window, with_channels
from augmill.transforms.curves import Counts, Curve
from augmill.transforms.hsv import shifted
from augmill.transforms.levels import look_up
from augmill.transforms.motion import Motion, translation

# OpenCV's names of what lies beyond the edges, and of how pixels are read.
BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}
METHODS = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}
_WIDENED_FROM = 64 * 64 * 3  # values; to add a channel to fewer costs more than it spares
_LEVELS = np.arange(256, dtype=np.float32)[None]


class Kernel(Protocol):
    """One kind of work.

    Attributes:
      pointwise: whether a pixel's result depends on that pixel, and perhaps on counts over the whole image, alone: such
        work may go before a mirror rather than after it.
    """

    @property
    def pointwise(self) -> bool: ...

    def run(self, image: np.ndarray, counts: Counts) -> np.ndarray:
        """Do the work on uint8 [height, width, channels], without changing it; `counts` are those of this image."""

    def result_shape(self, shape: Shape) -> Shape:
        """The shape of what becomes of an image of this shape."""

    def motion(self, shape: Shape) -> Motion | None:
        """Where the pixels of an image of this shape go; None where they stay."""


@dataclass(frozen=True)
class Tone:
    """Gives each level of each channel another, whatever pixel has it.

    Attributes:
      curves: what becomes of levels, one after the other; results are saturated to [0, 255].
      whole: for each curve, whether it takes and gives whole levels, as ops on uint8 do; others hand fractions on.
    """

    curves: tuple[Curve, ...]
    whole: tuple[bool, ...]

    pointwise = True

    def run(self, image: np.ndarray, counts: Counts) -> np.ndarray:
        return look_up(image, self.table(counts))

    def result_shape(self, shape: Shape) -> Shape:
        return shape

    def motion(self, shape: Shape) -> Motion | None:
        return None

    def table(self, counts: Counts) -> np.ndarray:
        """The level that each level becomes: uint8 [channels or 1, 256]."""
        return np.rint(self.levels(counts)).astype(np.uint8)

    def levels(self, counts: Counts) -> np.ndarray:
        """What each level becomes, in [0, 255] and not rounded: float32 [channels or 1, 256]."""
        levels = _LEVELS
        fractions = False
        for curve, whole in zip(self.curves, self.whole, strict=True):
            if whole and fractions:
                levels = np.rint(levels)
            levels = np.minimum(np.maximum(curve(levels, counts), 0), 255)  # np.clip costs twice as much
            fractions = not whole
        return levels.astype(np.float32, copy=False)


def tone(curve: Curve, *, whole: bool) -> Tone:
    """A tone of one curve."""
    return Tone((curve,), (whole,))


@dataclass(frozen=True)
class Warp:
    """Moves pixels by a matrix over continuous pixels, from the image to a result of its shape.

    Attributes:
      matrix: float64 [3, 3].
      interpolation: "bilinear" or "nearest".
      beyond: what lies beyond the edges, as `Motion` has it, and `fill` the level where that is "constant".
    """

    matrix: np.ndarray
    interpolation: str = "bilinear"
    beyond: str = "constant"
    fill: float = 0.0

    pointwise = False

    @property
    def sampling(self) -> tuple[str, str, float]:
        """What two warps must share to be one."""
        return self.interpolation, self.beyond, self.fill

    def run(self, image: np.ndarray, counts: Counts) -> np.ndarray:
        height, width, channels = image.shape
        (a, b, right), (c, d, down), (g, h, _) = self.matrix.tolist()
        affine = g == 0 and h == 0
        # OpenCV counts in indices, where a pixel's centre is a whole number, and inverts the matrix itself.
        matrix = (
            np.array([[a, b, right + (a + b - 1) / 2], [c, d, down + (c + d - 1) / 2]])
            if affine
            else _HALF_UP @ self.matrix @ _HALF_DOWN
        )
        # It reads four channels almost twice as fast as three, to the same levels.
        widened = channels == 3 and self.interpolation == "bilinear" and image.size > _WIDENED_FROM
        moved = (cv2.warpAffine if affine else cv2.warpPerspective)(
            cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) if widened else image,
            matrix,
            (width, height),
            flags=METHODS[self.interpolation],
            borderMode=BORDERS[self.beyond],
            borderValue=(self.fill,) * 4,
        )
        return cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB) if widened else with_channels(moved)

    def result_shape(self, shape: Shape) -> Shape:
        return shape

    def motion(self, shape: Shape) -> Motion:
        return Motion((shape[0], shape[1]), self.matrix, beyond=self.beyond)


_HALF_UP, _HALF_DOWN = translation(-0.5, -0.5), translation(0.5, 0.5)


@dataclass(frozen=True)
class Hsv:
    """Scales saturations and turns hues, with the channels taken apart once.

    Attributes:
      turn: of the hue, in turns; 0.5 gives the opposite colours.
      factors: what saturations are multiplied by, one after the other, each result cut at the most there is.
      whole: whether it takes whole levels and makes them of fractions as ops on uint8 do, those of tf.image; others
        round them, and scale the saturations of the fractions that `before` hands on.
      before: the tone that goes before, if any.
    """

    turn: float = 0.0
    factors: tuple[float, ...] = ()
    whole: bool = False
    before: Tone | None = None

    pointwise = True

    def run(self, image: np.ndarray, counts: Counts) -> np.ndarray:
        table = None if self.before is None else self.before.table(counts)
        return shifted(image, self.turn, self.factors, whole=self.whole, table=table)

    def result_shape(self, shape: Shape) -> Shape:
        return shape

    def motion(self, shape: Shape) -> Motion | None:
        return None


class Pixels(NamedTuple):
    """Any other work, which is joined with nothing.

    Attributes:
      work: makes uint8 pixels of uint8 pixels; it must not change those that it is given.
      moved: where it moves them, if it does.
      pointwise: as in `Kernel`.
    """

    work: Callable[[np.ndarray], np.ndarray]
    moved: Motion | None = None
    pointwise: bool = False

    def run(self, image: np.ndarray, counts: Counts) -> np.ndarray:
        return self.work(image)

    def result_shape(self, shape: Shape) -> Shape:
        return shape if self.moved is None else (*self.moved.shape, shape[2])

    def motion(self, shape: Shape) -> Motion | None:
        return self.moved


AnyKernel = Union[Tone, Mirror, Warp, Window, Fill, Hsv, Pixels]

# What an op does to an image of a shape, its parameters drawn; nothing where these leave it as it is.
MakeKernels = Callable[[Any, Params, Shape], tuple[AnyKernel, ...]]
