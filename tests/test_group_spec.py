"""The part of a spec that groups examples: what it may be, and what it finds in a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from augmill.pipeline.errors import SpecError
from augmill.pipeline.group_spec import GroupBy


@pytest.mark.parametrize(
    ("pattern", "key", "group"),
    [
        (r"^(p\d+)_", "p07_left.png", "p07"),
        (r"^[^/]+/(p\d+)_", "cat/p07_left.png", "p07"),
        (r"(left|right)_(?P<group>p\d+)", "left_p07.png", "p07"),
        (r"(p\d+)", "nobody.png", None),
        (r"(p\d+)?_", "nobody_.png", None),
    ],
)
def test_a_group_is_found_in_a_key(pattern: str, key: str, group: str | None) -> None:
    assert GroupBy(key=pattern).group_of(key) == group


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "group_by: give key: '<regular expression>' or feature: <name>, got neither"),
        ({"key": "(a)", "feature": "b"}, "group_by: give key: '<regular expression>' or feature: <name>, got both"),
        ({"key": "^p"}, r"group_by.key: needs a group in parentheses, as in '^(p\d+)_', to say what to take; got '^p'"),
        ({"key": "("}, "group_by.key: is no regular expression: missing ), unterminated subpattern at position 0"),
        ({"keys": "(a)"}, "group_by.keys: unknown key; did you mean key? choose from key, feature"),
        ({"feature": "patient"}, "group_by.feature belongs to a tfrecord, tfds or coco source, not to a folder source"),
    ],
)
def test_what_cannot_be_right_is_told(make_spec: Callable[..., Any], given: dict[str, str], problem: str) -> None:
    with pytest.raises(SpecError) as refused:
        make_spec(group_by=given)

    assert problem in str(refused.value)
