"""Keras layers where a pixel depends on those around it: sharpness, Gaussian blur and adaptive equalization.

All see float32 [0, 255].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.arguments import (
    Pair,
    as_floats,
    check_pair,
    check_probability,
    check_whole,
    happens,
    mean_chance,
    with_value_range,
)
from augmill.transforms.backend import TensorKernel, tensorflow
from augmill.transforms.base import Params, Shape, Transform, TransformError, check_number
from augmill.transforms.keras_layer import KerasTransform, OnLevels
from augmill.transforms.randomness import Draws

_WIDEST = 1000.0  # pixels: far above any sigma of use


@dataclass(frozen=True, repr=False)
class RandomSharpness(OnLevels, KerasTransform):
    """Blend the image with a smoothed one, or away from it: a factor of 0 blurs, 0.5 changes nothing, 1 sharpens.

    Beyond the edges it is black, as in the layer. Equivalent: `keras.layers.RandomSharpness`. Parameters: `factor`.
    """

    factor: float | Pair

    name: ClassVar[str] = "keras.layers.RandomSharpness"
    layer: ClassVar[str] = "RandomSharpness"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="0 for blurred, 0.5 for no change, 1 for sharpest; [lowest, highest] within [0, 1]; f means [0, f]"
    )
    draws: ClassVar[Mapping[str, str]] = {"factor": "uniform in [lowest, highest)"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._factors == (0.5, 0.5):
            rule = "factor must allow a factor other than 0.5, which changes nothing"
            raise TransformError(f"{rule}, got {self.factor!r}")
        object.__setattr__(self, "factor", as_floats(self.factor))

    @property
    def _factors(self) -> Pair:
        return check_pair("factor", self.factor, low=0, high=1, scalar="from zero")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"factor": draws.uniform(*self._factors)}

    def settings(self) -> dict[str, Any]:
        return {"factor": 1.0, "value_range": self.value_range}

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"factor": tensorflow().constant([params["factor"]], "float32")}


@dataclass(frozen=True, repr=False)
class RandomGaussianBlur(TensorKernel, OnLevels):
    """Blur with a Gaussian of one drawn width, with a probability.

    Beyond the edges it is black, as in the layer. Equivalent: `keras.layers.RandomGaussianBlur`, where a number p for
    `factor` is a probability between 0 and p; here it is p. Keras 3.15 contradicts its documentation elsewhere: it
    draws one width for rows and another for columns, reads a number s for `sigma` as [0, s], and shuffles the weights
    of a kernel that is not square. Parameters: `blur`, a bool, and `sigma` in pixels.
    """

    factor: float | Pair = 1.0
    kernel_size: int | tuple[int, int] = 3
    sigma: float | Pair = 1.0

    name: ClassVar[str] = "keras.layers.RandomGaussianBlur"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="probability to blur, in (0, 1]; [lowest, highest] draws it uniformly for each image",
        kernel_size="odd number of pixels, at least 3, or [height, width], each odd",
        sigma="standard deviation in pixels, above 0; [lowest, highest] draws it for each image",
    )
    draws: ClassVar[Mapping[str, str]] = {
        "blur": "true with the probability factor",
        "sigma": "sigma, or uniform in [lowest, highest)",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_probability("factor", self.factor)
        if self._sigmas[1] == 0:
            raise TransformError(f"sigma must reach above 0, or nothing ever changes, got {self.sigma!r}")
        given: Any = self.kernel_size
        sides = given if isinstance(given, (list, tuple)) else (given, given)
        if len(sides) != 2 or any(type(side) is not int or side < 1 or side % 2 == 0 for side in sides):
            raise TransformError(f"kernel_size must be an odd whole number or [height, width], both odd, got {given!r}")
        if max(sides) == 1:
            raise TransformError(f"kernel_size must be above 1, which changes nothing, got {self.kernel_size!r}")
        object.__setattr__(self, "factor", as_floats(self.factor))
        object.__setattr__(self, "sigma", as_floats(self.sigma))
        object.__setattr__(self, "kernel_size", tuple(given) if sides is given else given)

    @property
    def _sigmas(self) -> Pair:
        return check_pair("sigma", self.sigma, low=0, high=_WIDEST, scalar="exactly")

    @property
    def _sides(self) -> tuple[int, int]:
        return self.kernel_size if isinstance(self.kernel_size, tuple) else (self.kernel_size, self.kernel_size)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"blur": happens(draws, self.factor), "sigma": draws.uniform(*self._sigmas)}

    def chances(self) -> dict[str, float]:
        return {"blur": mean_chance(self.factor)}

    def on_tensor(self, image: Any, params: Params) -> Any:
        if not params["blur"]:
            return image
        column, row = (_gaussian(side, params["sigma"]) for side in self._sides)
        kernel = np.repeat(np.outer(column, row)[:, :, None, None], image.shape[-1], axis=2)
        weights = tensorflow().constant(kernel, "float32")
        return tensorflow().nn.depthwise_conv2d(image[None], weights, [1, 1, 1, 1], "SAME")[0]


def _gaussian(side: int, sigma: float) -> np.ndarray:
    """Weights that add up to 1, of a Gaussian cut off at `side` pixels."""
    distances = np.arange(side) - (side - 1) / 2
    weights = np.exp(-0.5 * (distances / (sigma + 1e-6)) ** 2)  # as Keras keeps it from 0
    return weights / weights.sum()


@dataclass(frozen=True, repr=False)
class ContrastLimitedAdaptiveHistogramEqualization(OnLevels):
    """Equalize each channel within tiles, with a limit to how steep a tile's curve gets, and blend between tiles.

    Equivalent: the layer of this name; in Keras 3.15 it takes a kilobyte a pixel, and fails in a graph of unknown shape
    and where the grid is much finer than the image. Source: Zuiderveld, "Contrast limited adaptive histogram
    equalization", Graphics Gems IV, 1994. It draws nothing.
    """

    clip_limit: float = 4.0
    tile_grid_size: tuple[int, int] = (8, 8)

    name: ClassVar[str] = "keras.layers.ContrastLimitedAdaptiveHistogramEqualization"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        clip_limit="most pixels of one level in a tile, as a multiple of the mean of all levels; 0 for no limit",
        tile_grid_size="[rows, columns] of tiles, whole numbers of at least 1",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("clip_limit", self.clip_limit, low=0)
        grid: Any = self.tile_grid_size
        if not isinstance(grid, (list, tuple)) or len(grid) != 2:
            raise TransformError(f"tile_grid_size must be [rows, columns], got {grid!r}")
        for count in grid:
            check_whole("tile_grid_size", count, low=1)
        object.__setattr__(self, "tile_grid_size", tuple(grid))

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return np.stack([self._equalized(image[..., channel]) for channel in range(image.shape[2])], axis=-1)

    def _equalized(self, channel: np.ndarray) -> np.ndarray:
        levels = channel.astype(np.int64)
        curves = self._curves(levels)
        rows, columns = map(_nearest_tiles, levels.shape, self.tile_grid_size)
        result = np.zeros(levels.shape, np.float32)
        for row, row_share in rows:
            for column, column_share in columns:
                result += row_share[:, None] * column_share * curves[row[:, None], column, levels]
        return result

    def _curves(self, levels: np.ndarray) -> np.ndarray:
        """Each tile's new level for every level: float32 [rows of tiles, columns of tiles, 256]."""
        rows, columns = self.tile_grid_size
        height, width = map(_tile_side, levels.shape, self.tile_grid_size)
        beyond = [(0, rows * height - levels.shape[0]), (0, columns * width - levels.shape[1])]
        tiles = np.pad(levels, beyond, mode="symmetric").reshape(rows, height, columns, width)
        tiles = tiles + 256 * np.arange(rows * columns).reshape(rows, 1, columns, 1)
        counts: Any = np.bincount(tiles.ravel(), minlength=rows * columns * 256).reshape(rows, columns, 256)
        if self.clip_limit > 0:
            clipped = np.minimum(counts, self.clip_limit * height * width / 256)
            counts = clipped + (counts - clipped).sum(axis=-1, keepdims=True) / 256
        up_to = np.cumsum(counts, axis=-1)
        above = height * width - up_to[..., :1]
        curves = (up_to - up_to[..., :1]) * 255 / np.where(above > 0, above, 1)
        return np.clip(curves, 0, 255).astype(np.float32)


def _tile_side(length: int, count: int) -> int:
    return -(-length // count)


def _nearest_tiles(length: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each row (or column) of pixels the two nearest tiles, and the share that each has."""
    place = np.arange(length) / _tile_side(length, count) - 0.5
    first = np.floor(place).astype(np.int64)
    share = (place - first).astype(np.float32)
    return [(first.clip(0, count - 1), 1 - share), ((first + 1).clip(0, count - 1), share)]


OPS: tuple[type[Transform], ...] = (RandomSharpness, RandomGaussianBlur, ContrastLimitedAdaptiveHistogramEqualization)
