"""Keras layers that bend the image: perspective and elastic distortion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from augmill.transforms.arguments import (
    VALUE_RANGE_IS,
    Pair,
    check_pair,
    check_probability,
    check_value_range,
    happens,
    mean_chance,
)
from augmill.transforms.backend import tensorflow
from augmill.transforms.base import GeometricTransform, Params, Sample, Shape, Transform, TransformError, check_number
from augmill.transforms.keras_layer import KerasTransform
from augmill.transforms.motion import Motion, still
from augmill.transforms.randomness import Draws, normal_noise
from augmill.transforms.sampled import SAMPLING, check_sampling, keep_plain

# In the order in which Keras takes them: two at the top, then two at the bottom.
_CORNERS = {"top_left": (0, 0), "top_right": (1, 0), "bottom_left": (0, 1), "bottom_right": (1, 1)}
_ROUND = (0, 1, 3, 2)  # the corners as one goes round the image
_LEAST_TURN = 0.1  # twice the share of the image that three corners in a row must span; 1 of the image itself
_FACTOR = "probability to warp, in (0, 1]; [lowest, highest] draws it uniformly for each image"


@dataclass(frozen=True, repr=False)
class RandomPerspective(KerasTransform, GeometricTransform):
    """Show the image as a plane seen at an angle: each corner is shifted, by draws of its own.

    Equivalent: `keras.layers.RandomPerspective`, where a number p for `factor` is a probability between 0 and p; here
    it is p. The layer multiplies a corner's coordinates by what it draws, so that its top left corner never moves and
    two others move along an edge only. Parameters: `warp`, a bool, and the shift of each corner.
    """

    factor: float | Pair = 1.0
    scale: float = 1.0
    interpolation: str = "bilinear"
    fill_value: float = 0.0

    name: ClassVar[str] = "keras.layers.RandomPerspective"
    layer: ClassVar[str] = "RandomPerspective"
    takes: ClassVar[Mapping[str, str]] = {
        "factor": _FACTOR,
        "scale": "range of a corner's shift as a share of the width and of the height, in (0, 1]",
        "interpolation": SAMPLING["interpolation"],
        "fill_value": "level of what lies beyond the edges, in [0, 255]",
    }
    draws: ClassVar[Mapping[str, str]] = {
        "warp": "true with the probability factor",
        **dict.fromkeys(
            _CORNERS,
            "[right, down] as shares of width and height, each uniform in [-scale/2, scale/2); where the corners would "
            "make no convex shape or next to none, which takes a scale above 0.45, all are drawn again",
        ),
    }

    def __post_init__(self) -> None:
        check_sampling(self)
        check_number("scale", self.scale, low=0, high=1, open_low=True)
        check_probability("factor", self.factor)
        keep_plain(self, "factor")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        warp = happens(draws, self.factor)
        half = self.scale / 2
        while True:
            shifts = {corner: [draws.uniform(-half, half), draws.uniform(-half, half)] for corner in _CORNERS}
            if _is_convex(_shifted(shifts)):
                return {"warp": warp, **shifts}

    def chances(self) -> dict[str, float]:
        return {"warp": mean_chance(self.factor)}

    def settings(self) -> dict[str, Any]:
        return {"interpolation": self.interpolation, "fill_value": self.fill_value}

    def transformation(self, params: Params, shape: Shape) -> Any:
        # The image's corners lie half a pixel up and left of where they do over pixel indices, which Keras takes. Its
        # own start points are the centres of the corner pixels: on an image of one row, they make no homography.
        size = np.array([shape[1], shape[0]])
        start, end = (np.array([corners * size - 0.5]) for corners in (_unshifted(), _shifted(params)))
        constant = tensorflow().constant
        points = {"start_points": constant(start, "float32"), "end_points": constant(end, "float32")}
        return {"apply_perspective": constant([params["warp"]]), **points, "input_shape": (1, *shape)}

    def motion(self, params: Params, shape: Shape) -> Motion:
        if not params["warp"]:
            return still(shape)
        size = np.diag([float(shape[1]), float(shape[0]), 1.0])
        return Motion((shape[0], shape[1]), size @ _homography(_shifted(params)) @ np.linalg.inv(size))


@dataclass(frozen=True, repr=False)
class RandomElasticTransform(GeometricTransform):
    """Bend the image as rubber: each pixel shows a place nearby, neighbours nearly the same one.

    With s the drawn scale, the shifts to the right and down are each normal noise of deviation m s / 20, smoothed by a
    Gaussian of as many pixels and multiplied by M s / 10, where m and M are the lesser and the greater side: 6 pixels
    of deviation at scale 1 and a side of 224. Annotations follow the same field. Equivalent:
    `keras.layers.RandomElasticTransform`, where a number p for `factor` is a probability between 0 and p; here it is
    p. The layer shifts by as much to the right as down, along diagonals only, draws a field anew for a mask, and
    repeats the image wrongly by "reflect". Source: Simard, Steinkraus and Platt, "Best practices for convolutional
    neural networks applied to visual document analysis", ICDAR 2003. Parameters: `warp`, a bool, `scale`, and
    `noise_seed`, the name of the noise.
    """

    factor: float | Pair = 1.0
    scale: float | Pair = 1.0
    interpolation: str = "bilinear"
    fill_mode: str = "reflect"
    fill_value: float = 0.0
    value_range: tuple[int, int] = (0, 255)

    name: ClassVar[str] = "keras.layers.RandomElasticTransform"
    takes: ClassVar[Mapping[str, str]] = {
        "factor": _FACTOR,
        "scale": "how strongly to bend, within [0, 1]: [lowest, highest], or s for [0, s]",
        **SAMPLING,
        "value_range": VALUE_RANGE_IS,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "warp": "true with the probability factor",
        "scale": "uniform over scale",
        "noise_seed": "uniform over the whole numbers below 2**63",
    }
    in_floats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_sampling(self)
        check_probability("factor", self.factor)
        if self._scales[1] == 0:
            raise TransformError(f"scale must reach above 0, or nothing ever changes, got {self.scale!r}")
        object.__setattr__(self, "value_range", check_value_range(self.value_range))
        keep_plain(self, "factor", "scale")

    @property
    def _scales(self) -> Pair:
        return check_pair("scale", self.scale, low=0, high=1, scalar="from zero")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        warp = happens(draws, self.factor)
        return {"warp": warp, "scale": draws.uniform(*self._scales), "noise_seed": draws.noise_seed()}

    def chances(self) -> dict[str, float]:
        return {"warp": mean_chance(self.factor)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return self._sampled(image, self.motion(params, image.shape)) if params["warp"] else image

    def transform(self, sample: Sample, params: Params) -> Sample:
        if not params["warp"]:
            return sample
        motion = self.motion(params, sample.image.shape)  # once for pixels and annotations
        return sample.moved(self._sampled(sample.image, motion), motion)

    def _sampled(self, image: np.ndarray, motion: Motion) -> np.ndarray:
        return motion.move_pixels(image, interpolation=self.interpolation, fill=self.fill_value)

    def motion(self, params: Params, shape: Shape) -> Motion:
        if not params["warp"]:
            return still(shape)
        return Motion((shape[0], shape[1]), field=self.field(params, shape), beyond=self.fill_mode)

    def field(self, params: Params, shape: Shape, dtype: type = np.float64) -> np.ndarray:
        """The point of the source that each pixel of the result shows: [height, width, 2] of (x, y)."""
        height, width = shape[:2]
        deviation = min(height, width) * 0.05 * params["scale"]
        reach = max(height, width) * 0.1 * params["scale"]
        noise = normal_noise(params["noise_seed"], (2, height, width), dtype)
        field: np.ndarray = np.empty((height, width, 2), dtype)
        for axis, shift in enumerate(noise):
            field[..., axis] = deviation * reach * _smoothed(shift, deviation)
        field[..., 0] += np.arange(width, dtype=dtype) + 0.5
        field[..., 1] += (np.arange(height, dtype=dtype) + 0.5)[:, None]
        return field


def _smoothed(field: np.ndarray, deviation: float) -> np.ndarray:
    """Blur by a Gaussian, as far as three deviations, with zeros beyond the edges."""
    side = 2 * math.ceil(3 * deviation) + 1
    return cv2.GaussianBlur(field, (side, side), deviation, borderType=cv2.BORDER_CONSTANT)


def _unshifted() -> np.ndarray:
    """The corners as shares of width and height: float64 [4, 2]."""
    return np.array(list(_CORNERS.values()), np.float64)


def _shifted(shifts: Mapping[str, Any]) -> np.ndarray:
    """Where the corners go to, likewise."""
    return _unshifted() + [shifts[corner] for corner in _CORNERS]


def _is_convex(corners: np.ndarray) -> bool:
    """Whether the shape is one that a plane can be seen in: no corner bent inwards, none in line with two others."""
    edges = np.diff(corners[list(_ROUND)], axis=0, append=corners[:1])
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    return bool((turns > _LEAST_TURN).all())


def _homography(corners: np.ndarray) -> np.ndarray:
    """The matrix that takes the unit square's corners to these."""
    rows = []
    for (x, y), (u, v) in zip(_unshifted(), corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -x * u, -y * u], [0, 0, 0, x, y, 1, -x * v, -y * v]]
    solved = np.linalg.solve(np.array(rows), corners.reshape(8))
    return np.append(solved, 1.0).reshape(3, 3)


OPS: tuple[type[Transform], ...] = (RandomPerspective, RandomElasticTransform)
