"""Masks as PNG: images whose values are ids, read and written so that not one id changes."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np

from augmill.pipeline.image_header import ImageError
from augmill.pipeline.png import SIGNATURE, encode_png

_GREY, _PALETTE = 0, 3  # colour types of a PNG header
HEADER_BYTES = 33  # of a PNG, up to the end of its IHDR


def mask_bits(data: bytes) -> int:
    """Tell by its first HEADER_BYTES how many bits the ids of a mask have, 8 or 16.

    Raises:
      ImageError: no PNG, or one of colours.
    """
    depth, _ = _header(data)
    return 16 if depth == 16 else 8


def mask_dtype(bits: int) -> type[np.uint8] | type[np.uint16]:
    """The type of ids of 8 or 16 bits."""
    return np.uint16 if bits == 16 else np.uint8


def decode_mask(data: bytes) -> np.ndarray:
    """Decode a PNG mask to its ids: the grey levels as stored, or the places in the palette, never its colours.

    How large it may be is for the caller to check, by `image.check_limits`.

    Returns:
      uint8 [height, width], or uint16 where the PNG has 16 bits.

    Raises:
      ImageError: no PNG, one of colours, or damaged.
    """
    from PIL import PngImagePlugin

    depth, colour_type = _header(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Not `Image.open`, which has a limit of pixels of its own.
            with PngImagePlugin.PngImageFile(io.BytesIO(data)) as opened:
                stored = np.array(opened)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error... for bad bytes
        raise ImageError(f"the mask cannot be decoded: {error}") from error
    if depth == 16:
        return stored.astype(np.uint16)
    ids = stored.astype(np.uint8)
    # Pillow spreads 2 and 4 bits of grey over 0 to 255; 1 bit comes as a bool, and palettes come as they are.
    return ids // (255 // (2**depth - 1)) if colour_type == _GREY and depth in (2, 4) else ids


def encode_mask(mask: np.ndarray) -> bytes:
    """Encode ids, uint8 or uint16 [height, width], as a grey PNG of as many bits."""
    return encode_png(mask)


def _header(data: bytes) -> tuple[int, int]:
    """The bit depth and the colour type of a PNG; https://www.w3.org/TR/png-3/#11IHDR."""
    if not data.startswith(SIGNATURE) or len(data) < HEADER_BYTES:
        raise ImageError("the mask is no PNG; ids survive in PNG alone")
    depth, colour_type = struct.unpack_from("BB", data, 24)
    if colour_type not in (_GREY, _PALETTE):
        raise ImageError("the mask is a PNG of colours; ids are grey levels or places in a palette")
    return int(depth), int(colour_type)
