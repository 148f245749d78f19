"""TrivialAugment: one op in fourteen, one strength in thirty-one, and the values of the wide space."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from augmill.transforms.augment_ops import FOURTEEN
from augmill.transforms.base import Sample, TransformError
from augmill.transforms.policy import Policy
from augmill.transforms.trivial_augment import TrivialAugmentWide

# The wide space of the authors' code, automl/trivialaugment, at strengths 0, 1, 10, 17 and 30; solved by hand.
PUBLISHED = {
    "rotate": (0, 4, 45, 76, 135),
    "shear_x": (0.0, 0.033, 0.33, 0.561, 0.99),
    "shear_y": (0.0, 0.033, 0.33, 0.561, 0.99),
    "translate_x": (0, 1, 10, 18, 32),
    "translate_y": (0, 1, 10, 18, 32),
    "posterize": (8, 8, 6, 5, 2),
    "solarize": (256, 248, 171, 111, 0),
    "color": (0.01, 0.0763333, 0.6733333, 1.1376667, 2.0),
    "contrast": (0.01, 0.0763333, 0.6733333, 1.1376667, 2.0),
    "brightness": (0.01, 0.0763333, 0.6733333, 1.1376667, 2.0),
    "sharpness": (0.01, 0.0763333, 0.6733333, 1.1376667, 2.0),
    "identity": (None,) * 5,
    "autocontrast": (None,) * 5,
    "equalize": (None,) * 5,
}
OP = TrivialAugmentWide()


@pytest.fixture(scope="module")
def many(drawn: Callable[..., Any]) -> list[dict[str, Any]]:
    return drawn(OP, (500, 375, 3), 20000)


def test_values_are_the_published_ones_whatever_the_size(many: list[dict[str, Any]]) -> None:
    seen = set()
    for params in many:
        [[name, value]] = params["ops"]
        if params["strength"] in (0, 1, 10, 17, 30):
            expected = PUBLISHED[name][(0, 1, 10, 17, 30).index(params["strength"])]
            assert (value if value is None else abs(value)) == (None if expected is None else pytest.approx(expected))
            seen.add((name, params["strength"]))
    assert len(seen) == 14 * 5


def test_ops_and_strengths_are_equally_likely(many: list[dict[str, Any]], equally_likely: Callable[..., bool]) -> None:
    assert equally_likely([params["ops"][0][0] for params in many], list(FOURTEEN))
    assert equally_likely([params["strength"] for params in many], list(range(31)))
    strengths_of_color = [params["strength"] for params in many if params["ops"][0][0] == "color"]
    assert equally_likely(strengths_of_color, list(range(31)))


def test_signs_are_equally_likely(many: list[dict[str, Any]], equally_likely: Callable[..., bool]) -> None:
    for name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y"):
        values = [value for params in many for other, value in params["ops"] if other == name and value]
        assert equally_likely([value > 0 for value in values], [True, False])


def test_most_renditions_differ_and_the_same_name_gives_the_same_bytes(photo: np.ndarray) -> None:
    def rendition(copy: int) -> np.ndarray:
        return Policy((OP,)).run(Sample(photo), seed=2, key="cat", copy=copy)[0].image

    images = [rendition(copy) for copy in range(40)]
    assert len({image.tobytes() for image in images}) >= 30
    assert np.array_equal(images[7], rendition(7))


@pytest.mark.parametrize("shape", [(32, 32, 3), (375, 500, 3), (1, 50, 3), (50, 1, 3), (33, 20, 1)])
def test_every_size_is_taken(photos: dict[str, np.ndarray], shape: tuple[int, ...]) -> None:
    image = photos["coffee"][: shape[0], : shape[1], : shape[2]]
    for copy in range(40):
        result, _ = Policy((OP,)).run(Sample(image), seed=2, key="cup", copy=copy)
        assert (result.image.dtype, result.image.shape) == (np.uint8, image.shape)


def test_boxes_and_masks_follow_whatever_is_drawn(
    drawn: Callable[..., Any], overlaps: Callable[..., tuple[float, float]]
) -> None:
    moved = 0
    for params in drawn(OP, (160, 200, 3), 80):
        [[name, value]] = params["ops"]
        if name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y") and value:
            assert min(overlaps(OP, params, (70, 60, 120, 100))) >= 0.9, params
            moved += 1
    assert moved >= 20


def test_an_op_is_made_again_of_its_arguments() -> None:
    for op in (OP, TrivialAugmentWide("bilinear", 128)):
        assert TrivialAugmentWide(**json.loads(json.dumps(op.arguments()))) == op
    assert repr(OP) == "trivial_augment_wide(interpolation='nearest', fill=0)"


def test_arguments_that_make_no_sense_are_told() -> None:
    with pytest.raises(TransformError) as error:
        TrivialAugmentWide(fill=-1)
    assert str(error.value) == "fill must be a whole number of at least 0 and at most 255, got -1"
