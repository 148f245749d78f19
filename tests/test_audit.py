"""Effects: counts that agree with NumPy and add up."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import numpy as np
import pytest

from augmill.transforms.audit import Effect, Effects
from augmill.transforms.base import Sample
from augmill.transforms.color import RandomBrightness, RandomHue
from augmill.transforms.composition import OneOf
from augmill.transforms.geometry import RandomCrop, RandomFlipLeftRight
from augmill.transforms.keras_affine import RandomTranslation
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy

POLICY = Policy(
    (
        RandomFlipLeftRight(),
        OneOf((RandomHue(0.2), RandomTranslation(0.2, 0.1))),
        RandomBrightness(0.3),
        RandomCrop((30, 20, 3)),
    )
)


@pytest.fixture(scope="module")
def samples(photo: np.ndarray) -> list[Sample]:
    """Forty windows of the photo, no two alike."""
    return [Sample(photo[4 * i : 4 * i + 40, 3 * i : 3 * i + 32], i % 5) for i in range(40)]


def count(samples: list[Sample], first: int = 0) -> Effects:
    effects = Effects(POLICY.leaves())
    for i, sample in enumerate(samples, start=first):
        POLICY.run(
            sample, seed=0, key=f"rose/{i}.jpg", copy=1, observe=lambda at, op, *rest: effects.by_place[at].add(*rest)
        )
    return effects


def test_counts_agree_with_numpy(samples: list[Sample]) -> None:
    seen: list[Any] = []
    for i, sample in enumerate(samples):
        POLICY.run(sample, seed=0, key=f"rose/{i}.jpg", copy=1, observe=lambda *call: seen.append(call))
    effects = list(count(samples))
    assert [(effect.at, effect.op) for effect in effects] == [(at, op.spec_name) for at, op in POLICY.leaves()]
    for effect in effects[:-1]:
        # Between ops in floats pixels are compared as the levels that they become.
        pairs = [(np.rint(b.image), np.rint(a.image)) for at, _, _, b, a in seen if at == effect.at]
        differences = [np.abs(before.astype(int) - after.astype(int)) for before, after in pairs]
        assert effect.applied == effect.measured == len(pairs) > 0
        assert effect.changed == sum(difference.any() for difference in differences)
        assert effect.changed_fraction == effect.changed / len(pairs)
        assert effect.difference == sum(difference.sum() for difference in differences)
        assert effect.mean_change == pytest.approx(np.mean(differences), rel=1e-12)
    assert 0 < effects[0].changed < effects[0].applied == 40
    assert effects[1].applied + effects[2].applied == 40


def test_an_op_that_changes_the_shape_changes_every_image(samples: list[Sample]) -> None:
    crop = list(count(samples))[-1]
    assert (crop.op, crop.applied, crop.changed, crop.compared) == ("tf.image.random_crop", 40, 40, 0)
    assert crop.mean_change is None


def test_a_change_of_the_label_is_a_change(photo: np.ndarray) -> None:
    effect = Effect("relabel", "0")
    effect.add({}, Sample(photo, 1), Sample(photo.copy(), 1))
    assert (effect.changed, effect.mean_change) == (0, 0.0)
    effect.add({}, Sample(photo, 1), Sample(photo.copy(), 2))
    assert (effect.applied, effect.changed, effect.changed_fraction) == (2, 1, 0.5)


def test_one_level_of_one_pixel_is_a_change(photo: np.ndarray) -> None:
    touched = photo.copy()
    touched[100, 50, 1] ^= 1
    effect = Effect("touch", "0")
    effect.add({}, Sample(photo), Sample(touched))
    assert (effect.changed, effect.difference, effect.compared) == (1, 1, 224 * 224 * 3)


def test_pixels_driven_to_an_end_are_counted(photo: np.ndarray) -> None:
    """Those that were at 0 or 255 before do not count."""
    before = np.full((10, 10, 3), 100, np.uint8)
    before[0] = 255
    after = before.copy()
    after[0], after[1], after[2] = 255, 0, 255
    effect = Effect("burn", "0")
    effect.add({}, Sample(before), Sample(after))
    assert (effect.saturated, effect.compared, effect.saturated_fraction) == (60, 300, 0.2)


def test_floats_between_ops_are_compared_as_the_levels_they_become(photo: np.ndarray) -> None:
    effect = Effect("faint", "0")
    effect.add({}, Sample(photo.astype(np.float32)), Sample(np.clip(photo + np.float32(0.3), 0, 255)))
    assert (effect.applied, effect.changed, effect.difference) == (1, 0, 0)


def test_objects_that_are_lost_are_counted_and_a_moved_box_is_a_change(photo: np.ndarray) -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 50, 50], [60, 60, 80, 90.0]])
    objects = Objects.from_boxes(boxes, np.array([0, 1, 2]))
    effect = Effect("crop", "0")
    effect.add({}, Sample(photo, objects=objects), Sample(photo, objects=objects.kept([True, False, True])))
    assert (effect.objects, effect.lost, effect.changed) == (3, 1, 1)
    effect.add({}, Sample(photo, objects=objects), Sample(photo, objects=Objects.from_boxes(boxes + 1, [0, 1, 2])))
    assert (effect.objects, effect.lost, effect.changed) == (6, 1, 2)
    effect.add({}, Sample(photo, objects=objects), Sample(photo, objects=objects))
    assert (effect.lost, effect.changed) == (1, 2)


def test_what_is_counted_but_not_measured_has_changed_nothing_yet(photo: np.ndarray) -> None:
    effect = Effect("op", "0")
    effect.count([{"delta": 0.25, "noise_seed": 7}, {"delta": -0.5, "mode": "wrap", "noise_seed": 8}, {}])
    assert (effect.applied, effect.measured, effect.changed_fraction) == (3, 0, 0.0)
    assert effect.ranges == {"delta": [-0.5, 0.25]}
    effect.measure(Sample(photo), Sample(255 - photo))
    effect.measure(Sample(photo), Sample(photo))
    assert (effect.applied, effect.measured, effect.changed, effect.changed_fraction) == (3, 2, 1, 0.5)


def test_steps_are_counted_by_the_places_of_their_ops() -> None:
    effects = Effects(POLICY.leaves())
    effects.count([("0", {"flip": True}), ("2", {"delta": 0.5}), ("0", {"flip": False}), ("2", {"delta": 0.25})])
    assert [(effect.applied, effect.ranges) for effect in effects] == [
        (2, {"flip": [0.0, 1.0]}),
        (0, {}),
        (0, {}),
        (2, {"delta": [0.25, 0.5]}),
        (0, {}),
    ]


def test_an_op_never_applied_has_changed_nothing() -> None:
    effect = Effect("never", "0")
    assert (effect.changed_fraction, effect.mean_change) == (0.0, None)


def test_ranges_are_the_least_and_the_greatest_drawn(photo: np.ndarray) -> None:
    effect = Effect("op", "0")
    for params in (
        {"delta": 0.25, "flip": True, "shift": [3.0, -1], "seed": [9, 9], "mode": "wrap"},
        {"delta": -0.5, "flip": False, "shift": [1.0, 4], "seed": [-9, 1], "mode": "wrap"},
        {"delta": 0.0, "flip": False, "shift": [2.0, 0], "seed": [0, 0], "zoom": [1.5]},
    ):
        effect.add(params, Sample(photo), Sample(photo))
    assert effect.ranges == {
        "delta": [-0.5, 0.25],
        "flip": [0, 1],
        "shift[0]": [1.0, 3.0],
        "shift[1]": [-1, 4],
        "zoom": [1.5, 1.5],
    }


def test_ranges_lie_within_what_the_op_may_draw(samples: list[Sample]) -> None:
    _, hue, shift, brightness, crop = count(samples)
    assert -0.3 <= brightness.ranges["delta"][0] < -0.2
    assert 0.2 < brightness.ranges["delta"][1] < 0.3
    assert set(hue.ranges) == {"delta"}
    assert set(shift.ranges) == {"down", "right"}
    assert crop.ranges == {"top": [0, 10], "left": [0, 12]}


@pytest.mark.parametrize("cuts", [(20,), (1, 39), (7, 8, 30), (0, 40), tuple(range(1, 40))])
def test_shares_of_the_work_add_up_to_the_whole(samples: list[Sample], cuts: tuple[int, ...]) -> None:
    whole, merged = count(samples).rows(), Effects(POLICY.leaves())
    bounds = [*itertools.pairwise((0, *cuts, 40))]
    random.Random(len(cuts)).shuffle(bounds)
    for start, end in bounds:
        merged.merge_rows(json.loads(json.dumps(count(samples[start:end], start).rows())))
    assert merged.rows() == whole
