"""Joins neighbouring kernels: tables to one table, motions to one motion, windows to one, hue with saturation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from augmill.transforms.base import Sample, Shape
from augmill.transforms.kernels import AnyKernel, Hsv, Mirror, Tone, Warp, Window
from augmill.transforms.levels import Counted
from augmill.transforms.window import Frame


class Fused(NamedTuple):
    """One kernel, and the places in the policy of the ops that it carries out.

    Attributes:
      kernel: what is to be done.
      places: of the ops, in their order.
    """

    kernel: AnyKernel
    places: tuple[str, ...]


def append(row: list[Fused], kernel: AnyKernel, at: str, shape: Shape) -> AnyKernel | None:
    """Put a kernel at the end of a row of those to be carried out, joined with what stands there where it can be.

    Work on single pixels goes before a mirror, which makes no difference to them: so tables meet each other, and a
    mirror meets the motion that follows.

    Args:
      row: what is to be carried out so far; changed.
      kernel: what comes next.
      at: the place in the policy of its op.
      shape: of the image that it is given.

    Returns:
      What it became where it was joined with what stood there, else None.
    """
    behind: list[Fused] = []
    while kernel.pointwise and row and isinstance(row[-1].kernel, Mirror):
        behind.append(row.pop())
    joined = _joined(row[-1].kernel, kernel, shape) if row else None
    if joined is None:
        row.append(Fused(kernel, (at,)))
    else:
        row[-1] = Fused(joined, _and(row[-1].places, at))
    row.extend(reversed(behind))
    return joined


def _and(places: tuple[str, ...], at: str) -> tuple[str, ...]:
    return places if at in places else (*places, at)


def _joined(first: AnyKernel, second: AnyKernel, shape: Shape) -> AnyKernel | None:
    """One kernel that does what two do, one after the other; None where there is none."""
    if isinstance(first, Tone) and isinstance(second, Tone):
        return Tone(first.curves + second.curves, first.whole + second.whole)
    if isinstance(first, Hsv) and isinstance(second, Hsv):
        return Hsv(first.turn + second.turn, first.factors + second.factors, second.whole, first.before)
    if isinstance(first, Tone) and isinstance(second, Hsv):
        return Hsv(second.turn, second.factors, second.whole, first)
    if isinstance(first, Mirror) and isinstance(second, Mirror):
        return Mirror(first.across != second.across, first.down != second.down)
    if isinstance(first, Mirror) and isinstance(second, Warp):
        return _with_matrix(second, second.matrix @ first.matrix(shape))
    if isinstance(first, Warp) and isinstance(second, Mirror):
        return _with_matrix(first, second.matrix(shape) @ first.matrix)
    if isinstance(first, Warp) and isinstance(second, Warp) and first.sampling == second.sampling:
        # A fill that the first put where it does not reach is there for the second to show, and cannot be undone.
        joins = second.beyond != "constant" or _shows_inside_alone(second, shape)
        return _with_matrix(first, second.matrix @ first.matrix) if joins else None
    if isinstance(first, Window) and isinstance(second, Window):
        return _inner(first, second)
    return None


def _inner(first: Window, second: Window) -> Window | None:
    """The window on the image that a window on a window is; None where it shows more than that, or resized pixels."""
    top, left, height, width = second.frame
    its_top, its_left, its_height, its_width = first.frame
    inside = top >= 0 and left >= 0 and top + height <= its_height and left + width <= its_width
    if first.resizes or not inside:
        return None
    return Window(Frame(its_top + top, its_left + left, height, width), second.size, second.interpolation)


def _with_matrix(warp: Warp, matrix: np.ndarray) -> Warp:
    return Warp(matrix, warp.interpolation, warp.beyond, warp.fill)


def _shows_inside_alone(warp: Warp, shape: Shape) -> bool:
    """Tell whether all that a motion shows lies inside the image that it is given, as where it zooms in."""
    height, width = shape[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ np.linalg.inv(warp.matrix).T
    depths = corners[:, 2:]
    return bool(
        (depths > 0).all() and (corners >= -_NUDGE).all() and (corners <= depths * (width, height, 1) + _NUDGE).all()
    )


_NUDGE = 1e-6  # pixels: as good as on the edge


def run(row: list[Fused], sample: Sample) -> np.ndarray:
    """Carry out a row of kernels on the uint8 image of a sample.

    Returns:
      uint8 pixels, which may be the sample's own where nothing changes them.
    """
    image = sample.image
    for fused in row:
        image = fused.kernel.run(image, Counted(image, (lambda: sample.counts) if image is sample.image else None))
    return image
