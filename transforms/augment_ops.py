"""The elementary ops that the published augmentation policies are made of.

A policy draws steps, each an op's name and its value: ["rotate", -12.0], or ["equalize", None] for an op that takes
none. Ops of levels are Pillow's, byte for byte. Ops that move pixels follow Pillow's `Image.transform`: they move about
the image's centre (rotate) or its top left corner (shear), and a fill stands where the image does not reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import cv2
import numpy as np

import augmill.transforms.levels as levels
from augmill.transforms.arguments import Pair, check_choice, check_whole
from augmill.transforms.base import GeometricTransform, Params, Sample, Shape
from augmill.transforms.motion import Motion, about_centre, rotation, translation
from augmill.transforms.randomness import Draws

Step = list[Any]  # [name, value]: a JSON pair
INTERPOLATIONS = ("nearest", "bilinear")
FILL_IS = "level of grey, 0 to 255, that stands where the image does not reach"
INTERPOLATION_IS = "nearest or bilinear, how pixels that move are read"
# A place on the line between two pixels is in the second, whatever the last bit of a cosine is on this machine.
_ON_THE_LINE = 1e-7
_ROUNDING = 1e-9  # 0.9 of 100 is 90 and no less


@dataclass(frozen=True)
class AugmentOp:
    """One elementary op.

    Attributes:
      value: what its value is, with range and unit.
      idle: the value at which it leaves the image as it is; None where there is none.
      signed: whether a policy draws the value's sign, both equally likely.
      pixels: for an op that moves nothing, what it makes of an image and a value.
      matrix: for an op that moves pixels, the matrix of a value, from the image to the result, for an image of a shape.
    """

    value: str
    idle: float | None = None
    signed: bool = False
    pixels: Callable[[np.ndarray, Any], np.ndarray] | None = None
    matrix: Callable[[float, Sequence[int]], np.ndarray] | None = None


def _shear(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, x, 0.0], [y, 1.0, 0.0], [0.0, 0.0, 1.0]])


def _rotate(degrees: float, shape: Sequence[int]) -> np.ndarray:
    return about_centre(rotation(np.radians(degrees)), shape)


_FACTOR = "factor: 1 leaves the image as it is, 0 "
AUGMENT_OPS: Mapping[str, AugmentOp] = {
    "identity": AugmentOp("none: leaves the image as it is", pixels=lambda image, _: image),
    "autocontrast": AugmentOp("none", pixels=lambda image, _: levels.autocontrast(image)),
    "equalize": AugmentOp("none", pixels=lambda image, _: levels.equalize(image)),
    "invert": AugmentOp("none", pixels=lambda image, _: levels.invert(image)),
    "posterize": AugmentOp("bits kept, 1 to 8", 8, pixels=levels.posterize),
    "solarize": AugmentOp("least level inverted, 0 to 256", 256, pixels=levels.solarize),
    "solarize_add": AugmentOp("added to levels below 128", 0, pixels=levels.solarize_add),
    "color": AugmentOp(_FACTOR + "is grey", 1, pixels=levels.color),
    "contrast": AugmentOp(_FACTOR + "is its mean grey", 1, pixels=levels.contrast),
    "brightness": AugmentOp(_FACTOR + "is black", 1, pixels=levels.brightness),
    "sharpness": AugmentOp(_FACTOR + "is smoothed", 1, pixels=levels.sharpness),
    "rotate": AugmentOp("degrees, counter-clockwise", 0, signed=True, matrix=_rotate),
    "shear_x": AugmentOp("pixels to the right for each row down", 0, signed=True, matrix=lambda x, _: _shear(x, 0)),
    "shear_y": AugmentOp("pixels down for each column to the right", 0, signed=True, matrix=lambda y, _: _shear(0, y)),
    "translate_x": AugmentOp("pixels to the right", 0, signed=True, matrix=lambda x, _: translation(x, 0)),
    "translate_y": AugmentOp("pixels down", 0, signed=True, matrix=lambda y, _: translation(0, y)),
    "cutout": AugmentOp("[left, top, right, bottom] of what is filled, in pixels", 0),
}

# The ops of Cubuk et al., "RandAugment", NeurIPS 2020, which TrivialAugment took over.
FOURTEEN: tuple[str, ...] = (
    *("identity", "autocontrast", "equalize", "rotate", "solarize", "color", "posterize"),
    *("contrast", "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y"),
)
ENHANCEMENTS = ("color", "contrast", "brightness", "sharpness")  # which the corruptions of ImageNet-C are alike to
_FIELDS = {f"{kind}_{side}": kind for kind in ("shear", "translate") for side in "xy"} | dict.fromkeys(
    ENHANCEMENTS, "enhance"
)


@dataclass(frozen=True)
class Ranges:
    """How a policy makes values of strengths: each op's value at strength 0 and at strength 1, and evenly between.

    Numbers of bits, levels and pixels are whole: what strength adds to the value at 0 is truncated, as in all the
    published code, or rounded with `to_nearest`. Rotations are whole degrees with `whole_degrees`.

    Attributes:
      rotate, shear, posterize, solarize, solarize_add, enhance: values as `AUGMENT_OPS` has them.
      translate: share of the image's side, or pixels with `in_pixels`.
      cutout: half the side of the square that is filled, as a share of the image's shorter side.
    """

    rotate: Pair
    shear: Pair
    translate: Pair
    posterize: Pair
    solarize: Pair
    enhance: Pair
    solarize_add: Pair = (0, 110)
    cutout: Pair = (0, 40 / 224)
    in_pixels: bool = False
    to_nearest: bool = False
    whole_degrees: bool = False

    def value(self, name: str, strength: float, shape: Sequence[int]) -> float | int | None:
        """The value of an op at a strength, on an image of `shape`; None for an op that takes none."""
        kind = _FIELDS.get(name, name)
        ends: Pair | None = getattr(self, kind, None)
        if ends is None:
            return None
        start, added = ends[0], (ends[1] - ends[0]) * strength
        if kind == "translate" and not self.in_pixels:
            added *= shape[0] if name == "translate_y" else shape[1]
        elif kind == "cutout":
            added *= min(shape[:2])
        if kind in ("shear", "enhance") or (kind == "rotate" and not self.whole_degrees):
            return start + added
        whole = int(start) + (round(added) if self.to_nearest else int(added + math.copysign(_ROUNDING, added)))
        return max(1, whole) if kind == "posterize" else whole

    def draw(self, draws: Draws, name: str, strength: float, shape: Sequence[int]) -> Step:
        """Make the step of an op at a strength, its sign or its place drawn where it has one."""
        value = self.value(name, strength, shape)
        if name == "cutout":
            assert isinstance(value, int)
            x, y = draws.integer(0, shape[1]), draws.integer(0, shape[0])
            return [name, [max(0, x - value), max(0, y - value), min(shape[1], x + value), min(shape[0], y + value)]]
        if AUGMENT_OPS[name].signed and value is not None and draws.chance(0.5):
            value = -value
        return [name, value]


# The ops and ranges of the Keras layers: all but identity, and the same strength either way.
SCALED = FOURTEEN[1:]
_SCALED_RANGES = Ranges(
    (0, 30), (0, 0.3), translate=(0, 100 / 224), posterize=(7, 4), solarize=(256, 0), enhance=(1, 1.9), to_nearest=True
)


def draw_scaled(draws: Draws, names: Sequence[str], factor: float, shape: Sequence[int]) -> Step:
    """Draw the step of one of the ops `names`, each equally likely, at a strength drawn from [-factor, factor)."""
    name, strength = names[draws.integer(0, len(names))], draws.uniform(-factor, factor)
    # Bits and thresholds have one way to go.
    return [name, _SCALED_RANGES.value(name, abs(strength) if name in ("posterize", "solarize") else strength, shape)]


def moves(name: str) -> bool:
    """Whether the op of this name moves pixels."""
    return AUGMENT_OPS[name].matrix is not None


def carry_out_step(image: np.ndarray, step: Sequence[Any], *, fill: int, interpolation: str) -> np.ndarray:
    """Carry out one step on a uint8 image of one or three channels."""
    name, value = step
    op = AUGMENT_OPS[name]
    if name == "cutout":
        left, top, right, bottom = value
        image = image.copy()
        image[top:bottom, left:right] = fill
        return image
    if op.pixels is not None:
        return op.pixels(image, value)
    assert op.matrix is not None, name
    return warped(image, op.matrix(value, image.shape), fill=fill, interpolation=interpolation)


def step_matrix(step: Sequence[Any], shape: Sequence[int]) -> np.ndarray:
    """The matrix by which one step moves the pixels of an image of `shape`."""
    matrix = AUGMENT_OPS[step[0]].matrix
    return np.eye(3) if matrix is None else matrix(step[1], shape)


def step_motion(step: Sequence[Any], shape: Sequence[int]) -> Motion:
    """Where one step moves the pixels of an image of `shape`."""
    return Motion((shape[0], shape[1]), step_matrix(step, shape))


def warped(image: np.ndarray, matrix: np.ndarray, *, fill: int, interpolation: str) -> np.ndarray:
    """Move the pixels of an image by an affine matrix over continuous pixels.

    As in Pillow, a pixel of the result shows the fill where its centre's place in the source lies outside, and is not
    blended with the fill where it lies inside.
    """
    height, width = image.shape[:2]
    (a, b, x0), (c, d, y0) = np.linalg.inv(matrix)[:2]
    columns, rows = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    xs, ys = a * columns + (b * rows + x0) + _ON_THE_LINE, c * columns + (d * rows + y0) + _ON_THE_LINE
    outside = (xs < 0) | (xs >= width) | (ys < 0) | (ys >= height)
    if interpolation == "nearest":
        method, xs, ys = cv2.INTER_NEAREST, np.floor(xs), np.floor(ys)
    else:
        method, xs, ys = cv2.INTER_LINEAR, xs - 0.5, ys - 0.5
    moved = cv2.remap(image, xs.astype(np.float32), ys.astype(np.float32), method, borderMode=cv2.BORDER_REPLICATE)
    moved = moved.reshape(image.shape)
    moved[outside] = fill
    return moved


def check_warp(fill: Any, interpolation: Any) -> None:
    """Raise TransformError unless these are a fill and an interpolation."""
    check_whole("fill", fill, low=0, high=255)
    check_choice("interpolation", interpolation, INTERPOLATIONS)


class StepsTransform(GeometricTransform):
    """A policy that draws steps and carries them out one after another: params {"ops": [[name, value], ...]}.

    Annotations go along step by step, for what one step moves out of the image the next one can't bring back.
    """

    fill: int
    interpolation: str

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        for step in params["ops"]:
            image = carry_out_step(image, step, fill=self.fill, interpolation=self.interpolation)
        return image

    def motion(self, params: Params, shape: Shape) -> Motion:
        matrices = (step_matrix(step, shape) for step in params["ops"])
        return Motion((shape[0], shape[1]), reduce(lambda done, matrix: matrix @ done, matrices, np.eye(3)))

    def transform(self, sample: Sample, params: Params) -> Sample:
        for step in params["ops"]:
            image = carry_out_step(sample.image, step, fill=self.fill, interpolation=self.interpolation)
            sample = sample.moved(image, step_motion(step, sample.image.shape))
        return sample
