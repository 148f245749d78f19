"""Effects: what each op really did to the pixels, in whole numbers that add up over any split of the work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import cv2
import numpy as np

from augmill.transforms.backend import to_uint8
from augmill.transforms.base import Params, Sample, Transform


@dataclass
class Effect:
    """What one op, at one place in the policy, did to the images it was applied to.

    Every application is counted, with what was drawn for it. Pixels are compared in a sample of them, for which the op
    is carried out by itself.

    Attributes:
      op, at: its name and position.
      applied: images it was applied to.
      ranges: lowest and highest value drawn of each numeric parameter.
      measured: applications of the sample; all that follows is of these.
      changed: those in which a pixel, the shape or an annotation changed.
      compared: pixel values compared (images whose shape changed are not).
      difference: sum of |after - before| over these, in levels of 0 to 255.
      saturated: of the pixel values compared, those at 0 or 255 afterwards that were not before.
      objects: objects in these images, and `lost` of them that were not there afterwards.
    """

    op: str
    at: str
    applied: int = 0
    measured: int = 0
    changed: int = 0
    compared: int = 0
    difference: int = 0
    saturated: int = 0
    objects: int = 0
    lost: int = 0
    ranges: dict[str, list[float]] = field(default_factory=dict)

    @property
    def changed_fraction(self) -> float:
        return self.changed / self.measured if self.measured else 0.0

    @property
    def mean_change(self) -> float | None:
        """Mean |after - before| in levels of 0 to 255, or None where the op changes the shape."""
        return self.difference / self.compared if self.compared else None

    @property
    def saturated_fraction(self) -> float:
        return self.saturated / self.compared if self.compared else 0.0

    def count(self, drawn: Sequence[Params]) -> None:
        """Count applications by the parameters drawn for each."""
        self.applied += len(drawn)
        for name in dict.fromkeys(name for params in drawn for name in params):
            values = [params[name] for params in drawn if name in params]
            if {*map(type, values)} <= _SCALARS and not name.endswith("seed"):
                self._widen(name, min(values), max(values))
                continue
            for value in values:
                for part, number in numbers({name: value}):
                    self._widen(part, number, number)

    def _widen(self, name: str, low: float, high: float) -> None:
        known = self.ranges.get(name)
        self.ranges[name] = [
            float(low) if known is None else min(known[0], float(low)),
            float(high) if known is None else max(known[1], float(high)),
        ]

    def measure(self, before: Sample, after: Sample) -> None:
        """Compare an image and its annotations with what one application made of them."""
        self.measured += 1
        first, second = to_uint8(before.image, self.op), to_uint8(after.image, self.op)
        same_pixels = first is second
        if first.shape == second.shape:
            self.compared += first.size
            # L1 of uint8 is exact in OpenCV's double, and the sum does not depend on the order of the work.
            difference = 0 if same_pixels else int(cv2.norm(first, second, cv2.NORM_L1))
            same_pixels = difference == 0
            self.difference += difference
            self.saturated += 0 if same_pixels else max(0, _at_an_end(second) - _at_an_end(first))
        self.changed += not (same_pixels and replace(before, image=first).equals(replace(after, image=first)))
        if before.objects is not None and after.objects is not None:
            self.objects += len(before.objects)
            self.lost += max(0, len(before.objects) - len(after.objects))

    def add(self, params: Params, before: Sample, after: Sample) -> None:
        """Count one application and compare what it did."""
        self.count([params])
        self.measure(before, after)

    def merge(self, other: Effect) -> None:
        """Add the counts of another share of the work."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, (low, high) in other.ranges.items():
            self._widen(name, low, high)


_SCALARS = {bool, int, float}
_COUNTS = tuple(known.name for known in fields(Effect) if known.name not in ("op", "at", "ranges"))


class Effects:
    """The effects of a whole policy, one entry an op, in the policy's order."""

    def __init__(self, leaves: Iterable[tuple[str, Transform]]) -> None:
        self.by_place = {at: Effect(op.spec_name, at) for at, op in leaves}

    def count(self, drawn: Iterable[tuple[str, Params]]) -> None:
        """Count applications, each by the place of its op and what was drawn for it."""
        by_place = defaultdict[str, list[Params]](list)
        for at, params in drawn:
            by_place[at].append(params)
        for at, alike in by_place.items():
            self.by_place[at].count(alike)

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
    flat = pixels.reshape(len(pixels), -1)  # as a grey image, all values of which are looked at
    return flat.size - cv2.countNonZero(cv2.inRange(flat, 1, 254))


def numbers(params: Params) -> Iterator[tuple[str, float]]:
    """The numeric parameters among those drawn, by name."""
    for name, value in params.items():
        if name.endswith("seed"):
            continue  # a name, not a quantity
        if isinstance(value, (bool, int, float)):
            yield name, float(value)
        elif name in ("ops", "chains") and isinstance(value, list):
            yield from _strengths(step for step in value if isinstance(step, list))
        elif isinstance(value, list):
            for i, number in enumerate(value):
                if isinstance(number, (bool, int, float)):
                    yield (name if len(value) == 1 else f"{name}[{i}]"), float(number)


def _strengths(steps: Any) -> Iterator[tuple[str, float]]:
    """The numbers in the steps of a published policy, [name, number] each, also where chains hold them."""
    for step in steps:
        if step and isinstance(step[0], list):
            yield from _strengths(step)
        elif len(step) == 2 and isinstance(step[1], (int, float)):
            yield step[0], float(step[1])
