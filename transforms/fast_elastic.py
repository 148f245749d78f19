"""The fast kernel of the elastic transform: the reference one's field in float32, and OpenCV's resampling."""

from __future__ import annotations

import cv2
import numpy as np

from augmill.transforms.base import Params, Shape
from augmill.transforms.copying import with_channels
from augmill.transforms.keras_warp import RandomElasticTransform
from augmill.transforms.kernels import BORDERS, METHODS, AnyKernel, Pixels
from augmill.transforms.motion import Motion


def elastic(op: RandomElasticTransform, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    """Bend an image by the field that the drawn noise makes."""
    if not params["warp"]:
        return ()
    field = op.field(params, shape, np.float32)
    motion = Motion((shape[0], shape[1]), field=field, beyond=op.fill_mode)

    def bent(image: np.ndarray) -> np.ndarray:
        return moved_by_field(image, field, op.interpolation, op.fill_mode, op.fill_value)

    return (Pixels(bent, motion),)


def moved_by_field(image: np.ndarray, field: np.ndarray, interpolation: str, beyond: str, fill: float) -> np.ndarray:
    """Show in each pixel the point of the image that a field, float32 [height, width, 2] of (x, y), says."""
    places = field - np.float32(0.5)  # over indices, where a pixel's centre is a whole number
    border, value = BORDERS[beyond], (fill,) * image.shape[2]
    moved = cv2.remap(image, places, None, METHODS[interpolation], borderMode=border, borderValue=value)
    return with_channels(moved)
