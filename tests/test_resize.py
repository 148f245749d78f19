"""Resizing: the pixels of tf.image in bytes, and annotations on the same scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.rendering import carry_out
from augmill.transforms.resize import OPS, Resize, ResizeWithPad
from augmill.transforms.window import METHODS

BOXES = [(30, 40, 90, 80), (0, 0, 70, 60), (120, 90, 200, 160), (0, 60, 200, 100)]
SIZES = [(112, 112), (57, 131), (300, 260), (224, 224), (1, 1)]


def in_bytes(pixels: Any) -> Any:
    return tf.saturate_cast(tf.round(pixels), tf.uint8).numpy()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [True, False])
def test_pixels_are_those_of_tensorflow(photo: np.ndarray, method: str, antialias: bool) -> None:
    for size in SIZES:
        for image in (photo, photo[:90, :1], photo[:1, :90], photo[:50, :60, :1]):
            resized = Resize(size, method, antialias=antialias).apply(image, {})
            reference = tf.image.resize(image, size, method, antialias=antialias)
            assert resized.dtype == np.uint8
            assert np.array_equal(resized, in_bytes(reference))


def test_overshooting_methods_saturate(photo: np.ndarray) -> None:
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    floats = tf.image.resize(edge, (32, 32), "lanczos5").numpy()
    assert floats.min() < 0
    assert floats.max() > 255
    assert np.array_equal(Resize((32, 32), "lanczos5").apply(edge, {}), np.clip(np.rint(floats), 0, 255))


def test_proportions_are_kept_to_the_pixel_as_in_tensorflow() -> None:
    generator = np.random.default_rng(0)
    for _ in range(150):
        shape, size = generator.integers(20, 400, 2), generator.integers(20, 400, 2)
        image = generator.integers(0, 256, (*shape, 1), dtype=np.uint8)
        op = Resize(tuple(size.tolist()), "nearest", preserve_aspect_ratio=True)
        reference = tf.image.resize(image, size, "nearest", preserve_aspect_ratio=True).numpy()
        assert np.array_equal(op.apply(image, {}), reference)
        assert op.motion({}, image.shape).shape == reference.shape[:2]


def test_padding_is_that_of_tensorflow() -> None:
    generator = np.random.default_rng(1)
    for i in range(150):
        shape, (height, width) = generator.integers(20, 400, 2), generator.integers(20, 400, 2).tolist()
        image = generator.integers(1, 256, (*shape, 3), dtype=np.uint8)
        method = METHODS[i % len(METHODS)]
        op = ResizeWithPad(height, width, method, antialias=i % 2 == 0)
        reference = tf.image.resize_with_pad(image, height, width, method, antialias=i % 2 == 0)
        assert np.array_equal(op.apply(image, {}), in_bytes(reference))


@pytest.mark.parametrize("op", [ResizeWithPad(32, 40), Resize((32, 40), preserve_aspect_ratio=True)])
@pytest.mark.parametrize(("shape", "side"), [((1, 500), 40), ((500, 1), 32)])
def test_a_side_keeps_at_least_a_pixel_where_tensorflow_fails(op: Any, shape: tuple[int, int], side: int) -> None:
    image = np.full((*shape, 3), 200, np.uint8)
    assert (op.apply(image, {}) == 200).all(axis=2).sum() == side
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        tf.image.resize_with_pad(image, 32, 40)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(
    "op",
    [
        *(Resize((101, 301), method) for method in METHODS),
        *(Resize((320, 90), method, antialias=True) for method in METHODS),
        Resize((100, 300), preserve_aspect_ratio=True),
        ResizeWithPad(240, 240),
        ResizeWithPad(100, 301, "area"),
    ],
)
def test_annotations_are_on_the_same_scale(overlaps: Any, op: Any, box: tuple[int, int, int, int]) -> None:
    box_iou, mask_iou = overlaps(op, {}, box)
    assert box_iou >= 0.95
    assert mask_iou >= 0.95


@pytest.mark.parametrize("size", [(75, 301), (448, 101), (224, 224)])
def test_a_mask_is_resized_as_tensorflow_does_by_nearest(photo: np.ndarray, size: tuple[int, int]) -> None:
    mask = photo[..., 1].astype(np.int32)
    after = carry_out(Resize(size), Sample(photo, mask=mask), {})
    assert after.mask is not None
    assert after.mask.dtype == np.int32
    nearest = tf.image.resize(mask[..., None], size, "nearest").numpy()[..., 0]
    # Where a centre lies on the border of two pixels, both are nearest.
    rows, columns = ((np.arange(length) + 0.5) * (224 / length) for length in size)
    clear = np.ix_(np.abs(rows - np.rint(rows)) > 1e-6, np.abs(columns - np.rint(columns)) > 1e-6)
    assert np.array_equal(after.mask[clear], nearest[clear])


@pytest.mark.parametrize("size", [100, [100], [100, 100, 3], "100", None])
def test_a_size_is_two_numbers(size: Any) -> None:
    with pytest.raises(TransformError) as error:
        Resize(size)
    assert str(error.value) == f"size must be [height, width] in whole pixels, got {size!r}"


def test_arguments_are_checked() -> None:
    with pytest.raises(TransformError, match=r"^size: the width must be a whole number of at least 1, got 0$"):
        Resize((10, 0))
    with pytest.raises(TransformError, match=r"^target_height must be a whole number of at least 1, got -4$"):
        ResizeWithPad(-4, 4)
    with pytest.raises(TransformError, match=r"^method must be one of bilinear, lanczos3, .*, got 'cubic'$"):
        ResizeWithPad(4, 4, "cubic")
    with pytest.raises(TransformError, match=r"^antialias must be one of True, False, got 1$"):
        Resize((4, 4), antialias=1)  # type: ignore[arg-type]
    with pytest.raises(TransformError, match=r"^preserve_aspect_ratio must be one of True, False, got 'yes'$"):
        Resize((4, 4), preserve_aspect_ratio="yes")  # type: ignore[arg-type]


def test_every_op_is_its_spec() -> None:
    made = [Resize([4, 5], "area", True, True), ResizeWithPad(4, 5, "nearest", True)]  # type: ignore[arg-type]
    assert {type(op) for op in made} == set(OPS)
    for op in made:
        assert type(op)(**op.arguments()) == op
