"""Checks of the arguments that ops take, each ending in an error that says the rule, the value and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from augmill.transforms.base import Shape, TransformError, check_number
from augmill.transforms.randomness import Draws

Pair = tuple[float, float]  # lowest and highest value drawn


def check_pair(name: str, value: Any, *, low: float, high: float, scalar: str) -> Pair:
    """Read an argument that is a number or [lowest, highest].

    Args:
      name: the argument.
      value: what was given.
      low, high: what both ends must lie within.
      scalar: what a single number v means: "around zero" for [-v, v], "from zero" for [0, v] or "exactly" for [v, v].

    Raises:
      TransformError: it is neither, or lies outside.
    """
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise TransformError(f"{name} must be a number or [lowest, highest], got {value!r}")
        for end in value:
            check_number(name, end, low=low, high=high)
        if value[0] > value[1]:
            raise TransformError(f"{name} must be [lowest, highest], got {list(value)!r}")
        return (float(value[0]), float(value[1]))
    check_number(name, value, low=low, high=high, hint="or [lowest, highest] within it")
    lowest = {"around zero": -abs(value), "from zero": 0.0, "exactly": value}[scalar]
    return (float(min(lowest, value)), float(max(lowest, abs(value) if scalar == "around zero" else value)))


def check_probability(name: str, value: Any) -> Pair:
    """Read the probability that an op does anything: a number, or [lowest, highest] to draw it from for each image.

    Raises:
      TransformError: it is neither, or always 0.
    """
    pair = check_pair(name, value, low=0, high=1, scalar="exactly")
    if pair[1] == 0:
        raise TransformError(f"{name} must be a probability above 0, or nothing ever changes, got {value!r}")
    return pair


def happens(draws: Draws, factor: float | Pair) -> bool:
    """Draw whether an op does anything, with the probability `factor`, itself drawn where it is a pair."""
    return draws.chance(draws.uniform(*_chances(tuple(factor) if isinstance(factor, list) else factor)))


@lru_cache(maxsize=256, typed=True)
def _chances(factor: float | Pair) -> Pair:
    return check_probability("factor", factor)


def mean_chance(factor: float | Pair) -> float:
    """How likely it is that an op with the probability `factor` does anything."""
    return sum(check_probability("factor", factor)) / 2


def check_colour(name: str, shape: Shape) -> None:
    """Raise TransformError unless an image of `shape` has colours for the op `name` to change."""
    if shape[2] != 3:
        raise TransformError(f"{name} needs 3 channels, the image has {shape[2]}: grey has no colour to change")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise TransformError unless `value` is one of `choices`."""
    if value not in choices or isinstance(value, bool) is not isinstance(choices[0], bool):
        raise TransformError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")


def check_whole(name: str, value: Any, *, low: int, high: int | None = None) -> None:
    """Raise TransformError unless `value` is a whole number of at least `low` and at most `high`."""
    if type(value) is not int or value < low or (high is not None and value > high):
        most = f" and at most {high}" if high is not None else ""
        raise TransformError(f"{name} must be a whole number of at least {low}{most}, got {value!r}")


VALUE_RANGE = (0, 255)
VALUE_RANGE_IS = "the range of pixels: [0, 255], no other"


def with_value_range(**texts: str) -> dict[str, str]:
    """What a Keras layer's arguments are, its `value_range` among them."""
    return {**texts, "value_range": VALUE_RANGE_IS}


def check_value_range(value: Any) -> tuple[int, int]:
    """Read a Keras layer's `value_range`, which can only be what images are here.

    Raises:
      TransformError: it is another.
    """
    if value not in (VALUE_RANGE, list(VALUE_RANGE)):
        raise TransformError(f"value_range must be [0, 255], what images are here, got {value!r}")
    return VALUE_RANGE


def as_floats(value: Any) -> Any:
    """A number, or a list of any length as a tuple, in floats, so that arguments that mean the same are the same.

    None stays None.
    """
    if isinstance(value, (list, tuple)):
        return tuple(map(float, value))
    return value if value is None else float(value)
