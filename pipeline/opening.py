"""From an encoded image to the size at which ops work, by the shortest way there is for fast kernels.

A JPEG that is much larger than wanted is decoded at a half, a quarter or an eighth of its size, which its form allows
and which spares most of the work. In photos the result differs by less than a level in the mean from one decoded in
full and averaged over areas.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from augmill.pipeline.decoder import decode_with_opencv
from augmill.pipeline.fast_resize import resize_fast
from augmill.pipeline.image import Fit, decode_image, fit_image, fit_of, is_whole
from augmill.pipeline.image_header import LIMITS, JpegHead, Limits, check_limits, jpeg_head

# Decoded at 1/n of its size, an image must still have so many pixels for each wanted one, up and down as well as
# across: its pixels take no account of what lies beyond their edges, which shows where few of them are averaged.
_LEAST_LEFT = 3
_FLAGS = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


def open_image(
    data: bytes, size: tuple[int, int], fit: str = "stretch", channels: int = 3, limits: Limits = LIMITS
) -> np.ndarray:
    """Decode an image and bring it to `size`; arguments, result and errors are those of `decode_image`, `fit_image`."""
    check_limits(data, limits)
    reduced = _decode_reduced(data, size, fit)
    if reduced is None:
        return fit_image(decode_image(data, channels, limits), size, fit, fast=True)
    return reduced if channels == 3 else cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY)[..., None]


def _shapes(head: JpegHead) -> list[tuple[int, int]]:
    """The shapes that the decoded image may have."""
    shapes = [(head.rows, head.columns)]
    return [*shapes, (head.columns, head.rows)] if head.may_turn else shapes


def _decode_reduced(data: bytes, size: tuple[int, int], fit: str) -> np.ndarray | None:
    """The image at `size`, RGB, by way of one decoded at reduced scale; None where that does not do."""
    head = jpeg_head(data)
    if head is None or head.bits != 8 or head.channels not in (1, 3) or 0 in head[:2] or not is_whole(data):
        return None
    by = next((n for n in (8, 4, 2) if _may_reduce(head, n, size, fit)), 1)
    if by == 1:
        return None
    image = decode_with_opencv(data, _FLAGS[by])
    shape = next((s for s in _shapes(head) if image is not None and image.shape[:2] == _reduced(s, by)), None)
    if shape is None:
        return None  # it cannot be decoded, or its head does not tell the truth
    return cv2.cvtColor(_brought(image, fit_of(shape, size, fit), by, size), cv2.COLOR_BGR2RGB)


def _may_reduce(head: JpegHead, by: int, size: tuple[int, int], fit: str) -> bool:
    # Turned, a part of a pixel at the edge would be at another edge.
    whole = head.rows % by == 0 and head.columns % by == 0
    return (whole or not head.may_turn) and all(_leaves_enough(fit_of(shape, size, fit), by) for shape in _shapes(head))


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
