"""Decoding, resizing and encoding, held against Pillow and OpenCV on real photos."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from corpus import interlaced_png
from PIL import Image, ImageOps

from augmill.pipeline.image import decode_image, encode_image, fit_image, fit_motion
from augmill.pipeline.image_header import ImageError
from augmill.transforms.objects import Objects

FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "BMP": {},
    "WEBP": {"lossless": True, "exact": True},
    "GIF": {},
}


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **{**FORMATS.get(kind, {}), **options})
    return buffer.getvalue()


def as_pillow_sees(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.fixture
def cat(photo: np.ndarray) -> Image.Image:
    return Image.fromarray(photo[:150, :211])


@pytest.fixture
def coffee(photos: dict[str, np.ndarray]) -> Image.Image:
    return Image.fromarray(photos["coffee"][100:250, 200:411])


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_decodes_to_the_pixels_that_pillow_sees(kind: str, cat: Image.Image) -> None:
    data = encoded(cat, kind)
    np.testing.assert_array_equal(decode_image(data), as_pillow_sees(data))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_a_lossless_format_gives_the_photo_itself(kind: str, cat: Image.Image) -> None:
    np.testing.assert_array_equal(decode_image(encoded(cat, kind)), np.array(cat))


def test_a_gif_gives_its_first_frame(cat: Image.Image, coffee: Image.Image) -> None:
    animated = encoded(cat, "GIF", save_all=True, append_images=[coffee])
    np.testing.assert_array_equal(decode_image(animated), as_pillow_sees(animated))
    assert np.abs(decode_image(animated).astype(int) - np.array(cat)).mean() < 10
    assert np.abs(decode_image(animated).astype(int) - np.array(coffee)).mean() > 30


@pytest.mark.parametrize("mode", ["L", "1", "P"])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF"])
def test_grayscale_one_bit_and_palette_become_rgb(mode: str, kind: str, cat: Image.Image) -> None:
    data = encoded(cat.quantize(64) if mode == "P" else cat.convert(mode), kind)
    np.testing.assert_array_equal(decode_image(data), as_pillow_sees(data))


def test_a_progressive_jpeg_and_one_in_gray_decode_like_any_other(cat: Image.Image) -> None:
    for data in (encoded(cat, "JPEG", progressive=True), encoded(cat.convert("L"), "JPEG")):
        np.testing.assert_array_equal(decode_image(data), as_pillow_sees(data))


def test_an_interlaced_png_decodes_like_any_other(cat: Image.Image) -> None:
    np.testing.assert_array_equal(decode_image(interlaced_png(np.array(cat))), np.array(cat))


def test_a_cmyk_jpeg_becomes_rgb_within_one_level(cat: Image.Image) -> None:
    data = encoded(cat.convert("CMYK"), "JPEG")
    assert np.abs(decode_image(data).astype(int) - as_pillow_sees(data)).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_alpha_is_dropped_and_hidden_colours_stay(kind: str, cat: Image.Image, coffee: Image.Image) -> None:
    alpha = np.array(coffee.convert("L"))
    alpha[:, :100] = 0
    veiled = cat.convert("RGBA")
    veiled.putalpha(Image.fromarray(alpha))
    np.testing.assert_array_equal(decode_image(encoded(veiled, kind)), np.array(cat))


def test_gray_with_alpha_keeps_its_grays(cat: Image.Image, coffee: Image.Image) -> None:
    gray = cat.convert("L")
    veiled = gray.convert("LA")
    veiled.putalpha(coffee.convert("L"))
    np.testing.assert_array_equal(decode_image(encoded(veiled, "PNG")), np.array(gray.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_keeps_its_colour(kind: str, cat: Image.Image) -> None:
    palette = cat.quantize(64)
    data = encoded(palette, kind, transparency=3)
    assert (np.array(palette) == 3).any()
    np.testing.assert_array_equal(decode_image(data), np.array(palette.convert("RGB")))


@pytest.mark.parametrize("padding", [0, 1000])
def test_16_bits_are_scaled_to_8(padding: int, cat: Image.Image, coffee: Image.Image) -> None:
    deep = np.array(cat).astype(np.uint16) * 256 + np.array(coffee)
    rgb = cv2.imencode(".png", deep[..., ::-1])[1].tobytes() + bytes(padding)
    gray = cv2.imencode(".png", deep[..., 1])[1].tobytes() + bytes(padding)
    np.testing.assert_array_equal(decode_image(rgb), np.array(cat))
    np.testing.assert_array_equal(decode_image(gray), np.repeat(np.array(cat)[..., 1:2], 3, axis=2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, cat: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(cat, "JPEG", exif=exif)
    upright = encoded(cat, "JPEG")
    np.testing.assert_array_equal(decode_image(data), as_pillow_sees(data))
    assert (orientation == 1) == np.array_equal(decode_image(data), decode_image(upright))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused_with_its_reason(kind: str, share: float, cat: Image.Image) -> None:
    data = encoded(cat, kind)
    with pytest.raises(ImageError, match=r"cannot be decoded: .*(truncated|decoder)"):
        decode_image(data[: int(len(data) * share)])


def test_a_jpeg_that_lacks_its_last_byte_is_refused(cat: Image.Image) -> None:
    with pytest.raises(ImageError, match="truncated"):
        decode_image(encoded(cat, "JPEG")[:-1])


@pytest.mark.parametrize("padding", [b"\0", bytes(40), b"camera maker " * 100])
def test_a_jpeg_may_be_padded_after_its_end(padding: bytes, cat: Image.Image) -> None:
    data = encoded(cat, "JPEG")
    np.testing.assert_array_equal(decode_image(data + padding), decode_image(data))


def test_no_bytes_are_refused() -> None:
    with pytest.raises(ImageError, match="the file is empty"):
        decode_image(b"")


@pytest.mark.parametrize("data", [b"<!doctype html><title>404 Not Found</title>", b"\xff", bytes(range(256)) * 8])
def test_bytes_that_are_no_image_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="not an image"):
        decode_image(data)


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "TGA", "ICO"])
def test_other_formats_are_refused_by_name(kind: str, cat: Image.Image) -> None:
    with pytest.raises(ImageError, match=rf"{kind} is not read here; use JPEG, PNG"):
        decode_image(encoded(cat, kind))


def test_a_header_that_claims_a_vast_image_is_refused(cat: Image.Image) -> None:
    data = bytearray(encoded(cat, "BMP"))
    data[18:26] = struct.pack("<ii", 2_000_000, 2_000_000)
    with pytest.raises(ImageError):
        decode_image(bytes(data))


@pytest.mark.parametrize("kind", FORMATS)
def test_whatever_byte_is_wrong_only_image_errors_come(kind: str, cat: Image.Image) -> None:
    data = encoded(cat.crop((0, 0, 32, 24)), kind)
    generator = np.random.default_rng(8)
    refused = 0
    for place in generator.integers(0, 54, size=200):
        if kind == "PNG" and place == 33:
            continue  # the high byte of a chunk's length: OpenCV takes gigabytes of memory, and its time
        broken = bytearray(data)
        broken[place] ^= int(generator.integers(1, 256))
        try:
            assert decode_image(bytes(broken)).dtype == np.uint8
        except ImageError:
            refused += 1
    assert refused > 0


def test_png_and_raw_bytes_keep_every_pixel(photo: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_image(encode_image(photo, "png")), photo)
    raw = np.frombuffer(encode_image(photo, "raw"), np.uint8)
    np.testing.assert_array_equal(raw.reshape(photo.shape), photo)


@pytest.mark.parametrize("quality", [20, 75, 95])
def test_jpeg_is_opencvs_at_the_quality_asked_for(quality: int, photo: np.ndarray) -> None:
    data = encode_image(photo, "jpeg", quality)
    theirs = cv2.imencode(".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert data == theirs.tobytes() == encode_image(photo.copy(), "jpeg", quality)
    assert np.abs(decode_image(data).astype(int) - photo).mean() < 8


def test_a_better_jpeg_is_larger_and_nearer(photo: np.ndarray) -> None:
    poor, good = encode_image(photo, "jpeg", 30), encode_image(photo, "jpeg", 95)
    assert len(good) > 2 * len(poor)
    poor_error, good_error = (np.abs(decode_image(data).astype(int) - photo).mean() for data in (poor, good))
    assert good_error < poor_error / 2


def test_an_image_too_wide_for_jpeg_is_refused_with_its_shape(photo: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"cannot be encoded as jpeg, shape \[1, 70112, 3\]"):
        encode_image(np.tile(photo[:1], (1, 313, 1)), "jpeg")


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_an_image_of_the_right_size_is_left_alone(fit: str, photo: np.ndarray) -> None:
    np.testing.assert_array_equal(fit_image(photo, (224, 224), fit), photo)


def test_halving_averages_each_square_of_four_pixels(photo: np.ndarray) -> None:
    means = photo.reshape(112, 2, 112, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(fit_image(photo, (112, 112)) - means).max() <= 0.5


def test_growing_is_bilinear(photo: np.ndarray) -> None:
    grown = fit_image(photo, (448, 448))
    mixed = (3 * photo[:, 1:-1].astype(float) + photo[:, 2:]) / 4  # a quarter of a pixel to the right of each centre
    rows = (3 * mixed[1:-1] + mixed[2:]) / 4
    assert np.abs(grown[3:-2:2, 3:-2:2] - rows).max() <= 1


def test_stretch_shows_the_whole_image_out_of_proportion(photo: np.ndarray) -> None:
    wide = photo[:112]
    stretched = fit_image(wide, (56, 56), "stretch")
    means = wide.reshape(56, 2, 56, 4, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(stretched - means).max() <= 0.5


@pytest.mark.parametrize("window", [np.s_[:, 62:162], np.s_[62:162, :]], ids=["tall", "wide"])
def test_crop_keeps_the_middle_in_proportion(window: Any, photo: np.ndarray) -> None:
    image = photo[window]
    np.testing.assert_array_equal(fit_image(image, (50, 50), "crop"), fit_image(photo[62:162, 62:162], (50, 50)))


@pytest.mark.parametrize("tall", [False, True])
def test_pad_shows_the_whole_image_between_equal_black_bars(tall: bool, photo: np.ndarray) -> None:
    image = np.maximum(photo[:112], 1)
    image = image.transpose(1, 0, 2) if tall else image
    padded = fit_image(image, (112, 112), "pad")
    padded = padded.transpose(1, 0, 2) if tall else padded
    assert not padded[:28].any() and not padded[-28:].any()
    inner = fit_image(image, (112, 56) if tall else (56, 112))
    np.testing.assert_array_equal(padded[28:84], inner.transpose(1, 0, 2) if tall else inner)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 200), (200, 1), (1, 1)])
def test_a_line_of_pixels_can_be_fitted(fit: str, shape: tuple[int, int], photo: np.ndarray) -> None:
    line = np.maximum(photo[: shape[0], : shape[1]], 1)
    fitted = fit_image(line, (32, 48), fit)
    assert fitted.shape == (32, 48, 3)
    shown = fitted[fitted.any(axis=2)]
    assert line.min() <= shown.min() and shown.max() <= line.max()
    assert len(shown) == 32 * 48 or fit == "pad"


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(160, 224), (224, 160), (97, 131)])
@pytest.mark.parametrize("size", [(112, 112), (60, 150), (300, 170)])
def test_boxes_and_masks_go_where_the_pixels_go(fit: str, shape: tuple[int, int], size: tuple[int, int]) -> None:
    for left, top, right, bottom in ((10, 20, 60, 80), (40, 5, 125, 70), (50, 50, 90, 90)):
        image = np.zeros((*shape, 3), np.uint8)
        image[top:bottom, left:right] = 255
        motion = fit_motion(shape, size, fit)
        bright = fit_image(image, size, fit)[..., 0] > 127
        mask = motion.move_mask(image[..., 0]) > 0
        moved = motion.move_objects(Objects.from_boxes(np.array([[left, top, right, bottom]]), np.array([0])))
        assert motion.shape == size and len(moved) == bright.any()
        if not bright.any():
            continue
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(moved.boxes[0], seen, atol=0.75)
        assert (mask & bright).sum() / (mask | bright).sum() >= 0.9


def test_what_a_crop_leaves_of_a_box_is_known() -> None:
    motion = fit_motion((100, 200), (50, 50), "crop")
    boxes = np.array([[40, 0, 80, 100], [0, 0, 49, 100], [60, 20, 100, 40]])
    moved = motion.move_objects(Objects.from_boxes(boxes, np.arange(3)))
    assert moved.labels.tolist() == [0, 2]
    assert moved.boxes.tolist() == [[0, 0, 15, 50], [5, 10, 25, 20]]
    assert moved.visible.tolist() == [0.75, 1]


def test_a_size_that_is_there_already_moves_nothing(photo: np.ndarray) -> None:
    for fit in ("stretch", "crop", "pad"):
        np.testing.assert_array_equal(fit_motion(photo.shape, (224, 224), fit).matrix, np.eye(3))


def test_one_channel_is_the_luma_and_of_gray_the_levels_themselves(cat: Image.Image) -> None:
    grey = decode_image(encoded(cat, "PNG"), channels=1)
    assert (grey.shape, grey.dtype) == ((150, 211, 1), np.uint8)
    assert np.abs(grey[..., 0].astype(int) - np.array(cat.convert("L"))).max() <= 1
    levels = np.array(cat)[..., 1]
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(levels), "PNG"), channels=1)[..., 0], levels)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_one_channel_is_fitted_as_three_are(fit: str, photo: np.ndarray) -> None:
    grey = photo[:100, :, :1]
    expected = fit_image(np.repeat(grey, 3, axis=2), (60, 70), fit)[..., :1]
    np.testing.assert_array_equal(fit_image(grey, (60, 70), fit), expected)


@pytest.mark.parametrize("encoding", ["png", "jpeg", "raw"])
def test_one_channel_is_stored_as_one(encoding: str, photo: np.ndarray) -> None:
    import tensorflow as tf

    grey = np.ascontiguousarray(photo[..., :1])
    data = encode_image(grey, encoding)
    if encoding == "raw":
        assert data == grey.tobytes()
    else:
        stored = tf.io.decode_image(data).numpy()  # as many channels as there are
        assert stored.shape == (224, 224, 1)
        assert np.abs(stored.astype(int) - grey).mean() < (1e-9 if encoding == "png" else 4)
