"""Renditions whose pixels are worked on side by side are those that are made one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from augmill.transforms import together
from augmill.transforms.base import Sample
from augmill.transforms.copying import Fill, Mirror, Window
from augmill.transforms.grammar import parse_policy
from augmill.transforms.policy import Policy
from augmill.transforms.rendering import FusedRendering, Rendering, finished
from augmill.transforms.together import carry_out_together

SHIFTED_CROP = [
    {"tf.image.resize_with_crop_or_pad": {"target_height": 40, "target_width": 44}},
    {"tf.image.random_crop": {"size": [32, 36, 3]}},
    "tf.image.random_flip_left_right",
    {"keras.layers.RandomErasing": {"fill_value": [10, 20, 30], "scale": [0.1, 0.3]}},
]
POLICIES: dict[str, list[Any]] = {
    "windows, mirrors and boxes": SHIFTED_CROP,
    "both mirrors": ["tf.image.random_flip_left_right", "tf.image.random_flip_up_down"],
    "a box alone": [{"keras.layers.RandomErasing": {"fill_value": 7}}],
    "noise, which is made one by one": ["tf.image.random_flip_up_down", "keras.layers.RandomErasing"],
    "tables, which count levels, and turns": [
        {"tf.image.random_contrast": {"lower": 0.5, "upper": 1.5}},
        {"tf.image.random_crop": {"size": [20, 20, 3]}},
        {"keras.layers.RandomRotation": {"factor": 0.1}},
    ],
    "a window that is resized": [
        {"tf.image.sample_distorted_bounding_box": {"min_object_covered": 0.0, "size": [24, 24]}},
        "tf.image.random_flip_left_right",
    ],
    "a reference kernel of floats at the end": [
        "tf.image.random_flip_left_right",
        {"keras.layers.RandomColorDegeneration": {"factor": [0.2, 0.8]}},
    ],
    "ops that are not in every rendition": [{"sometimes": {"p": 0.5, "do": SHIFTED_CROP}}, "rand_augment"],
}


@pytest.fixture
def small(photo: np.ndarray) -> list[Sample]:
    """Parts of a photo, of two sizes."""
    parts = [(32, 36), (32, 36), (48, 36), (32, 36), (48, 36)]
    return [Sample(photo[9 * i : 9 * i + h, 5 * i : 5 * i + w].copy()) for i, (h, w) in enumerate(parts)]


def begun(policy: Policy, samples: list[Sample]) -> list[Rendering]:
    return [
        policy.begin(sample, seed=1, key=f"{number}.png", copy=copy)[0]
        for copy in range(1, 9)
        for number, sample in enumerate(samples)
    ]


@pytest.mark.parametrize("augment", POLICIES.values(), ids=POLICIES)
def test_pixels_are_those_of_renditions_made_one_by_one(augment: list[Any], small: list[Sample]) -> None:
    policy = Policy(parse_policy(augment)[0].ops, kernels="fast")
    before = [sample.image.copy() for sample in small]
    one_by_one = [
        policy.run(sample, seed=1, key=f"{number}.png", copy=copy)[0].image
        for copy in range(1, 9)
        for number, sample in enumerate(small)
    ]

    renderings = begun(policy, small)
    carry_out_together(renderings)
    images = [finished(by.sample()).image for by in renderings]

    assert all(np.array_equal(image, alone) for image, alone in zip(images, one_by_one, strict=True))
    assert all(np.array_equal(sample.image, image) for sample, image in zip(small, before, strict=True))
    assert len({image.tobytes() for image in images}) > len(small)


def test_a_grey_image_keeps_its_channel(photo: np.ndarray) -> None:
    renderings = [FusedRendering(Sample(photo[:16, :16, :1].copy())) for _ in range(3)]
    policy = Policy(parse_policy(["tf.image.flip_left_right"])[0].ops, kernels="fast")
    (_, op), *_ = policy.leaves()
    for by in renderings:
        by.apply(op, "0", {})
    carry_out_together(renderings)

    assert all(np.array_equal(by.sample().image, photo[:16, 15::-1, :1]) for by in renderings)


@pytest.mark.parametrize("kind", [Window, Mirror, Fill])
def test_alike_work_is_done_in_one_call(kind: type, small: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[int] = []
    at_once = together._BY_KIND[kind]

    def counted(kernels: Any, images: Any) -> np.ndarray:
        met.append(len(kernels))
        return at_once(kernels, images)

    monkeypatch.setattr(together, "_BY_KIND", {**together._BY_KIND, kind: counted})
    policy = Policy(parse_policy(SHIFTED_CROP)[0].ops, kernels="fast")
    renderings = begun(policy, small)
    carry_out_together(renderings)

    assert len(met) <= 4 and max(met) > 5
    assert not any(by.put_off[0] for by in renderings if isinstance(by, FusedRendering))


def test_a_large_image_is_left_to_itself(photo: np.ndarray) -> None:
    policy = Policy(parse_policy(["tf.image.flip_left_right"])[0].ops, kernels="fast")
    by, _ = policy.begin(Sample(photo), seed=1, key="a.jpg", copy=1)
    carry_out_together([by])

    assert isinstance(by, FusedRendering) and by.put_off[0]
    assert np.array_equal(by.sample().image, photo[:, ::-1])


def test_one_that_fails_fails_by_itself_alone(small: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(parse_policy(["keras.layers.RandomGaussianBlur"])[0].ops, kernels="fast")
    renderings = begun(policy, small[:2])
    row, _ = renderings[3].put_off  # type: ignore[attr-defined]

    def fail(image: np.ndarray) -> np.ndarray:
        raise ValueError("not this one")

    row[0] = row[0]._replace(kernel=row[0].kernel._replace(work=fail))
    carry_out_together(renderings)

    with pytest.raises(ValueError, match="not this one"):
        renderings[3].sample()
    assert all(by.sample().image.shape == (32, 36, 3) for i, by in enumerate(renderings) if i != 3)
