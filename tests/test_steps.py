"""The JSON of steps is what `json` would write, and reads back as what was drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augmill.pipeline.steps import steps_from_json, steps_to_json
from augmill.transforms.policy import Step

PARAMS: list[dict[str, Any]] = [
    {},
    {"flip": True, "delta": -0.012345678901234567, "top": 3},
    {"seed": [-3, 7], "mode": "wrap", "nothing": None},
    {"tiny": 5e-324, "huge": 1.7976931348623157e308, "zero": -0.0, "far": float("inf")},
    {"partner": 'a "quoted" \\ ß \udcff.jpg', "steps": [["0", "op", {"x": 1.5}]], "weight": 0.3},
]


@pytest.mark.parametrize("params", PARAMS)
def test_the_text_is_that_of_json(params: dict[str, Any]) -> None:
    steps = [Step("0", "tf.image.random_hue", params), Step("1.2", 'größe:"f"', params)]
    text = steps_to_json(steps)
    assert text == json.dumps([step._asdict() for step in steps], separators=(",", ":"))
    assert steps_from_json(text) == steps


NUMBERS = st.one_of(st.booleans(), st.integers(), st.floats())


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), NUMBERS)))
def test_any_numbers_are_written_as_json_has_them(drawn: list[dict[str, Any]]) -> None:
    steps = [Step(str(place), "op", params) for place, params in enumerate(drawn)]
    assert steps_to_json(steps) == json.dumps([step._asdict() for step in steps], separators=(",", ":"))
