"""What is worth knowing of a policy beside its effects: rates, histograms, ops that cancel, boxes that stray."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from augmill.transforms.audit import numbers
from augmill.transforms.base import MixTransform, Params, Sample, Transform, TransformError
from augmill.transforms.composition import Node
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy
from augmill.transforms.rendering import carry_out, finished

BINS = 16
_LEFT_OF_CHANGE = 0.1  # two ops cancel where less than this share of what either changed is left after both
_FEWEST_PAIRS = 3  # times that two ops must have met to be judged
_SMALLEST_SIDE = 12  # pixels: the boxes of smaller objects can't be judged
_MOST_OBJECTS = 3  # of an image that are judged, the largest
_LEAST_OVERLAP = 0.7
_TOLERANCE = 2.0  # pixels by which edges may differ: interpolation smears them


def intended_rates(policy: Policy) -> dict[str, float]:
    """The share of renditions that each op is meant to be applied to, by its position."""
    rates: dict[str, float] = {}

    def walk(node: Node, at: str, rate: float) -> None:
        if isinstance(node, Transform):
            rates[at] = rate
            return
        for i, op in enumerate(node.ops):
            walk(op, f"{at}.{i}", rate * node.share)

    for i, node in enumerate(policy.ops):
        if node is not None:
            walk(node, str(i), 1.0)
    return rates


@dataclass
class Findings:
    """Gathers what happens to each op over many renditions, as the policy's observer."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    _last: tuple[str, Sample, Sample] | None = None
    _met: dict[tuple[str, str], list[bool]] = field(default_factory=lambda: defaultdict(list))

    def begin(self) -> None:
        """Begin another rendition."""
        self._last = None

    def observe(self, at: str, op: Transform, params: Params, before: Sample, after: Sample) -> None:
        """Note one application."""
        for name, value in numbers(params):
            self.values[at][name].append(value)
        if self._last is not None:
            self._judge_pair(at, before, after)
        self._last = (at, before, after)

    def _judge_pair(self, at: str, before: Sample, after: Sample) -> None:
        assert self._last is not None
        earlier, start, _ = self._last
        first, second = _distance(start, before), _distance(before, after)
        if min(first, second) > 0:
            self._met[earlier, at].append(_distance(start, after) < _LEFT_OF_CHANGE * max(first, second))

    def cancelling(self) -> list[tuple[str, str, int, int]]:
        """Pairs of neighbouring ops of which the second mostly undoes the first: (first, second, undone, met)."""
        pairs = ((*pair, sum(undone), len(undone)) for pair, undone in self._met.items())
        return [pair for pair in pairs if pair[3] >= _FEWEST_PAIRS and pair[2] > 0.9 * pair[3]]

    def histograms(self, at: str, chances: Mapping[str, float]) -> dict[str, dict[str, Any]]:
        """Each drawn parameter of one op in equal bins from the lowest to the highest value drawn.

        A parameter that is yes or no is told as the number of either, beside the chance that the op means to give yes.
        """
        found: dict[str, dict[str, Any]] = {}
        for name, values in self.values[at].items():
            if name in chances:
                found[name] = {"yes": int(sum(values)), "no": int(len(values) - sum(values)), "meant": chances[name]}
                continue
            low, high = min(values), max(values)
            # By hand: NumPy refuses a range too narrow for its bins.
            places = [int(BINS * (value - low) / (high - low)) if high > low else 0 for value in values]
            counts = np.bincount(np.minimum(places, BINS - 1), minlength=BINS)
            found[name] = {"low": low, "high": high, "counts": counts.tolist()}
        return found


def _distance(one: Sample, other: Sample) -> float:
    if one.image.shape != other.image.shape:
        return float("inf")
    if one.image.dtype == other.image.dtype == np.uint8:
        return cv2.norm(one.image, other.image, cv2.NORM_L1) / one.image.size
    return float(np.abs(one.image.astype(np.float32) - other.image.astype(np.float32)).mean())


def strays(op: Transform, sample: Sample, params: Params, kernels: str = "reference") -> list[str]:
    """Say where an op, carried out by kernels of this name, moves boxes or the mask otherwise than pixels.

    Each object of the sample, or the middle of an image that has a mask alone, is painted as a white rectangle on black
    and sent through the op by itself; where its box and its mask end is compared with where its pixels do.

    Returns:
      A line for each box or mask that strays.
    """
    if not sample.kinds or isinstance(op, MixTransform):
        return []
    height, width = sample.image.shape[:2]
    middle = np.array([[width // 3, height // 3, width - width // 3, height - height // 3]], np.float64)
    boxes = middle if sample.objects is None else sample.objects.boxes
    largest = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")[:_MOST_OBJECTS]
    found: list[str] = []
    for i in map(int, largest):
        box = np.rint(boxes[i]).astype(int)
        if min(box[2] - box[0], box[3] - box[1]) < _SMALLEST_SIDE:
            continue
        try:
            pair = [finished(carry_out(op, one, params, kernels)) for one in _painted(sample, i, box)]
        except TransformError:
            continue  # told by the check itself, on the image as it is
        found += _judge(*pair)
    return found


def _judge(after: Sample, empty: Sample) -> Iterator[str]:
    """Compare where the box and the mask of a painted sample are with where it differs from the one without paint."""
    bright = _differing(after.image, empty.image)
    if after.mask is not None and bright is not None:
        inside = after.mask == 1
        both = (inside & bright).sum() / max(1, (inside | bright).sum())
        if both < _LEAST_OVERLAP and bright.sum() > _SMALLEST_SIDE**2:
            yield f"the mask and the pixels have only {both:.0%} in common"
    if after.objects is not None:
        yield from _judge_box(after.objects, None if bright is None else _box_of(bright))


def _painted(sample: Sample, number: int, box: np.ndarray) -> tuple[Sample, Sample]:
    """A sample with one rectangle painted, its box and its mask, and the same sample without the paint."""
    blank = np.zeros_like(sample.image)
    painted = blank.copy()
    painted[box[1] : box[3], box[0] : box[2]] = 255
    alone = sample.objects
    if alone is not None:
        alone = alone.kept([i == number for i in range(len(alone))])
        boxed = Objects.from_boxes(box[None].astype(np.float64), alone.labels)
        alone = replace(alone, outlines=boxed.outlines)
    mask = None if sample.mask is None else (painted[..., 0] // 255).astype(sample.mask.dtype)
    before = replace(sample, image=painted, objects=alone, mask=mask)
    return before, replace(before, image=blank)


def _judge_box(objects: Objects, seen: np.ndarray | None) -> Iterator[str]:
    moved = objects.boxes[0] if len(objects) else None
    if seen is None or moved is None:
        there = seen if moved is None else moved
        if there is not None and min(there[2] - there[0], there[3] - there[1]) > _TOLERANCE:
            yield f"the box is {_at(moved)}, the pixels are {_at(seen)}"
    elif _overlap(moved, seen) < _LEAST_OVERLAP and np.abs(moved - seen).max() > _TOLERANCE:
        yield f"the box is {_at(moved)}, the pixels are {_at(seen)}"


def _differing(painted: np.ndarray, blank: np.ndarray) -> np.ndarray | None:
    """Where the two differ by more than half of the largest difference: bool [height, width], or None for nowhere."""
    if painted.shape != blank.shape:
        return None
    difference = np.abs(painted.astype(int) - blank).max(axis=2)
    return difference > difference.max() / 2 if difference.any() else None


def _box_of(pixels: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    sides = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    both = float(np.prod(sides))
    whole = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - both
    return both / whole if whole > 0 else 0.0


def _at(box: np.ndarray | None) -> str:
    return "gone" if box is None else "at [" + ", ".join(f"{value:.0f}" for value in box) + "]"
