"""Tables of 256 bytes, looked up by the processor's own instructions for it: ten times as fast as one by one."""

from __future__ import annotations

import numpy as np
import stringzilla


def looked_up(pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Replace each level by what a table has for it.

    Args:
      pixels: uint8 of any shape.
      table: uint8 [256].
    """
    found = pixels.copy(order="C")
    look_up_in_place(found, table)
    return found


def look_up_in_place(pixels: np.ndarray, table: np.ndarray) -> None:
    """Replace each level of a contiguous array, of which it changes the pixels; arguments are those of `looked_up`.

    Raises:
      ValueError: it is not contiguous.
    """
    if not pixels.flags.c_contiguous:
        raise ValueError(f"only a contiguous array can be changed in place, got strides {pixels.strides}")
    if pixels.size:
        stringzilla.translate(pixels.reshape(-1).data, np.ascontiguousarray(table, np.uint8).data, inplace=True)
