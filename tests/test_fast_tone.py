"""Fast kernels of tones make the bytes of tf.image and Keras on real photos, alone and joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from augmill.transforms import adjust, color, keras_color, keras_tone
from augmill.transforms.base import Params, Sample, Transform
from augmill.transforms.catalog import OPS
from augmill.transforms.fast_tone import FAST_TONE
from augmill.transforms.fusion import Fused, append, run
from augmill.transforms.kernels import Tone
from augmill.transforms.objects import Objects
from augmill.transforms.rendering import FusedRendering, PlainRendering, carry_out, finished

# An op, and parameters beyond those that it draws: the ends of their ranges, and what changes nothing.
CASES: list[tuple[Transform, list[Params]]] = [
    (color.RandomBrightness(1.0), [{"delta": d} for d in (-1.0, -0.2, 0.0, 0.5, 1.0)]),
    (color.StatelessRandomBrightness(0.3), []),
    (adjust.AdjustBrightness((-1.0, 1.0)), []),
    (color.RandomContrast(0.0, 3.0), [{"factor": f} for f in (0.0, 0.5, 1.0, 2.0)]),
    (color.StatelessRandomContrast(0.5, 1.5), []),
    (adjust.AdjustContrast((-2.0, 4.0)), [{"contrast_factor": 255.0}]),
    (adjust.AdjustGamma((0.0, 3.0), (0.0, 2.0)), [{"gamma": 0.0, "gain": 0.5}, {"gamma": 1.0, "gain": 1.5}]),
    (keras_color.RandomBrightness(1.0), [{"factor": f} for f in (-1.0, 0.0, 0.1, 1.0)]),
    (keras_color.RandomContrast(1.0), [{"factor": f} for f in (0.0, 0.5, 1.0, 2.0)]),
    (keras_tone.RandomInvert(0.5), []),
    (keras_tone.RandomPosterization((1, 8)), []),
    (keras_tone.Solarization(1.0, 1.0), [{"addition": 0.2, "threshold": 0.5}, {"addition": 0.0, "threshold": 1.0}]),
    (keras_tone.AutoContrast(), []),
    (keras_tone.Equalization(), []),
    (keras_tone.Equalization(bins=16), []),
    (keras_tone.Equalization(bins=1000), []),
]
EXACT = 0.0
# TensorFlow's mean of a channel and its power may be off by their last bit: a level is then off by one, in one image of
# thousands.
RARELY_OFF = 1e-3
BOUND = {color.RandomContrast, color.StatelessRandomContrast, adjust.AdjustContrast, adjust.AdjustGamma}
BOUND |= {keras_color.RandomContrast}


def images(photo: np.ndarray, photos: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Photos and pieces of them, some dull, one of a single level, in colour and in grey."""
    whole = [photo, photos["coffee"][:375, :500], photos["galaxy"][300:332, 400:432], photo // 8 + 90]
    thin = [photo[:1, :57], photo[:57, :1], photo[:1, :1], np.full((9, 7, 3), 77, np.uint8)]
    return [np.ascontiguousarray(image[..., :channels]) for image in whole + thin for channels in (3, 1)]


def fast(row: list[tuple[Transform, Params]], image: np.ndarray) -> tuple[np.ndarray, list[Fused]]:
    """The image after the kernels of a row of ops, joined, and these."""
    joined: list[Fused] = []
    for i, (op, params) in enumerate(row):
        for kernel in FAST_TONE[type(op)](op, params, image.shape):
            append(joined, kernel, str(i), image.shape)
    return run(joined, Sample(image)), joined


def by_reference(row: list[tuple[Transform, Params]], image: np.ndarray) -> np.ndarray:
    by = PlainRendering(Sample(image))
    for i, (op, params) in enumerate(row):
        by.apply(op, str(i), params)
    return finished(by.sample()).image


@pytest.mark.parametrize(("op", "more"), CASES, ids=[op.spec_name for op, _ in CASES])
def test_bytes_are_those_of_the_reference(
    photo: np.ndarray, photos: dict[str, np.ndarray], drawn: Callable[..., Any], op: Transform, more: list[Params]
) -> None:
    bound = RARELY_OFF if type(op) in BOUND else EXACT
    for image in images(photo, photos):
        before = image.copy()
        for params in [*drawn(op, image.shape, 6), *more]:
            result, _ = fast([(op, params)], image)
            expected = finished(carry_out(op, Sample(image), params)).image
            apart = np.abs(result.astype(int) - expected)
            assert result.dtype == np.uint8 and result.shape == image.shape
            assert apart.max() <= np.ceil(bound) and apart.mean() <= bound, (params, image.shape)
        assert np.array_equal(image, before)


def test_every_op_of_levels_stands_in_the_table() -> None:
    twins = {op.name: type(op) for op, _ in CASES}
    assert set(FAST_TONE) == set(twins.values())
    assert all(OPS[name] is op for name, op in twins.items())
    assert set(keras_tone.OPS) <= set(FAST_TONE)


def keras(factor: float) -> tuple[Transform, Params]:
    return keras_color.RandomBrightness(1.0), {"factor": factor}


ROWS: list[list[tuple[Transform, Params]]] = [
    # Fractions go from layer to layer, and are rounded once.
    [keras(0.1003), keras(-0.2498)],
    [keras(0.0711), (keras_tone.RandomPosterization(3), {"bits": 3}), (keras_tone.RandomInvert(), {"invert": True})],
    [(keras_color.RandomContrast(1.0), {"factor": 0.37}), (keras_tone.RandomPosterization((1, 8)), {"bits": 8})],
    [keras(0.151), (keras_tone.AutoContrast(), {})],
    [keras(-0.151), (keras_tone.Equalization(), {}), (keras_tone.AutoContrast(), {})],
    # tf.image takes and gives whole levels: fractions that came before are rounded first.
    [keras(0.0499), (color.RandomBrightness(1.0), {"delta": 0.0499}), keras(0.0499)],
    [(color.RandomContrast(0.0, 3.0), {"factor": 1.73}), (adjust.AdjustGamma(0.5), {"gamma": 0.5, "gain": 1.1})],
    # What is learned of an image is learned of it as the ops before have left it.
    [(keras_tone.RandomInvert(), {"invert": True}), (keras_tone.Equalization(), {})],
    [(adjust.AdjustGamma(2.0), {"gamma": 2.0, "gain": 1.3}), (color.RandomContrast(0.0, 3.0), {"factor": 1.73})],
    [(keras_tone.Solarization(), {"addition": 0.3, "threshold": 0.6}), (keras_tone.AutoContrast(), {}), keras(0.0333)],
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(type(op).__name__ for op, _ in row))
def test_a_row_of_ops_is_one_table_and_has_the_bytes_of_the_reference(
    photo: np.ndarray, photos: dict[str, np.ndarray], row: list[tuple[Transform, Params]]
) -> None:
    for image in images(photo, photos):
        result, joined = fast(row, image)
        assert len(joined) == 1 and isinstance(joined[0].kernel, Tone)
        apart = np.abs(result.astype(int) - by_reference(row, image))
        assert apart.max() <= 1 and apart.mean() <= RARELY_OFF, image.shape


def test_an_invert_that_is_not_drawn_is_nothing_to_do(photo: np.ndarray) -> None:
    assert FAST_TONE[keras_tone.RandomInvert](keras_tone.RandomInvert(0.5), {"invert": False}, photo.shape) == ()


def test_annotations_stay_where_they_are(photo: np.ndarray) -> None:
    objects = Objects.from_boxes(np.array([[10, 20, 90, 100]]), np.array([3]))
    by = FusedRendering(Sample(photo, label=2, objects=objects, mask=photo[..., 0] // 32))
    for op, params in ROWS[1]:
        by.apply(op, "0", params)
    after = by.sample()
    assert after.label == 2 and after.objects is objects
    assert np.array_equal(after.mask, photo[..., 0] // 32)
    assert not np.array_equal(finished(after).image, photo)
