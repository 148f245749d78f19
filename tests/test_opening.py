"""The short way to a small image: near the long one, and taken only where it leads to the same place."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import opening
from augmill.pipeline.annotation_info import AnnotationInfo
from augmill.pipeline.annotations import Annotations
from augmill.pipeline.image import decode_image, fit_image
from augmill.pipeline.image_header import ImageError
from augmill.pipeline.opening import open_image
from augmill.pipeline.renderer import Renderer

FITS = ("stretch", "crop", "pad")


def jpeg(image: np.ndarray | Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, "JPEG", **{"quality": 90, **options})
    return buffer.getvalue()


def the_long_way(data: bytes, size: tuple[int, int], fit: str = "stretch") -> np.ndarray:
    return fit_image(decode_image(data), size, fit)


def mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.fixture(scope="module")
def large() -> list[np.ndarray]:
    """Photos of about 1,000 pixels and more, of sides that no reduction divides."""
    from skimage import data

    retina, hubble, rocket = data.retina(), data.hubble_deep_field(), data.rocket()
    return [retina[:1401, :1397], hubble[:871, :999], cv2.resize(rocket, (1333, 899), interpolation=cv2.INTER_CUBIC)]


@pytest.fixture
def reductions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The reductions at which JPEGs are decoded from here on; 1 for those in full."""
    by_flag = {flag: by for by, flag in opening._FLAGS.items()}
    met, decode = list[int](), cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flag: met.append(by_flag.get(flag, 1)) or decode(data, flag))
    return met


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("size", "by"), [((225, 224), 1), ((128, 128), 2), ((64, 60), 4), ((32, 30), 8)])
def test_large_photos_are_near_those_decoded_in_full(
    size: tuple[int, int], by: int, fit: str, large: list[np.ndarray], reductions: list[int]
) -> None:
    """Mean difference below one level in each photo; see `test_fast_resize` for what is not reduced."""
    for photo in large:
        data = jpeg(photo)
        reductions.clear()
        opened = open_image(data, size, fit)
        assert opened.shape == (*size, 3) and opened.flags.c_contiguous
        assert mean_difference(opened, the_long_way(data, size, fit)) < 1.0
    if fit == "stretch":
        data = jpeg(large[0][:1344, :1344])
        reductions.clear()
        open_image(data, size, fit)
        assert reductions == [by]


def test_an_image_is_reduced_only_if_three_pixels_are_left_for_each_wanted_one(
    large: list[np.ndarray], reductions: list[int]
) -> None:
    data = jpeg(large[0][:1200, :1320])
    for size, by in (((200, 220), 2), ((201, 220), 1), ((200, 221), 1), ((100, 110), 4), ((50, 55), 8), ((50, 56), 4)):
        reductions.clear()
        open_image(data, size)
        assert reductions == [by], size


def test_a_window_that_begins_within_a_pixel_of_the_reduced_image_asks_for_a_larger_one(
    large: list[np.ndarray], reductions: list[int]
) -> None:
    """`fit: crop` shows 1,000 columns in the middle: of 1,096 from the 48th on, of 1,100 from the 50th."""
    for width, by in ((1096, 8), (1100, 2), (1104, 4), (1102, 1)):
        data = jpeg(large[0][:1000, :width])
        long_way = the_long_way(data, (40, 40), "crop")
        reductions.clear()
        assert mean_difference(open_image(data, (40, 40), "crop"), long_way) < 1.0
        assert reductions == [by], width


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"optimize": True}])
def test_jpegs_of_any_kind_are_read(options: dict[str, Any], large: list[np.ndarray]) -> None:
    data = jpeg(large[0], **options)
    assert mean_difference(open_image(data, (96, 90)), the_long_way(data, (96, 90))) < 1.0


def test_grey_and_cmyk_are_read(large: list[np.ndarray], reductions: list[int]) -> None:
    picture = Image.fromarray(large[0])
    for mode, by in (("L", 4), ("CMYK", 1)):
        data = jpeg(picture.convert(mode))
        reductions.clear()
        opened = open_image(data, (96, 90))
        assert reductions == [by]
        assert mean_difference(opened, the_long_way(data, (96, 90))) < 1.0
    grey = open_image(jpeg(picture), (96, 90), channels=1)
    assert grey.shape == (96, 90, 1)
    long_way = fit_image(decode_image(jpeg(picture), channels=1), (96, 90))
    assert mean_difference(grey, long_way) < 1.0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", FITS)
def test_exif_orientation_is_applied(
    orientation: int, fit: str, large: list[np.ndarray], reductions: list[int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for height, width, reduced in ((1392, 1200, True), (1391, 1201, False)):
        data = jpeg(large[0][:height, :width], exif=exif)
        long_way = the_long_way(data, (96, 96), fit)
        reductions.clear()
        assert mean_difference(open_image(data, (96, 96), fit), long_way) < 1.0
        assert (reductions[0] > 1) == reduced, "a part of a pixel might be at any edge"


def test_other_formats_go_the_long_way_and_are_resized_fast(photo: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    np.testing.assert_array_equal(open_image(buffer.getvalue(), (20, 20)), fit_image(photo, (20, 20), fast=True))
    np.testing.assert_array_equal(open_image(buffer.getvalue(), (150, 150)), fit_image(photo, (150, 150), fast=True))
    np.testing.assert_array_equal(open_image(buffer.getvalue(), (224, 224)), photo)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_refused_with_the_same_reason(
    share: float, large: list[np.ndarray], reductions: list[int]
) -> None:
    """It is not even tried: OpenCV before release 5 fills what is missing with grey."""
    data = jpeg(large[0])
    data = data[: int(len(data) * share)]
    with pytest.raises(ImageError) as told:
        decode_image(data)
    with pytest.raises(ImageError) as opened:
        open_image(data, (90, 90))
    assert str(opened.value) == str(told.value)
    assert reductions == []


def test_whatever_byte_of_the_head_is_wrong_it_is_decoded_or_refused_as_ever(large: list[np.ndarray]) -> None:
    data = jpeg(large[1][:240, :240])
    generator = np.random.default_rng(3)
    refused = 0
    for place in generator.integers(2, 640, size=150):
        broken = bytearray(data)
        broken[place] ^= int(generator.integers(1, 256))
        try:
            expected = the_long_way(bytes(broken), (30, 30))
        except ImageError:
            refused += 1
            with pytest.raises(ImageError):
                open_image(bytes(broken), (30, 30))
        else:
            assert open_image(bytes(broken), (30, 30)).shape == expected.shape
    assert refused > 0


def test_a_head_that_lies_about_the_size_is_not_believed(large: list[np.ndarray]) -> None:
    """A comment may hold anything, even what begins like a frame."""
    data = jpeg(large[0][:960, :960])
    lie = b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03"
    commented = data[:2] + b"\xff\xfe" + (len(lie) + 2).to_bytes(2, "big") + lie + data[2:]
    np.testing.assert_array_equal(open_image(commented, (80, 80)), open_image(data, (80, 80)))


def test_boxes_and_the_exact_kernels_ask_for_the_image_as_it_is(
    make_spec: Callable[..., Any], large: list[np.ndarray], reductions: list[int]
) -> None:
    data = jpeg(large[0][:1200, :1200])
    info = AnnotationInfo(kinds=("boxes",), classes=("disc",))
    said = Annotations(np.array([[300.0, 300, 900, 900]]), np.zeros(1, int), size=(1200, 1200))
    for kernels, boxes, by in (("fast", None, 8), ("fast", said, 1), ("reference", None, 1)):
        spec = make_spec(image={"size": [40, 40], "encoding": "png"}, kernels=kernels)
        reductions.clear()
        opened = Renderer(spec, None, annotations=info).open(data, -1, boxes)
        assert reductions == [by]
        assert opened.image.shape == (40, 40, 3)
    assert mean_difference(opened.image, the_long_way(data, (40, 40))) == 0
