"""The kinds of kernel, each against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from augmill.transforms.base import Sample
from augmill.transforms.copying import Mirror, Window
from augmill.transforms.kernels import (
    Counts,
    Pixels,
    Tone,
    Warp,
    look_up,
    tone,
)
from augmill.transforms.motion import Motion, rotation, translation
from augmill.transforms.window import Frame


def no_counts() -> np.ndarray:
    raise AssertionError("this kernel counts nothing")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_table_of_one_row_serves_all_channels(photo: np.ndarray, channels: int) -> None:
    image = np.ascontiguousarray(photo[..., :channels])
    table = np.arange(256, dtype=np.uint8)[::-1][None]

    assert np.array_equal(look_up(image, table), 255 - image)


def test_a_table_may_have_a_row_for_each_channel(photo: np.ndarray) -> None:
    levels = np.arange(256)
    table = np.stack([levels, 255 - levels, levels // 2]).astype(np.uint8)

    expected = np.stack([photo[..., 0], 255 - photo[..., 1], photo[..., 2] // 2], axis=-1)
    assert np.array_equal(look_up(photo, table), expected)


def test_a_tone_that_asks_for_no_counts_gets_none_and_one_that_does_gets_those_of_the_image(photo: np.ndarray) -> None:
    def halved(levels: np.ndarray, counts: Counts) -> np.ndarray:
        return levels / 2

    def mean_only(levels: np.ndarray, counts: Counts) -> np.ndarray:
        mean = (counts() @ np.arange(256)) / counts()[0].sum()
        return np.broadcast_to(mean[:, None], (3, 256))

    assert np.array_equal(tone(halved, whole=False).run(photo, no_counts), np.rint(photo / 2))
    flat = tone(mean_only, whole=False).run(photo, lambda: Sample(photo).counts)
    assert np.array_equal(flat[0, 0], np.rint(photo.mean(axis=(0, 1))))
    assert isinstance(tone(halved, whole=True), Tone)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("across", "down"), [(True, False), (False, True), (True, True)])
def test_a_mirror_moves_pixels_where_it_says(photo: np.ndarray, across: bool, down: bool, channels: int) -> None:
    image = np.ascontiguousarray(photo[:200, :, :channels])
    mirror = Mirror(across=across, down=down)

    expected = image[:: -1 if down else 1, :: -1 if across else 1]
    assert np.array_equal(mirror.run(image, no_counts), expected)
    assert np.array_equal(mirror.motion(image.shape).move_mask(image[..., 0]), expected[..., 0])


def test_a_mirror_of_no_axis_gives_the_image_itself(photo: np.ndarray) -> None:
    assert Mirror().run(photo, no_counts) is photo


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("beyond", ["constant", "nearest", "reflect", "wrap"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_a_warp_reads_the_places_that_its_motion_has(
    photo: np.ndarray, interpolation: str, beyond: str, channels: int
) -> None:
    image = np.ascontiguousarray(photo[:150, :, :channels])
    # No pixel's place lies half-way between two, where rounding would decide.
    matrix = translation(20.3, -10.2) @ rotation(0.3)
    warp = Warp(matrix, interpolation, beyond, 40.0)

    plain = Motion((150, 224), matrix, beyond=beyond)
    exact = plain.move_pixels(image.astype(np.float32), interpolation=interpolation, fill=40.0)
    apart = np.abs(warp.run(image, no_counts).astype(float) - exact)
    assert (apart <= 1).mean() > 0.999


def test_a_warp_with_a_horizon_is_a_homography(photo: np.ndarray) -> None:
    matrix = np.array([[1.0, 0.1, 3.0], [0.05, 1.1, 2.0], [4e-4, 2e-4, 1.0]])
    exact = Motion((224, 224), matrix).move_pixels(photo.astype(np.float32))

    assert (np.abs(Warp(matrix).run(photo, no_counts).astype(float) - exact) <= 1).mean() > 0.999


class TestWindow:
    def test_cuts_out(self, photo: np.ndarray) -> None:
        window = Window(Frame(10, 20, 100, 120))

        assert np.array_equal(window.run(photo, no_counts), photo[10:110, 20:140])

    def test_is_black_beyond_the_image(self, photo: np.ndarray) -> None:
        seen = Window(Frame(-5, -7, 240, 250)).run(photo, no_counts)

        assert np.array_equal(seen[5:229, 7:231], photo)
        assert not seen[:5].any() and not seen[229:].any() and not seen[:, :7].any() and not seen[:, 231:].any()

    def test_wholly_beyond_the_image_shows_nothing(self, photo: np.ndarray) -> None:
        assert not Window(Frame(-50, 0, 40, 40)).run(photo, no_counts).any()
        assert not Window(Frame(300, 300, 40, 40)).run(photo, no_counts).any()

    def test_resizes_what_it_shows(self, photo: np.ndarray) -> None:
        small = Window(Frame(0, 0, 224, 224), (112, 112)).run(photo, no_counts)

        # of half the size, bilinear is the mean of four pixels
        blocks = photo.reshape(112, 2, 112, 2, 3).mean(axis=(1, 3))
        assert np.abs(small - blocks).max() <= 0.75

    @pytest.mark.parametrize("frame", [Frame(10, 20, 100, 120), Frame(-5, -7, 240, 250)])
    def test_moves_pixels_where_it_says(self, photo: np.ndarray, frame: Frame) -> None:
        window = Window(frame)

        assert np.array_equal(window.motion(photo.shape).move_mask(photo[..., 0]), window.run(photo, no_counts)[..., 0])


def test_other_work_says_itself_where_it_moves_pixels(photo: np.ndarray) -> None:
    still, moving = Pixels(lambda image: image), Pixels(lambda image: image, Motion((3, 4), np.eye(3)))

    assert still.motion(photo.shape) is None
    assert moving.motion(photo.shape) is moving.moved
