"""Keras layers without state: pixels by the layer, draws by augmill, and nothing global has a say."""

from __future__ import annotations

import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.catalog import OPS
from augmill.transforms.examples import example_of
from augmill.transforms.keras_layer import PREFIX, KerasTransform, image_layer_class, keras_settings, make_layer
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import carry_out, finished

DRIVEN = [name for name, op in OPS.items() if issubclass(op, KerasTransform)]


@pytest.fixture(scope="module")
def face(photo: np.ndarray) -> np.ndarray:
    """A window small enough to go through every layer many times."""
    return np.ascontiguousarray(photo[40:104, 60:124])


def made(name: str, image: np.ndarray, copy: int = 1) -> np.ndarray:
    op = example_of(name)
    params = op.draw(Draws(seed=5, key="rose/1.jpg", copy=copy, at="0"), image.shape)
    return finished(carry_out(op, Sample(image), params)).image


def test_every_image_layer_of_keras_is_an_op() -> None:
    """Also where the installed Keras has fewer layers than the newest."""
    found = {name: value for name, value in vars(keras.layers).items() if inspect.isclass(value)}
    layers = {PREFIX + name for name, value in found.items() if issubclass(value, image_layer_class())}
    assert len(layers) >= 30
    assert layers <= set(OPS)


@pytest.mark.parametrize("name", DRIVEN)
def test_what_is_set_for_keras_as_a_whole_changes_nothing(face: np.ndarray, name: str) -> None:
    expected = made(name, face)
    config = keras.config
    before = config.image_data_format(), config.floatx(), config.epsilon(), config.dtype_policy()
    config.set_image_data_format("channels_first")
    config.set_floatx("float16")
    config.set_epsilon(0.1)
    config.set_dtype_policy("mixed_float16")
    try:
        image = made(name, face)
        assert (config.image_data_format(), config.floatx(), config.epsilon()) == ("channels_first", "float16", 0.1)
    finally:
        config.set_image_data_format(before[0])
        config.set_floatx(before[1])
        config.set_epsilon(before[2])
        config.set_dtype_policy(before[3])
    assert np.array_equal(image, expected)


@pytest.mark.parametrize("name", DRIVEN)
def test_the_global_seed_and_what_came_before_change_nothing(face: np.ndarray, name: str) -> None:
    op = example_of(name)
    params = op.draw(Draws(seed=5, key="rose/1.jpg", copy=2, at="0"), face.shape)
    images = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        images.append(finished(carry_out(op, Sample(face), params)).image)
        made(name, face[:40, :50], copy=seed)
    assert np.array_equal(*images)


def test_a_layer_that_this_keras_lacks_is_named_with_the_cure() -> None:
    with pytest.raises(TransformError, match=r"^keras.layers.RandomFuture is not in Keras .*; install"):
        make_layer("RandomFuture", {})


def test_what_the_layer_refuses_is_told_in_a_line() -> None:
    with pytest.raises(TransformError, match=r"^keras.layers.RandomRotation: .*fill_mode") as error:
        make_layer("RandomRotation", {"factor": 0.1, "fill_mode": "mirrored"})
    assert "\n" not in str(error.value)


def test_settings_are_put_back_where_an_op_fails() -> None:
    before = keras.config.floatx()
    with pytest.raises(ZeroDivisionError), keras_settings():
        keras.config.set_floatx("float64")
        raise ZeroDivisionError
    assert keras.config.floatx() == before


def test_another_backend_is_refused() -> None:
    code = (
        "from augmill.transforms.keras_layer import keras\nimport types, sys\n"
        "sys.modules['keras'] = types.SimpleNamespace(backend=types.SimpleNamespace(backend=lambda: 'jax'))\n"
        "try: keras()\nexcept ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Keras runs on jax here; set KERAS_BACKEND=tensorflow\n"


def test_reading_a_spec_of_layers_does_not_wait_for_tensorflow() -> None:
    code = (
        "from augmill.transforms.grammar import parse_policy\nimport sys\n"
        "policy, problems = parse_policy([{'keras.layers.RandomRotation': {'factor': 0.1}}])\n"
        "assert not problems and policy.ops\nprint('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
