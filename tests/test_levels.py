"""Point operations are Pillow's, byte for byte, in colour and in grey."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from augmill.transforms import levels
from augmill.transforms.levels import Counted, histogram

FACTORS = [0.0, 0.1, 0.28, 0.5, 0.7431, 1.0, 1.37, 1.72, 1.9, 3.0]
SIZES = [(224, 224), (32, 32), (299, 451), (1, 40), (40, 1), (2, 3), (3, 3), (1, 1)]

SAME_AS_PILLOW: list[tuple[str, list[Any], Callable[[Image.Image, Any], Image.Image]]] = [
    ("autocontrast", [()], lambda image: ImageOps.autocontrast(image)),
    ("equalize", [()], lambda image: ImageOps.equalize(image)),
    ("invert", [()], lambda image: ImageOps.invert(image)),
    ("posterize", [(bits,) for bits in range(1, 9)], ImageOps.posterize),
    ("solarize", [(0,), (1,), (64,), (113.5,), (128,), (255,), (256,)], ImageOps.solarize),
    ("color", [(f,) for f in FACTORS], lambda image, factor: ImageEnhance.Color(image).enhance(factor)),
    ("contrast", [(f,) for f in FACTORS], lambda image, factor: ImageEnhance.Contrast(image).enhance(factor)),
    ("brightness", [(f,) for f in FACTORS], lambda image, factor: ImageEnhance.Brightness(image).enhance(factor)),
    ("sharpness", [(f,) for f in FACTORS], lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor)),
]


def pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "arguments", "reference"), SAME_AS_PILLOW, ids=[row[0] for row in SAME_AS_PILLOW])
def test_levels_are_those_of_pillow(
    photos: dict[str, np.ndarray], name: str, arguments: list[Any], reference: Any, channels: int
) -> None:
    for photo in photos.values():
        for height, width in SIZES:
            image = photo[:height, :width, :channels]
            kept = image.copy()
            for given in arguments:
                result = getattr(levels, name)(image, *given)
                expected = np.asarray(reference(pillow(image), *given)).reshape(image.shape)
                assert result.dtype == np.uint8
                assert np.array_equal(result, expected), (name, given, image.shape)
            assert np.array_equal(image, kept)


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_what_is_learned_of_an_image_is_pillow_s_on_dull_and_tiny_ones_too(photo: np.ndarray, name: str) -> None:
    dull, flat, two = photo // 8 + 100, np.full((9, 7, 3), 77, np.uint8), (photo > 127).astype(np.uint8) * 3
    for image in (dull, flat, two, photo[:12, :12], photo[:20, :13]):
        expected = np.asarray(getattr(ImageOps, name)(pillow(image)))
        assert np.array_equal(getattr(levels, name)(image), expected)


def test_grey_is_pillow_s(photo: np.ndarray) -> None:
    assert np.array_equal(levels.luma(photo)[..., 0], np.asarray(Image.fromarray(photo).convert("L")))
    assert np.array_equal(levels.luma(photo[..., :1]), photo[..., :1])


@pytest.mark.parametrize(
    ("addition", "added"), [(0, [0, 30, 127, 128, 255]), (50, [50, 80, 177, 128, 255]), (-40, [0, 0, 87, 128, 255])]
)
def test_solarize_add_adds_to_the_darker_half_alone(addition: int, added: list[int]) -> None:
    image = np.array([0, 30, 127, 128, 255], np.uint8).reshape(1, 5, 1)
    assert levels.solarize_add(image, addition)[0, :, 0].tolist() == added


def test_solarize_add_saturates() -> None:
    image = np.array([120, 200], np.uint8).reshape(1, 2, 1)
    assert levels.solarize_add(image, 255)[0, :, 0].tolist() == [255, 200]


def test_a_table_of_each_channel_is_looked_up_channel_by_channel(photo: np.ndarray) -> None:
    tables = np.stack([levels.LEVELS, 255 - levels.LEVELS, levels.LEVELS // 2])
    looked_up = levels.look_up(photo[:, ::-1], tables)
    assert np.array_equal(looked_up, np.stack([table[photo[:, ::-1, i]] for i, table in enumerate(tables)], axis=-1))


@pytest.mark.parametrize("channels", [1, 3])
def test_sums_are_those_of_the_pixels_to_the_last_one(
    photos: dict[str, np.ndarray], channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steep, stairs = np.clip(levels.LEVELS * 3 - 99, 0, 255), levels.LEVELS // 8 * 8
    whole = [levels.LEVELS, 255 - levels.LEVELS, np.clip(levels.LEVELS + 40, 0, 255), steep, np.full(256, 7), stairs]
    for photo in photos.values():
        image = np.ascontiguousarray(photo[..., :channels])
        shared = histogram(image)
        for each in (*whole, levels.LEVELS / 4 + 0.5):
            row = each[None].astype(np.float32)
            expected = each[image].sum(axis=(0, 1))[:, None]
            assert np.array_equal(Counted(image).sums(row), expected)
            assert np.array_equal(Counted(image, lambda shared=shared: shared).sums(row), expected)
        own = np.repeat(stairs[None], channels, axis=0).astype(np.float32)
        assert np.array_equal(Counted(image).sums(own), stairs[image].sum(axis=(0, 1))[:, None])
    monkeypatch.setattr(levels, "histogram", lambda image: pytest.fail("whole levels need no counts"))
    for each in whole:
        Counted(photo).sums(each[None].astype(np.float32))
