"""A loader's position as a few hundred bytes of JSON, and the refusal of one that is not its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augmill.pipeline.errors import StateError

# What must be equal for a position to mean the same record, and how it is told to the reader.
SAME = {
    "manifest": "the version's digest",
    "order": "the version of the rule of the order",
    "split": "split",
    "copies": "copies",
    "shuffle": "shuffle",
    "seed": "seed",
}
POSITION = ("epoch", "samples")


def check_state(state: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse a saved state that does not belong to a loader whose state is `own`.

    Raises:
      StateError: something differs, which is named with both values, or is missing.
    """
    missing = [name for name in (*SAME, *POSITION) if name not in state]
    if missing:
        raise StateError(f"this is not a loader's state: it has no {', '.join(missing)}")
    differing = [
        f"{told} is {state[name]!r} in the state and {own[name]!r} here"
        for name, told in SAME.items()
        if state[name] != own[name]
    ]
    if differing:
        raise StateError(f"the state is another loader's: {'; '.join(differing)}")
    wrong = [name for name in POSITION if type(state[name]) is not int or state[name] < 0]
    if wrong:
        raise StateError(f"{wrong[0]} must be a whole number of at least 0, got {state[wrong[0]]!r}")
