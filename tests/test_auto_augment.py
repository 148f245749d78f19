"""AutoAugment: the tables of the paper, their ranges, and each op as often as its probability has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy import stats

from augmill.transforms.augment_ops import AUGMENT_OPS
from augmill.transforms.auto_augment import POLICIES, AutoAugment
from augmill.transforms.base import Sample, TransformError
from augmill.transforms.policy import Policy

# The tables in the paper's appendix: op, probability in tenths, index of the magnitude, and the second op's.
PUBLISHED = {
    "imagenet": """
        Posterize 4 8 Rotate 6 9 | Solarize 6 5 AutoContrast 6 5 | Equalize 8 8 Equalize 6 3 |
        Posterize 6 7 Posterize 6 6 | Equalize 4 7 Solarize 2 4 | Equalize 4 4 Rotate 8 8 |
        Solarize 6 3 Equalize 6 7 | Posterize 8 5 Equalize 10 2 | Rotate 2 3 Solarize 6 8 |
        Equalize 6 8 Posterize 4 6 | Rotate 8 8 Color 4 0 | Rotate 4 9 Equalize 6 2 | Equalize 0 7 Equalize 8 8 |
        Invert 6 4 Equalize 10 8 | Color 6 4 Contrast 10 8 | Rotate 8 8 Color 10 2 | Color 8 8 Solarize 8 7 |
        Sharpness 4 7 Invert 6 8 | ShearX 6 5 Equalize 10 9 | Color 4 0 Equalize 6 3 | Equalize 4 7 Solarize 2 4 |
        Solarize 6 5 AutoContrast 6 5 | Invert 6 4 Equalize 10 8 | Color 6 4 Contrast 10 8 | Equalize 8 8 Equalize 6 3
    """,
    "cifar10": """
        Invert 1 7 Contrast 2 6 | Rotate 7 2 TranslateX 3 9 | Sharpness 8 1 Sharpness 9 3 |
        ShearY 5 8 TranslateY 7 9 | AutoContrast 5 8 Equalize 9 2 | ShearY 2 7 Posterize 3 7 |
        Color 4 3 Brightness 6 7 | Sharpness 3 9 Brightness 7 9 | Equalize 6 5 Equalize 5 1 |
        Contrast 6 7 Sharpness 6 5 | Color 7 7 TranslateX 5 8 | Equalize 3 7 AutoContrast 4 8 |
        TranslateY 4 3 Sharpness 2 6 | Brightness 9 6 Color 2 8 | Solarize 5 2 Invert 0 3 |
        Equalize 2 0 AutoContrast 6 0 | Equalize 2 8 Equalize 6 4 | Color 9 9 Equalize 6 6 |
        AutoContrast 8 4 Solarize 2 8 | Brightness 1 3 Color 7 0 | Solarize 4 5 AutoContrast 9 3 |
        TranslateY 9 9 TranslateY 7 9 | AutoContrast 9 2 Solarize 8 3 | Equalize 8 8 Invert 1 3 |
        TranslateY 7 9 AutoContrast 9 1
    """,
    "svhn": """
        ShearX 9 4 Invert 2 3 | ShearY 9 8 Invert 7 5 | Equalize 6 5 Solarize 6 6 | Invert 9 3 Equalize 6 3 |
        Equalize 6 1 Rotate 9 3 | ShearX 9 4 AutoContrast 8 3 | ShearY 9 8 Invert 4 5 | ShearY 9 5 Solarize 2 6 |
        Invert 9 6 AutoContrast 8 1 | Equalize 6 3 Rotate 9 3 | ShearX 9 4 Solarize 3 3 | ShearY 8 8 Invert 7 4 |
        Equalize 9 5 TranslateY 6 6 | Invert 9 4 Equalize 6 7 | Contrast 3 3 Rotate 8 4 | Invert 8 5 TranslateY 0 2 |
        ShearY 7 6 Solarize 4 8 | Invert 6 4 Rotate 8 4 | ShearY 3 7 TranslateX 9 3 | ShearX 1 6 Invert 6 5 |
        Solarize 7 2 TranslateY 6 7 | ShearY 8 4 Invert 8 8 | ShearX 7 9 TranslateY 8 3 |
        ShearY 8 5 AutoContrast 7 3 | ShearX 7 2 Invert 1 5
    """,
}
# The ranges of the paper's table of ops at indices 0, 5 and 9, for an image 331 pixels wide and high; solved by hand.
RANGED = {
    "rotate": (0.0, 16.666667, 30.0),
    "shear_x": (0.0, 0.1666667, 0.3),
    "shear_y": (0.0, 0.1666667, 0.3),
    "translate_x": (0, 83, 150),
    "translate_y": (0, 83, 150),
    "posterize": (8, 6, 4),
    "solarize": (256, 114, 0),
    "color": (0.1, 1.1, 1.9),
    "contrast": (0.1, 1.1, 1.9),
    "brightness": (0.1, 1.1, 1.9),
    "sharpness": (0.1, 1.1, 1.9),
}


def published_name(name: str) -> str:
    """The paper's name of an op."""
    return {"autocontrast": "AutoContrast"}.get(name, name.title().replace("_", ""))


@pytest.mark.parametrize("policy", POLICIES)
def test_sub_policies_are_the_published_ones(policy: str) -> None:
    mine = [
        " ".join(f"{published_name(name)} {round(10 * p)} {index}" for name, p, index in sub)
        for sub in POLICIES[policy]
    ]
    assert mine == [" ".join(sub.split()) for sub in PUBLISHED[policy].split("|")]
    assert len(mine) == 25
    assert all(name in AUGMENT_OPS for sub in POLICIES[policy] for name, _, _ in sub)


@pytest.mark.parametrize("policy", POLICIES)
def test_values_are_those_of_the_paper_s_ranges(drawn: Callable[..., Any], policy: str) -> None:
    seen = set()
    for params in drawn(AutoAugment(policy), (331, 331, 3), 3000):
        sub_policy = POLICIES[policy][params["sub_policy"]]
        if len(params["ops"]) < 2:
            continue
        for (name, value), (_, _, index) in zip(params["ops"], sub_policy, strict=True):
            if name not in RANGED:
                assert value is None
            elif index in (0, 5, 9):
                assert abs(value) == pytest.approx(RANGED[name][(0, 5, 9).index(index)])
                seen.add((name, index))
    assert len(seen) >= 2


def test_translations_are_in_proportion_to_the_image(drawn: Callable[..., Any]) -> None:
    steps = [step for params in drawn(AutoAugment("cifar10"), (32, 64, 3)) for step in params["ops"]]
    assert {abs(value) for name, value in steps if name == "translate_y"} == {15, 5}  # 14.5 of 32 at 9; 4.8 at 3
    assert {abs(value) for name, value in steps if name == "translate_x"} == {29, 26}  # 29.0 of 64 at 9; 25.8 at 8


@pytest.mark.parametrize("policy", POLICIES)
def test_sub_policies_are_equally_likely(
    drawn: Callable[..., Any], equally_likely: Callable[..., bool], policy: str
) -> None:
    assert equally_likely([params["sub_policy"] for params in drawn(AutoAugment(policy))], list(range(25)))


@pytest.mark.parametrize("policy", POLICIES)
def test_each_op_comes_up_by_its_own_probability(drawn: Callable[..., Any], policy: str) -> None:
    """Chi-squared over the four ways in which two ops can come up, and nothing that has no chance."""
    statistic, freedom = 0.0, 0
    many = drawn(AutoAugment(policy), count=12000)
    for place, ((first, p, _), (second, q, _)) in enumerate(POLICIES[policy]):
        came = [[name for name, _ in params["ops"]] for params in many if params["sub_policy"] == place]
        if first == second:  # which of the two came up can't be told
            ways = {(0,): (1 - p) * (1 - q), (1,): p * (1 - q) + q * (1 - p), (2,): p * q}
            counts = {way: sum(len(names) == way[0] for names in came) for way in ways}
        else:
            ways = {(a, b): (p if a else 1 - p) * (q if b else 1 - q) for a in (0, 1) for b in (0, 1)}
            counts = {way: sum((first in names, second in names) == way for names in came) for way in ways}
        assert all(counts[way] == 0 for way, chance in ways.items() if chance < 1e-9)
        likely = [way for way, chance in ways.items() if chance >= 1e-9]
        expected = {way: ways[way] * len(came) for way in likely}
        statistic += sum((counts[way] - expected[way]) ** 2 / expected[way] for way in likely)
        freedom += len(likely) - 1
    assert stats.chi2.sf(statistic, freedom) > 1e-3


def test_signs_are_equally_likely(drawn: Callable[..., Any], equally_likely: Callable[..., bool]) -> None:
    steps = [step for params in drawn(AutoAugment("svhn")) for step in params["ops"]]
    for name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y"):
        assert equally_likely([value > 0 for other, value in steps if other == name], [True, False])


def test_the_image_is_what_pillow_makes_of_the_sub_policy(photo: np.ndarray) -> None:
    image = ImageOps.posterize(Image.fromarray(photo), 4).rotate(30, fillcolor=(128, 128, 128))
    steps = [["posterize", 4], ["rotate", 30.0]]
    same = AutoAugment().apply(photo, {"ops": steps}) == np.asarray(image)
    assert same.mean() > 0.995


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_name_gives_the_same_bytes_and_another_copy_others(photo: np.ndarray, policy: str) -> None:
    op = AutoAugment(policy)

    def rendition(copy: int) -> np.ndarray:
        after, [step] = Policy((op,)).run(Sample(photo), seed=3, key="cat", copy=copy)
        assert np.array_equal(op.transform(Sample(photo), json.loads(json.dumps(step.params))).image, after.image)
        return after.image

    images = [rendition(copy) for copy in range(30)]
    assert np.array_equal(images[11], rendition(11))
    assert len({image.tobytes() for image in images}) >= 15


@pytest.mark.parametrize("shape", [(32, 32, 3), (375, 500, 3), (1, 50, 3), (50, 1, 3), (33, 20, 1)])
def test_every_size_is_taken(photos: dict[str, np.ndarray], shape: tuple[int, ...]) -> None:
    image = photos["coffee"][: shape[0], : shape[1], : shape[2]]
    for copy in range(30):
        for policy in POLICIES:
            result, _ = Policy((AutoAugment(policy),)).run(Sample(image), seed=2, key="cup", copy=copy)
            assert (result.image.dtype, result.image.shape) == (np.uint8, image.shape)


def test_boxes_and_masks_follow_whatever_is_drawn(
    drawn: Callable[..., Any], overlaps: Callable[..., tuple[float, float]]
) -> None:
    op, moved = AutoAugment("svhn", fill=0), 0
    for params in drawn(op, (160, 200, 3), 150):
        if params["ops"] and all(AUGMENT_OPS[name].matrix is not None for name, _ in params["ops"]):
            assert min(overlaps(op, params, (60, 50, 130, 110))) >= 0.9, params
            moved += 1
    assert moved >= 20


def test_an_op_is_made_again_of_its_arguments() -> None:
    for op in (AutoAugment(), AutoAugment("svhn", "bilinear", 0)):
        assert AutoAugment(**json.loads(json.dumps(op.arguments()))) == op
    assert repr(AutoAugment()) == "auto_augment(policy='imagenet', interpolation='nearest', fill=128)"


@pytest.mark.parametrize("policy", ["cifar100", 1, None])
def test_an_unknown_policy_is_told(policy: Any) -> None:
    with pytest.raises(TransformError) as error:
        AutoAugment(policy)
    assert str(error.value) == f"policy must be one of imagenet, cifar10, svhn, got {policy!r}"
