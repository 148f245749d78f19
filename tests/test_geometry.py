"""Flips and crops: the right pixels, as often as they should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from augmill.transforms.base import TransformError
from augmill.transforms.geometry import RandomCrop, RandomFlipLeftRight, RandomFlipUpDown
from augmill.transforms.randomness import Draws

FLIPS = [
    (RandomFlipLeftRight(), np.s_[:, ::-1], tf.image.stateless_random_flip_left_right),
    (RandomFlipUpDown(), np.s_[::-1], tf.image.stateless_random_flip_up_down),
]


def draws(i: int) -> Draws:
    return Draws(seed=0, key=f"rose/{i}.jpg", copy=1, at="0")


@pytest.mark.parametrize(("op", "mirrored", "stateless"), FLIPS)
def test_a_flip_mirrors_or_leaves_the_image(photo: np.ndarray, op: Any, mirrored: Any, stateless: Any) -> None:
    assert np.array_equal(op.apply(photo, {"flip": True}), photo[mirrored])
    assert np.array_equal(op.apply(photo, {"flip": False}), photo)
    assert not np.array_equal(photo[mirrored], photo)


@pytest.mark.parametrize(("op", "mirrored", "stateless"), FLIPS)
def test_a_flip_is_the_op_of_tensorflow(photo: np.ndarray, op: Any, mirrored: Any, stateless: Any) -> None:
    flips = []
    for seed in ([0, i] for i in range(12)):
        flips.append(bool(tf.random.stateless_uniform([], seed) < 0.5))
        assert np.array_equal(op.apply(photo, {"flip": flips[-1]}), stateless(photo, seed).numpy())
    assert set(flips) == {True, False}


@pytest.mark.parametrize(("op", "mirrored", "stateless"), FLIPS)
def test_half_of_the_images_are_flipped(photo: np.ndarray, op: Any, mirrored: Any, stateless: Any) -> None:
    flips = [op.draw(draws(i), photo.shape)["flip"] for i in range(4000)]
    assert {type(flip) for flip in flips} == {bool}
    assert stats.binomtest(sum(flips), len(flips), 0.5).pvalue > 1e-3


@pytest.mark.parametrize(("top", "left"), [(0, 0), (24, 94), (7, 31)])
def test_a_crop_is_a_window_of_the_photo(photo: np.ndarray, top: int, left: int) -> None:
    window = RandomCrop((200, 130, 3)).apply(photo, {"top": top, "left": left})
    assert window.shape == (200, 130, 3)
    assert np.array_equal(window, photo[top : top + 200, left : left + 130])


def test_a_crop_is_the_op_of_tensorflow(photo: np.ndarray) -> None:
    size = (200, 130, 3)
    for seed in ([1, i] for i in range(5)):
        places = [224 - 200 + 1, 224 - 130 + 1, 1]
        top, left, _ = tf.random.stateless_uniform([3], seed, 0, tf.int32.max, tf.int32).numpy() % places
        window = RandomCrop(size).apply(photo, {"top": int(top), "left": int(left)})
        assert np.array_equal(window, tf.image.stateless_random_crop(photo, size, seed).numpy())


def test_every_place_is_equally_likely_for_a_crop() -> None:
    op, counts = RandomCrop((20, 30, 3)), np.zeros((5, 7), int)
    for i in range(7000):
        params = op.draw(draws(i), (24, 36, 3))
        counts[params["top"], params["left"]] += 1
    assert counts.min() > 0
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_a_crop_of_the_whole_image_leaves_it(photo: np.ndarray) -> None:
    op = RandomCrop(photo.shape)
    assert op.draw(draws(0), photo.shape) == {"top": 0, "left": 0}
    assert np.array_equal(op.apply(photo, {"top": 0, "left": 0}), photo)


@pytest.mark.parametrize("size", [(225, 100, 3), (100, 225, 3)])
def test_a_crop_larger_than_the_image_names_both_sizes(photo: np.ndarray, size: tuple[int, int, int]) -> None:
    with pytest.raises(TransformError, match=f"size {size[0]}x{size[1]} is larger than the image, 224x224"):
        RandomCrop(size).draw(draws(0), photo.shape)


@pytest.mark.parametrize(
    "size", [200, [200, 130], [200, 130, 1], [0, 130, 3], [-5, 130, 3], [20.0, 30, 3], "200", None]
)
def test_the_size_of_a_crop_is_three_whole_numbers(size: Any) -> None:
    with pytest.raises(TransformError) as error:
        RandomCrop(size)
    assert str(error.value) == f"size must be [height, width, 3] in whole pixels, got {size!r}"
