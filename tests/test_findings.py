"""What is found beside effects: rates, histograms, ops that cancel, boxes and masks that stray from their pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from augmill.transforms.base import MOVED, Params, PixelTransform, Sample, Shape
from augmill.transforms.findings import BINS, Findings, intended_rates, strays
from augmill.transforms.grammar import parse_policy
from augmill.transforms.motion import Motion, translation
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws


def policy(*entries: Any) -> Policy:
    parsed, problems = parse_policy(list(entries))
    assert problems == []
    return parsed


def find(chosen: Policy, photo: np.ndarray, count: int = 12) -> Findings:
    findings = Findings()
    for i in range(count):
        findings.begin()
        chosen.run(Sample(photo[:64, :64]), seed=0, key=str(i), copy=1, observe=findings.observe)
    return findings


def test_an_op_is_meant_to_be_applied_at_the_rate_of_what_it_stands_in() -> None:
    flip, hue = "tf.image.random_flip_left_right", {"tf.image.random_hue": {"max_delta": 0.1}}
    some = {"some_of": {"n": [1, 2], "do": [flip, hue, flip, hue]}}
    chosen = policy(flip, {"one_of": [flip, {"sometimes": {"p": 0.3, "do": [hue]}}]}, some)
    assert intended_rates(chosen) == pytest.approx(
        {"0": 1.0, "1.0": 0.5, "1.1.0": 0.15, "2.0": 0.375, "2.1": 0.375, "2.2": 0.375, "2.3": 0.375}
    )


def test_histograms_hold_every_draw(photo: np.ndarray) -> None:
    found = find(policy({"tf.image.random_brightness": {"max_delta": 0.2}}), photo, 100).histograms("0", {})["delta"]
    assert -0.2 <= found["low"] < -0.15 and 0.15 < found["high"] < 0.2
    assert len(found["counts"]) == BINS and sum(found["counts"]) == 100


def test_yes_and_no_are_counted_beside_the_chance_that_was_meant(photo: np.ndarray) -> None:
    found = find(policy("tf.image.random_flip_left_right"), photo, 100).histograms("0", {"flip": 0.5})["flip"]
    assert found["yes"] + found["no"] == 100
    assert 35 < found["yes"] < 65 and found["meant"] == 0.5


def test_an_op_that_undoes_the_one_before_is_found(photo: np.ndarray) -> None:
    twice = policy("tf.image.flip_left_right", "tf.image.flip_left_right")
    assert find(twice, photo).cancelling() == [("0", "1", 12, 12)]


def test_ops_that_meet_by_chance_do_not_cancel(photo: np.ndarray) -> None:
    """Two random flips undo each other in a quarter of the images, and do other things in the rest."""
    flips = policy("tf.image.random_flip_left_right", "tf.image.random_flip_up_down")
    assert find(flips, photo, 40).cancelling() == []
    assert find(policy("tf.image.flip_left_right", "tf.image.flip_up_down"), photo).cancelling() == []


@dataclass(frozen=True, repr=False)
class Shift(PixelTransform):
    """Move pixels by 20 to the right, and annotations by `boxes`: right for 20, wrong for others."""

    boxes: float
    mask: float

    name: ClassVar[str] = "shift"

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return np.pad(image, ((0, 0), (20, 0), (0, 0)))[:, :-20]

    def transform(self, sample: Sample, params: Params) -> Sample:
        by = [Motion(sample.image.shape[:2], translation(x, 0)) for x in (self.boxes, self.mask)]
        after = sample.moved(self.apply(sample.image, params), by[0])
        return replace(after, mask=None if sample.mask is None else by[1].move_mask(sample.mask))

    def treatment(self, kind: str) -> str:
        return MOVED


@pytest.fixture
def annotated(photo: np.ndarray) -> Sample:
    objects = Objects.from_boxes(np.array([[30, 30, 90, 80], [5, 5, 9, 9]]), np.array([0, 1]))
    return Sample(photo, objects=objects, mask=np.zeros(photo.shape[:2], np.uint8))


def test_boxes_that_go_elsewhere_than_their_pixels_are_found(annotated: Sample) -> None:
    assert strays(Shift(20, 20), annotated, {}) == []
    assert strays(Shift(19, 20), annotated, {}) == []  # interpolation may smear an edge
    assert strays(Shift(-20, 20), annotated, {}) == [
        "the box is at [10, 30, 70, 80], the pixels are at [50, 30, 110, 80]"
    ]
    assert strays(Shift(900, 20), annotated, {}) == ["the box is gone, the pixels are at [50, 30, 110, 80]"]


def test_a_mask_that_goes_elsewhere_is_found_with_and_without_boxes(annotated: Sample) -> None:
    line = ["the mask and the pixels have only 20% in common"]
    assert strays(Shift(20, -20), annotated, {}) == line
    alone = strays(Shift(20, -20), replace(annotated, objects=None), {})
    assert len(alone) == 1 and alone[0].startswith("the mask and the pixels have only")


def test_every_kind_of_op_passes_that_moves_boxes_rightly(annotated: Sample) -> None:
    entries: list[Any] = [
        "tf.image.flip_left_right",
        {"tf.image.random_hue": {"max_delta": 0.1}},
        {"keras.layers.RandomContrast": {"factor": 0.5}},
        {"keras.layers.RandomRotation": {"factor": 0.1, "fill_mode": "constant"}},
        {"keras.layers.RandomZoom": {"height_factor": 0.2, "fill_mode": "constant"}},
        {"keras.layers.RandomInvert": {"factor": 1.0}},
    ]
    for i, (at, op) in enumerate(policy(*entries).leaves()):
        for key in "abc":
            params = op.draw(Draws(seed=i, key=key, copy=1, at=at), annotated.image.shape)
            assert strays(op, annotated, params) == [], op


def test_an_image_without_annotations_has_nothing_to_stray(photo: np.ndarray) -> None:
    assert strays(Shift(-20, 0), Sample(photo), {}) == []


def test_a_range_too_narrow_for_its_bins_is_counted_all_the_same() -> None:
    findings = Findings()
    findings.values["0"]["factor"] = [1.3, 1.3000000000000003, 1.3]
    assert sum(findings.histograms("0", {})["factor"]["counts"]) == 3
    findings.values["0"]["factor"] = [2.0, 2.0]
    assert findings.histograms("0", {})["factor"] == {"low": 2.0, "high": 2.0, "counts": [2] + [0] * (BINS - 1)}
