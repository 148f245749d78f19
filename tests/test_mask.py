"""Masks: every id comes out of a PNG as it went in, whatever form of PNG it is."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline.image_header import ImageError
from augmill.pipeline.mask import HEADER_BYTES, decode_mask, encode_mask, mask_bits


@pytest.fixture
def ids(photo: np.ndarray) -> np.ndarray:
    """Ids with shapes of a photo: uint8 [51, 67], of 0 to 255."""
    return np.ascontiguousarray(photo[40:91, 30:97, 1])


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grey_png(ids: np.ndarray, depth: int) -> bytes:
    """Write a grey PNG of 1, 2 or 4 bits, which neither Pillow nor OpenCV writes; https://www.w3.org/TR/png-3."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    bits = ((ids[..., None] >> np.arange(depth)[::-1]) & 1).reshape(len(ids), -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], depth, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_grey_of_8_bits_keeps_its_ids(ids: np.ndarray) -> None:
    data = saved(Image.fromarray(ids))
    assert mask_bits(data[:HEADER_BYTES]) == 8
    np.testing.assert_array_equal(decode_mask(data), ids)


def test_grey_of_16_bits_keeps_its_ids(ids: np.ndarray) -> None:
    deep = ids.astype(np.uint16) * 255 + ids % 2
    data = saved(Image.fromarray(deep))
    assert mask_bits(data[:HEADER_BYTES]) == 16
    assert decode_mask(data).dtype == np.uint16
    np.testing.assert_array_equal(decode_mask(data), deep)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_is_not_spread_over_all_levels(depth: int, ids: np.ndarray) -> None:
    few = ids >> (8 - depth)
    np.testing.assert_array_equal(decode_mask(grey_png(few, depth)), few)


@pytest.mark.parametrize("colours", [2, 4, 16, 200])
def test_a_palette_gives_the_places_in_it_and_not_its_colours(colours: int, ids: np.ndarray) -> None:
    palette = np.random.default_rng(1).integers(0, 256, size=(colours, 3), dtype=np.uint8)
    image = Image.fromarray(ids % colours).convert("L")
    image.putpalette(palette.tobytes())
    np.testing.assert_array_equal(decode_mask(saved(image)), ids % colours)
    np.testing.assert_array_equal(decode_mask(saved(image, transparency=1)), ids % colours)


def test_a_palette_with_one_colour_twice_still_tells_its_ids_apart() -> None:
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8))
    image.putpalette([255, 0, 0] * 3)
    assert decode_mask(saved(image)).tolist() == [[0, 1, 2], [2, 1, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_encoded_is_decoded_the_same(dtype: type, ids: np.ndarray) -> None:
    mask = ids.astype(dtype) * (1 if dtype == np.uint8 else 257)
    assert mask_bits(encode_mask(mask)) == np.iinfo(dtype).bits
    np.testing.assert_array_equal(decode_mask(encode_mask(mask)), mask)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_a_png_of_colours_is_no_mask(mode: str, ids: np.ndarray) -> None:
    with pytest.raises(ImageError, match="a PNG of colours; ids are grey levels or places in a palette"):
        mask_bits(saved(Image.fromarray(ids).convert(mode)))


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "GIF"])
def test_another_format_is_no_mask(kind: str, ids: np.ndarray) -> None:
    with pytest.raises(ImageError, match="the mask is no PNG"):
        decode_mask(saved(Image.fromarray(ids), kind))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_mask_is_refused(share: float, ids: np.ndarray) -> None:
    data = saved(Image.fromarray(ids))
    with pytest.raises(ImageError, match=r"the mask (is no PNG|cannot be decoded: )"):
        decode_mask(data[: int(len(data) * share)])
