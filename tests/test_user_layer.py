"""The user's own Keras layer: a pure function of (image, seed), whatever state it was written with."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline.check import run_check
from augmill.pipeline.lineage import user_code
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.transforms.audit import numbers
from augmill.transforms.backend import in_graph
from augmill.transforms.base import KEPT, KINDS, REFUSED, Sample, TransformError
from augmill.transforms.function import UserFunction
from augmill.transforms.grammar import parse_policy
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import draw_and_apply, finished
from augmill.transforms.repeatable import repeats_itself
from augmill.transforms.user_layer import UserLayer

_NUMBERS = itertools.count()  # a module is imported once by its name: each gets another

LAYERS = """
import random

import keras
import tensorflow as tf


class Shift(keras.layers.Layer):
    '''Draws from a generator of its own and from that of a layer inside it.'''

    def __init__(self, most=20, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.most = most
        self.source = keras.random.SeedGenerator(seed)
        self.flip = keras.layers.RandomFlip("horizontal")

    def call(self, images, training=False):
        if not training:
            return images
        assert images.dtype == tf.float32 and images.shape[0] == 1, images
        by = keras.random.randint((), 1, self.most + 1, seed=self.source)
        return self.flip(tf.roll(images, by, axis=2), training=training)


class Darker(keras.layers.RandomBrightness):
    '''Draws as Keras's layer does.'''

    moves_pixels = False


class Unseeded(keras.layers.Layer):
    def call(self, images, training=False):
        return images * keras.random.uniform((), 0.5, 0.9) if training else images


class ByPython(keras.layers.Layer):
    def call(self, images):
        return images * random.uniform(0.5, 0.9)


class ByTensorFlow(keras.layers.Layer):
    def call(self, images):
        return images * tf.random.uniform((), 0.5, 0.9)


class Weighty(keras.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(), initializer="random_normal")

    def call(self, images):
        return images * self.kernel


class ToUnitRange(keras.layers.Layer):
    def call(self, images):
        return images / 255.0


class Halved(keras.layers.Layer):
    moves_pixels = False

    def call(self, images):
        return images[:, ::2]


class Flat(keras.layers.Layer):
    def call(self, images):
        return tf.reshape(images, [1, -1])


class NeedsSeed(keras.layers.Layer):
    def __init__(self, seed):
        super().__init__()
        self.source = keras.random.SeedGenerator(seed)

    def call(self, images):
        return images * keras.random.uniform((), 0.5, 0.9, seed=self.source)


def turn(image):
    return tf.image.rot90(image)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's with layers in it."""
    name = f"own_layers_{next(_NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(LAYERS), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture(scope="module")
def face(photo: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photo[40:104, 60:140])


def draws(i: int) -> Draws:
    return Draws(seed=5, key=f"rose/{i}.jpg", copy=1, at="0")


def test_the_seed_alone_decides_the_pixels(module: str, face: np.ndarray) -> None:
    one, other = UserLayer(f"{module}:Shift", {"most": 5}), UserLayer(f"{module}:Shift", {"most": 5})
    seen = set()
    for i in range(12):
        params, after = draw_and_apply(one, draws(i), Sample(face))
        assert repeats_itself(one, Sample(face), params)
        assert np.array_equal(other.transform(Sample(face), params).image, after.image)
        assert np.array_equal(in_graph(one, params)(tf.constant(face)), finished(after).image)
        moved = [np.roll(face, by, axis=1) for by in range(1, 6)]
        found = [
            k for k, image in enumerate([*moved, *(m[:, ::-1] for m in moved)]) if np.array_equal(image, after.image)
        ]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) >= 6


def test_the_first_image_draws_as_the_hundredth_does(module: str, face: np.ndarray) -> None:
    """Keras builds a layer by running it once, which draws from its generators."""
    fresh = [UserLayer(f"{module}:Shift").apply(face, {"seed": [3, i]}) for i in range(6)]
    op = UserLayer(f"{module}:Shift")
    assert all(np.array_equal(op.apply(face, {"seed": [3, i]}), image) for i, image in enumerate(fresh))
    assert len({image.tobytes() for image in fresh}) > 3


def test_the_global_seed_of_keras_changes_nothing(module: str, face: np.ndarray) -> None:
    images = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        images.append(UserLayer(f"{module}:Shift").apply(face, {"seed": [3, 4]}))
    assert np.array_equal(*images)


def test_a_layer_that_tells_what_it_draws_is_recorded(
    module: str, face: np.ndarray, drawn: Callable[..., Any], follows: Callable[..., bool]
) -> None:
    op = UserLayer(f"{module}:Darker", {"factor": 0.2})
    levels = []
    for i in range(200):
        params, after = draw_and_apply(op, draws(i), Sample(face))
        levels.append(params["rgb_delta"])
        expected = np.clip(face.astype(np.float32) + np.float32(levels[-1]), 0, 255)
        assert np.allclose(after.image, expected, atol=1e-3)
    assert follows(levels, "uniform", -51, 102)


def test_a_layer_that_needs_a_seed_gets_one_that_says_nothing(module: str, face: np.ndarray) -> None:
    op = UserLayer(f"{module}:NeedsSeed")
    assert not np.array_equal(op.apply(face, {"seed": [1, 2]}), op.apply(face, {"seed": [1, 3]}))


@pytest.mark.parametrize("name", ["Unseeded", "ByPython", "ByTensorFlow"])
def test_a_layer_that_draws_elsewhere_is_found_out(module: str, face: np.ndarray, name: str) -> None:
    assert not repeats_itself(UserLayer(f"{module}:{name}"), Sample(face), {"seed": [1, 2]})


def test_the_check_judges_layers_as_it_does_functions(module: str, make_spec: Callable[..., Any]) -> None:
    spec = make_spec(augment=[f"{module}:Unseeded", {f"{module}:Shift": {"most": 4}}])
    report = run_check(spec, make_plan(spec, list_source(spec)), samples=8)
    [problem] = report.problems
    assert problem == (
        f"augment 0: {module}:Unseeded gives another result each time on the same image: it draws from a global "
        "generator; let it hold a keras.random.SeedGenerator, made in __init__, and draw from it alone"
    )
    assert list(user_code(spec)) == [module]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("Shift", {"seed": 3}, "leave out seed; the spec's own seed rules every draw$"),
        ("Shift", {"mast": 3}, "Unrecognized keyword arguments passed to Shift: .*mast"),
        ("Darker", {}, "missing 1 required positional argument: 'factor'$"),
        ("Darker", {"factor": 3}, "Received: factor=3$"),
    ],
)
def test_wrong_arguments_are_an_error_that_names_the_layer(
    module: str, name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TransformError, match=message) as error:
        UserLayer(f"{module}:{name}", given)
    assert str(error.value).startswith(f"{module}:{name}: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Weighty", "has weights, which every worker would make anew"),
        ("ToUnitRange", r"gave pixels in \[0, 1\] for an image in \[0, 255\]; rescaling belongs into the model$"),
        ("Flat", r"a batch of one image \[1, height, width, 3\], got EagerTensor of shape \[1, 15360\]$"),
    ],
)
def test_a_layer_that_gives_no_image_is_refused(module: str, face: np.ndarray, name: str, message: str) -> None:
    with pytest.raises(TransformError, match=message):
        UserLayer(f"{module}:{name}").apply(face, {"seed": [1, 2]})


def test_a_layer_is_refused_beside_boxes_unless_it_says_that_it_moves_nothing(module: str, face: np.ndarray) -> None:
    shift, darker = UserLayer(f"{module}:Shift"), UserLayer(f"{module}:Darker", {"factor": [0.2, 0.2]})
    assert [shift.treatment(kind) for kind in KINDS] == [REFUSED] * 3
    assert [darker.treatment(kind) for kind in KINDS] == [KEPT] * 3
    sample = Sample(face, objects=Objects.from_boxes(np.array([[3, 4, 20, 30]]), np.array([1])))
    after = Policy((darker,)).run(sample, seed=0, key="a", copy=1)[0]
    assert after.equals(replace(sample, image=np.minimum(face.astype(int) + 51, 255).astype(np.uint8)))
    with pytest.raises(
        TransformError, match="say so by moves_pixels = False in class Shift, and else write a function"
    ):
        Policy((shift,)).run(sample, seed=0, key="a", copy=1)
    with pytest.raises(TransformError, match=r"says moves_pixels = False, and yet .* from 64x80 to 32x80$"):
        Policy((UserLayer(f"{module}:Halved"),)).run(sample, seed=0, key="a", copy=1)


def test_a_spec_names_layers_and_functions_alike(module: str) -> None:
    entries = [{f"{module}:Shift": {"most": 4}}, f"{module}:turn"]
    policy, problems = parse_policy(entries)
    assert problems == []
    assert policy.ops == (UserLayer(f"{module}:Shift", {"most": 4}), UserFunction(f"{module}:turn"))
    assert policy.entries() == entries


def test_grey_images_stay_grey(module: str, face: np.ndarray) -> None:
    assert UserLayer(f"{module}:Shift").apply(face[..., :1], {"seed": [1, 2]}).shape == (64, 80, 1)


def test_what_a_layer_draws_beside_numbers_is_left_out() -> None:
    import tensorflow as tf

    from augmill.transforms.user_layer import _small_numbers

    drawn = {"mode": tf.constant("flip"), "far": tf.constant(float("inf")), "ops": tf.constant(2.0), "size": 3}
    assert dict(_small_numbers(drawn)) == {"ops": 2.0}
    assert list(numbers({"ops": 2.0})) == [("ops", 2.0)]
