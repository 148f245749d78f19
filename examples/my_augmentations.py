"""An augmentation of one's own: a rotation by a small angle that really rotates."""

from __future__ import annotations

import cv2
import numpy as np


def custom_rotation(image: np.ndarray, seed: np.ndarray, max_degrees: float) -> np.ndarray:
    """Rotate about the middle by up to `max_degrees` either way, reflecting at the edges.

    `seed` is another one for every rendition, and the same one whenever that rendition is made again.
    """
    angle = np.random.default_rng(seed.view(np.uint32)).uniform(-max_degrees, max_degrees)
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
