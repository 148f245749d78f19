"""An image of a record becomes pixels in the place where they are wanted."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from augmill.pipeline.pixels import Pixels, open_mask


def stored(encoding: str, channels: int = 3, size: tuple[int, int] | tuple[None, None] = (37, 51)) -> dict[str, Any]:
    return {"encoding": encoding, "channels": channels, "height": size[0], "width": size[1]}


def as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def jpeg(photo: np.ndarray, quality: int = 95, subsampling: int = 2) -> bytes:
    data = io.BytesIO()
    Image.fromarray(photo).save(data, "jpeg", quality=quality, subsampling=subsampling)
    return data.getvalue()


def test_jpegs_of_every_kind_are_the_same_pixels_to_tensorflow_opencv_and_pillow(photos: dict[str, np.ndarray]) -> None:
    for photo in photos.values():
        for quality, subsampling, size in ((40, 0, (64, 64)), (95, 1, (37, 51)), (95, 2, (37, 51)), (40, 2, (64, 64))):
            encoded = jpeg(photo[: size[0], : size[1]], quality, subsampling)
            out = np.empty((*size, 3), np.uint8)
            pixels = Pixels(stored("jpeg", size=size), None).decode(as_array(encoded), out)
            assert pixels is out
            np.testing.assert_array_equal(out, tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE"))
            np.testing.assert_array_equal(out, cv2.imdecode(as_array(encoded), cv2.IMREAD_COLOR_RGB))
            np.testing.assert_array_equal(out, np.asarray(Image.open(io.BytesIO(encoded))))


def test_gray_jpegs_and_colour_ones_are_what_tensorflow_makes_of_them(photos: dict[str, np.ndarray]) -> None:
    photo = next(iter(photos.values()))[:37, :51]
    for encoded in (jpeg(photo), jpeg(photo[..., 0])):
        for channels in (1, 3):
            exact = tf.io.decode_jpeg(encoded, channels=channels, dct_method="INTEGER_ACCURATE")
            np.testing.assert_array_equal(Pixels(stored("jpeg", channels), None).decode(as_array(encoded), None), exact)


@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
def test_a_size_is_what_tf_image_makes_of_it(photos: dict[str, np.ndarray], encoding: str) -> None:
    photo = np.ascontiguousarray(next(iter(photos.values()))[:37, :51])
    encoded = {"jpeg": jpeg(photo), "png": tf.io.encode_png(photo).numpy(), "raw": photo.tobytes()}[encoding]
    plain = Pixels(stored(encoding), None).decode(as_array(encoded), None)
    out = np.empty((20, 30, 3), np.uint8)

    Pixels(stored(encoding), (20, 30)).decode(as_array(encoded), out)

    resized = tf.saturate_cast(tf.round(tf.image.resize(plain, (20, 30), antialias=True)), tf.uint8)
    np.testing.assert_array_equal(out, resized)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("jpeg", "its image cannot be decoded"),
        ("png", "an image cannot be decoded"),
        ("raw", "its image has 9 bytes"),
    ],
)
def test_what_is_no_image_is_refused(encoding: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Pixels(stored(encoding), None).decode(as_array(b"no image."), np.empty((37, 51, 3), np.uint8))


def test_a_jpeg_that_is_cut_short_is_not_taken_for_a_whole_one(photos: dict[str, np.ndarray]) -> None:
    encoded = jpeg(next(iter(photos.values()))[:37, :51])
    with pytest.raises(ValueError, match="its image cannot be decoded"):
        Pixels(stored("jpeg"), None).decode(as_array(encoded[: len(encoded) // 2]), np.empty((37, 51, 3), np.uint8))


@pytest.mark.parametrize("size", [(37, 52), (30, 51), (64, 64)])
def test_an_image_of_another_shape_than_the_manifest_says_is_refused(
    photos: dict[str, np.ndarray], size: tuple[int, int]
) -> None:
    encoded = jpeg(np.resize(next(iter(photos.values())), (*size, 3)))
    with pytest.raises(ValueError, match="its image"):
        Pixels(stored("jpeg"), None).decode(as_array(encoded), np.empty((37, 51, 3), np.uint8))


def test_a_mask_is_resized_without_a_new_id() -> None:
    ids = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    encoded = cv2.imencode(".png", ids)[1].tobytes()
    assert open_mask(encoded, None).shape == (3, 4, 1) and open_mask(encoded, None).dtype == np.uint16
    assert set(np.unique(open_mask(encoded, (7, 9)))) <= set(ids.ravel())
