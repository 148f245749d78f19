"""Pixels to PNG: lines filtered many at once, and deflated by a library that gives the same bytes on any processor.

A PNG is a signature and a few chunks; what takes time is to filter its lines, which is plain arithmetic on whole
images, and to deflate them. https://www.w3.org/TR/png-3
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

import cv2
import deflate
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOURS = 0, 2  # colour types of a header
_PAETH = 4  # the number of the filter

# Of photos, libdeflate's first level finds what there is to find; its second looks for repeats of three bytes too,
# which make up grey that is kept in three channels, and masks.
_PHOTO, _REPEATING = 1, 2
_SEEN = 8  # every eighth pixel of every eighth row is looked at to tell which it is
_AT_ONCE = 1 << 16  # bytes: with what is made of them on the way they stay in the processor's cache


def encode_png(image: np.ndarray, lines: np.ndarray | None = None) -> bytes:
    """Encode an image or a mask, losing nothing.

    Args:
      image: uint8 [height, width, 3 or 1], RGB or grey; or uint8 or uint16 [height, width].
      lines: what `filtered_lines` made of it among others, which changes nothing but the time it takes.
    """
    if lines is None:
        lines = filtered_lines([image])[0]
    data = deflate.zlib_compress(lines, _REPEATING if _repeats(image) else _PHOTO)
    channels = 1 if image.ndim == 2 else image.shape[2]
    begin = _beginning(image.shape[0], image.shape[1], channels, 8 * image.dtype.itemsize)
    return b"".join((begin, *_chunk(b"IDAT", data), _END))


def filtered_lines(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Filter the lines of images by Paeth's predictor, those of one shape all at once.

    Returns:
      What is to be deflated of each image: uint8 [height, 1 + width * bytes of a pixel], the filter's number first.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, image in enumerate(images):
        alike.setdefault((image.shape, image.dtype), []).append(place)
    found: dict[int, np.ndarray] = {}
    for places in alike.values():
        count = max(1, _AT_ONCE // max(1, images[places[0]].nbytes))
        for start in range(0, len(places), count):
            some = places[start : start + count]
            found.update(zip(some, _filtered(np.stack([images[place] for place in some])), strict=True))
    return [found[place] for place in range(len(images))]


def _filtered(images: np.ndarray) -> np.ndarray:
    """Filter images of one kind, [images, height, width, ...]: uint8 [images, height, 1 + width * bytes of a pixel]."""
    count, height = images.shape[:2]
    step = images[0, 0, 0].nbytes  # from a byte to the one on its left that it is told by
    rows = images if images.dtype == np.uint8 else images.astype(">u2").view(np.uint8)  # the high byte comes first
    rows = rows.reshape(count, height, -1)
    # Black stands above and on the left of each image. In one long row of bytes every neighbour is then at a set
    # distance, whatever the images' number and size.
    line = step + rows.shape[2]
    padded = np.zeros((count, height + 1, line), np.uint8)
    padded[:, 1:, step:] = rows
    row, differences = padded.reshape(1, -1), np.empty_like(padded)
    told = differences.reshape(1, -1)
    for begin in range(line + step, row.shape[1], _AT_ONCE):
        end = min(begin + _AT_ONCE, row.shape[1])
        pixels, left, above, corner = (row[:, begin - by : end - by] for by in (0, step, line, line + step))
        told[:, begin:end] = _paeth(pixels, left, above, corner)
    differences[:, :, step - 1] = _PAETH
    return np.ascontiguousarray(differences[:, 1:, step - 1 :])


def _paeth(pixels: np.ndarray, left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """What each byte differs by, modulo 256, from that of its neighbours which is nearest to left + above - corner.

    Where two are as near, the first of left, above and corner counts.
    """
    to_left, to_above = cv2.absdiff(above, corner), cv2.absdiff(left, corner)
    best = cv2.copyTo(left, cv2.compare(to_left, to_above, cv2.CMP_LE), above.copy())
    # The corner is at |left - corner + above - corner|: nearer than both only if it lies between them.
    between = cv2.bitwise_xor(cv2.compare(left, corner, cv2.CMP_GE), cv2.compare(above, corner, cv2.CMP_GE))
    nearer = cv2.compare(cv2.absdiff(to_left, to_above), cv2.min(to_left, to_above), cv2.CMP_LT)
    return np.subtract(pixels, cv2.copyTo(corner, cv2.bitwise_and(nearer, between), best))


def _repeats(image: np.ndarray) -> bool:
    """Tell whether an image is a mask, or grey that is kept in three channels, by some of its pixels."""
    if image.ndim == 2:
        return True
    some = image[::_SEEN, ::_SEEN].tobytes()
    return image.shape[2] == 3 and some[::3] == some[1::3] == some[2::3]


@lru_cache(maxsize=64)
def _beginning(height: int, width: int, channels: int, depth: int) -> bytes:
    """All that comes before the pixels."""
    colour_type = _COLOURS if channels == 3 else _GREY
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"".join((SIGNATURE, *_chunk(b"IHDR", header)))


def _chunk(kind: bytes, data: bytes | bytearray) -> tuple[bytes, bytes, bytes | bytearray, bytes]:
    """The parts of a chunk: its length, its kind, its data, and the checksum of the last two."""
    checksum = deflate.crc32(data, deflate.crc32(kind))
    return _WORD.pack(len(data)), kind, data, _WORD.pack(checksum)


_WORD = struct.Struct(">I")
_END = b"".join(_chunk(b"IEND", b""))
