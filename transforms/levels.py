"""Point operations on uint8 levels, exactly as Pillow has them.

Each takes and gives uint8 [height, width, 3], or [height, width, 1] for grey, and is byte for byte what `PIL.ImageOps`
or `PIL.ImageEnhance` makes of the same image. Where Pillow truncates, these do; where it counts in float32, these do.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from augmill.transforms import curves
from augmill.transforms.lookup import look_up_in_place, looked_up

LEVELS = np.arange(256)


def autocontrast(image: np.ndarray) -> np.ndarray:
    """Stretch each channel so that its darkest level becomes 0 and its brightest 255.

    A channel of one level stays as it is. Equivalent: `PIL.ImageOps.autocontrast`.
    """
    return _bent(image, curves.autocontrast)


def equalize(image: np.ndarray) -> np.ndarray:
    """Spread the levels of each channel so that all come up about equally often.

    A channel of one level, or of few pixels, stays as it is. Equivalent: `PIL.ImageOps.equalize`.
    """
    return _bent(image, curves.equalize)


def posterize(image: np.ndarray, bits: int) -> np.ndarray:
    """Keep the highest `bits` bits of each level, from 1 to 8, which keeps all.

    Equivalent: `PIL.ImageOps.posterize`.
    """
    return _bent(image, curves.posterize(bits))


def solarize(image: np.ndarray, threshold: float) -> np.ndarray:
    """Invert the levels of at least `threshold`: 0 inverts all, 256 none.

    Equivalent: `PIL.ImageOps.solarize`.
    """
    return _bent(image, curves.solarize(threshold))


def solarize_add(image: np.ndarray, addition: int, threshold: int = 128) -> np.ndarray:
    """Add `addition` to the levels below `threshold`, saturating at 0 and 255.

    Source: Cubuk et al., "AutoAugment", whose code has it beside Pillow's ops.
    """
    return _bent(image, curves.solarize_add(addition, threshold))


def invert(image: np.ndarray) -> np.ndarray:
    """Make a negative: level v becomes 255 - v. Equivalent: `PIL.ImageOps.invert`."""
    return _bent(image, curves.invert)


def color(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the image in grey: factor 0 is grey, 1 the image, more is more colourful.

    A grey image stays as it is. Equivalent: `PIL.ImageEnhance.Color`.
    """
    return image if image.shape[2] == 1 else _blend(luma(image), image, factor)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the mean grey of the image: factor 0 is that grey, 1 the image, more has more contrast.

    Equivalent: `PIL.ImageEnhance.Contrast`.
    """
    return _bent(image, curves.blend_with(int(luma(image).mean() + 0.5), factor))


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply all levels: factor 0 is black, 1 the image, more is brighter.

    Equivalent: `PIL.ImageEnhance.Brightness`.
    """
    return _bent(image, curves.blend_with(0, factor))


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
    """Replace each level by what a table, uint8 [channels or 1, 256], has for it."""
    if len(table) == 1:
        return looked_up(image, table[0])
    planes = cv2.split(image)
    for plane, row in zip(planes, table, strict=True):
        look_up_in_place(plane, row)
    return cv2.merge(planes)


def histogram(image: np.ndarray) -> np.ndarray:
    """Count how many pixels of each channel have each level: int64 [channels, 256]."""
    # OpenCV counts in float32, exactly up to 16.8 million pixels of a level.
    counts = [cv2.calcHist([image], [channel], None, [256], [0, 256]) for channel in range(image.shape[2])]
    return np.array(counts).reshape(-1, 256).astype(np.int64)


class Counted:
    """What a curve may ask of the levels of one image, found out when it does.

    Args:
      image: uint8 [height, width, channels].
      known: gives the counts of its levels, where these are counted once for many to ask; else they are this one's own.
    """

    def __init__(self, image: np.ndarray, known: Callable[[], np.ndarray] | None = None) -> None:
        self._image, self._known = image, known

    @property
    def pixels(self) -> int:
        return self._image.shape[0] * self._image.shape[1]

    def __call__(self) -> np.ndarray:
        return histogram(self._image) if self._known is None else self._known()

    def sums(self, levels: np.ndarray) -> np.ndarray:
        if self._known is None and len(levels) == 1:
            whole = levels[0].astype(np.uint8)
            if (whole == levels[0]).all():
                # To look all up and add takes a tenth of the time of counting, and is exact as well.
                found = look_up(self._image, whole[None])
                return np.array(cv2.sumElems(found)[: found.shape[2]])[:, None]
        return (levels.astype(np.float64) * self()).sum(axis=1, keepdims=True)


def _bent(image: np.ndarray, curve: curves.Curve) -> np.ndarray:
    """Give each level of an image what a curve makes of it."""
    table = curve(LEVELS[None].astype(np.float32), Counted(image))
    return look_up(np.ascontiguousarray(image), table.astype(np.uint8))


def _blend(first: np.ndarray, second: np.ndarray, factor: float) -> np.ndarray:
    return curves.blended(first, second, factor).astype(np.uint8)


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
