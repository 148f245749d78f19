"""The user's own function: what it is given, what it may return, and what it is told when it is wrong."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.function import UserFunction
from augmill.transforms.randomness import Draws

_NUMBERS = itertools.count()  # a module is imported once by its name: each gets another


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module that defines `augment` and give its target."""

    def write(source: str) -> str:
        name = f"own_function_{next(_NUMBERS)}"
        start = "from os.path import join\nimport numpy as np\nimport tensorflow as tf\n"
        (tmp_path / f"{name}.py").write_text(start + textwrap.dedent(source), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return f"{name}:augment"

    return write


Write = Callable[[str], str]


def run(op: UserFunction, sample: Sample) -> Sample:
    draws = Draws(seed=1, key="rose/1.jpg", copy=1, at="0")
    return op.transform(sample, op.draw(draws, sample.image.shape))


def test_a_function_of_the_image_alone_keeps_the_label(write: Write, photo: np.ndarray) -> None:
    op = UserFunction(write("def augment(image): return tf.image.transpose(image)"))
    after = run(op, Sample(photo, 4))
    assert np.array_equal(after.image, photo.transpose(1, 0, 2))
    assert after.label == 4
    assert op.draw(Draws(seed=1, key="a", copy=1, at="0"), photo.shape) == {}


def test_a_function_may_change_the_label(write: Write, photo: np.ndarray) -> None:
    op = UserFunction(write("def augment(image, label): return 255 - image, label + tf.constant(10, tf.int64)"))
    after = run(op, Sample(photo, 4))
    assert np.array_equal(after.image, 255 - photo)
    assert (after.label, type(after.label)) == (14, int)


def test_a_seed_is_given_to_who_asks_for_it(write: Write, photo: np.ndarray) -> None:
    op = UserFunction(write("def augment(image, seed): return tf.image.stateless_random_brightness(image, 0.4, seed)"))
    params = op.draw(Draws(seed=1, key="rose/1.jpg", copy=1, at="0"), photo.shape)
    expected = tf.image.stateless_random_brightness(photo, 0.4, params["seed"]).numpy()
    assert np.array_equal(op.transform(Sample(photo), params).image, expected)
    others = [op.draw(Draws(seed=1, key="rose/1.jpg", copy=copy, at="0"), photo.shape)["seed"] for copy in range(2, 9)]
    assert params["seed"] not in others


def test_a_functions_own_arguments_come_from_the_spec(write: Write, photo: np.ndarray) -> None:
    target = write("def augment(image, by, *, axis=0): return tf.roll(image, by, axis)")
    assert np.array_equal(run(UserFunction(target, {"by": 3}), Sample(photo)).image, np.roll(photo, 3, axis=0))
    op = UserFunction(target, {"by": 3, "axis": 1})
    assert np.array_equal(run(op, Sample(photo)).image, np.roll(photo, 3, axis=1))
    assert repr(op) == f"{target}(by=3, axis=1)"


@pytest.mark.parametrize("annotation", ["np.ndarray", "'np.ndarray'", "'numpy.ndarray'"])
def test_a_function_that_asks_for_arrays_gets_arrays_of_its_own(
    write: Write, photo: np.ndarray, annotation: str
) -> None:
    source = f"""
    def augment(image: {annotation}, label, seed):
        assert (type(image), image.dtype) == (np.ndarray, np.uint8), image
        assert (label.dtype, label.shape) == (np.int64, ()), label
        assert (seed.dtype, seed.shape) == (np.int32, (2,)), seed
        image[:] = image[::-1].copy()
        return image, label
    """
    kept = photo.copy()
    after = run(UserFunction(write(source)), Sample(photo, 2))
    assert np.array_equal(after.image, photo[::-1])
    assert np.array_equal(photo, kept)


def test_other_functions_get_tensors(write: Write, photo: np.ndarray) -> None:
    source = """
    def augment(image, label, seed):
        assert all(tf.is_tensor(tensor) for tensor in (image, label, seed))
        assert [tensor.dtype for tensor in (image, label, seed)] == [tf.uint8, tf.int64, tf.int32]
        assert [tensor.shape.as_list() for tensor in (image, label, seed)] == [[224, 224, 3], [], [2]]
        return image, label
    """
    assert np.array_equal(run(UserFunction(write(source)), Sample(photo, 2)).image, photo)


def test_a_function_may_be_a_tf_function_and_may_change_the_size(write: Write, photo: np.ndarray) -> None:
    op = UserFunction(write("@tf.function\ndef augment(image): return image[10:50, 20:90]"))
    assert np.array_equal(run(op, Sample(photo)).image, photo[10:50, 20:90])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "def augment(image): return tf.cast(image, tf.float32)",
            r"must return a uint8 image .* got float32; end it with",
        ),
        ("def augment(image): return image[..., 0]", r"an image \[height, width, 3\], got shape \[224, 224\]$"),
        ("def augment(image): return image[..., :1]", r"got shape \[224, 224, 1\]$"),
        ("def augment(image): return image[None]", r"got shape \[1, 224, 224, 3\]$"),
        ("def augment(image): return image[:0]", r"got shape \[0, 224, 3\]$"),
        ("def augment(image): pass", "must return the image, got NoneType$"),
        ("def augment(image): return image, 3", "must return the image, got a tuple of 2$"),
        ("def augment(image, label): return image", r"must return \(image, label\), got EagerTensor of shape \[224, "),
        ("def augment(image, label): return image, label, 1", r"must return \(image, label\), got a tuple of 3$"),
        ("def augment(image, label): return image, 1.5", "must return a whole number as label, got float$"),
        ("def augment(image, label): return image, [1, 2]", "must return a whole number as label, got a list of 2$"),
    ],
)
def test_a_wrong_result_is_an_error_that_names_the_function(
    write: Write, photo: np.ndarray, source: str, message: str
) -> None:
    target = write(source)
    with pytest.raises(TransformError, match=message) as error:
        run(UserFunction(target), Sample(photo, 1))
    assert str(error.value).startswith(f"{target} ")


def test_a_function_of_the_label_needs_one(write: Write, photo: np.ndarray) -> None:
    op = UserFunction(write("def augment(image, label): return image, label"))
    with pytest.raises(TransformError, match=f"^{op.target} takes `label`, but this source has no labels$"):
        run(op, Sample(photo))


@pytest.mark.parametrize(
    ("source", "given", "message"),
    [
        ("def augment(picture): return picture", {}, r"by the name `image`, got parameters \(picture\)$"),
        ("def augment(image, degrees): return image", {}, "needs a value for degrees: give it in the spec$"),
        ("def augment(image, degrees): return image", {"degres": 3}, "no argument 'degres'; did you mean degrees"),
        ("def augment(image): return image", {"zzz": 3}, "no argument 'zzz'.* It takes none of its own$"),
        ("def augment(image): return image", {5: 3}, "no argument 5"),
        ("def augment(image, seed): return image", {"seed": 3}, "seed is given by augmill, leave it out of the spec$"),
    ],
)
def test_wrong_arguments_are_an_error_that_names_the_function(
    write: Write, source: str, given: dict[Any, Any], message: str
) -> None:
    target = write(source)
    with pytest.raises(TransformError, match=message) as error:
        UserFunction(target, given)
    assert target in str(error.value)


def test_further_arguments_are_taken_where_the_function_takes_any(write: Write, photo: np.ndarray) -> None:
    op = UserFunction(write("def augment(image, **more): return tf.roll(image, more['by'], 0)"), {"by": 7})
    assert np.array_equal(run(op, Sample(photo)).image, np.roll(photo, 7, axis=0))


def test_a_missing_function_is_answered_with_those_there_are(write: Write) -> None:
    module = write("def augment(image): return image\ndef rotate(image): return image").partition(":")[0]
    with pytest.raises(
        TransformError, match=rf"^{module} \(.*{module}.py\) has no function 'turn'; it has augment, rotate$"
    ):
        UserFunction(f"{module}:turn")


def test_a_module_that_cannot_be_imported_is_named_with_the_reason(write: Write) -> None:
    with pytest.raises(TransformError, match="'nowhere_to_be_found' of nowhere_to_be_found:f can't be imported"):
        UserFunction("nowhere_to_be_found:f")
    target = write("raise RuntimeError('no licence')")
    with pytest.raises(TransformError, match=r"can't be imported \(RuntimeError: no licence\)"):
        UserFunction(target)


def test_a_function_of_the_running_script_is_refused() -> None:
    with pytest.raises(TransformError, match="put it in a module that workers can import"):
        UserFunction("__main__:augment")
