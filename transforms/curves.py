"""What tf.image, Keras and Pillow make of a level: curves over the 256 levels of an image, without its pixels.

A curve takes `levels`, float32 [1 or channels, 256], the level that each of the 256 levels of the image has by now, and
`counts`, which it asks where it must know of the pixels. It gives float32 of either shape and leaves what it is given
as it is. The caller saturates to [0, 255].

Each is computed in the number format and in the order of the original, so that the levels are the original's. Curves of
tf.image and Pillow take and give whole levels, truncated as there; Keras layers take and give fractions too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np


class Counts(Protocol):
    """How often the levels of an image come up."""

    @property
    def pixels(self) -> int:
        """How many pixels there are."""

    def __call__(self) -> np.ndarray:
        """How many pixels of each channel have each level: int64 [channels, 256]."""

    def sums(self, levels: np.ndarray) -> np.ndarray:
        """What levels, float32 [1 or channels, 256], add up to over all pixels: float64 [channels, 1]."""


Curve = Callable[[np.ndarray, Counts], np.ndarray]

_Float = np.float32
_UNIT = _Float(1 / 255)


# tf.image, which works in [0, 1].


def _from_unit(pixels: np.ndarray) -> np.ndarray:
    """Levels of pixels in [0, 1], saturated and truncated, by `tf.image.convert_image_dtype`."""
    return np.floor(np.minimum(np.maximum(pixels * _Float(255.5), 0), 255))  # np.clip costs twice as much


def _to_unit(levels: np.ndarray) -> np.ndarray:
    return levels * _UNIT


def tf_brightness(delta: float) -> Curve:
    """Add `delta`, a fraction of the full range. Equivalent: `tf.image.adjust_brightness`."""
    return lambda levels, counts: _from_unit(_to_unit(levels) + _Float(delta))


def tf_contrast(factor: float) -> Curve:
    """Multiply each channel's distance from its mean by `factor`.

    Equivalent: `tf.image.adjust_contrast`, which sums the pixels in float32, in halves; here their sum is exact before
    it is rounded to float32. So the mean may be off by its last bit, and a level by one, though hardly ever is.
    """

    def curve(levels: np.ndarray, counts: Counts) -> np.ndarray:
        pixels, sums = _to_unit(levels), counts.sums(levels) * float(_UNIT)
        means = sums.astype(_Float) * (_Float(1) / _Float(counts.pixels))
        return _from_unit((pixels - means) * _Float(factor) + means)

    return curve


def tf_gamma(gamma: float, gain: float) -> Curve:
    """Take pixels in [0, 1] to `gain * pixel ** gamma`.

    Equivalent: `tf.image.adjust_gamma`. The power is that of float64, rounded: that of float32 is not the same on every
    processor.
    """
    exponent = float(_Float(gamma))
    return lambda levels, counts: _from_unit(
        _Float(gain) * (_to_unit(levels).astype(np.float64) ** exponent).astype(_Float)
    )


# Keras layers, which work in [0, 255] and leave rounding to what comes after.


def keras_brightness(factor: float) -> Curve:
    """Add `factor`, a fraction of the full range. Equivalent: `keras.layers.RandomBrightness`."""
    return lambda levels, counts: levels + _Float(factor * 255.0)


def keras_contrast(factor: float) -> Curve:
    """Multiply each channel's distance from its mean by `factor`.

    Equivalent: `keras.layers.RandomContrast`, which takes the mean of the columns' means in float32; here it is exact
    before it is rounded to float32. So the mean may be off by its last bits.
    """

    def curve(levels: np.ndarray, counts: Counts) -> np.ndarray:
        means = (counts.sums(levels) / counts.pixels).astype(_Float)
        return (levels - means) * _Float(factor) + means

    return curve


def keras_solarize(addition: float, threshold: float) -> Curve:
    """Add `addition`, saturate, and invert levels of at least `threshold`, both fractions of the full range.

    Equivalent: `keras.layers.Solarization`.
    """

    def curve(levels: np.ndarray, counts: Counts) -> np.ndarray:
        added = np.clip(levels + _Float(addition * 255.0), 0, 255)
        return np.where(added < _Float(threshold * 255.0), added, 255 - added)

    return curve


def keras_autocontrast(levels: np.ndarray, counts: Counts) -> np.ndarray:
    """Stretch each channel's levels over [0, 255]; a channel of one level stays.

    Equivalent: `keras.layers.AutoContrast`.
    """
    lowest, highest = _ends(levels, counts())
    scale = _Float(255) / np.maximum(highest - lowest, _Float(1e-30))  # what one level makes of it is not used
    return np.where(highest > lowest, levels * scale + -lowest * scale, levels)


def keras_equalize(bins: int) -> Curve:
    """Spread each channel's levels so that a histogram of `bins` bins is about flat; a channel of one bin stays.

    Equivalent: `keras.layers.Equalization`.
    """

    def curve(levels: np.ndarray, counts: Counts) -> np.ndarray:
        found = counts()
        places = (levels.astype(np.float64) * (bins - 1) / 255).astype(np.int64)
        up_to = _look_up(np.cumsum(_recount(places, found, bins), axis=1), places)
        total = found[0].sum()
        lowest = np.where(found > 0, up_to, total).min(axis=1, keepdims=True)
        spread = np.rint(np.maximum(up_to - lowest, 0) * 255 / np.maximum(total - lowest, 1))
        return np.where(total > lowest, spread.astype(_Float), levels)

    return curve


# Pillow, which both Keras layers and the published policies follow.


def invert(levels: np.ndarray, counts: Counts) -> np.ndarray:
    """Make a negative: 255 - v. Equivalents: `PIL.ImageOps.invert`, `keras.layers.RandomInvert`."""
    return 255 - levels


def posterize(bits: int) -> Curve:
    """Keep the highest `bits` bits of a level, from 1 to 8, truncating fractions.

    Equivalents: `PIL.ImageOps.posterize`, `keras.layers.RandomPosterization`.
    """
    step = 1 << (8 - bits)
    return lambda levels, counts: np.floor(levels / step) * step


def autocontrast(levels: np.ndarray, counts: Counts) -> np.ndarray:
    """Stretch each channel's levels over [0, 255]; a channel of one level stays.

    Equivalent: `PIL.ImageOps.autocontrast`.
    """
    lowest, highest = _ends(levels.astype(np.float64), counts())
    scale = 255.0 / np.maximum(highest - lowest, 1)
    stretched = np.clip(levels * scale - lowest * scale, 0, 255)
    return np.where(highest > lowest, np.floor(stretched), levels).astype(_Float)


def equalize(levels: np.ndarray, counts: Counts) -> np.ndarray:
    """Spread each channel's levels so that all come up about equally often.

    A channel of one level, or of few pixels, stays. Equivalent: `PIL.ImageOps.equalize`.
    """
    places = levels.astype(np.int64)
    found = _recount(places, counts(), 256)
    below = np.cumsum(found, axis=1) - found
    step = np.where(found > 0, below, 0).max(axis=1, keepdims=True) // 255  # of all but the brightest pixels
    spread = np.minimum((below + step // 2) // np.maximum(step, 1), 255)
    return np.where(step > 0, _look_up(spread, places).astype(_Float), levels)


def solarize(threshold: float) -> Curve:
    """Invert levels of at least `threshold`: 0 inverts all, 256 none. Equivalent: `PIL.ImageOps.solarize`."""
    first = math.ceil(threshold)  # which float32 holds as it is, unlike some thresholds just above a whole number
    return lambda levels, counts: np.where(first > levels, levels, 255 - levels)


def solarize_add(addition: int, threshold: int = 128) -> Curve:
    """Add `addition` to levels below `threshold`.

    Source: Cubuk et al., "AutoAugment", whose code has it beside Pillow's ops.
    """
    return lambda levels, counts: np.where(threshold > levels, np.clip(levels + _Float(addition), 0, 255), levels)


def blend_with(grey: float, factor: float) -> Curve:
    """Blend with one level: factor 0 is that `grey`, 1 changes nothing, more goes away from it.

    Equivalents: with 0 `PIL.ImageEnhance.Brightness`, with the image's mean grey `PIL.ImageEnhance.Contrast`.
    """
    return lambda levels, counts: np.floor(blended(_Float(grey), levels, factor))


def blended(first: Any, second: Any, factor: float) -> np.ndarray:
    """first + factor * (second - first) in float32, saturated and not yet truncated: `PIL.Image.blend`.

    Args:
      first, second: a number, levels or pixels, of any number format.
      factor: 0 gives the first, 1 the second.
    """
    start = np.asarray(first, _Float)
    mixed: np.ndarray = np.clip(start + _Float(factor) * (np.asarray(second, _Float) - start), 0, 255)
    return mixed


# The elementary ops of published policies that are curves, by name: from an op's value to its curve.
LEVEL_CURVES: Mapping[str, Callable[[Any], Curve]] = {
    "autocontrast": lambda _: autocontrast,
    "equalize": lambda _: equalize,
    "invert": lambda _: invert,
    "posterize": posterize,
    "solarize": solarize,
    "solarize_add": solarize_add,
    "brightness": lambda factor: blend_with(0, factor),
}


def _ends(levels: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest level that pixels of each channel have: [channels, 1] both."""
    seen = found > 0
    lowest = np.where(seen, levels, 255).min(axis=1, keepdims=True)
    return lowest, np.where(seen, levels, 0).max(axis=1, keepdims=True)


def _recount(places: np.ndarray, found: np.ndarray, bins: int) -> np.ndarray:
    """Count pixels by the place, in [0, bins), that their level has: int64 [channels, bins]."""
    counted = np.bincount(_in_row(places, len(found), bins).ravel(), found.ravel(), len(found) * bins)
    return counted.reshape(-1, bins).astype(np.int64)


def _look_up(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What each channel's row of a table has at places [1 or channels, n]: [channels, n]."""
    return table.take(_in_row(places, *table.shape))


def _in_row(places: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Where places in each row of a table are once its rows stand one after the other: [rows, n]."""
    return places + columns * np.arange(rows)[:, None]
