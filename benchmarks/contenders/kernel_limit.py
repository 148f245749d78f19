"""The ceiling: the OpenCV calls alone, on bytes in memory, without files, records, draws or checks.

What is drawn is drawn before the clock starts, tables are made before, and nothing is written. No program that does the
same work with OpenCV can be faster; the distance to it is what a contender's own code costs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.contenders.opencv import decode, encode, shrink
from benchmarks.contenders.task import Part, Task, in_pool, main, now, photos

_HELD = 256  # images in memory, which are gone round
_DRAWN = 512  # drawn parameters, which are gone round
Call = Callable[[np.ndarray], np.ndarray]


def _table(drawn: random.Random) -> np.ndarray:
    """A level for each level of each channel, as brightness and contrast make them: uint8 [1, 256, 3]."""
    shift, slope, mean = drawn.uniform(-51, 51), drawn.uniform(0.7, 1.3), drawn.uniform(80, 150)
    levels = (np.arange(256) + shift - mean) * slope + mean
    return np.repeat(np.clip(levels, 0, 255).astype(np.uint8)[None, :, None], 3, axis=2)


def _matrix(drawn: random.Random, side: int, degrees: float, shift: float) -> np.ndarray:
    """Flip, turn, zoom and shift about the centre, as one matrix."""
    centre, scale = (side / 2, side / 2), 1 / drawn.uniform(0.8, 1.2)
    turned = np.vstack([cv2.getRotationMatrix2D(centre, drawn.uniform(-degrees, degrees), scale), [0, 0, 1]])
    turned[:2, 2] += drawn.uniform(-shift, shift) * side, drawn.uniform(-shift, shift) * side
    mirror = np.diag([-1.0, 1, 1]) if drawn.random() < 0.5 else np.eye(3)
    mirror[0, 2] = side - 1 if mirror[0, 0] < 0 else 0
    return (turned @ mirror)[:2]


def _affine(drawn: random.Random, side: int, degrees: float, shift: float) -> Call:
    """One table and one resampling, of four channels, which is almost twice as fast as that of three."""
    table, matrix = _table(drawn), _matrix(drawn, side, degrees, shift)

    def call(image: np.ndarray) -> np.ndarray:
        four = cv2.cvtColor(cv2.LUT(image, table), cv2.COLOR_RGB2RGBA)
        return cv2.cvtColor(
            cv2.warpAffine(four, matrix, (side, side), borderMode=cv2.BORDER_REFLECT), cv2.COLOR_RGBA2RGB
        )

    return call


def _imagenet(drawn: random.Random) -> Call:
    """A window, resized; one table in RGB and one in HSV; a flip."""
    table, shades, flips = _table(drawn), _table(drawn), drawn.random() < 0.5
    area, ratio = drawn.uniform(0.08, 1) * 375 * 500, drawn.uniform(0.75, 1.333)
    rows, columns = min(375, int((area / ratio) ** 0.5)), min(500, int((area * ratio) ** 0.5))
    top, left = drawn.randint(0, 375 - rows), drawn.randint(0, 500 - columns)

    def call(image: np.ndarray) -> np.ndarray:
        resized = cv2.resize(image[top : top + rows, left : left + columns], (224, 224))
        shaded = cv2.LUT(cv2.cvtColor(cv2.LUT(resized, table), cv2.COLOR_RGB2HSV_FULL), shades)
        coloured = cv2.cvtColor(shaded, cv2.COLOR_HSV2RGB_FULL)
        return cv2.flip(coloured, 1) if flips else coloured

    return call


def _cifar(drawn: random.Random) -> Call:
    """A border, a window, a flip and a black square."""
    (top, left), (row, column) = ((drawn.randint(0, most), drawn.randint(0, most)) for most in (8, 16))
    flips = drawn.random() < 0.5

    def call(image: np.ndarray) -> np.ndarray:
        padded = cv2.copyMakeBorder(image, 4, 4, 4, 4, cv2.BORDER_CONSTANT)
        window = padded[top : top + 32, left : left + 32]
        made = cv2.flip(window, 1) if flips else window.copy()
        made[row : row + 16, column : column + 16] = 0
        return made

    return call


def _equalized(image: np.ndarray) -> np.ndarray:
    return cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(image)])


def _autocontrasted(image: np.ndarray) -> np.ndarray:
    for channel in cv2.split(image):
        cv2.minMaxLoc(channel)
    return cv2.LUT(image, _STRETCH)


def _coloured(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, 1.72, grey, -0.72, 0)


def _sharpened(image: np.ndarray) -> np.ndarray:
    return cv2.addWeighted(image, 1.72, cv2.filter2D(image, -1, _SMOOTH), -0.72, 0)


def _looked_up(image: np.ndarray) -> np.ndarray:
    return cv2.LUT(image, _STRETCH)


def _warped(image: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(image, _TURN, image.shape[1::-1], flags=cv2.INTER_NEAREST, borderValue=(128, 128, 128))


_STRETCH = np.repeat(np.arange(256, dtype=np.uint8)[None, ::-1, None], 3, axis=2)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
_TURN = cv2.getRotationMatrix2D((112, 112), 27, 1)
# Of the fourteen ops one does nothing, five are warps, and four are tables.
_FOURTEEN = [np.copy, _equalized, _autocontrasted, _coloured, _sharpened, *[_warped] * 5, *[_looked_up] * 4]


def _randaugment(drawn: random.Random) -> Call:
    """Two of the fourteen ops, and a flip."""
    first, second = drawn.choices(_FOURTEEN, k=2)
    flips = drawn.random() < 0.5

    def call(image: np.ndarray) -> np.ndarray:
        return second(first(cv2.flip(image, 1) if flips else image))

    return call


CALLS: dict[str, Callable[[random.Random], Call]] = {
    "photo": lambda drawn: _affine(drawn, 224, degrees=36, shift=0),
    "imagenet": _imagenet,
    "cifar": _cifar,
    "randaugment": _randaugment,
    "detection": lambda drawn: _affine(drawn, 320, degrees=0, shift=0.1),
}


def work(task: Task, worker: int) -> Part:
    """Go round the images in memory as many times as the source has images."""
    cv2.setNumThreads(1)
    drawn = random.Random(worker)
    mine = photos(task)[worker :: task.workers]
    held = [Path(photo.path).read_bytes() for photo in mine[:_HELD]]
    calls: Any = cycle([CALLS[task.name](drawn) for _ in range(_DRAWN)])
    records, started = 0, now()
    for encoded in islice(cycle(held), len(mine)):
        image = decode(encoded)
        image = shrink(image, task.recipe.size) if task.recipe.fitted else image
        for call in islice(calls, task.recipe.copies):
            encode(call(image), task.recipe)
            records += 1
    return Part(records, started, now())


if __name__ == "__main__":
    main(lambda task: in_pool(work, task))
