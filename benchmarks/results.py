"""The results as they are kept: docs/benchmarks.json, in which each part is replaced by itself."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FILE = "benchmarks.json"


class Spread(NamedTuple):
    """The median of several runs, and the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1])


def read(folder: Path) -> dict[str, Any]:
    """All results so far, by part; empty where there are none."""
    path = folder / FILE
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def merge(folder: Path, part: str, name: str, value: Any) -> dict[str, Any]:
    """Put what was measured in its place, leave all else as it is, and return the whole.

    Args:
      folder: where the file is.
      part: "recipes", "curve" or "profile"; of loaders "loading", "resume", "training" or "memory".
      name: which of that part.
      value: JSON values.
    """
    stored = read(folder)
    stored.setdefault(part, {})[name] = value
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{FILE}.tmp"
    temporary.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    temporary.replace(folder / FILE)
    return stored


def work_rate(runs: Sequence[dict[str, Any]]) -> Spread:
    """Records a second at work."""
    return Spread.of(run["records"] / run["work_seconds"] for run in runs)


def whole_rate(runs: Sequence[dict[str, Any]]) -> Spread:
    """Records a second of the whole command."""
    return Spread.of(run["records"] / run["whole_seconds"] for run in runs)


def times(base: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]], seconds: str) -> Spread:
    """How many times the rate of `runs` that of `base` is, round by round.

    Both of a round were run within minutes of each other, and a machine that others share drifts from round to round.

    Args:
      base, runs: the runs of two contenders, those of a round at the same place.
      seconds: which of a run's times: "work_seconds", "whole_seconds", "seconds".
    """
    pairs = zip(base, runs, strict=True)
    return Spread.of((one["records"] / one[seconds]) / (other["records"] / other[seconds]) for one, other in pairs)


def peak_gigabytes(runs: Sequence[dict[str, Any]]) -> float:
    """The median of the runs' peaks of all processes together."""
    return statistics.median(run["peak"] for run in runs) / 1e9


def role_gigabytes(runs: Sequence[dict[str, Any]], role: str) -> float | None:
    """The greatest peak of a process of this role in any run; None where there was none."""
    found = [held for run in runs for name, held in run["peaks"] if name == role]
    return max(found) / 1e9 if found else None
