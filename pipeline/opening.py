"""From an encoded image to the size at which ops work, by the shortest way there is for fast kernels.

A JPEG that is much larger than wanted is decoded at a half, a quarter or an eighth of its size, which its form allows
and which spares most of the work. In photos the result differs by less than a level in the mean from one decoded in
full and averaged over areas.
"""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import cv2
import numpy as np

from augmill.pipeline.fast_resize import resize_fast
from augmill.pipeline.image import Fit, decode_image, fit_image, fit_of, is_whole

# Decoded at 1/n of its size, an image must still have so many pixels for each wanted one, up and down as well as
# across: its pixels take no account of what lies beyond their edges, which shows where few of them are averaged.
_LEAST_LEFT = 3
_FLAGS = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the markers of a JPEG that begin a frame, of whatever kind
_EXIF = 0xE1


def open_image(data: bytes, size: tuple[int, int], fit: str = "stretch", channels: int = 3) -> np.ndarray:
    """Decode an image and bring it to `size`; arguments, result and errors are those of `decode_image`, `fit_image`."""
    reduced = _decode_reduced(data, size, fit)
    if reduced is None:
        return fit_image(decode_image(data, channels), size, fit, fast=True)
    return reduced if channels == 3 else cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY)[..., None]


class _Head(NamedTuple):
    """What a JPEG's head says: its size in pixels, and whether it may be shown turned."""

    rows: int
    columns: int
    may_turn: bool

    def shapes(self) -> list[tuple[int, int]]:
        """The shapes that the decoded image may have."""
        shapes = [(self.rows, self.columns)]
        return [*shapes, (self.columns, self.rows)] if self.may_turn else shapes

    def whole_in(self, number: int) -> bool:
        """Whether both sides are so many times a whole number."""
        return self.rows % number == 0 and self.columns % number == 0


def _decode_reduced(data: bytes, size: tuple[int, int], fit: str) -> np.ndarray | None:
    """The image at `size`, RGB, by way of one decoded at reduced scale; None where that does not do."""
    head = _jpeg_head(data)
    if head is None or not is_whole(data):
        return None
    by = next((n for n in (8, 4, 2) if _may_reduce(head, n, size, fit)), 1)
    if by == 1:
        return None
    try:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[by])
    except cv2.error:
        return None
    shape = next((s for s in head.shapes() if image is not None and image.shape[:2] == _reduced(s, by)), None)
    if shape is None:
        return None  # it cannot be decoded, or its head does not tell the truth
    return cv2.cvtColor(_brought(image, fit_of(shape, size, fit), by, size), cv2.COLOR_BGR2RGB)


def _may_reduce(head: _Head, by: int, size: tuple[int, int], fit: str) -> bool:
    # Turned, a part of a pixel at the edge would be at another edge.
    return (not head.may_turn or head.whole_in(by)) and all(
        _leaves_enough(fit_of(shape, size, fit), by) for shape in head.shapes()
    )


def _leaves_enough(fit: Fit, by: int) -> bool:
    """Whether the window that is shown begins at whole pixels of the reduced image and has enough of them."""
    least = by * _LEAST_LEFT
    starts_whole = fit.top % by == 0 and fit.left % by == 0
    return starts_whole and fit.rows >= least * fit.height and fit.columns >= least * fit.width


def _reduced(shape: tuple[int, int], by: int) -> tuple[int, int]:
    return math.ceil(shape[0] / by), math.ceil(shape[1] / by)


def _brought(image: np.ndarray, fit: Fit, by: int, size: tuple[int, int]) -> np.ndarray:
    """Bring an image reduced by `by` to `size`, as `fit` has it for the whole one."""
    rows, columns = fit.rows / by, fit.columns / by  # the last ones may not be whole
    top, left = fit.top // by, fit.left // by
    window = image[top : top + math.ceil(rows), left : left + math.ceil(columns)]
    return fit.place(resize_fast(window, fit.height, fit.width, extent=(rows, columns)), size)


def _jpeg_head(data: bytes) -> _Head | None:
    """Read a JPEG's size; None for another format, or one that is not of 8 bits in one or three channels."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    place, may_turn = 2, False
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker in _FRAMES:
            bits, rows, columns, channels = struct.unpack_from(">BHHB", data, place + 4)
            usual = bits == 8 and channels in (1, 3) and rows > 0 and columns > 0
            return _Head(rows, columns, may_turn) if usual else None
        may_turn = may_turn or marker == _EXIF
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None
