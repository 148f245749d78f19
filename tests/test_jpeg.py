"""The loss of a JPEG encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.base import TransformError
from augmill.transforms.jpeg import OPS, AdjustJpegQuality, RandomJpegQuality, StatelessRandomJpegQuality
from augmill.transforms.randomness import Draws

OP = RandomJpegQuality(20, 90)


@pytest.mark.parametrize("kind", [RandomJpegQuality, StatelessRandomJpegQuality])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_the_op_of_tensorflow(photo: np.ndarray, kind: Any, channels: int) -> None:
    for seed in ([5, i] for i in range(5)):
        quality = int(tf.random.stateless_uniform([], seed, 20, 90, tf.int32))
        image = kind(20, 90).apply(photo[..., :channels], {"quality": quality})
        assert image.dtype == np.uint8
        reference = tf.image.stateless_random_jpeg_quality(photo[..., :channels], 20, 90, seed)
        assert np.array_equal(image, reference.numpy())


@pytest.mark.parametrize("quality", [0, 35, 99])
def test_the_image_is_encoded_at_its_quality_and_decoded_again(photo: np.ndarray, quality: int) -> None:
    encoded = tf.io.encode_jpeg(photo, quality=quality)
    assert np.array_equal(OP.apply(photo, {"quality": quality}), tf.io.decode_jpeg(encoded).numpy())


def test_a_lower_quality_loses_more(photo: np.ndarray) -> None:
    loss = [np.abs(OP.apply(photo, {"quality": q}).astype(int) - photo).mean() for q in (95, 60, 30, 5)]
    assert loss == sorted(loss)
    assert 0 < loss[0] < 5 < loss[-1]


@pytest.mark.parametrize("kind", [RandomJpegQuality, StatelessRandomJpegQuality])
def test_qualities_are_equally_likely_and_leave_out_the_maximum(drawn: Any, equally_likely: Any, kind: Any) -> None:
    assert equally_likely([params["quality"] for params in drawn(kind(60, 70))], list(range(60, 70)))


@pytest.mark.parametrize("method", ["", "INTEGER_FAST", "INTEGER_ACCURATE"])
def test_an_adjustment_is_that_of_tensorflow(photo: np.ndarray, drawn: Any, method: str) -> None:
    op = AdjustJpegQuality((0, 100), method)
    for image in (photo, photo[..., :1], photo[:1], photo[:, :1]):
        for params in drawn(op, image.shape, 5):
            reference = tf.image.adjust_jpeg_quality(image, params["jpeg_quality"], dct_method=method)
            assert np.array_equal(op.apply(image, params), reference.numpy())


def test_the_way_of_decoding_has_its_effect(photo: np.ndarray) -> None:
    accurate, fast = (
        AdjustJpegQuality(60, method).apply(photo, {"jpeg_quality": 60}) for method in ("INTEGER_ACCURATE", "")
    )
    assert not np.array_equal(accurate, fast)


def test_an_adjustment_has_the_quality_given_or_one_of_a_range(drawn: Any, equally_likely: Any) -> None:
    drawn_from = [params["jpeg_quality"] for params in drawn(AdjustJpegQuality([60, 70]))]  # type: ignore[arg-type]
    assert equally_likely(drawn_from, list(range(60, 71)))
    assert AdjustJpegQuality(75).draw(Draws(seed=0, key="a", copy=1, at="0"), (8, 8, 3)) == {"jpeg_quality": 75}


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        (101, "jpeg_quality must be a whole number of at least 0 and at most 100, got 101"),
        (0.5, "jpeg_quality must be a whole number of at least 0 and at most 100, got 0.5"),
        ([20, 30.0], "jpeg_quality must be a whole number of at least 0 and at most 100, got 30.0"),
        ([30, 20], "jpeg_quality must be [lowest, highest], got [30, 20]"),
        ([30], "jpeg_quality must be a whole number or [lowest, highest], got [30]"),
    ],
)
def test_an_adjustment_needs_whole_numbers(quality: Any, message: str) -> None:
    with pytest.raises(TransformError) as error:
        AdjustJpegQuality(quality)
    assert str(error.value) == message


def test_the_ways_of_decoding_are_named() -> None:
    with pytest.raises(
        TransformError, match=r"^dct_method must be one of .*INTEGER_FAST, INTEGER_ACCURATE, got 'SLOW'$"
    ):
        AdjustJpegQuality(50, "SLOW")


def test_every_op_is_its_spec() -> None:
    made = [OP, StatelessRandomJpegQuality(3, 4), AdjustJpegQuality(50), AdjustJpegQuality([3, 9], "INTEGER_FAST")]  # type: ignore[arg-type]
    assert {type(op) for op in made} == set(OPS)
    for op in made:
        assert type(op)(**op.arguments()) == op


@pytest.mark.parametrize(("low", "high"), [(-1, 50), (50, 101), (60, 60), (70, 60), (50.0, 60), (None, 60), (True, 60)])
def test_qualities_are_whole_numbers_up_to_100(low: Any, high: Any) -> None:
    with pytest.raises(TransformError) as error:
        RandomJpegQuality(low, high)
    assert str(error.value).endswith(f"whole numbers with 0 <= min < max <= 100, got {low!r} and {high!r}")
