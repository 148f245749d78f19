"""Draws made ahead are the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from augmill.transforms import randomness
from augmill.transforms.ahead import DrawsAhead
from augmill.transforms.base import Sample
from augmill.transforms.grammar import parse_policy
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws

RENDITIONS = [(key, copy) for key in ("a.jpg", "b/ä.jpg", "") for copy in (1, 2)]


def test_a_stream_goes_on_beyond_what_was_made_ahead() -> None:
    ahead = DrawsAhead(5, RENDITIONS, ["0", "2"])
    for key, copy in RENDITIONS:
        for at in ("0", "2", "1.3"):  # the last was not made
            made, plain = ahead.draws(key, copy, at), Draws(seed=5, key=key, copy=copy, at=at)
            assert [made.uniform(0, 1) for _ in range(11)] == [plain.uniform(0, 1) for _ in range(11)]


def test_a_stream_asked_for_twice_begins_anew() -> None:
    ahead = DrawsAhead(5, RENDITIONS, ["0"])

    assert ahead.draws("a.jpg", 1, "0").uniform(0, 1) == ahead.draws("a.jpg", 1, "0").uniform(0, 1)


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_policy_gives_the_same_rendition_with_and_without(photo: np.ndarray, attempt: int) -> None:
    augment = [
        "tf.image.random_flip_left_right",
        {
            "one_of": [
                {"tf.image.random_brightness": {"max_delta": 0.2}},
                {"keras.layers.RandomRotation": {"factor": 1}},
            ]
        },
        {"sometimes": {"p": 0.5, "do": ["keras.layers.RandomErasing"]}},
        "rand_augment",
    ]
    policy = Policy(parse_policy(augment)[0].ops, kernels="fast")
    ahead = policy.draws_ahead(3, RENDITIONS)
    for key, copy in RENDITIONS:
        name = {"seed": 3, "key": key, "copy": copy, "attempt": attempt}
        with_it, steps = policy.run(Sample(photo), **name, ahead=ahead)  # type: ignore[arg-type]
        without, plain_steps = policy.run(Sample(photo), **name)  # type: ignore[arg-type]
        assert steps == plain_steps
        assert np.array_equal(with_it.image, without.image)


def test_every_op_that_draws_has_its_draws_made_ahead(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    augment = [
        {"tf.image.resize_with_crop_or_pad": {"target_height": 250, "target_width": 250}},
        "tf.image.random_flip_left_right",
        "tf.image.random_flip_up_down",
        {"keras.layers.RandomErasing": {"fill_value": 0}},
    ]
    policy = Policy(parse_policy(augment)[0].ops, kernels="fast")
    ahead = policy.draws_ahead(3, RENDITIONS)

    def made_alone(*block: object) -> list[int]:
        raise AssertionError(f"a block of four words was made alone: {block}")

    monkeypatch.setattr(randomness, "_four_words", made_alone)
    for key, copy in RENDITIONS:
        policy.run(Sample(photo), seed=3, key=key, copy=copy, ahead=ahead)
