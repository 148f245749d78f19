"""MixUp and CutMix: pixels, labels, objects and masks of two examples in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.mix import CutMix, KerasCutMix, KerasMixUp, MixUp
from augmill.transforms.objects import Objects

Drawn = Callable[..., list[dict[str, Any]]]
SIDE = 64


@pytest.fixture(scope="module")
def pair(photos: dict[str, np.ndarray]) -> tuple[Sample, Sample]:
    """A cat with two boxes and a coffee with one, with masks and keypoints."""
    cat, coffee = (np.ascontiguousarray(photos[name][100 : 100 + SIDE, 100 : 100 + SIDE]) for name in ("cat", "coffee"))
    points = np.array([[[10.5, 10.5, 2], [40.5, 40.5, 1]], [[50.5, 50.5, 2], [0, 0, 0]]])
    one = Objects.from_boxes(np.array([[5, 5, 30, 45], [40, 40, 60, 60]]), np.array([1, 2]), keypoints=points)
    other = Objects.from_boxes(np.array([[10, 20, 50, 50]]), np.array([3]), keypoints=points[:1])
    masks = np.ones((SIDE, SIDE), np.uint8), np.full((SIDE, SIDE), 9, np.uint8)
    return Sample(cat, 0, objects=one, mask=masks[0]), Sample(coffee, 1, objects=other, mask=masks[1])


def patch(top: int, left: int, bottom: int, right: int) -> dict[str, Any]:
    return {"partner": "b", "top": top, "left": left, "bottom": bottom, "right": right, "steps": []}


def test_mix_up_blends_pixels_by_the_weight_and_rounds_once(pair: tuple[Sample, Sample]) -> None:
    for weight in (0.0, 0.3, 0.5, 1.0):
        mixed = MixUp().mix(*pair, {"weight": weight})
        exact = weight * pair[0].image.astype(float) + (1 - weight) * pair[1].image
        assert np.abs(mixed.image - exact).max() <= 0.5 + 1e-4
        assert mixed.image.dtype == np.uint8


def test_mix_up_is_what_the_keras_layer_makes_of_the_pair(pair: tuple[Sample, Sample]) -> None:
    import keras

    batch = np.stack([sample.image for sample in pair]).astype(np.float32)
    transformation = {"mix_weight": np.array([0.3, 0.3], np.float32), "permutation_order": np.array([1, 0])}
    layer = np.asarray(keras.layers.MixUp().transform_images(batch, transformation))
    assert np.array_equal(KerasMixUp().mix(*pair, {"weight": 0.3}).image, np.rint(layer[0]).astype(np.uint8))


def test_labels_are_weighed_and_the_heavier_one_leads(pair: tuple[Sample, Sample]) -> None:
    mixed = MixUp().mix(*pair, {"weight": 0.3})
    assert mixed.label == 1
    assert dict(mixed.mixture or ()) == pytest.approx({0: 0.3, 1: 0.7})
    again = MixUp().mix(mixed, Sample(pair[0].image, 5), {"weight": 0.5})
    assert dict(again.mixture or ()) == pytest.approx({0: 0.15, 1: 0.35, 5: 0.5})
    assert (MixUp().mix(pair[0], pair[0], {"weight": 0.2})).mixture == ((0, 1.0),)
    assert MixUp().mix(Sample(pair[0].image), pair[1], {"weight": 0.2}).mixture is None


def test_mix_up_keeps_the_objects_of_both(pair: tuple[Sample, Sample]) -> None:
    objects = MixUp().mix(*pair, {"weight": 0.3}).objects
    assert objects is not None
    assert objects.labels.tolist() == [1, 2, 3]
    assert objects.boxes.tolist() == [[5, 5, 30, 45], [40, 40, 60, 60], [10, 20, 50, 50]]
    assert objects.numbers.tolist() == [0, 1, 2]


def test_cut_mix_pastes_a_window_with_its_mask(pair: tuple[Sample, Sample]) -> None:
    mixed = CutMix().mix(*pair, patch(10, 20, 40, 64))
    inside = np.zeros((SIDE, SIDE), bool)
    inside[10:40, 20:64] = True
    assert np.array_equal(mixed.image[inside], pair[1].image[inside])
    assert np.array_equal(mixed.image[~inside], pair[0].image[~inside])
    assert mixed.mask is not None and ((mixed.mask == 9) == inside).all()
    assert dict(mixed.mixture or ()) == pytest.approx({0: 1 - inside.mean(), 1: inside.mean()})


def test_cut_mix_keeps_what_is_seen_of_objects(pair: tuple[Sample, Sample]) -> None:
    """The first box loses its right edge, the second is covered whole, the partner's is cut by the window."""
    objects = CutMix().mix(*pair, patch(0, 20, 64, 64)).objects
    assert objects is not None
    assert objects.labels.tolist() == [1, 3]
    assert objects.boxes.tolist() == [[5, 5, 20, 45], [20, 20, 50, 50]]
    assert objects.visible.tolist() == pytest.approx([15 / 25, 30 / 40])
    assert objects.keypoints is not None
    assert objects.keypoints.tolist() == [[[10.5, 10.5, 2], [0, 0, 0]], [[0, 0, 0], [40.5, 40.5, 1]]]


def test_a_window_in_the_middle_of_an_object_leaves_its_box(pair: tuple[Sample, Sample]) -> None:
    objects = CutMix().mix(*pair, patch(10, 10, 20, 20)).objects
    assert objects is not None
    assert objects.boxes[0].tolist() == [5, 5, 30, 45]
    assert objects.visible[0] == pytest.approx(0.9)


def test_the_weight_of_mix_up_is_beta(drawn: Drawn, follows: Callable[..., bool]) -> None:
    for alpha in (0.2, 1.0, 4.0):
        weights = [params["weight"] for params in drawn(MixUp(alpha))]
        assert follows(weights, "beta", alpha, alpha)
        assert weights == [params["weight"] for params in drawn(KerasMixUp(alpha))]


def test_the_window_of_cut_mix_has_its_share_and_place(drawn: Drawn, follows: Callable[..., bool]) -> None:
    shape = (1000, 2000, 3)
    for params in drawn(CutMix(), shape, 200):
        assert 0 <= params["top"] <= params["bottom"] <= 1000
        assert 0 <= params["left"] <= params["right"] <= 2000
    whole = [p for p in drawn(CutMix(), shape) if p["top"] > 0 and p["bottom"] < 1000]
    heights = np.array([p["bottom"] - p["top"] for p in whole]) / 1000
    assert len(heights) > 500
    widths = np.array([p["right"] - p["left"] for p in whole]) / 2000
    uncut = np.array([p["left"] > 0 and p["right"] < 2000 for p in whole])
    assert np.abs(heights - widths)[uncut].max() <= 0.002  # the image's proportions
    # Of windows that are not cut, the smaller are the more: a window of height h lies inside with chance 1 - h.
    inner = heights[uncut]
    assert follows(inner, "beta", 2, 3)


def test_the_window_of_keras_cut_mix_lies_inside(drawn: Drawn, follows: Callable[..., bool]) -> None:
    shape = (1000, 1000, 3)
    shares = []
    for params in drawn(KerasCutMix((1.0, 1.0)), shape):
        assert params["top"] >= 0 and params["bottom"] <= 1000 and params["left"] >= 0 and params["right"] <= 1000
        shares.append((params["bottom"] - params["top"]) * (params["right"] - params["left"]) / 1e6)
    assert follows(shares, "uniform")
    spread = [np.var([(p["bottom"] - p["top"]) ** 2 / 1e6 for p in drawn(KerasCutMix(f), shape)]) for f in (0.2, 1.0)]
    assert spread[0] > spread[1] > 1 / 12  # a smaller alpha is nearer to all or nothing
    tops = [
        p["top"] / (1000 - (p["bottom"] - p["top"]))
        for p in drawn(KerasCutMix((1.0, 1.0)), shape)
        if p["bottom"] - p["top"] < 900
    ]
    assert stats.kstest(tops, "uniform").pvalue > 1e-3


def test_arguments_are_checked() -> None:
    for op in (MixUp, KerasMixUp, CutMix):
        with pytest.raises(TransformError, match=r"^alpha must be a number above 0, got 0$"):
            op(0)
    with pytest.raises(TransformError, match=r"^factor must reach above 0, or nothing is ever pasted, got 0$"):
        KerasCutMix(0)
    with pytest.raises(TransformError, match=r"^factor must be a number in \[0, 1\], got 2"):
        KerasCutMix(2)
    assert KerasCutMix([0.5, 1]).arguments() == {"factor": [0.5, 1.0]}  # type: ignore[arg-type]


def test_images_of_two_sizes_are_refused(pair: tuple[Sample, Sample]) -> None:
    small = Sample(pair[1].image[:20])
    for op in (MixUp(), CutMix()):
        with pytest.raises(TransformError, match=r"mixes images of one size, got 64x64 and 20x64; set image.size"):
            op.mix(pair[0], small, {"weight": 0.5, **patch(0, 0, 10, 10)})
