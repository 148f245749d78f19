"""Partners: another example of the block, the same one for every worker, opened once while there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import peers as module
from augmill.pipeline.peers import BlockPeers
from augmill.transforms.base import Sample, TransformError
from augmill.transforms.randomness import Draws

KEYS = ["c", "a", "d", "b"]


def opener(bad: str = "") -> tuple[Callable[[str], Sample], list[str]]:
    opened: list[str] = []

    def open_example(key: str) -> Sample:
        opened.append(key)
        if key in bad:
            raise ValueError("cannot be decoded")
        return Sample(np.full((10, 10, 3), ord(key), np.uint8))

    return open_example, opened


def draws(i: int) -> Draws:
    return Draws(seed=0, key=str(i), copy=1, at="0")


def test_each_other_example_is_drawn_equally_often(equally_likely: Callable[..., bool]) -> None:
    partners = BlockPeers(KEYS, opener()[0])
    assert equally_likely([partners.draw(draws(i), "b")[0] for i in range(3000)], ["a", "c", "d"])


def test_the_order_of_the_block_and_what_was_drawn_before_have_no_say() -> None:
    one, other = BlockPeers(KEYS, opener()[0]), BlockPeers(reversed(KEYS), opener()[0])
    drawn: list[Any] = [one.draw(draws(i), "b") for i in range(20)]
    again = [other.draw(draws(i), "b") for i in reversed(range(20))][::-1]
    assert [key for key, _ in drawn] == [key for key, _ in again]
    assert all(sample.image[0, 0, 0] == ord(key) for key, sample in drawn)


def test_an_example_that_cannot_be_read_is_passed_over(equally_likely: Callable[..., bool]) -> None:
    partners = BlockPeers(KEYS, opener(bad="ac")[0])
    assert {partners.draw(draws(i), "b")[0] for i in range(50)} == {"d"}
    assert Counter(partners.draw(draws(i), "d")[0] for i in range(50)) == {"b": 50}


def test_where_there_is_no_other_to_mix_with_it_is_told() -> None:
    for keys, bad in ((["a"], ""), (["a", "b"], "b")):
        with pytest.raises(TransformError, match=r"there is no other to mix it with; raise block_examples$"):
            BlockPeers(keys, opener(bad)[0]).draw(draws(0), "a")


def test_those_tried_are_not_drawn_again() -> None:
    partners = BlockPeers(KEYS, opener()[0])
    assert {partners.draw(draws(i), "b", {"a", "c"})[0] for i in range(20)} == {"d"}


def test_what_is_open_stays_open_while_there_is_room(monkeypatch: Any) -> None:
    open_example, opened = opener()
    partners = BlockPeers(KEYS, open_example)
    for key in "abab":
        partners.open(key)
    assert opened == ["a", "b"]
    monkeypatch.setattr(module, "_KEPT_BYTES", 700)  # two images of 300
    for key in "cab":
        partners.open(key)
    assert opened == ["a", "b", "c", "a", "b"], "the one not used for longest was let go"
