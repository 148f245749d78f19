"""The contract of a transform, and the checks that their arguments go through."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from augmill.transforms.base import PixelTransform, Sample, Transform, TransformError, check_number, check_range
from augmill.transforms.color import RandomContrast
from augmill.transforms.geometry import RandomCrop, RandomFlipLeftRight
from augmill.transforms.randomness import Draws


@dataclass(frozen=True, repr=False)
class Shift(PixelTransform):
    """Roll the image by `by` pixels."""

    by: Any

    name: ClassVar[str] = "shift"

    def draw(self, draws: Draws, shape: tuple[int, ...]) -> dict[str, Any]:
        return {}

    def apply(self, image: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        return np.roll(image, self.by, axis=1)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float64(0.25)])
def test_a_number_in_its_range_is_taken(value: float) -> None:
    check_number("p", value, low=0, high=1)


@pytest.mark.parametrize("value", [-1e-9, 1 + 1e-9, float("nan"), float("inf"), True, "0.5", None, [0.5]])
def test_an_error_states_the_rule_and_the_value(value: Any) -> None:
    with pytest.raises(TransformError) as error:
        check_number("p", value, low=0, high=1)
    assert str(error.value) == f"p must be a number in [0, 1], got {value!r}"


def test_an_open_range_leaves_out_its_lower_end() -> None:
    check_number("p", 1e-9, low=0, high=1, open_low=True)
    with pytest.raises(TransformError, match=r"^p must be a number in \(0, 1\], got 0; a hint$"):
        check_number("p", 0, low=0, high=1, open_low=True, hint="a hint")


def test_a_range_without_upper_end_says_what_is_least() -> None:
    check_number("n", 1e9, low=2)
    with pytest.raises(TransformError, match=r"^n must be a number of at least 2, got 1$"):
        check_number("n", 1, low=2)
    with pytest.raises(TransformError, match=r"^n must be a number above 2, got 2$"):
        check_number("n", 2, low=2, open_low=True)


@pytest.mark.parametrize(("low", "high"), [(1.5, 0.5), (1, 1)])
def test_a_range_must_not_be_empty(low: float, high: float) -> None:
    with pytest.raises(TransformError) as error:
        check_range("lower", low, "upper", high)
    assert str(error.value) == f"lower must be less than upper, got lower {low:g}, upper {high:g}"


@pytest.mark.parametrize(("low", "high", "name"), [(-1, 1, "lower"), ("0", 1, "lower"), (0, None, "upper")])
def test_the_end_of_a_range_that_is_wrong_is_named(low: Any, high: Any, name: str) -> None:
    with pytest.raises(TransformError, match=f"^{name} must be a number of at least 0"):
        check_range("lower", low, "upper", high)


def test_the_repr_of_a_transform_is_its_spec() -> None:
    assert repr(RandomContrast(0.5, 1.5)) == "tf.image.random_contrast(lower=0.5, upper=1.5)"
    assert repr(RandomFlipLeftRight()) == "tf.image.random_flip_left_right()"
    assert repr(RandomCrop((20, 30, 3))) == "tf.image.random_crop(size=[20, 30, 3])"


def test_arguments_are_as_yaml_has_them() -> None:
    assert Shift((1, (2, 3))).arguments() == {"by": [1, [2, 3]]}
    assert Shift({"x": (1, 2)}).arguments() == {"by": {"x": [1, 2]}}
    assert Shift("left").arguments() == {"by": "left"}


def test_transforms_and_samples_are_frozen(photo: np.ndarray) -> None:
    with pytest.raises(FrozenInstanceError):
        RandomContrast(0.5, 1.5).lower = 0.1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Sample(photo).label = 1  # type: ignore[misc]


def test_a_transform_of_pixels_leaves_the_label(photo: np.ndarray) -> None:
    before = Sample(photo, label=3)
    after = Shift(5).transform(before, {})
    assert after.label == 3
    assert np.array_equal(after.image, np.roll(photo, 5, axis=1))
    assert before.image is photo


def test_equal_arguments_make_equal_transforms() -> None:
    assert RandomCrop([20, 30, 3]) == RandomCrop((20, 30, 3))  # type: ignore[arg-type]
    assert RandomContrast(0.5, 1.5) != RandomContrast(0.5, 1.6)


def test_a_transform_must_say_how_it_draws_and_what_it_does() -> None:
    for kind in (Transform, PixelTransform):
        with pytest.raises(TypeError, match="abstract"):
            kind()
