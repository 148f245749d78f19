"""What an encoded image's first bytes say, its format and its size, and the limits that it must keep to be decoded."""

from __future__ import annotations

import struct
from typing import NamedTuple

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the markers of a JPEG that begin a frame, of whatever kind
_BARE = {0x01, *range(0xD0, 0xD9)}  # those that nothing belongs to
_LAST = {0xD9, 0xDA}  # end of image, start of scan: no frame comes first any more
_EXIF = 0xE1

# How files begin that are met under an image's name: those of other formats, and those that are no images.
_OTHER_IMAGES = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"8BPS": "PSD",
    b"\0\0\x01\0": "ICO",
    b"P5": "PGM",
    b"P6": "PPM",
    b"<svg": "SVG",
}
_NO_IMAGES = {
    b"<!doctype html": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML document",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a ZIP archive",
    b"version https://git-lfs": "a Git LFS pointer, whose file was not fetched",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF"}


class ImageError(ValueError):
    """The bytes are not an image that can be read; the message is the reason."""


class Limits(NamedTuple):
    """What one source image may have: pixels, by its header before it is decoded, and encoded bytes."""

    max_pixels: int = 100_000_000
    max_bytes: int = 100_000_000


LIMITS = Limits()


class JpegHead(NamedTuple):
    """What a JPEG's head says: its size in pixels, bits a sample, channels, and whether it may be shown turned."""

    rows: int
    columns: int
    bits: int
    channels: int
    may_turn: bool


def image_size(data: bytes) -> tuple[int, int] | None:
    """Read (height, width) from the header of a JPEG, PNG, BMP, WebP or GIF; None where it does not say.

    A GIF's frame may reach beyond this, which its decoder sees.
    """
    if data.startswith(b"\xff\xd8\xff"):
        head = jpeg_head(data)
        return None if head is None else (head.rows, head.columns)
    try:
        if data.startswith(b"\x89PNG") and data[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", data, 16)
        elif data.startswith(b"GIF8"):
            width, height = struct.unpack_from("<HH", data, 6)
        elif data.startswith(b"BM"):
            old = struct.unpack_from("<I", data, 14)[0] == 12  # OS/2's header; a height below 0 says: top line first
            width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            height, width = _webp_size(data)
        else:
            return None
    except struct.error:
        return None
    return abs(height), abs(width)


def _webp_size(data: bytes) -> tuple[int, int]:
    """(height, width) of a WebP in its lossy, lossless or extended form; RFC 9649."""
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return height & 0x3FFF, width & 0x3FFF
    raise struct.error("no frame")


def png_is_whole(data: bytes) -> bool:
    """Tell whether the chunks of a PNG stand one after another, each within the file, up to the end's."""
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        place += 12 + length
        if kind == b"IEND":
            return place <= len(data)
    return False


def jpeg_head(data: bytes) -> JpegHead | None:
    """Read a JPEG's head as its decoders do, passing over what stands between segments; None if it has no frame."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    place, may_turn = 2, False
    while (place := data.find(b"\xff", place)) >= 0:
        while place < len(data) and data[place] == 0xFF:  # the last of them is the marker's own
            place += 1
        if place + 9 > len(data) or data[place] in _LAST:
            return None
        marker, place = data[place], place + 1
        if marker in _FRAMES:
            bits, rows, columns, channels = struct.unpack_from(">BHHB", data, place + 2)
            return JpegHead(rows, columns, bits, channels, may_turn)
        may_turn = may_turn or marker == _EXIF
        if marker not in _BARE and marker != 0:
            place += int.from_bytes(data[place : place + 2], "big")
    return None


def what_else(data: bytes) -> str:
    """Say what bytes are that are no image of a format that is read here, by how they begin."""
    starts = data[:32].lower()
    other = next((name for start, name in _OTHER_IMAGES.items() if starts.startswith(start.lower())), None)
    if data[4:8] == b"ftyp":
        other = _BRANDS.get(data[8:12])
    elif data[-18:-2] == b"TRUEVISION-XFILE":
        other = "TGA"
    if other is not None:
        return f"{other} is not read here; use JPEG, PNG, BMP, WebP or GIF"
    known = next((name for start, name in _NO_IMAGES.items() if starts.startswith(start.lower())), None)
    return f"not an image: {f'it is {known}' if known else 'no JPEG, PNG, BMP, WebP or GIF begins like this'}"


def check_limits(data: bytes, limits: Limits, name: str = "it") -> None:
    """Refuse an encoded image that has too many bytes, or too many pixels by its header.

    Raises:
      ImageError: with the number, the limit and the key of a spec that raises it.
    """
    if len(data) > limits.max_bytes:
        raise ImageError(bytes_problem(len(data), limits, name))
    size = image_size(data)
    if size is not None:
        check_pixels(size, limits, name)


def bytes_problem(size: int, limits: Limits, name: str = "it") -> str:
    """Say that an encoded image of so many bytes is too large."""
    return f"{name} has {size:,} bytes, more than source.max_bytes {limits.max_bytes:,} allows"


def check_pixels(size: tuple[int, int], limits: Limits, name: str = "it") -> None:
    """Refuse an image of so many pixels, (height, width), or of none.

    Raises:
      ImageError: with the number, the limit and the key of a spec that raises it.
    """
    if 0 in size:
        raise ImageError(f"by its header {name} has {size[0]}x{size[1]} pixels (height x width)")
    if size[0] * size[1] > limits.max_pixels:
        raise ImageError(
            f"{name} has {size[0]}x{size[1]} pixels (height x width), more than source.max_pixels "
            f"{limits.max_pixels:,} allows"
        )
