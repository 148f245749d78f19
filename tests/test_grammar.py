"""The grammar of an `augment` list: what it makes, and every problem at once, each with its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from augmill.transforms.color import RandomBrightness, RandomHue
from augmill.transforms.composition import OneOf, SomeOf, Sometimes
from augmill.transforms.function import UserFunction
from augmill.transforms.geometry import RandomFlipLeftRight, RandomFlipUpDown
from augmill.transforms.grammar import Problem, parse_policy
from augmill.transforms.keras_color import RandomContrast

FLIP = "tf.image.random_flip_left_right"


def problems_of(*entries: Any) -> list[Problem]:
    return parse_policy(list(entries))[1]


def problem_of(entry: Any) -> Problem:
    [problem] = problems_of(entry)
    return problem


def test_a_list_is_read_into_ops_of_every_kind() -> None:
    policy, problems = parse_policy(
        [
            FLIP,
            {"tf.image.random_flip_up_down": None},
            {"keras.layers.RandomContrast": {"factor": [0.3, 0.3]}},
            {"scipy.ndimage:gaussian_filter": {}},
            {"one_of": [FLIP, {"sometimes": {"p": 0.5, "do": [{"tf.image.random_hue": {"max_delta": 0.1}}]}}]},
            {"some_of": {"n": [0, 2], "do": [FLIP, FLIP]}},
            {"some_of": {"n": 1, "do": [FLIP, FLIP]}},
        ]
    )
    flip = RandomFlipLeftRight()
    [wrong] = problems
    assert wrong.where == ("augment", 3, "scipy.ndimage:gaussian_filter")
    assert policy.ops == (
        flip,
        RandomFlipUpDown(),
        RandomContrast((0.3, 0.3)),
        OneOf((flip, Sometimes(0.5, (RandomHue(0.1),)))),
        SomeOf(0, 2, (flip, flip)),
        SomeOf(1, 1, (flip, flip)),
    )


def test_a_function_is_named_by_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_grammar.py").write_text("def turn(image, degrees=10): return image\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    policy, problems = parse_policy(["own_grammar:turn", {"own_grammar:turn": {"degrees": 20}}])
    assert problems == []
    assert policy.ops == (UserFunction("own_grammar:turn"), UserFunction("own_grammar:turn", {"degrees": 20}))
    assert policy.entries() == ["own_grammar:turn", {"own_grammar:turn": {"degrees": 20}}]
    assert problem_of({"own_grammar:turn": {"degree": 20}}).where == ("augment", 0, "own_grammar:turn")


def test_every_problem_is_found_at_once_with_its_path() -> None:
    policy, problems = parse_policy(
        [
            {"tf.image.random_brightness": {"max_delta": 32}},
            {"tf.image.random_hue": {"max_delta": 0.1}},
            {"tf.image.random_contrast": {"lower": 0.5, "p": 0.3}},
            {"one_of": [FLIP, {"keras.layers.MixUp": {"alpha": 0}}, {"sometimes": {"p": 2, "do": [FLIP]}}]},
            {"some_of": {"n": "two", "do": [FLIP, "tf.image.random_hug"]}},
            7,
        ],
        where=("spec", "augment"),
    )
    assert [problem.where for problem in problems] == [
        ("spec", "augment", 0, "tf.image.random_brightness"),
        ("spec", "augment", 2, "tf.image.random_contrast", "p"),
        ("spec", "augment", 2, "tf.image.random_contrast"),
        ("spec", "augment", 3, "one_of", 1, "keras.layers.MixUp"),
        ("spec", "augment", 3, "one_of", 2, "sometimes"),
        ("spec", "augment", 4, "some_of", "do", 1, "tf.image.random_hug"),
        ("spec", "augment", 4, "some_of", "n"),
        ("spec", "augment", 5),
    ]
    assert policy.ops == (RandomHue(0.1),)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("tf.image.random_flip_leftright", FLIP),
        ("random_brightness", "tf.image.random_brightness"),
        ("keras.layer.RandomZoom", "keras.layers.RandomZoom"),
        ("oneof", "one_of"),
    ],
)
def test_a_misspelt_op_is_answered_with_the_nearest_and_the_choices(name: str, nearest: str) -> None:
    problem = problem_of(name)
    assert problem.where == ("augment", 0, name)
    assert problem.message.startswith(f"unknown op {name!r}; did you mean {nearest}? `augmill ops` lists them; ")
    assert problem.message.endswith("<module>:<function>, and one_of, some_of, sometimes compose")


def test_an_op_like_no_other_is_not_guessed_at() -> None:
    assert "did you mean" not in problem_of("xyzzy").message


def test_an_unknown_argument_is_answered_with_the_nearest_and_the_choices() -> None:
    unknown = problem_of({"tf.image.random_contrast": {"lower": 0.5, "uper": 1.5}})
    assert unknown.where == ("augment", 0, "tf.image.random_contrast", "uper")
    assert unknown.message == "unknown argument; did you mean upper? tf.image.random_contrast takes lower, upper"
    assert problem_of({FLIP: {"p": 0.3}}).message == f"unknown argument; {FLIP} takes no arguments"


def test_each_missing_argument_is_named() -> None:
    missing = problems_of({"tf.image.random_contrast": {}}, {"tf.image.random_contrast": {"uper": 1.5}})
    assert [problem.message for problem in missing] == [
        "tf.image.random_contrast needs a value for lower",
        "tf.image.random_contrast needs a value for upper",
        "unknown argument; did you mean upper? tf.image.random_contrast takes lower, upper",
        "tf.image.random_contrast needs a value for lower",
    ]


@pytest.mark.parametrize("arguments", [0.2, [0.2], "0.2"])
@pytest.mark.parametrize("name", ["tf.image.random_brightness", "keras.layers.RandomBrightness"])
def test_arguments_are_given_by_name(name: str, arguments: Any) -> None:
    message = f"arguments must be given by name, as {{name: value}}, got {arguments!r}"
    assert problem_of({name: arguments}) == Problem(("augment", 0, name), message)


@pytest.mark.parametrize("entries", [FLIP, {FLIP: {}}, None, 3])
def test_the_ops_are_a_list(entries: Any) -> None:
    assert parse_policy(entries)[1] == [Problem(("augment",), f"must be a list of ops, got {entries!r}")]


@pytest.mark.parametrize("entry", [{FLIP: {}, "tf.image.random_hue": {"max_delta": 0.1}}, {}, [FLIP], 7, None])
def test_an_entry_is_one_name(entry: Any) -> None:
    problem = problem_of(entry)
    assert problem.where == ("augment", 0)
    assert problem.message.startswith("an op is a name, or one name with its arguments under it, got ")


@pytest.mark.parametrize(
    ("entry", "where", "message"),
    [
        ({"some_of": {"n": 1}}, ("some_of",), "some_of takes exactly n and do, got n"),
        ({"some_of": [FLIP]}, ("some_of",), f"some_of takes exactly n and do, got [{FLIP!r}]"),
        ("some_of", ("some_of",), "some_of takes exactly n and do, got None"),
        ({"some_of": {"n": 1.5, "do": [FLIP]}}, ("some_of", "n"), "must be a whole number or [least, most], got 1.5"),
        ({"some_of": {"n": [1], "do": [FLIP]}}, ("some_of", "n"), "must be a whole number or [least, most], got [1]"),
        ({"some_of": {"n": True, "do": [FLIP]}}, ("some_of", "n"), "must be a whole number or [least, most], got True"),
        ({"some_of": {"n": 1, "do": FLIP}}, ("some_of", "do"), f"must be a list of ops, got {FLIP!r}"),
        (
            {"sometimes": {"p": 1, "do": [FLIP], "n": 2}},
            ("sometimes",),
            "sometimes takes exactly p and do, got p, do, n",
        ),
        ({"sometimes": {}}, ("sometimes",), "sometimes takes exactly p and do, got nothing"),
        ({"sometimes": {"p": 0, "do": [FLIP]}}, ("sometimes",), "sometimes: p must be a number in (0, 1], got 0"),
        ({"one_of": [FLIP]}, ("one_of",), "one_of needs at least two ops to choose from, got 1"),
        ({"one_of": None}, ("one_of",), "must be a list of ops, got None"),
    ],
)
def test_compositions_have_their_own_fields(entry: Any, where: tuple[str, ...], message: str) -> None:
    assert problem_of(entry) == Problem(("augment", 0, *where), message)


@pytest.mark.parametrize(
    "entry",
    [
        {"keras.layers.RandomRotation": {"factor": 0.1, "fill_mode": "mirrored"}},
        {"keras.layers.RandomBrightness": {"factor": 0.1, "value_range": 255}},
        {"keras.layers.RandomBrightness": {"factor": 0.1, True: 1}},
        {"no_such_module_at_all:turn": {True: 1}},
        {True: {"max_delta": 0.2}},
    ],
)
def test_what_yaml_may_hold_is_a_problem_and_never_a_crash(entry: Any) -> None:
    policy, problems = parse_policy([entry, {"tf.image.random_brightness": {"max_delta": 0.2}}])
    assert [problem.where[:2] for problem in problems] == [("augment", 0)]
    assert policy.ops == (RandomBrightness(0.2),)


def test_a_long_value_is_cut_short_in_the_message() -> None:
    assert len(problem_of({"tf.image.random_hue": list(range(1000))}).message) < 200


def test_what_no_op_takes_is_refused_with_the_reason() -> None:
    problems = problems_of({"keras.layers.RandomContrast": {"factor": 0.3, "seed": 4, "data_format": "channels_first"}})
    assert [problem.where[-1] for problem in problems] == ["seed", "data_format"]
    assert problems[0].message == "leave out seed: the spec's own seed rules every draw"


@pytest.mark.parametrize(
    "entry",
    [
        {"keras.layers.RandomTranslation": {"height_factor": 0.1, "width_factor": None}},
        {"keras.layers.RandomZoom": {"height_factor": None, "width_factor": 0.2}},
        {"keras.layers.RandomShear": {"x_factor": None, "y_factor": 0.2}},
    ],
)
def test_a_range_left_empty_is_a_problem(entry: Any) -> None:
    assert "must be a number in " in problem_of(entry).message


def test_arguments_that_mean_the_same_give_the_same_spec() -> None:
    for one, other in (
        ({"sometimes": {"p": 1, "do": [FLIP]}}, {"sometimes": {"p": 1.0, "do": [FLIP]}}),
        ({"keras.layers.CutMix": {"factor": 1}}, {"keras.layers.CutMix": {"factor": 1.0}}),
    ):
        assert repr(parse_policy([one])[0].entries()) == repr(parse_policy([other])[0].entries())
