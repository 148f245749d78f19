"""PNGs that every decoder reads alike, whatever they were filtered together with."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import png
from augmill.pipeline.png import encode_png, filtered_lines

SHAPES = [(224, 224), (32, 32), (17, 5), (1, 40), (40, 1), (1, 1)]


def form(photo: np.ndarray, kind: str, shape: tuple[int, int] = (224, 224)) -> np.ndarray:
    """A corner of a photo as an image or a mask of this kind."""
    corner = photo[60 : 60 + shape[0], 80 : 80 + shape[1]]
    if kind == "mask of 16 bits":
        return corner[..., 0].astype(np.uint16) * 251 + corner[..., 1]
    if kind == "mask of 8 bits":
        return corner[..., 1] // 32
    return np.ascontiguousarray(corner[..., CHANNELS[kind]])


CHANNELS = {"colour": [0, 1, 2], "grey": [1], "grey in three channels": [1, 1, 1]}
KINDS = ["colour", "grey", "grey in three channels", "mask of 8 bits", "mask of 16 bits"]


def chunks(data: bytes) -> list[tuple[bytes, bytes, int]]:
    """The chunks of a PNG after its signature: kind, data and checksum."""
    found, place = [], 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        found.append((kind, body, struct.unpack_from(">I", data, place + 8 + length)[0]))
        place += 12 + length
    return found


def filtered_by_the_book(image: np.ndarray) -> bytes:
    """Paeth's filter byte for byte as the standard has it; https://www.w3.org/TR/png-3/#9Filter-type-4-Paeth."""
    step = image[0, 0].nbytes
    rows = [bytes(step) + row.astype(image.dtype.newbyteorder(">")).tobytes() for row in image]
    lines = []
    for above, row in zip([bytes(len(rows[0])), *rows], rows, strict=False):
        line = [4]
        for x in range(step, len(row)):
            a, b, c = row[x - step], above[x], above[x - step]
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line.append((row[x] - nearest) % 256)
        lines.append(bytes(line))
    return b"".join(lines)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_three_decoders_read_the_same_pixels(kind: str, shape: tuple[int, int], photos: dict[str, np.ndarray]) -> None:
    import tensorflow as tf

    image = form(photos["coffee"], kind, shape)
    data = encode_png(image)

    by_opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).reshape(image.shape)
    by_pillow = np.array(Image.open(io.BytesIO(data))).reshape(image.shape)
    by_tensorflow = tf.io.decode_png(data, dtype=image.dtype).numpy().reshape(image.shape)
    np.testing.assert_array_equal(by_opencv[..., ::-1] if image.shape[2:] == (3,) else by_opencv, image)
    np.testing.assert_array_equal(by_pillow, image)
    np.testing.assert_array_equal(by_tensorflow, image)


@pytest.mark.parametrize("kind", KINDS)
def test_its_chunks_are_whole(kind: str, photos: dict[str, np.ndarray]) -> None:
    image = form(photos["coffee"], kind, (32, 48))
    data = encode_png(image)

    assert data.startswith(png.SIGNATURE)
    assert [name for name, _, _ in chunks(data)] == [b"IHDR", b"IDAT", b"IEND"]
    assert all(checksum == zlib.crc32(name + body) for name, body, checksum in chunks(data))
    depth, colours = 8 * image.dtype.itemsize, 2 if image.shape[2:] == (3,) else 0
    assert chunks(data)[0][1] == struct.pack(">IIBBBBB", 48, 32, depth, colours, 0, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_lines_are_filtered_as_the_standard_says(
    kind: str, shape: tuple[int, int], photos: dict[str, np.ndarray]
) -> None:
    for photo in photos.values():
        image = form(photo, kind, shape)
        (lines,) = filtered_lines([image])
        assert lines.tobytes() == filtered_by_the_book(image)
        assert zlib.decompress(chunks(encode_png(image))[1][1]) == lines.tobytes()


@pytest.mark.parametrize("at_once", [1 << 17, 1009])
def test_neighbours_of_any_shape_change_no_byte(
    at_once: int, photos: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [form(photo, kind, shape) for shape in SHAPES for kind in KINDS for photo in photos.values()]
    alone = [hashlib.sha256(encode_png(image)).hexdigest() for image in images]

    monkeypatch.setattr(png, "_AT_ONCE", at_once)
    together = [encode_png(image, lines) for image, lines in zip(images, filtered_lines(images), strict=True)]

    assert [hashlib.sha256(data).hexdigest() for data in together] == alone


def test_no_images_have_no_lines() -> None:
    assert filtered_lines([]) == []


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("kind", CHANNELS)
def test_images_are_hardly_larger_than_zlib_makes_them(kind: str, side: int, photos: dict[str, np.ndarray]) -> None:
    """At its level 1, all filters tried: what takes two to four times as long."""
    small = [cv2.resize(form(photo, "colour"), (side, side), interpolation=cv2.INTER_AREA) for photo in photos.values()]
    images = [np.ascontiguousarray(image[..., CHANNELS[kind]]) for image in small]
    by_zlib = [cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1] for image in images]
    assert sum(len(encode_png(image)) for image in images) < 1.02 * sum(map(len, by_zlib))


def test_masks_are_smaller_than_zlib_makes_them(photos: dict[str, np.ndarray]) -> None:
    for photo in photos.values():
        mask = form(photo, "mask of 8 bits")
        by_zlib = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
        assert len(encode_png(mask)) < 0.95 * len(by_zlib)
