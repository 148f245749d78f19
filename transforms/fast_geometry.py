"""Fast kernels of the ops that move pixels or change the image's frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2

from augmill.transforms.base import Params, Shape, Transform
from augmill.transforms.copying import Mirror, Window, with_channels
from augmill.transforms.crop import CentralCrop, CropToBoundingBox, PadToBoundingBox, ResizeWithCropOrPad
from augmill.transforms.geometry import (
    FlipLeftRight,
    FlipUpDown,
    RandomCrop,
    RandomFlipLeftRight,
    RandomFlipUpDown,
    Rot90,
    StatelessRandomCrop,
    StatelessRandomFlipLeftRight,
    StatelessRandomFlipUpDown,
    Transpose,
)
from augmill.transforms.keras_affine import RandomFlip, RandomRotation, RandomShear, RandomTranslation, RandomZoom
from augmill.transforms.keras_crop import CenterCrop, Resizing
from augmill.transforms.keras_crop import RandomCrop as KerasRandomCrop
from augmill.transforms.keras_warp import RandomPerspective
from augmill.transforms.kernels import AnyKernel, MakeKernels, Pixels, Warp
from augmill.transforms.random_resized_crop import (
    SampleDistortedBoundingBox,
    StatelessSampleDistortedBoundingBox,
)
from augmill.transforms.resize import Resize, ResizeWithPad
from augmill.transforms.window import Frame

Kernels = tuple[AnyKernel, ...]

_ACROSS: Kernels = (Mirror(across=True),)
_DOWN: Kernels = (Mirror(down=True),)


def _across(op: Any, params: Params, shape: Shape) -> Kernels:
    return _ACROSS if params.get("flip", True) else ()


def _down(op: Any, params: Params, shape: Shape) -> Kernels:
    return _DOWN if params.get("flip", True) else ()


def _keras_flip(op: RandomFlip, params: Params, shape: Shape) -> Kernels:
    return (Mirror(across=params.get("horizontal", False), down=params.get("vertical", False)),)


def _turn(op: Rot90, params: Params, shape: Shape) -> Kernels:
    code = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)[params["k"]]
    if code is None:
        return ()
    return (Pixels(lambda image: with_channels(cv2.rotate(image, code)), op.motion(params, shape)),)


def _transpose(op: Transpose, params: Params, shape: Shape) -> Kernels:
    return (Pixels(lambda image: with_channels(cv2.transpose(image)), op.motion(params, shape)),)


def _window(op: Any, params: Params, shape: Shape) -> Kernels:
    return (Window(op.frame(params, shape)),)


def _resized_window(op: Any, params: Params, shape: Shape) -> Kernels:
    """A window, resized where the op has a size for its result."""
    return (Window(op.frame(params, shape), op.motion(params, shape).shape),)


def _distorted(op: SampleDistortedBoundingBox, params: Params, shape: Shape) -> Kernels:
    return (Window(op.frame(params, shape), op.size),)


def _resize(op: Resize, params: Params, shape: Shape) -> Kernels:
    return (Window(Frame(0, 0, shape[0], shape[1]), op.motion(params, shape).shape, op.method),)


def _resize_with_pad(op: ResizeWithPad, params: Params, shape: Shape) -> Kernels:
    motion = op.motion(params, shape)
    top, left, height, width = op.place(shape)
    inside = Window(Frame(0, 0, shape[0], shape[1]), (height, width), op.method)
    return (inside, Window(Frame(-top, -left, *motion.shape)))


def _resizing(op: Resizing, params: Params, shape: Shape) -> Kernels:
    return (Window(op.frame(shape), (op.height, op.width), op.interpolation),)


def _sampled(op: Any, params: Params, shape: Shape) -> Kernels:
    matrix = op.motion(params, shape).matrix
    return (Warp(matrix, op.interpolation, op.fill_mode, op.fill_value),)


def _perspective(op: RandomPerspective, params: Params, shape: Shape) -> Kernels:
    if not params["warp"]:
        return ()
    matrix = op.motion(params, shape).matrix
    assert matrix is not None
    return (Warp(matrix, op.interpolation, "constant", op.fill_value),)


FAST_GEOMETRY: Mapping[type[Transform], MakeKernels] = {
    **dict.fromkeys((FlipLeftRight, RandomFlipLeftRight, StatelessRandomFlipLeftRight), _across),
    **dict.fromkeys((FlipUpDown, RandomFlipUpDown, StatelessRandomFlipUpDown), _down),
    RandomFlip: _keras_flip,
    Rot90: _turn,
    Transpose: _transpose,
    **dict.fromkeys((RandomCrop, StatelessRandomCrop, CentralCrop, CropToBoundingBox), _window),
    **dict.fromkeys((PadToBoundingBox, ResizeWithCropOrPad), _window),
    **dict.fromkeys((SampleDistortedBoundingBox, StatelessSampleDistortedBoundingBox), _distorted),
    **dict.fromkeys((KerasRandomCrop, CenterCrop), _resized_window),
    Resize: _resize,
    ResizeWithPad: _resize_with_pad,
    Resizing: _resizing,
    **dict.fromkeys((RandomRotation, RandomTranslation, RandomZoom, RandomShear), _sampled),
    RandomPerspective: _perspective,
}

_RESIZED = ("bilinear", "nearest")  # the methods that OpenCV has alike

# Arguments with which an op has no fast kernel.
UNLESS: Mapping[type[Transform], Callable[[Any], bool]] = {
    Resize: lambda op: op.method not in _RESIZED or op.antialias,
    ResizeWithPad: lambda op: op.method not in _RESIZED or op.antialias,
    Resizing: lambda op: op.interpolation not in _RESIZED or op.antialias or op.fill_value != 0,
}
