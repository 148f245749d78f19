"""Functions that do not keep to their seed are found out, those that do are not."""

from __future__ import annotations

import itertools
import random
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from augmill.transforms.base import Sample
from augmill.transforms.function import UserFunction
from augmill.transforms.randomness import Draws
from augmill.transforms.repeatable import repeats_itself, stateful_draws

_NUMBERS = itertools.count()  # a module is imported once by its name: each gets another


@pytest.fixture(scope="module")
def samples(photo: np.ndarray) -> list[Sample]:
    """Five windows of the photo, no two alike."""
    return [Sample(photo[4 * i : 4 * i + 40, 3 * i : 3 * i + 32], i % 5) for i in range(5)]


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], UserFunction]:
    """Make an op of the source of a function `augment`."""

    def function(source: str) -> UserFunction:
        name = f"own_repeatable_{next(_NUMBERS)}"
        start = "import random\nimport numpy as np\nimport tensorflow as tf\n"
        (tmp_path / f"{name}.py").write_text(start + textwrap.dedent(source), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return UserFunction(f"{name}:augment")

    return function


Function = Callable[[str], UserFunction]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("return tf.image.random_brightness(image, 0.2)", ["tf.random.uniform"]),
        ("return image + tf.cast(tf.random.uniform((), 0, 9, tf.int32), tf.uint8)", ["tf.random.uniform"]),
        (
            "return tf.cond(tf.size(image) > 3, lambda: tf.image.random_hue(image, 0.2), lambda: image)",
            ["tf.random.uniform"],
        ),
        ("return tf.map_fn(lambda row: tf.image.random_flip_left_right(row[None])[0], image)", ["tf.random.uniform"]),
        (
            "return tf.random.shuffle(image) + tf.cast(tf.random.normal(image.shape), tf.uint8)",
            ["tf.random.normal", "tf.random.shuffle"],
        ),
        ("return tf.image.stateless_random_brightness(image, 0.2, seed)", []),
        ("return tf.image.flip_left_right(image)", []),
        ("return image.numpy()[::-1]", []),
    ],
)
def test_tensorflows_stateful_draws_are_named(
    function: Function, samples: list[Sample], body: str, names: list[str]
) -> None:
    assert stateful_draws(function(f"def augment(image, seed): {body}"), samples[0]) == names


def test_stateful_draws_under_a_python_if_are_named(function: Function, samples: list[Sample]) -> None:
    source = """
    def augment(image):
        if tf.reduce_max(image) > 3:
            image = tf.image.random_contrast(image, 0.5, 1.5)
        return image
    """
    assert stateful_draws(function(source), samples[0]) == ["tf.random.uniform"]


def test_a_function_of_arrays_is_not_traced(function: Function, samples: list[Sample]) -> None:
    op = function("def augment(image: np.ndarray): return tf.image.random_brightness(image, 0.2).numpy()")
    assert stateful_draws(op, samples[0]) == []


def test_a_function_of_the_label_is_traced_with_it(function: Function, samples: list[Sample]) -> None:
    op = function("def augment(image, label): return tf.image.random_brightness(image, 0.2), label")
    assert stateful_draws(op, samples[0]) == ["tf.random.uniform"]


def test_a_function_of_the_label_can_be_judged_where_there_is_none(function: Function, samples: list[Sample]) -> None:
    op = function("def augment(image, label): return image, label")
    assert stateful_draws(op, Sample(samples[0].image)) == []


@pytest.mark.parametrize(
    "body",
    [
        "return image + random.randrange(200)",
        "return image + np.uint8(np.random.randint(200))",
        "return image + np.uint8(np.random.default_rng().integers(200))",
        "return tf.image.random_brightness(image, 0.4)",
    ],
)
def test_a_function_that_draws_from_a_global_generator_does_not_repeat_itself(
    function: Function, samples: list[Sample], body: str
) -> None:
    op = function(f"def augment(image): {body}")
    assert not all(repeats_itself(op, sample, {}) for sample in samples)


@pytest.mark.parametrize(
    "source",
    [
        "def augment(image, seed): return tf.image.stateless_random_brightness(image, 0.4, seed)",
        "def augment(image: np.ndarray, seed): return image + np.uint8(np.random.default_rng(abs(seed)).integers(200))",
        "def augment(image, label): return 255 - image, label + tf.constant(1, tf.int64)",
    ],
)
def test_a_function_that_keeps_to_its_seed_repeats_itself(
    function: Function, samples: list[Sample], source: str
) -> None:
    op = function(source)
    for i, sample in enumerate(samples):
        params = op.draw(Draws(seed=0, key=f"rose/{i}.jpg", copy=1, at="0"), sample.image.shape)
        assert repeats_itself(op, sample, params)


def test_a_label_drawn_at_random_is_noticed(function: Function, samples: list[Sample]) -> None:
    op = function("def augment(image, label): return image, random.randrange(10**6)")
    assert not repeats_itself(op, samples[0], {})


def test_pythons_and_numpys_generators_are_left_as_they_were(function: Function, samples: list[Sample]) -> None:
    op = function("def augment(image): return image + np.uint8(random.randrange(99) + np.random.randint(99))")
    broken = function("def augment(image): raise ValueError(random.random() + np.random.rand())")
    before = random.getstate(), np.random.get_state(legacy=False)
    repeats_itself(op, samples[0], {})
    with pytest.raises(ValueError, match=r"\d"):
        repeats_itself(broken, samples[0], {})
    assert random.getstate() == before[0]
    np.testing.assert_equal(np.random.get_state(legacy=False), before[1])
