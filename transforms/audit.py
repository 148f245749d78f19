"""Effects: what each op really did to the pixels, in whole numbers that add up over any split of the work."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from augmill.transforms.backend import tensorflow, to_uint8
from augmill.transforms.base import Params, Sample, Transform
from augmill.transforms.function import UserFunction

# TensorFlow's stateful random kernels, with the name of the function that a reader knows them by.
STATEFUL_OPS = {
    "RandomUniform": "tf.random.uniform",
    "RandomUniformInt": "tf.random.uniform",
    "RandomStandardNormal": "tf.random.normal",
    "TruncatedNormal": "tf.random.truncated_normal",
    "ParameterizedTruncatedNormal": "tf.random.truncated_normal",
    "RandomShuffle": "tf.random.shuffle",
    "RandomGamma": "tf.random.gamma",
    "RandomPoisson": "tf.random.poisson",
    "RandomPoissonV2": "tf.random.poisson",
    "Multinomial": "tf.random.categorical",
    "SampleDistortedBoundingBox": "tf.image.sample_distorted_bounding_box",
    "SampleDistortedBoundingBoxV2": "tf.image.sample_distorted_bounding_box",
    "RandomCrop": "tf.image.random_crop",
    "StatefulUniform": "tf.random.Generator",
    "StatefulUniformInt": "tf.random.Generator",
    "StatefulUniformFullInt": "tf.random.Generator",
    "StatefulStandardNormalV2": "tf.random.Generator",
    "StatefulTruncatedNormal": "tf.random.Generator",
    "StatefulRandomBinomial": "tf.random.Generator",
    "RngReadAndSkip": "tf.random.Generator or a stateful Keras layer",
}


@dataclass
class Effect:
    """What one op, at one place in the policy, did to the images it was applied to.

    Attributes:
      op, at: its name and position.
      applied: images it was applied to.
      changed: those of them in which a pixel, the shape or an annotation changed.
      compared: pixel values compared (images whose shape changed are not).
      difference: sum of |after - before| over these, in levels of 0 to 255.
      saturated: of the pixel values compared, those at 0 or 255 afterwards that were not before.
      objects: objects in these images, and `lost` of them that were not there afterwards.
      ranges: lowest and highest value drawn of each numeric parameter.
    """

    op: str
    at: str
    applied: int = 0
    changed: int = 0
    compared: int = 0
    difference: int = 0
    saturated: int = 0
    objects: int = 0
    lost: int = 0
    ranges: dict[str, list[float]] = field(default_factory=dict)

    @property
    def changed_fraction(self) -> float:
        return self.changed / self.applied if self.applied else 0.0

    @property
    def mean_change(self) -> float | None:
        """Mean |after - before| in levels of 0 to 255, or None where the op changes the shape."""
        return self.difference / self.compared if self.compared else None

    @property
    def saturated_fraction(self) -> float:
        return self.saturated / self.compared if self.compared else 0.0

    def add(self, params: Params, before: Sample, after: Sample) -> None:
        """Count one application."""
        self.applied += 1
        first, second = to_uint8(before.image, self.op), to_uint8(after.image, self.op)
        if first.shape == second.shape:
            self.compared += first.size
            # L1 of uint8 is exact in OpenCV's double, and the sum does not depend on the order of the work.
            self.difference += int(cv2.norm(first, second, cv2.NORM_L1))
            self.saturated += max(0, _at_an_end(second) - _at_an_end(first))
        self.changed += not replace(before, image=first).equals(replace(after, image=second))
        if before.objects is not None and after.objects is not None:
            self.objects += len(before.objects)
            self.lost += max(0, len(before.objects) - len(after.objects))
        for name, value in numbers(params):
            low, high = self.ranges.get(name, (value, value))
            self.ranges[name] = [min(low, value), max(high, value)]

    def merge(self, other: Effect) -> None:
        """Add the counts of another share of the work."""
        self.applied += other.applied
        self.changed += other.changed
        self.compared += other.compared
        self.difference += other.difference
        self.saturated += other.saturated
        self.objects += other.objects
        self.lost += other.lost
        for name, (low, high) in other.ranges.items():
            mine = self.ranges.get(name, (low, high))
            self.ranges[name] = [min(low, mine[0]), max(high, mine[1])]


class Effects:
    """The effects of a whole policy, one entry an op, in the policy's order."""

    def __init__(self, leaves: Iterable[tuple[str, Transform]]) -> None:
        self.by_place = {at: Effect(op.spec_name, at) for at, op in leaves}

    def merge(self, effects: Iterable[Effect]) -> None:
        """Add what another share of the work counted."""
        for effect in effects:
            self.by_place[effect.at].merge(effect)

    def merge_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add the counts in `rows`, which `rows()` of another share gave."""
        self.merge(Effect(**row) for row in rows)

    def rows(self) -> list[dict[str, Any]]:
        """The counts as JSON values."""
        return [dict(vars(effect)) for effect in self]

    def __iter__(self) -> Iterator[Effect]:
        return iter(self.by_place.values())


def _at_an_end(pixels: np.ndarray) -> int:
    """Count the values that are 0 or 255."""
    return int(pixels.size - np.count_nonzero((pixels != 0) & (pixels != 255)))


def numbers(params: Params) -> Iterator[tuple[str, float]]:
    """The numeric parameters among those drawn, by name."""
    for name, value in params.items():
        if name.endswith("seed"):
            continue  # a name, not a quantity
        if name in ("ops", "chains"):
            yield from _strengths(value)
            continue
        values = value if isinstance(value, list) else [value]
        for i, number in enumerate(values):
            if isinstance(number, (bool, int, float)):
                yield (name if len(values) == 1 else f"{name}[{i}]"), float(number)


def _strengths(steps: Any) -> Iterator[tuple[str, float]]:
    """The numbers in the steps of a published policy, [name, number] each, also where chains hold them."""
    for step in steps:
        if step and isinstance(step[0], list):
            yield from _strengths(step)
        elif len(step) == 2 and isinstance(step[1], (int, float)):
            yield step[0], float(step[1])


def stateful_draws(function: UserFunction, sample: Sample) -> list[str]:
    """Name TensorFlow's stateful generators that a user's function draws from, found by tracing it.

    A function that cannot be traced (NumPy or OpenCV code) gives an empty list; `repeats_itself` judges it by what it
    does.
    """
    if function.takes_array:
        return []
    tf = tensorflow()

    @tf.function
    def traced(**tensors: Any) -> Any:
        return function.function(**tensors, **function.given)

    try:
        graph = traced.get_concrete_function(**function.call_arguments(sample, {"seed": [0, 0]})).graph
    except (
        Exception,
        SystemExit,
    ):  # the user's code under a tracer it was not written for, or without the label it asks for
        return []
    kinds = {node.op for node in graph.as_graph_def().node}
    kinds |= {node.op for inner in graph.as_graph_def().library.function for node in inner.node_def}
    return sorted({STATEFUL_OPS[kind] for kind in kinds if kind in STATEFUL_OPS})


def repeats_itself(op: Transform, sample: Sample, params: Params) -> bool:
    """Tell whether `op` gives the same result twice in a row.

    One that draws from a global generator (Python's, NumPy's or TensorFlow's) does not, save by luck: ask with several
    samples. The generators that can be put back are left as they were.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        first, second = op.transform(sample, params), op.transform(sample, params)
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
    return first.equals(second)
