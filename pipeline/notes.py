"""What happened in renditions: kept until it is known whether they are written, and added up then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from augmill.transforms.audit import Effect, Effects
from augmill.transforms.base import Params
from augmill.transforms.policy import Step

_COUNTED_AT_ONCE = 4000  # applications


class Noted(NamedTuple):
    """What happened in renditions that may be written: steps carried out, what was measured of them, and objects."""

    steps: list[Step]
    effects: list[Effect]
    objects: Counter[str]


class Notes:
    """Takes notes of renditions, and counts those that it is told to."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self.objects = Counter[str]()
        self._noted = Noted([], [], Counter())
        self._counted: list[tuple[str, Params]] = []  # of those that count, which are added up many at once

    def _count_objects(self, **counts: int) -> None:
        for name, count in counts.items():
            if count:
                self._noted.objects[name] += count

    def take(self) -> Noted:
        """Hand over what has been noted since the last time, to be counted if its example is written."""
        noted, self._noted = self._noted, Noted([], [], Counter())
        return noted

    def count(self, noted: Iterable[Noted]) -> None:
        """Count what was noted of renditions that are written."""
        for steps, effects, objects in noted:
            self._counted += [(at, params) for at, _, params in steps]
            self._effects.merge(effects)
            if objects:
                self.objects += objects
        if len(self._counted) >= _COUNTED_AT_ONCE:
            self._add_up()

    @property
    def effects(self) -> Effects:
        """What the ops did to all that has been counted."""
        self._add_up()
        return self._effects

    def _add_up(self) -> None:
        self._effects.count(self._counted)
        self._counted.clear()
