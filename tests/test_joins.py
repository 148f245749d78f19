"""What `augmill plan` says of joined ops."""

from __future__ import annotations

from typing import Any

import pytest

from augmill.transforms.grammar import parse_policy
from augmill.transforms.joins import by_reference, joins_of
from augmill.transforms.policy import Policy

SHAPE = (224, 224, 3)
FLIP, TURN, ZOOM = (
    "tf.image.random_flip_left_right",
    {"keras.layers.RandomRotation": {"factor": 0.1}},
    {"keras.layers.RandomZoom": {"height_factor": 0.2}},
)
BRIGHTER = {"tf.image.random_brightness": {"max_delta": 0.2}}
CONTRAST = {"tf.image.random_contrast": {"lower": 0.7, "upper": 1.3}}


def policy(*augment: Any, kernels: str = "fast") -> Policy:
    parsed, problems = parse_policy(list(augment))
    assert not problems
    return Policy(parsed.ops, kernels)


def told(*augment: Any) -> dict[str, tuple[str, ...]]:
    return {join.work: join.places for join in joins_of(policy(*augment), SHAPE)}


def test_tables_and_motions_are_told_apart() -> None:
    assert told(FLIP, BRIGHTER, CONTRAST, TURN, ZOOM) == {
        "one table of levels": ("1", "2"),
        "one resampling": ("0", "3", "4"),
    }


def test_a_margin_and_a_crop_are_one_window() -> None:
    margin = {"tf.image.resize_with_crop_or_pad": {"target_height": 240, "target_width": 240}}
    crop = {"tf.image.random_crop": {"size": [224, 224, 3]}}

    assert told(margin, crop, FLIP, BRIGHTER) == {"one window": ("0", "1")}
    assert told(margin, "keras.layers.RandomErasing", crop) == {}


def test_ops_with_other_work_between_them_are_not_joined() -> None:
    assert told(TURN, "keras.layers.RandomErasing", ZOOM) == {}


def test_an_op_that_comes_up_now_and_then_is_joined_as_often() -> None:
    (join,) = joins_of(policy({"sometimes": {"p": 0.25, "do": [BRIGHTER]}}, CONTRAST), SHAPE)

    assert join.places == ("0.0", "1")
    assert join.share == pytest.approx(0.25, abs=0.15)


def test_reference_kernels_join_nothing() -> None:
    plain = policy(FLIP, BRIGHTER, CONTRAST, kernels="reference")

    assert joins_of(plain, SHAPE) == [] and by_reference(plain) == []


def test_ops_without_a_fast_kernel_are_named_once() -> None:
    slow = {"tf.image.resize": {"size": [100, 100], "method": "lanczos3"}}

    assert by_reference(policy(FLIP, slow, "mix_up", slow)) == ["tf.image.resize"]
    assert told(BRIGHTER, slow, CONTRAST) == {}


def test_the_crop_of_an_image_that_is_too_small_ends_the_telling_without_an_error() -> None:
    crop = {"tf.image.random_crop": {"size": [500, 500, 3]}}

    assert told(BRIGHTER, CONTRAST, crop, FLIP, TURN) == {"one table of levels": ("0", "1")}
