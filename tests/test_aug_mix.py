"""AugMix: chains and weights by their distributions, the mixture by hand, and no annotation led astray."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from augmill.transforms.aug_mix import RANGES, AugMix, KerasAugMix
from augmill.transforms.augment_ops import SCALED
from augmill.transforms.base import KEPT, KINDS, REFUSED, Sample, Transform, TransformError
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy
from augmill.transforms.rendering import carry_out, finished

STILL = ("autocontrast", "equalize", "posterize", "solarize")
NINE = (*STILL, "rotate", "shear_x", "shear_y", "translate_x", "translate_y")
ENHANCING = ("color", "contrast", "brightness", "sharpness")
BOTH: list[Transform] = [AugMix(), KerasAugMix()]


def steps_of(params: list[dict[str, Any]]) -> list[list[Any]]:
    return [step for drawn_of in params for chain in drawn_of["chains"] for step in chain]


@pytest.mark.parametrize(
    ("name", "level", "value"),
    [  # augmentations.py of google-research/augmix at a level, for an image of 96 x 96; solved by hand
        ("rotate", 2.9, 8),
        ("shear_x", 2.9, 0.087),
        ("translate_y", 2.9, 9),
        ("posterize", 2.4, 4),
        ("posterize", 2.9, 3),
        ("posterize", 9.99, 1),
        ("solarize", 2.9, 182),
        ("color", 2.9, 0.622),
        ("equalize", 2.9, None),
    ],
)
def test_values_are_the_published_ones(name: str, level: float, value: Any) -> None:
    assert RANGES.value(name, level / 10, (96, 96)) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("op", "choices"),
    [
        (AugMix(), NINE),
        (AugMix(all_ops=True), (*NINE, *ENHANCING)),
        (AugMix(moving_ops=False), STILL),
        (AugMix(all_ops=True, moving_ops=False), (*STILL, *ENHANCING)),
        (KerasAugMix(), SCALED),
        (KerasAugMix(all_ops=False), tuple(name for name in SCALED if name not in ENHANCING)),
    ],
    ids=repr,
)
def test_ops_are_equally_likely(
    drawn: Callable[..., Any], equally_likely: Callable[..., bool], op: Transform, choices: tuple[str, ...]
) -> None:
    assert equally_likely([name for name, _ in steps_of(drawn(op, count=1000))], list(choices))


def test_levels_are_uniform_up_to_the_severity_and_signs_equally_likely(
    drawn: Callable[..., Any], follows: Callable[..., bool], equally_likely: Callable[..., bool]
) -> None:
    steps = steps_of(drawn(AugMix(severity=5, all_ops=True), (3000, 3000, 3)))
    by_name = {name: [value for other, value in steps if other == name] for name in (*NINE, *ENHANCING)}
    assert follows([abs(value) for value in by_name["shear_x"]], "uniform", 0.003, 0.147)
    assert follows([abs(value) for value in by_name["shear_y"]], "uniform", 0.003, 0.147)
    assert follows([abs(value) for value in by_name["translate_x"]], "uniform", 9.5, 490.5)
    for name in ENHANCING:
        assert follows(by_name[name], "uniform", 0.118, 0.882)
    for name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y"):
        assert equally_likely([value > 0 for value in by_name[name] if value], [True, False])
    assert set(map(abs, by_name["rotate"])) == set(range(15))


def test_depths_are_drawn_or_given(drawn: Callable[..., Any], equally_likely: Callable[..., bool]) -> None:
    """Keras's layer leaves each op out by a chance of one in twelve; documented is a number of 0 to chain_depth."""
    for op, depths in [(AugMix(), [1, 2, 3]), (KerasAugMix(chain_depth=4), [0, 1, 2, 3, 4])]:
        lengths = [len(chain) for params in drawn(op, count=1500) for chain in params["chains"]]
        assert equally_likely(lengths, depths)
    assert {len(chain) for params in drawn(AugMix(depth=4), count=50) for chain in params["chains"]} == {4}


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("count", [2, 4])
def test_weights_are_dirichlet_s_and_the_image_s_beta_s(
    drawn: Callable[..., Any], follows: Callable[..., bool], alpha: float, count: int
) -> None:
    for op in (AugMix(width=count, alpha=alpha), KerasAugMix(num_chains=count, alpha=alpha)):
        params = drawn(op, count=1500)
        assert {len(drawn_of["chains"]) for drawn_of in params} == {count}
        assert all(sum(drawn_of["weights"]) == pytest.approx(1) for drawn_of in params)
        for i in range(count):
            assert follows([drawn_of["weights"][i] for drawn_of in params], "beta", alpha, alpha * (count - 1))
        assert follows([drawn_of["m"] for drawn_of in params], "beta", alpha, alpha)


@pytest.mark.parametrize("op", BOTH, ids=repr)
def test_the_mixture_is_that_of_pillow_s_images(photo: np.ndarray, op: Any) -> None:
    params = {
        "chains": [[["posterize", 3], ["translate_x", 20]], [["equalize", None]], []],
        "weights": [0.5, 0.3, 0.2],
        "m": 0.25,
    }
    image, fill = Image.fromarray(photo), (op.fill,) * 3
    moved = ImageOps.posterize(image, 3).transform(
        image.size, Image.Transform.AFFINE, (1, 0, -20, 0, 1, 0), fillcolor=fill
    )
    chains = [np.asarray(chain, np.float64) for chain in (moved, ImageOps.equalize(image), image)]
    expected = 0.25 * photo + 0.75 * (0.5 * chains[0] + 0.3 * chains[1] + 0.2 * chains[2])
    mixed = op.apply(photo, params)
    assert mixed.dtype == np.uint8
    assert np.abs(mixed - expected).max() <= 0.5001


@pytest.mark.parametrize("op", BOTH, ids=repr)
def test_the_ends_of_the_mixture(photo: np.ndarray, op: Any) -> None:
    chains = [[["invert", None]], [["rotate", 20.0]], []]
    assert np.array_equal(op.apply(photo, {"chains": chains, "weights": [1.0, 0.0, 0.0], "m": 1.0}), photo)
    assert np.array_equal(op.apply(photo, {"chains": chains, "weights": [1.0, 0.0, 0.0], "m": 0.0}), 255 - photo)
    assert np.array_equal(op.apply(photo, {"chains": chains, "weights": [0.0, 0.0, 1.0], "m": 0.3}), photo)


@pytest.mark.parametrize("op", BOTH, ids=repr)
def test_every_image_is_taken_and_changed(photos: dict[str, np.ndarray], op: Transform) -> None:
    for shape in [(32, 32, 3), (375, 500, 3), (1, 50, 3), (50, 1, 3), (33, 20, 1)]:
        image = photos["coffee"][: shape[0], : shape[1], : shape[2]]
        results = [Policy((op,)).run(Sample(image), seed=1, key="cup", copy=copy)[0].image for copy in range(12)]
        assert {(result.dtype, result.shape) for result in results} == {(np.dtype(np.uint8), image.shape)}
        assert sum(not np.array_equal(result, image) for result in results) >= 8


@pytest.mark.parametrize("op", BOTH, ids=repr)
def test_the_same_name_gives_the_same_bytes_whatever_python_s_generator_does(photo: np.ndarray, op: Transform) -> None:
    """Keras's layer picks its ops with Python's `random.choice`: no seed gives the same images twice."""

    def rendition(copy: int) -> np.ndarray:
        random.random()
        after, [step] = Policy((op,)).run(Sample(photo), seed=1, key="cat", copy=copy)
        again = finished(carry_out(op, Sample(photo), json.loads(json.dumps(step.params))))
        assert np.array_equal(again.image, after.image)
        return after.image

    images = [rendition(copy) for copy in range(10)]
    assert np.array_equal(images[3], rendition(3))
    assert len({image.tobytes() for image in images}) >= 9


def test_annotations_are_refused_where_chains_move_pixels_apart(photo: np.ndarray) -> None:
    for op in BOTH:
        assert {op.treatment(kind) for kind in KINDS} == {REFUSED}
    sample = Sample(photo, objects=Objects.from_boxes(np.array([[10, 10, 50, 50]]), np.array([1])))
    with pytest.raises(
        TransformError, match=r"^aug_mix cannot be used with boxes: they could not follow its pixels; take"
    ):
        carry_out(AugMix(), sample, {"chains": [], "weights": [], "m": 1.0})


def test_annotations_are_kept_where_no_op_moves(photo: np.ndarray) -> None:
    op = AugMix(moving_ops=False, all_ops=True)
    assert {op.treatment(kind) for kind in KINDS} == {KEPT}
    sample = Sample(photo, objects=Objects.from_boxes(np.array([[10, 10, 50, 50]]), np.array([1])))
    after, _ = Policy((op,)).run(sample, seed=0, key="cat", copy=1)
    assert after.objects is sample.objects
    assert not np.array_equal(after.image, photo)


@pytest.mark.parametrize(
    "op", [*BOTH, AugMix(1, 2, 3, 0.5, True, False, "nearest", 128), KerasAugMix((0, 255), 1, 1, 1)]
)
def test_an_op_is_made_again_of_its_arguments(op: Transform) -> None:
    again = type(op)(**json.loads(json.dumps(op.arguments())))
    assert again == op
    assert repr(again) == repr(op)


@pytest.mark.parametrize(
    ("op", "arguments", "message"),
    [
        (AugMix, {"severity": 0}, "severity must be a number in [1, 10], got 0"),
        (AugMix, {"width": 0}, "width must be a whole number of at least 1, got 0"),
        (AugMix, {"depth": 0}, "depth must be a whole number of at least 1, or -1 to draw it, got 0"),
        (AugMix, {"depth": 2.0}, "depth must be a whole number of at least 1, or -1 to draw it, got 2.0"),
        (AugMix, {"alpha": 0}, "alpha must be a number above 0, got 0"),
        (AugMix, {"all_ops": 1}, "all_ops must be one of False, True, got 1"),
        (AugMix, {"moving_ops": "no"}, "moving_ops must be one of True, False, got 'no'"),
        (AugMix, {"fill": 300}, "fill must be a whole number of at least 0 and at most 255, got 300"),
        (KerasAugMix, {"value_range": (0, 1)}, "value_range must be [0, 255], what images are here, got (0, 1)"),
        (KerasAugMix, {"num_chains": 0}, "num_chains must be a whole number of at least 1, got 0"),
        (KerasAugMix, {"chain_depth": 0}, "chain_depth must be a whole number of at least 1, got 0"),
        (KerasAugMix, {"factor": 1.5}, "factor must be a number in (0, 1], got 1.5"),
        (KerasAugMix, {"alpha": -1}, "alpha must be a number above 0, got -1"),
        (KerasAugMix, {"all_ops": None}, "all_ops must be one of True, False, got None"),
        (KerasAugMix, {"interpolation": "area"}, "interpolation must be one of nearest, bilinear, got 'area'"),
    ],
)
def test_arguments_that_make_no_sense_are_told(op: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TransformError) as error:
        op(**arguments)
    assert str(error.value) == message
