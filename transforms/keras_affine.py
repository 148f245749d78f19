"""Keras layers that move pixels by a matrix: flip, rotation, translation, zoom, shear."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.arguments import Pair, check_choice
from augmill.transforms.backend import tensorflow
from augmill.transforms.base import GeometricTransform, Params, Shape, Transform, TransformError
from augmill.transforms.motion import Motion, about_centre, on_pixel_indices, rotation, scaling, translation
from augmill.transforms.randomness import Draws
from augmill.transforms.sampled import SAMPLING, SampledTransform


@dataclass(frozen=True, repr=False)
class RandomFlip(GeometricTransform):
    """Mirror the image left to right, upside down, or each by a draw of its own.

    The layer of Keras makes one draw do for both axes in "horizontal_and_vertical", and so gives the image or its half
    turn and never one mirrored along one axis. Equivalent: `keras.layers.RandomFlip`. Parameters: `horizontal` and
    `vertical`, bools.
    """

    mode: str = "horizontal_and_vertical"

    name: ClassVar[str] = "keras.layers.RandomFlip"
    takes: ClassVar[Mapping[str, str]] = {
        "mode": "horizontal (left to right), vertical (upside down) or horizontal_and_vertical"
    }
    draws: ClassVar[Mapping[str, str]] = {
        "horizontal": "true with probability 0.5, where the mode has it",
        "vertical": "true with probability 0.5, where the mode has it, independent of horizontal",
    }
    in_floats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, ("horizontal", "vertical", "horizontal_and_vertical"))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {axis: draws.chance(0.5) for axis in self._axes}

    def chances(self) -> dict[str, float]:
        return dict.fromkeys(self._axes, 0.5)

    @property
    def _axes(self) -> list[str]:
        return [axis for axis in ("horizontal", "vertical") if axis in self.mode]

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        x, y = _directions(params)
        return np.ascontiguousarray(image[::y, ::x])

    def motion(self, params: Params, shape: Shape) -> Motion:
        return Motion((shape[0], shape[1]), about_centre(scaling(*_directions(params)), shape))


def _directions(params: Params) -> tuple[int, int]:
    """-1 for each of x and y that is mirrored, else 1."""
    return -1 if params.get("horizontal") else 1, -1 if params.get("vertical") else 1


@dataclass(frozen=True, repr=False)
class RandomRotation(SampledTransform):
    """Turn the image about its centre, counter-clockwise for positive angles.

    Equivalent: `keras.layers.RandomRotation`. Parameters: `degrees`.
    """

    factor: float | Pair
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    fill_value: float = 0.0

    name: ClassVar[str] = "keras.layers.RandomRotation"
    layer: ClassVar[str] = "RandomRotation"
    ranged: ClassVar[tuple[str, ...]] = ("factor",)
    takes: ClassVar[Mapping[str, str]] = {
        "factor": "angle in full turns within [-1, 1], positive is counter-clockwise: [lowest, highest], or f for "
        "[-f, f]; 0.1 is up to 36 degrees either way",
        **SAMPLING,
    }
    draws: ClassVar[Mapping[str, str]] = {"degrees": "uniform over factor, times 360; positive is counter-clockwise"}

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"degrees": 360.0 * draws.uniform(*self.ranges()["factor"])}

    def transformation(self, params: Params, shape: Shape) -> Any:
        constant = tensorflow().constant
        # Over pixel indices, whose centre is half a pixel up and left; from the result to the source.
        back = about_centre(rotation(-math.radians(params["degrees"])), (shape[0] - 1, shape[1] - 1))
        matrix = constant(back.reshape(1, 9)[:, :8], "float32")
        size = {"image_height": shape[0], "image_width": shape[1], "batch_size": 1}
        return {"angle": constant([params["degrees"]], "float32"), "rotation_matrix": matrix, **size}

    def motion(self, params: Params, shape: Shape) -> Motion:
        return self.moved_by(about_centre(rotation(math.radians(params["degrees"])), shape), shape)


@dataclass(frozen=True, repr=False)
class RandomTranslation(SampledTransform):
    """Move the image down and to the right, or up and to the left for negative draws.

    Equivalent: `keras.layers.RandomTranslation`. Parameters: `down` and `right`, shares of the height and the width.
    """

    height_factor: float | Pair
    width_factor: float | Pair
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    fill_value: float = 0.0

    name: ClassVar[str] = "keras.layers.RandomTranslation"
    layer: ClassVar[str] = "RandomTranslation"
    ranged: ClassVar[tuple[str, ...]] = ("height_factor", "width_factor")
    takes: ClassVar[Mapping[str, str]] = {
        "height_factor": "share of the height within [-1, 1], positive is down: [lowest, highest], or f for [-f, f]",
        "width_factor": "share of the width within [-1, 1], positive is to the right, likewise",
        **SAMPLING,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "down": "share of the height, uniform over height_factor",
        "right": "share of the width, uniform over width_factor",
    }

    def draw(self, draws: Draws, shape: Shape) -> Params:
        ranges = self.ranges()
        return {"down": draws.uniform(*ranges["height_factor"]), "right": draws.uniform(*ranges["width_factor"])}

    def transformation(self, params: Params, shape: Shape) -> Any:
        pixels = [[params["right"] * shape[1], params["down"] * shape[0]]]
        return {"translations": tensorflow().constant(pixels, "float32"), "input_shape": (1, *shape)}

    def motion(self, params: Params, shape: Shape) -> Motion:
        return self.moved_by(translation(params["right"] * shape[1], params["down"] * shape[0]), shape)


@dataclass(frozen=True, repr=False)
class RandomZoom(SampledTransform):
    """Zoom out from the image's centre for positive draws, in for negative ones.

    A draw of 0.25 shows 1.25 times as much of the scene, one of -0.25 three quarters of it. Equivalent:
    `keras.layers.RandomZoom`. Parameters: `height` and `width`.
    """

    height_factor: float | Pair
    width_factor: float | Pair | None = None
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    fill_value: float = 0.0

    name: ClassVar[str] = "keras.layers.RandomZoom"
    layer: ClassVar[str] = "RandomZoom"
    ranged: ClassVar[tuple[str, ...]] = ("height_factor", "width_factor")
    takes: ClassVar[Mapping[str, str]] = {
        "height_factor": "change of the height shown, within (-1, 1], positive zooms out: [lowest, highest], or f for "
        "[-f, f]",
        "width_factor": "change of the width shown, likewise; none keeps the aspect ratio",
        **SAMPLING,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "height": "uniform over height_factor; positive zooms out",
        "width": "uniform over width_factor; where that is none, the same as height",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (lowest, _) in self.ranges().items():
            if lowest == -1:
                raise TransformError(f"{name} must stay above -1, where nothing is shown, got {getattr(self, name)!r}")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        ranges = self.ranges()
        height = draws.uniform(*ranges["height_factor"])
        return {"height": height, "width": draws.uniform(*ranges["width_factor"]) if len(ranges) == 2 else height}

    def transformation(self, params: Params, shape: Shape) -> Any:
        constant = tensorflow().constant
        shown = {f"{axis}_zoom": constant([[1.0 + params[axis]]], "float32") for axis in ("height", "width")}
        return {**shown, "input_shape": (1, *shape)}

    def motion(self, params: Params, shape: Shape) -> Motion:
        return self.moved_by(about_centre(scaling(1 / (1 + params["width"]), 1 / (1 + params["height"])), shape), shape)


@dataclass(frozen=True, repr=False)
class RandomShear(SampledTransform):
    """Shift each row sideways by its distance from the first, and each column up or down likewise.

    Equivalent: `keras.layers.RandomShear`, with the range that its documentation gives a single number (its code draws
    from [-f, f]) and boxes that fit (its own do not). Parameters: `x`, `y` and `inverted`.
    """

    x_factor: float | Pair = 0.0
    y_factor: float | Pair = 0.0
    interpolation: str = "bilinear"
    fill_mode: str = "reflect"
    fill_value: float = 0.0

    name: ClassVar[str] = "keras.layers.RandomShear"
    layer: ClassVar[str] = "RandomShear"
    ranged: ClassVar[tuple[str, ...]] = ("x_factor", "y_factor")
    lowest: ClassVar[float] = 0.0
    scalar: ClassVar[str] = "from zero"
    takes: ClassVar[Mapping[str, str]] = {
        "x_factor": "pixels that a row is shifted for each row above it, within [0, 1]: [lowest, highest], or f for "
        "[0, f]",
        "y_factor": "pixels that a column is shifted for each column left of it, likewise",
        **SAMPLING,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "x": "uniform over x_factor",
        "y": "uniform over y_factor",
        "inverted": "true with probability 0.5: rows go right and columns down, else left and up",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if set(self.ranges().values()) == {(1.0, 1.0)}:
            raise TransformError("x_factor and y_factor [1, 1] together leave a line of the image; lower one of them")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        x, y = self.ranges().values()
        return {"x": draws.uniform(*x), "y": draws.uniform(*y), "inverted": draws.chance(0.5)}

    def chances(self) -> dict[str, float]:
        return {"inverted": 0.5}

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"shear_factor": tensorflow().constant([_amounts(params)], "float32"), "input_shape": (1, *shape)}

    def motion(self, params: Params, shape: Shape) -> Motion:
        x, y = _amounts(params)
        back = np.array([[1.0, x, 0.0], [y, 1.0, 0.0], [0.0, 0.0, 1.0]])
        return self.moved_by(on_pixel_indices(np.linalg.inv(back)), shape)


def _amounts(params: Params) -> tuple[float, float]:
    sign = -1 if params["inverted"] else 1
    return sign * params["x"], sign * params["y"]


OPS: tuple[type[Transform], ...] = (RandomFlip, RandomRotation, RandomTranslation, RandomZoom, RandomShear)
