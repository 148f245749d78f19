"""Joins neighbouring kernels: tables to one table, motions to one motion, windows to one, hue with saturation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from augmill.transforms.base import Sample, Shape
from augmill.transforms.copying import Mirror, Window
from augmill.transforms.kernels import AnyKernel, Hsv, Tone, Warp
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
    place = len(row)
    while place and kernel.pointwise and isinstance(row[place - 1].kernel, Mirror):
        place -= 1
    if place:
        first, places = row[place - 1]
        join = _JOINS.get((type(first), type(kernel)))
        joined = join(first, kernel, shape) if join is not None else None
        if joined is not None:
            row[place - 1] = Fused(joined, _and(places, at))
            return joined
    row.insert(place, Fused(kernel, (at,)))
    return None


def _and(places: tuple[str, ...], at: str) -> tuple[str, ...]:
    return places if at in places else (*places, at)


def _one_window(first: Window, second: Window, shape: Shape) -> Window | None:
    """The window on the image that a window on a window is; None where it shows more than that, or resized pixels."""
    top, left, height, width = second.frame
    its_top, its_left, its_height, its_width = first.frame
    inside = top >= 0 and left >= 0 and top + height <= its_height and left + width <= its_width
    if first.resizes or not inside:
        return None
    return Window(Frame(its_top + top, its_left + left, height, width), second.size, second.interpolation)


def _one_tone(first: Tone, second: Tone, shape: Shape) -> Tone:
    return Tone(first.curves + second.curves, first.whole + second.whole)


def _one_hsv(first: Hsv, second: Hsv, shape: Shape) -> Hsv:
    return Hsv(first.turn + second.turn, first.factors + second.factors, second.whole, first.before)


def _one_mirror(first: Mirror, second: Mirror, shape: Shape) -> Mirror:
    return Mirror(first.across != second.across, first.down != second.down)


def _one_warp(first: Warp, second: Warp, shape: Shape) -> Warp | None:
    # A fill that the first put where it does not reach is there for the second to show, and cannot be undone.
    joins = first.sampling == second.sampling and (second.beyond != "constant" or _shows_inside_alone(second, shape))
    return _with_matrix(first, second.matrix @ first.matrix) if joins else None


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

# One kernel that does what two do, one after the other, on an image of a shape; None where there is none.
_JOINS: Mapping[tuple[type, type], Callable[[Any, Any, Shape], AnyKernel | None]] = {
    (Tone, Tone): _one_tone,
    (Tone, Hsv): lambda first, second, shape: Hsv(second.turn, second.factors, second.whole, first),
    (Hsv, Hsv): _one_hsv,
    (Mirror, Mirror): _one_mirror,
    (Mirror, Warp): lambda first, second, shape: _with_matrix(second, second.matrix @ first.matrix(shape)),
    (Warp, Mirror): lambda first, second, shape: _with_matrix(first, second.matrix(shape) @ first.matrix),
    (Warp, Warp): _one_warp,
    (Window, Window): _one_window,
}


def run(row: list[Fused], sample: Sample) -> np.ndarray:
    """Carry out a row of kernels on the uint8 image of a sample.

    Returns:
      uint8 pixels, which may be the sample's own where nothing changes them.
    """
    image = sample.image
    for kernel, _ in row:
        image = run_one(kernel, image, sample)
    return image


def run_one(kernel: AnyKernel, image: np.ndarray, sample: Sample) -> np.ndarray:
    """Carry out one kernel on a uint8 image, which may be that of the sample by now or still its own."""
    return kernel.run(image, Counted(image, (lambda: sample.counts) if image is sample.image else None))
