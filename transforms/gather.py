"""Pixels taken from places in an image: the places, the pixels they lie in, and what stands beyond the edges.

Most motions keep rows and columns apart, as flips, crops and resizing do: then the x of all rows is one row, the y of
all columns one column, and no array of the image's size is made but the result.
"""

from __future__ import annotations

import numpy as np

_NUDGE = 1e-7  # pixels: a place on the line between two is in the second, whatever the last bit of a cosine is
_FAR = 2.0**40  # pixels: what is farther away is as good as that far away, and the number still a whole one


def is_affine(matrix: np.ndarray) -> bool:
    """Tell whether a matrix, [3, 3], has no horizon."""
    return matrix[2].tolist() == [0.0, 0.0, 1.0]


def keeps_rows(matrix: np.ndarray) -> bool:
    """Tell whether a matrix, [3, 3], neither turns nor shears."""
    return is_affine(matrix) and bool(matrix[0, 1] == matrix[1, 0] == 0)


def places_under(matrix: np.ndarray, rows: range, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The x and the y of the source's points that a matrix takes to the centres of the result's pixels.

    Float64, both in two dimensions that broadcast to [rows, width]: of one row where all rows are the same, and of one
    column where all columns are. Not numbers beyond the horizon of a homography.
    """
    across, down = np.arange(width)[None] + 0.5, np.arange(rows.start, rows.stop)[:, None] + 0.5

    def plane(per_column: float, per_row: float, start: float) -> np.ndarray:
        if per_column == 0:
            return per_row * down + start
        return per_column * across + start if per_row == 0 else per_column * across + (per_row * down + start)

    to_x, to_y, to_depth = np.linalg.inv(matrix).tolist()
    x, y = plane(*to_x), plane(*to_y)
    if is_affine(matrix):
        return x, y
    depth = plane(*to_depth)
    depth = np.where(depth > 0, depth, np.nan)
    return x / depth, y / depth


def gather(pixels: np.ndarray, x: np.ndarray, y: np.ndarray, *, beyond: str, fill: float = 0) -> np.ndarray:
    """Take the pixels that places lie in.

    Args:
      pixels: [height, width] or [height, width, channels], of any type.
      x, y: the places in continuous pixels, float64 in two dimensions that broadcast to the result's. A place that is
        not a number lies beyond the edges.
      beyond: as `Motion` has it.
      fill: what stands beyond the edges where `beyond` is "constant".
    """
    columns, rows = _indices(x, pixels.shape[1], beyond), _indices(y, pixels.shape[0], beyond)
    if beyond == "constant":
        pixels = _with_fill(pixels, fill)
    if rows.shape[1] == 1 and columns.shape[0] == 1:
        return pixels[_run(rows[:, 0])][:, _run(columns[0])].copy()
    height, width = pixels.shape[:2]
    return pixels.reshape(height * width, *pixels.shape[2:])[rows * width + columns]


def _indices(places: np.ndarray, length: int, beyond: str) -> np.ndarray:
    """The pixels along one axis that continuous coordinates lie in; -1 or `length` where the fill does."""
    index = places + _NUDGE
    np.floor(index, out=index)
    index[~np.isfinite(index)] = -1.0
    if beyond in ("constant", "nearest"):
        low, high = (-1, length) if beyond == "constant" else (0, length - 1)
        return np.clip(index, low, high, out=index).astype(np.intp)
    whole = np.clip(index, -_FAR, _FAR, out=index).astype(np.intp)
    outside = (whole < 0) | (whole >= length)
    again = whole[outside] % (length if beyond == "wrap" else 2 * length)
    whole[outside] = np.minimum(again, 2 * length - 1 - again)  # past the middle of two lengths "reflect" comes back
    return whole


def _with_fill(pixels: np.ndarray, fill: float) -> np.ndarray:
    """The pixels, and below and to the right of them a line of the fill: index -1 finds it too, from behind."""
    height, width = pixels.shape[:2]
    filled = np.full((height + 1, width + 1, *pixels.shape[2:]), fill, pixels.dtype)
    filled[:height, :width] = pixels
    return filled


def _run(index: np.ndarray) -> np.ndarray | slice:
    """Indices as a slice, which copies faster, where they go up or down one by one."""
    first, last = int(index[0]), int(index[-1])
    step = 1 if last >= first else -1
    if min(first, last) < 0 or not np.array_equal(index, np.arange(first, last + step, step)):
        return index
    return slice(first, last + 1) if step == 1 else slice(first, None if last == 0 else last - 1, -1)
