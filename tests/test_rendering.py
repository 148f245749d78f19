"""Renditions by fast kernels: pixels near the reference's, annotations with the pixels, whatever is joined."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.catalog import OPS
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy
from augmill.transforms.rendering import FusedRendering, carry_out, finished

FLIP = OPS["tf.image.flip_left_right"]()
RIGHT = {"down": 0.0, "right": 0.25}
LEFT = {"down": 0.0, "right": -0.25}


def move(**how: Any) -> Any:
    return OPS["keras.layers.RandomTranslation"](0.3, 0.3, **how)


def with_box(photo: np.ndarray, *box: float) -> Sample:
    return Sample(photo, objects=Objects.from_boxes(np.array([box]), np.array([0])))


def fast(sample: Sample, *steps: tuple[Any, dict[str, Any]]) -> Sample:
    by = FusedRendering(sample)
    for at, (op, params) in enumerate(steps):
        by.apply(op, str(at), params)
    return finished(by.sample())


def test_boxes_move_once_with_the_pixels_where_motions_are_joined(photo: np.ndarray) -> None:
    sample = with_box(photo, 100, 50, 200, 150)

    after = fast(sample, (move(), RIGHT), (FLIP, {}), (move(), RIGHT))

    assert after.objects is not None
    # 56 to the right, mirrored, 56 to the right: what the first move took out of the image is back in it
    assert np.allclose(after.objects.boxes, [[224 - 256 + 56, 50, 224 - 156 + 56, 150]])
    assert after.objects.visible.tolist() == [1.0]


def test_boxes_are_cut_where_pixels_are(photo: np.ndarray) -> None:
    sample = with_box(photo, 180, 50, 220, 150)
    jpeg = OPS["tf.image.adjust_jpeg_quality"](90)  # joined with nothing: the image is cut at its edge before it

    after = fast(sample, (move(), RIGHT), (jpeg, {"jpeg_quality": 90}), (move(), LEFT))
    joined = fast(sample, (move(), RIGHT), (move(), LEFT))

    assert after.objects is not None and len(after.objects) == 0
    assert joined.objects is not None and np.allclose(joined.objects.boxes, [[180, 50, 220, 150]])
    assert np.abs(joined.image.astype(int) - photo).max() <= 1


def test_a_mask_moves_with_the_pixels_too(photo: np.ndarray) -> None:
    mask = (photo[..., 0] > 128).astype(np.uint8)

    after = fast(Sample(photo, mask=mask), (FLIP, {}), (move(fill_mode="constant"), RIGHT))

    assert after.mask is not None
    assert np.array_equal(after.mask[:, 56:], mask[:, ::-1][:, :-56])
    assert not after.mask[:, :56].any()


def test_an_op_that_draws_by_the_sample_sees_it_as_it_is_by_then(photo: np.ndarray) -> None:
    crop = OPS["tf.image.sample_distorted_bounding_box"](min_object_covered=1.0, area_range=(0.3, 0.5))
    policy = Policy((FLIP, crop), kernels="fast")
    for key in "abcdef":
        after, _ = policy.run(with_box(photo, 10, 80, 40, 110), seed=0, key=key, copy=1)
        assert after.objects is not None and after.objects.visible.tolist() == [1.0], "the box it had to show"


def test_an_op_without_a_fast_kernel_takes_its_turn(photo: np.ndarray) -> None:
    resize = OPS["tf.image.resize"]((112, 112), method="lanczos3")
    policy = Policy((FLIP, resize, FLIP), kernels="fast")
    plain = Policy((FLIP, resize, FLIP))

    joined, steps = policy.run(Sample(photo), seed=0, key="a", copy=1)

    assert [step.op for step in steps] == ["tf.image.flip_left_right", "tf.image.resize", "tf.image.flip_left_right"]
    assert np.array_equal(joined.image, plain.run(Sample(photo), seed=0, key="a", copy=1)[0].image)


def test_steps_replay_to_the_same_bytes(photo: np.ndarray) -> None:
    rotation = OPS["keras.layers.RandomRotation"](0.1)
    policy = Policy((OPS["tf.image.random_flip_left_right"](), rotation, move()), kernels="fast")
    after, steps = policy.run(Sample(photo), seed=0, key="a", copy=1)

    assert np.array_equal(policy.replay(Sample(photo), steps).image, after.image)


def test_an_observer_sees_every_op_by_itself(photo: np.ndarray) -> None:
    seen = []
    policy = Policy((FLIP, move(), move()), kernels="fast")

    policy.run(
        Sample(photo),
        seed=0,
        key="a",
        copy=1,
        observe=lambda at, op, params, before, after: seen.append((at, before.image, after.image)),
    )

    assert [at for at, _, _ in seen] == ["0", "1", "2"]
    assert np.array_equal(seen[0][2], photo[:, ::-1])
    assert all(np.array_equal(first[2], second[1]) for first, second in pairwise(seen))


def test_what_cannot_follow_is_refused_by_both_kernels(photo: np.ndarray) -> None:
    mix = OPS["aug_mix"]()
    params = {"chains": [[["rotate", 3.0]]], "weights": [1.0], "m": 0.5}
    for kernels in ("fast", "reference"):
        with pytest.raises(TransformError, match="aug_mix cannot be used with boxes"):
            carry_out(mix, with_box(photo, 1, 1, 9, 9), params, kernels)
