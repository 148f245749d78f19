"""Hue and saturation (of HSV) of uint8 pixels, channel by channel in whole numbers, without a hue or a saturation.

Of HSV only the value V = max(red, green, blue) and the darkest channel m are needed: a saturation moves channels on
lines that end in V, and a turned hue moves them between m and V by differences of two channels. All of it is minima,
maxima and saturating sums, of which OpenCV does dozens in the time of one conversion to HSV. Each change rounds once.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

# How tf.image makes levels of pixels in [0, 1]: times 255.5, cut off. OpenCV rounds: hence less a half, but for a bit.
_WHOLE = (255.5 / 255, -0.5 + 1e-4)
_ROUNDED = (1.0, 0.0)
_TINY = 1e-6  # levels


def shifted(planes: Sequence[np.ndarray], turn: float, factors: Sequence[float], *, whole: bool) -> list[np.ndarray]:
    """Scale the saturation of each pixel, and then turn its hue.

    A grey pixel stays exactly as it is, and so do all where there is nothing to do.

    Args:
      planes: red, green and blue, uint8 [height, width] each, or float32 in [0, 255] where there are factors; not
        changed.
      turn: of the hue, in turns.
      factors: what saturations are multiplied by, one after the other, each result cut at the most there is.
      whole: whether fractions become levels as in tf.image, after each of the two; else they are rounded.

    Returns:
      Red, green and blue, uint8 [height, width] each.
    """
    factor, most = _at_once(factors)
    if factor != 1 or most != 1 or planes[0].dtype != np.uint8:
        planes = _saturated(planes, factor, most, whole)
    return _turned(planes, turn, whole) if turn % 1 else list(planes)


def _at_once(factors: Sequence[float]) -> tuple[float, float]:
    """What all factors come to: one factor, and the most that a saturation can be after it."""
    product = most = 1.0
    for factor in factors:
        product, most = product * factor, min(1.0, most * factor)
    return product, most


def _saturated(planes: Sequence[np.ndarray], factor: float, most: float, whole: bool) -> list[np.ndarray]:
    """Scale saturations, cutting them at `most`.

    A saturation is 1 - m / V, and a channel c keeps its share of the way from V to m: so it becomes
    V - factor * (V - c), or where that is cut V - most * V * (V - c) / (V - m), which is then the larger of the two.
    Cut, the brightest is V and the darkest V - most * V: the one between them alone takes a division.
    """
    gain, offset = _WHOLE if whole else _ROUNDED
    brightest = _brightest(planes)
    scaled = [_blended(c, factor * gain, brightest, (1 - factor) * gain, offset) for c in planes]
    if factor <= most:
        return scaled
    darkest = _darkest(planes)
    between = _between(planes, brightest, darkest)
    # Where the span is 0 all channels are the same, and so is what is made of them.
    span = cv2.max(cv2.subtract(brightest, darkest), 1 if brightest.dtype == np.uint8 else _TINY)
    cut = cv2.divide(brightest, span, scale=most, dtype=cv2.CV_32F)
    cut *= cv2.subtract(brightest, between)
    np.subtract(brightest, cut, out=cut)
    cut = cv2.convertScaleAbs(cut, alpha=gain, beta=offset)
    if most < 1:
        least = _blended(brightest, (1 - most) * gain, brightest, 0, offset)
        scaled = [cv2.max(c, least) for c in scaled]
    here = (cv2.bitwise_and(cut, cv2.compare(plane, between, cv2.CMP_EQ)) for plane in planes)
    return [cv2.max(*both) for both in zip(scaled, here, strict=True)]


def _turned(planes: Sequence[np.ndarray], turn: float, whole: bool) -> list[np.ndarray]:
    """Turn hues.

    To turn by a third of a turn is to move the channels on by one, and by half a turn to mirror each between m and V.
    What is left is less than a sixth: `part` sixths. By it a channel c, which d and e follow, becomes
    m + c - d + part * (V - m) on that half of the circle where c grows with the hue, which is where d < e, and
    m + c - d + (1 - part) * (V - m) on the other; both are kept between m and V.
    """
    sixths, part = divmod(turn % 1 * 6, 1)
    mirrored = sixths % 2 == 1
    brightest, darkest = _brightest(planes), _darkest(planes)
    # What tf.image adds as it makes levels depends on the level: the mean of m and V stands for it, within a quarter.
    more, offset = ((_WHOLE[0] - 1) / 2, _WHOLE[1]) if whole else (0.0, 0.0)
    rising = _blended(brightest, part + more, darkest, 1 - part + more, offset)
    falling = _blended(brightest, 1 - part + more, darkest, part + more, offset)
    if mirrored:
        rising, falling = falling, rising
    either = cv2.bitwise_xor(rising, falling)
    moved = []
    for place in range(3):
        one, two, three = planes[place], planes[place - 2], planes[place - 1]
        falls = cv2.compare(two, three, cv2.CMP_GE)
        start = cv2.bitwise_xor(rising, cv2.bitwise_and(either, falls))
        first, second = (two, one) if mirrored else (one, two)
        # One of both differences is 0, for they are saturated: so sums never leave [0, 255] where it matters.
        up = cv2.min(cv2.add(start, cv2.subtract(first, second)), brightest)
        moved.append(cv2.max(cv2.subtract(up, cv2.subtract(second, first)), darkest))
    thirds = int(sixths - 3 if mirrored else sixths) // 2
    return [moved[(channel - thirds) % 3] for channel in range(3)]


def _blended(first: np.ndarray, share: float, second: np.ndarray, other_share: float, offset: float) -> np.ndarray:
    """A weighted sum of two planes, rounded and saturated."""
    return cv2.addWeighted(first, share, second, other_share, offset, dtype=cv2.CV_8U)


def _brightest(planes: Sequence[np.ndarray]) -> np.ndarray:
    red, green, blue = planes
    return cv2.max(cv2.max(red, green), blue)


def _darkest(planes: Sequence[np.ndarray]) -> np.ndarray:
    red, green, blue = planes
    return cv2.min(cv2.min(red, green), blue)


def _between(planes: Sequence[np.ndarray], brightest: np.ndarray, darkest: np.ndarray) -> np.ndarray:
    """The channel that is neither: what is left of all three, bit by bit, without the two."""
    red, green, blue = planes
    return cv2.bitwise_xor(cv2.bitwise_xor(red, green), cv2.bitwise_xor(blue, cv2.bitwise_xor(brightest, darkest)))
