"""Hue and saturation (of HSV) of uint8 pixels, by way of float32: the levels of tf.image and Keras, all but a few."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_TURN = 360.0  # the hues that OpenCV has, and it takes those of a second turn too

# How tf.image makes levels of pixels in [0, 1]: times 255.5, cut off. OpenCV rounds: hence less a half, but for a bit.
_WHOLE = (255.5 / 255, -0.5 + 1e-4)


def shifted(image: np.ndarray, turn: float, factors: Sequence[float], *, whole: bool) -> np.ndarray:
    """Turn the hue and scale the saturation of each pixel.

    Args:
      image: uint8 [height, width, 3], RGB, or float32 in [0, 255]; not changed.
      turn: of the hue, in turns.
      factors: what saturations are multiplied by, one after the other, each result cut at the most there is.
      whole: whether fractions become levels as in tf.image; else they are rounded.

    Returns:
      uint8 [height, width, 3].
    """
    turn %= 1.0
    factor, most = _at_once(factors)
    gain, offset = _WHOLE if whole else (1.0, 0.0)
    if turn == 0 and factor <= most and image.dtype == np.uint8:
        # Nothing is cut: all channels come nearer to the brightest, in a line.
        red, green, blue = cv2.split(image)
        brightest = cv2.cvtColor(cv2.max(cv2.max(red, green), blue), cv2.COLOR_GRAY2RGB)
        return cv2.addWeighted(image, factor * gain, brightest, (1 - factor) * gain, offset)
    hsv = cv2.cvtColor(image.astype(np.float32, copy=False), cv2.COLOR_RGB2HSV)
    hsv = cv2.transform(hsv, np.array([[1, 0, 0, turn * _TURN], [0, factor, 0, 0], [0, 0, 1, 0]]))
    if factor > most:
        saturations = hsv[..., 1]
        np.minimum(saturations, most, out=saturations)
    return cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), alpha=gain, beta=offset)


def _at_once(factors: Sequence[float]) -> tuple[float, float]:
    """What all factors come to: one factor, and the most that a saturation can be after it."""
    product = most = 1.0
    for factor in factors:
        product, most = product * factor, min(1.0, most * factor)
    return product, most
