"""The loss of a JPEG encoder."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from augmill.transforms.base import TransformError
from augmill.transforms.jpeg import RandomJpegQuality
from augmill.transforms.randomness import Draws

OP = RandomJpegQuality(20, 90)


def test_pixels_are_those_of_the_op_of_tensorflow(photo: np.ndarray) -> None:
    for seed in ([5, i] for i in range(5)):
        quality = int(tf.random.stateless_uniform([], seed, 20, 90, tf.int32))
        image = OP.apply(photo, {"quality": quality})
        assert image.dtype == np.uint8
        assert np.array_equal(image, tf.image.stateless_random_jpeg_quality(photo, 20, 90, seed).numpy())


@pytest.mark.parametrize("quality", [0, 35, 99])
def test_the_image_is_encoded_at_its_quality_and_decoded_again(photo: np.ndarray, quality: int) -> None:
    encoded = tf.io.encode_jpeg(photo, quality=quality)
    assert np.array_equal(OP.apply(photo, {"quality": quality}), tf.io.decode_jpeg(encoded).numpy())


def test_a_lower_quality_loses_more(photo: np.ndarray) -> None:
    loss = [np.abs(OP.apply(photo, {"quality": q}).astype(int) - photo).mean() for q in (95, 60, 30, 5)]
    assert loss == sorted(loss)
    assert 0 < loss[0] < 5 < loss[-1]


def test_qualities_are_equally_likely_and_leave_out_the_maximum(photo: np.ndarray) -> None:
    op = RandomJpegQuality(60, 70)
    streams = (Draws(seed=0, key=f"rose/{i}.jpg", copy=1, at="0") for i in range(4000))
    counts = Counter(op.draw(draws, photo.shape)["quality"] for draws in streams)
    assert set(counts) == set(range(60, 70))
    assert stats.chisquare([counts[quality] for quality in range(60, 70)]).pvalue > 1e-3


@pytest.mark.parametrize(("low", "high"), [(-1, 50), (50, 101), (60, 60), (70, 60), (50.0, 60), (None, 60), (True, 60)])
def test_qualities_are_whole_numbers_up_to_100(low: Any, high: Any) -> None:
    with pytest.raises(TransformError) as error:
        RandomJpegQuality(low, high)
    assert str(error.value).endswith(f"whole numbers with 0 <= min < max <= 100, got {low!r} and {high!r}")
