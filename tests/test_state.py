"""A saved position is taken up where it belongs, and is refused with what differs elsewhere."""

from __future__ import annotations

import re
from typing import Any

import pytest

from augmill.pipeline.errors import StateError
from augmill.pipeline.state import SAME, check_state

OWN: dict[str, Any] = {"manifest": "4be1", "order": 2, "split": "train", "copies": "all", "shuffle": True, "seed": 1}
OWN |= {"epoch": 0, "samples": 0}


@pytest.mark.parametrize("name", SAME)
def test_each_difference_is_told_by_name_with_both_values(name: str) -> None:
    other = {**OWN, name: "another"}
    with pytest.raises(StateError, match=re.escape(f"{SAME[name]} is 'another' in the state and {OWN[name]!r} here")):
        check_state(other, OWN)


def test_another_position_or_batch_size_is_no_difference() -> None:
    check_state({**OWN, "epoch": 7, "samples": 12_345, "global_batch": 4096}, OWN)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epoch": -1}, "epoch must be a whole number of at least 0, got -1"),
        ({"samples": "3"}, "samples must be a whole number of at least 0, got '3'"),
    ],
)
def test_a_position_that_is_none_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(StateError, match=told):
        check_state({**OWN, **changes}, OWN)


def test_something_else_is_no_state() -> None:
    with pytest.raises(StateError, match="this is not a loader's state: it has no manifest, order, split"):
        check_state({"weights": 3}, OWN)
