"""Reading, shrinking and encoding by OpenCV alone, with the very calls that augmill makes."""

from __future__ import annotations

import cv2
import numpy as np

from augmill.pipeline.fast_resize import resize_fast
from augmill.pipeline.image import encode_image
from benchmarks.recipes import QUALITY, Recipe


def decode(encoded: bytes) -> np.ndarray:
    """Decode to uint8 [height, width, 3], RGB."""
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring an image to `size`, averaging where it shrinks."""
    return image if image.shape[:2] == size else resize_fast(image, *size)


def encode(image: np.ndarray, recipe: Recipe) -> bytes:
    """Encode RGB pixels as the recipe has it."""
    return encode_image(image, recipe.encoding, QUALITY)
