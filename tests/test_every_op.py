"""What holds for every op in the catalogue, whatever it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from augmill.transforms.backend import in_graph
from augmill.transforms.base import KINDS, MixTransform, PixelTransform, Sample, Transform, TransformError
from augmill.transforms.catalog import OPS
from augmill.transforms.examples import example_of
from augmill.transforms.grammar import parse_policy
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import carry_out, finished

SIZES = ((32, 32), (224, 224), (375, 500), (1, 57), (57, 1), (1, 1))
COPIES = 12

# What a grey image has nothing for: hue, saturation, turning grey; and crops by a shape of three channels.
NEED_COLOUR = {
    *(name for name in OPS if "hue" in name.lower() or "saturation" in name.lower()),
    *(name for name in OPS if name.endswith("random_crop")),
    "keras.layers.RandomColorJitter",
    "keras.layers.RandomColorDegeneration",
    "keras.layers.RandomGrayscale",
}
# Those whose example's window is larger than the thinnest images.
NEED_ROOM = {"tf.image.random_crop", "tf.image.stateless_random_crop", "tf.image.crop_to_bounding_box"}
BOXES_ALONE = "keras.layers.MaxNumBoundingBoxes"
ON_PIXELS = [name for name in OPS if name != BOXES_ALONE]


class Others:
    """A peer for ops that mix: the same photo upside down."""

    def __init__(self, sample: Sample) -> None:
        self._other = Sample(sample.image[::-1, ::-1].copy(), label=1)

    def draw(self, draws: Draws, key: str, tried: Any = ()) -> tuple[str, Sample]:
        return "other", self._other

    def open(self, key: str) -> Sample:
        return self._other


def images(photo: np.ndarray, coffee: np.ndarray) -> Iterator[np.ndarray]:
    for height, width in SIZES:
        image = np.ascontiguousarray((photo if height < 300 else coffee)[:height, :width])
        yield image
        yield np.ascontiguousarray(image[..., 1:2])


def refused(name: str, shape: tuple[int, ...]) -> bool:
    return (shape[2] == 1 and name in NEED_COLOUR) or (min(shape[:2]) == 1 and name in NEED_ROOM)


def rendition(op: Transform, image: np.ndarray, copy: int) -> tuple[np.ndarray, dict[str, Any]]:
    sample = Sample(image, label=0)
    made, steps = Policy((op,)).run(sample, seed=0, key="cat.jpg", copy=copy, peers=Others(sample))
    return made.image, steps[0].params


@pytest.mark.parametrize("name", ON_PIXELS)
def test_every_size_and_channel_count_is_taken_or_refused_in_words(
    name: str, photo: np.ndarray, photos: dict[str, np.ndarray]
) -> None:
    op = example_of(name)
    for image in images(photo, photos["coffee"]):
        before = image.copy()
        if refused(name, image.shape):
            with pytest.raises(TransformError, match=f"^{name}.* (channel|image|pixel|size)"):
                rendition(op, image, 1)
            continue
        made, _ = rendition(op, image, 1)
        assert made.dtype == np.uint8, image.shape
        assert made.ndim == 3 and made.shape[2] == image.shape[2] and made.size > 0
        assert np.array_equal(image, before), "an image is never changed in place"


@pytest.mark.parametrize("name", ON_PIXELS)
def test_the_same_name_gives_the_same_bytes_and_another_copy_others(name: str, photo: np.ndarray) -> None:
    image = np.ascontiguousarray(photo[64:128, 64:128])
    op = example_of(name)
    made = [rendition(op, image, copy)[0].tobytes() for copy in range(1, COPIES + 1)]
    again = [rendition(example_of(name), image, copy)[0].tobytes() for copy in range(1, COPIES + 1)]
    assert made == again
    assert any(bytes_ != image.tobytes() for bytes_ in made), "it changes some image"
    assert (len(set(made)) > 1) == bool(op.draws), "it varies by its draws, if it has any"


@pytest.mark.parametrize("name", OPS)
def test_in_a_graph_the_same_draw_gives_the_same_bytes(name: str, photo: np.ndarray) -> None:
    op = example_of(name)
    if isinstance(op, MixTransform) or not isinstance(op, PixelTransform):
        pytest.skip("it acts on more than one image's pixels")
    for image in (photo[64:96, 64:96], photo[20:83, 10:87], photo[64:96, 64:96, 1:2]):
        image = np.ascontiguousarray(image)
        if refused(name, image.shape):
            continue
        for copy in (1, 2, 3):
            params = op.draw(Draws(seed=0, key="cat.jpg", copy=copy, at="0"), image.shape)
            eager = finished(carry_out(op, Sample(image), params)).image
            assert np.array_equal(in_graph(op, params)(image).numpy(), eager), (image.shape, params)
            # As in a tf.data map, where the size is known only later.
            unknown = [tf.TensorSpec([None, None, image.shape[2]], tf.uint8)]
            later = tf.function(in_graph(op, params), input_signature=unknown)
            assert np.array_equal(later(image).numpy(), eager), (image.shape, params)


@pytest.mark.parametrize("name", ON_PIXELS)
def test_parameters_are_json_and_enough_to_apply_again(name: str, photo: np.ndarray) -> None:
    op = example_of(name)
    image = np.ascontiguousarray(photo[64:128, 64:128])
    made, params = rendition(op, image, 3)
    recorded = json.loads(json.dumps(params))
    assert recorded == params
    if not isinstance(op, MixTransform):
        assert np.array_equal(finished(carry_out(example_of(name), Sample(image), recorded)).image, made)


@pytest.mark.parametrize("name", OPS)
def test_a_spec_a_policy_and_a_spec_again(name: str) -> None:
    op = example_of(name)
    entry = {name: op.arguments()} if op.arguments() else name
    policy, problems = parse_policy(json.loads(json.dumps([entry])))
    assert problems == []
    assert policy.ops == (op,)
    assert policy.entries() == [entry]
    assert repr(op).startswith(f"{name}(")


@pytest.mark.parametrize("name", OPS)
def test_every_argument_and_every_draw_is_explained(name: str) -> None:
    op = OPS[name]
    assert set(op.takes) == {field.name for field in fields(op)}
    example = example_of(name)
    drawn = set().union(*(example.draw(Draws(seed=0, key=str(i), copy=1, at="0"), (64, 64, 3)) for i in range(20)))
    assert drawn == set(op.draws)
    assert op.__doc__ and any(word in op.__doc__ for word in ("Equivalent:", "Source:", "stateless form"))


@pytest.mark.parametrize("name", OPS)
def test_what_is_drawn_as_yes_or_no_has_the_chance_that_the_op_tells(name: str) -> None:
    op = example_of(name)
    drawn = [op.draw(Draws(seed=0, key=str(i), copy=1, at="0"), (64, 64, 3)) for i in range(1000)]
    flags = {key for params in drawn for key, value in params.items() if isinstance(value, bool)}
    assert set(op.chances()) == flags
    for flag, chance in op.chances().items():
        assert stats.binomtest(sum(params[flag] for params in drawn), len(drawn), chance).pvalue > 1e-3


@pytest.mark.parametrize("name", OPS)
def test_annotations_follow_or_are_refused(name: str, photo: np.ndarray) -> None:
    image = np.ascontiguousarray(photo[64:128, 64:128])
    keypoints = np.array([[[20.5, 20.5, 2.0]], [[40.5, 30.5, 1.0]]])
    objects = Objects.from_boxes(np.array([[10, 12, 30, 40], [35, 20, 50, 60]]), np.array([4, 5]), keypoints=keypoints)
    sample = Sample(image, 0, objects=objects, mask=np.full(image.shape[:2], 3, np.uint8))
    op = example_of(name)
    refuses = [kind for kind in KINDS if op.treatment(kind) == "refused"]
    for copy in range(1, 6):
        if refuses:
            with pytest.raises(TransformError, match=f"^{name} cannot be used with {refuses[0]}"):
                Policy((op,)).run(sample, seed=0, key="cat.jpg", copy=copy, peers=Others(sample))
            continue
        if isinstance(op, MixTransform):
            continue  # tests/test_mix.py has pairs with annotations
        after, _ = Policy((op,)).run(sample, seed=0, key="cat.jpg", copy=copy)
        assert after.mask is not None and after.mask.shape == after.image.shape[:2]
        assert after.objects is not None and after.objects.keypoints is not None
        assert len(after.objects.labels) == len(after.objects) == len(after.objects.keypoints)
        for number, label in zip(after.objects.numbers, after.objects.labels, strict=True):
            assert label == [4, 5][number], "a label stays with its object"
        boxes, (height, width) = after.objects.boxes, after.image.shape[:2]
        assert (boxes >= 0).all() and (boxes <= np.array([width, height, width, height]) + 1e-9).all()
