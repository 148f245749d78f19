"""Point operations on uint8 levels, exactly as Pillow has them.

Each takes and gives uint8 [height, width, 3], or [height, width, 1] for grey, and is byte for byte what `PIL.ImageOps`
or `PIL.ImageEnhance` makes of the same image. Where Pillow truncates, these do; where it counts in float32, these do.
"""

from __future__ import annotations

import cv2
import numpy as np

LEVELS = np.arange(256)


def autocontrast(image: np.ndarray) -> np.ndarray:
    """Stretch each channel so that its darkest level becomes 0 and its brightest 255.

    A channel of one level stays as it is. Equivalent: `PIL.ImageOps.autocontrast`.
    """
    return look_up(image, np.stack([_stretched(counts) for counts in _histograms(image)]))


def equalize(image: np.ndarray) -> np.ndarray:
    """Spread the levels of each channel so that all come up about equally often.

    A channel of one level, or of few pixels, stays as it is. Equivalent: `PIL.ImageOps.equalize`.
    """
    return look_up(image, np.stack([_equalized(counts) for counts in _histograms(image)]))


def posterize(image: np.ndarray, bits: int) -> np.ndarray:
    """Keep the highest `bits` bits of each level, from 1 to 8, which keeps all.

    Equivalent: `PIL.ImageOps.posterize`.
    """
    return look_up(image, LEVELS & ~((1 << (8 - bits)) - 1))


def solarize(image: np.ndarray, threshold: float) -> np.ndarray:
    """Invert the levels of at least `threshold`: 0 inverts all, 256 none.

    Equivalent: `PIL.ImageOps.solarize`.
    """
    return look_up(image, np.where(threshold > LEVELS, LEVELS, 255 - LEVELS))


def solarize_add(image: np.ndarray, addition: int, threshold: int = 128) -> np.ndarray:
    """Add `addition` to the levels below `threshold`, saturating at 0 and 255.

    Source: Cubuk et al., "AutoAugment", whose code has it beside Pillow's ops.
    """
    return look_up(image, np.where(threshold > LEVELS, np.clip(LEVELS + addition, 0, 255), LEVELS))


def invert(image: np.ndarray) -> np.ndarray:
    """Make a negative: level v becomes 255 - v. Equivalent: `PIL.ImageOps.invert`."""
    return cv2.bitwise_not(image).reshape(image.shape)


def color(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the image in grey: factor 0 is grey, 1 the image, more is more colourful.

    A grey image stays as it is. Equivalent: `PIL.ImageEnhance.Color`.
    """
    return image if image.shape[2] == 1 else _blend(luma(image), image, factor)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the mean grey of the image: factor 0 is that grey, 1 the image, more has more contrast.

    Equivalent: `PIL.ImageEnhance.Contrast`.
    """
    mean = int(luma(image).mean() + 0.5)
    return look_up(image, _blend(np.full(256, mean, np.uint8), LEVELS.astype(np.uint8), factor))


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply all levels: factor 0 is black, 1 the image, more is brighter.

    Equivalent: `PIL.ImageEnhance.Brightness`.
    """
    return look_up(image, _blend(np.zeros(256, np.uint8), LEVELS.astype(np.uint8), factor))


def sharpness(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the image smoothed: factor 0 is smooth, 1 the image, more is sharper.

    Equivalent: `PIL.ImageEnhance.Sharpness`.
    """
    return _blend(_smoothed(image), image, factor)


def luma(image: np.ndarray) -> np.ndarray:
    """Turn an image grey by the weights of ITU-R 601-2: uint8 [height, width, 1].

    Equivalent: `PIL.Image.convert("L")`.
    """
    if image.shape[2] == 1:
        return image
    red, green, blue = (image[..., i].astype(np.uint32) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)[..., None]


def look_up(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Replace each level v by table[v], or table[channel, v] for a table of each channel."""
    columns = np.ascontiguousarray(np.atleast_2d(table).T.astype(np.uint8))
    shape = (256, 1) if columns.shape[1] == 1 else (256, 1, columns.shape[1])
    return cv2.LUT(np.ascontiguousarray(image), columns.reshape(shape)).reshape(image.shape)


def _histograms(image: np.ndarray) -> list[np.ndarray]:
    """How often each level comes up in each channel."""
    return [np.bincount(image[..., i].ravel(), minlength=256) for i in range(image.shape[2])]


def _stretched(counts: np.ndarray) -> np.ndarray:
    found = np.flatnonzero(counts)
    low, high = int(found[0]), int(found[-1])
    if high <= low:
        return LEVELS
    scale = 255.0 / (high - low)
    return np.clip((LEVELS * scale - low * scale).astype(np.int64), 0, 255)


def _equalized(counts: np.ndarray) -> np.ndarray:
    found = counts[counts > 0]
    step = int(found.sum() - found[-1]) // 255
    if len(found) <= 1 or step == 0:
        return LEVELS
    below = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.minimum((below + step // 2) // step, 255)


def _blend(first: np.ndarray, second: np.ndarray, factor: float) -> np.ndarray:
    """first + factor * (second - first), in float32 and truncated, saturating at 0 and 255."""
    start = first.astype(np.float32)
    mixed = start + np.float32(factor) * (second.astype(np.float32) - start)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _smoothed(image: np.ndarray) -> np.ndarray:
    """Each pixel the mean of its neighbourhood, itself five times among thirteen; the outermost stay as they are."""
    if min(image.shape[:2]) < 3:
        return image
    wide = image.astype(np.int32)
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    sums = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * wide[1:-1, 1:-1]
    smooth = image.copy()
    smooth[1:-1, 1:-1] = (2 * sums + 13) // 26  # sums / 13, rounded: thirteenths have no ties
    return smooth
