"""Effects: what each op really did to the pixels, in whole numbers that add up over any split of the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from augmill.transforms.backend import to_uint8
from augmill.transforms.base import Params, Sample, Transform


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
        if name in ("ops", "chains") and isinstance(value, list):
            yield from _strengths(step for step in value if isinstance(step, list))
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
