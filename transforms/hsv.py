"""Hue and saturation (of HSV) of uint8 pixels, channel by channel in whole numbers, without a hue or a saturation.

Of HSV only the value V = max(red, green, blue) is needed, and how far each channel lies below it: a saturation scales
these distances, and a turned hue moves channels between V and the darkest by differences of two distances. All of it is
minima, saturating sums and tables, of which a processor does dozens in the time of one conversion to HSV. Each change
rounds once.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from augmill.transforms.lookup import look_up_in_place, looked_up

# tf.image makes levels of pixels in [0, 1] by taking them times 255.5 and cutting off: so it adds to a level this much
# of itself first. A table of distances cannot know a pixel's level: it takes V to be where it lies in photos.
_ADDED = 0.5 / 255
_DISTANCES = np.arange(256.0)
_ADDED_TO_DARKEST = _ADDED * 0.4 * (255 - _DISTANCES)
_ADDED_TO_BRIGHTEST = _ADDED_TO_DARKEST + _ADDED * _DISTANCES
_MEAN_ROUNDED_UP = 0.375  # before rounding: a distance is rounded up, less an eighth in the mean for what is added
_TINY = 1e-9
_NOT_ZERO = np.maximum(np.arange(256), 1).astype(np.uint8)


def shifted(
    image: np.ndarray, turn: float, factors: Sequence[float], *, whole: bool, table: np.ndarray | None = None
) -> np.ndarray:
    """Scale the saturation of each pixel, and then turn its hue.

    A grey pixel stays exactly as it is, and so do all where there is nothing to do.

    Args:
      image: uint8 [height, width, 3]; not changed.
      turn: of the hue, in turns.
      factors: what saturations are multiplied by, one after the other, each result cut at the most there is.
      whole: whether fractions become levels as in tf.image, after each of the two; else they are rounded.
      table: uint8 [3 or 1, 256], what levels are replaced by first.

    Returns:
      uint8 [height, width, 3].
    """
    # The first two channels come once more after the last, so that each is followed by both others.
    planes = np.empty((5, *image.shape[:2]), np.uint8)
    cv2.split(image, list(planes[:3]))
    if table is not None:
        for channel in range(3):
            look_up_in_place(planes[channel], table[channel % len(table)])
    brightest = _most(planes)
    below = np.subtract(brightest, planes[:3], out=planes[:3])
    factor, most = _at_once(factors)
    if factor != 1 or most != 1:
        _saturate(below, brightest, factor, most, whole)
    places: Sequence[int] = range(3)
    if turn % 1:
        below, places = _turned(planes, turn, whole)
    np.subtract(brightest, below, out=below)
    return cv2.merge([below[place] for place in places])


def _at_once(factors: Sequence[float]) -> tuple[float, float]:
    """What all factors come to: one factor, and the most that a saturation can be after it."""
    product = most = 1.0
    for factor in factors:
        product, most = product * factor, min(1.0, most * factor)
    return product, most


def _saturate(below: np.ndarray, brightest: np.ndarray, factor: float, most: float, whole: bool) -> None:
    """Scale the distances, uint8 [3, height, width], in place.

    A saturation is the distance of the darkest over V. Where the factor takes it beyond `most` it is cut: the darkest
    comes to lie `most` * V from V, and the others keep their share of that.
    """
    if whole:
        table = np.ceil(factor * (1 + _ADDED) * _DISTANCES - _ADDED_TO_BRIGHTEST)
    else:
        table = np.floor(factor * _DISTANCES + 0.5)
    table = np.minimum(table, 255).astype(np.uint8)
    if factor <= most:
        look_up_in_place(below, table)
        return
    between, change = _where_cut(below, brightest, table, factor, most, whole)
    if change is None:
        look_up_in_place(below, table)
    else:
        for plane in below:
            here = cv2.bitwise_and(cv2.compare(plane, between, cv2.CMP_EQ), change)
            look_up_in_place(plane, table)
            np.bitwise_xor(plane, here, out=plane)
    limits = brightest if most == 1 else looked_up(brightest, np.floor(_DISTANCES * most + 0.5).astype(np.uint8))
    np.minimum(below, limits, out=below)


def _where_cut(
    below: np.ndarray, brightest: np.ndarray, table: np.ndarray, factor: float, most: float, whole: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """How far the channel between the others lies below V, and the bits in which what the table makes of it is wrong.

    For where saturations are cut it alone takes a division: the brightest has no distance, and that of the darkest is
    as large as can be.

    Returns:
      Both uint8 [height, width], the bits None where no saturation is cut.
    """
    span = _most(below)
    uncut = np.floor(_DISTANCES * (most / factor) + _TINY)  # the largest that is not cut, by V
    beyond = cv2.compare(span, looked_up(brightest, uncut.astype(np.uint8)), cv2.CMP_GT)
    if not cv2.countNonZero(beyond):
        return span, None
    between = span ^ below[0] ^ below[1] ^ below[2]
    kept = np.multiply(brightest, between, dtype=np.uint16).astype(np.float32)
    kept /= looked_up(span, _NOT_ZERO)
    if most < 1:
        kept *= np.float32(most)
    right = cv2.convertScaleAbs(kept, beta=_MEAN_ROUNDED_UP if whole else 0.0)  # which rounds
    right ^= looked_up(between, table)
    right &= beyond
    return between, right


def _turned(planes: np.ndarray, turn: float, whole: bool) -> tuple[np.ndarray, list[int]]:
    """Turn hues.

    To turn by a third of a turn is to move the channels on by one, and by half a turn to mirror each between the
    darkest and V. What is left is less than a sixth: `part` sixths. By it the distance of a channel c, which d and e
    follow, becomes c - d + part * span where c falls as the hue grows, which is where d <= e, and
    c - d + (1 - part) * span where it rises; both are kept between 0 and the span, the distance of the darkest.

    Args:
      planes: uint8 [5, height, width], the distances of the three channels and room for two more.

    Returns:
      The distances, uint8 [3, height, width], and which of them are those of red, green and blue.
    """
    sixths, part = divmod(turn % 1 * 6, 1)
    mirrored = sixths % 2 == 1
    span = _most(planes)
    rising, falling = (looked_up(span, table) for table in _sixth_tables(part, whole))
    if mirrored:
        rising, falling = falling, rising
    planes[3:] = planes[:2]
    height, width = span.shape
    one, two, three = (planes[place : place + 3].reshape(3 * height, width) for place in range(3))
    moved = cv2.compare(two, three, cv2.CMP_LE).reshape(3, height, width)
    np.bitwise_and(moved, cv2.bitwise_xor(rising, falling), out=moved)
    np.bitwise_xor(moved, rising, out=moved)
    # One of both differences is 0, for they are saturated: so sums never leave [0, 255] where it matters.
    first, second = (two, one) if mirrored else (one, two)
    flat = moved.reshape(3 * height, width)
    apart = cv2.subtract(first, second)
    cv2.add(flat, apart, flat)
    np.minimum(moved, span, out=moved)
    cv2.subtract(second, first, apart)
    cv2.subtract(flat, apart, flat)
    thirds = int(sixths - 3 if mirrored else sixths) // 2
    return moved, [(channel - thirds) % 3 for channel in range(3)]


def _sixth_tables(part: float, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """What `_turned` adds to differences on both halves of the circle, by the span: uint8 [256] each."""
    if whole:
        moved = part * (1 + _ADDED) * _DISTANCES
        rising = _DISTANCES - np.floor(moved + _ADDED_TO_DARKEST)
        falling = np.ceil(moved - _ADDED_TO_BRIGHTEST)
    else:
        falling = np.floor(part * _DISTANCES + 0.5)
        rising = _DISTANCES - falling
    return rising.astype(np.uint8), falling.astype(np.uint8)


def _most(planes: np.ndarray) -> np.ndarray:
    """The largest of the first three, pixel by pixel."""
    return cv2.max(cv2.max(planes[0], planes[1]), planes[2])
