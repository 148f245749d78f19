"""Flips, right angles and random crops: the right pixels, as often as they should, and annotations that go along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.geometry import (
    OPS,
    FlipLeftRight,
    FlipUpDown,
    RandomCrop,
    RandomFlipLeftRight,
    RandomFlipUpDown,
    Rot90,
    StatelessRandomCrop,
    StatelessRandomFlipLeftRight,
    StatelessRandomFlipUpDown,
    Transpose,
)
from augmill.transforms.objects import Objects
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import carry_out

FLIPS = [
    (RandomFlipLeftRight(), np.s_[:, ::-1], tf.image.stateless_random_flip_left_right),
    (StatelessRandomFlipLeftRight(), np.s_[:, ::-1], tf.image.stateless_random_flip_left_right),
    (RandomFlipUpDown(), np.s_[::-1], tf.image.stateless_random_flip_up_down),
    (StatelessRandomFlipUpDown(), np.s_[::-1], tf.image.stateless_random_flip_up_down),
]
each_flip = pytest.mark.parametrize(("op", "mirrored", "stateless"), FLIPS)

# Ops that draw nothing but for a number of quarter turns, with the function of tf.image.
TURNS = [
    (FlipLeftRight(), {}, tf.image.flip_left_right),
    (FlipUpDown(), {}, tf.image.flip_up_down),
    (Transpose(), {}, tf.image.transpose),
    *((Rot90([0, 1, 2, 3]), {"k": k}, lambda image, k=k: tf.image.rot90(image, k)) for k in range(4)),  # type: ignore[arg-type]
]
BOXES = [(20, 30, 90, 70), (0, 0, 41, 160), (150, 100, 200, 160), (60, 10, 61, 150)]


def draws(i: int) -> Draws:
    return Draws(seed=0, key=f"rose/{i}.jpg", copy=1, at="0")


@each_flip
def test_a_flip_mirrors_or_leaves_the_image(photo: np.ndarray, op: Any, mirrored: Any, stateless: Any) -> None:
    assert np.array_equal(op.apply(photo, {"flip": True}), photo[mirrored])
    assert np.array_equal(op.apply(photo, {"flip": False}), photo)
    assert not np.array_equal(photo[mirrored], photo)


@each_flip
def test_a_flip_is_the_op_of_tensorflow(photo: np.ndarray, op: Any, mirrored: Any, stateless: Any) -> None:
    flips = []
    for seed in ([0, i] for i in range(12)):
        flips.append(bool(tf.random.stateless_uniform([], seed) < 0.5))
        assert np.array_equal(op.apply(photo, {"flip": flips[-1]}), stateless(photo, seed).numpy())
    assert set(flips) == {True, False}


@each_flip
def test_half_of_the_images_are_flipped(
    drawn: Any, equally_likely: Any, op: Any, mirrored: Any, stateless: Any
) -> None:
    flips = [params["flip"] for params in drawn(op)]
    assert {type(flip) for flip in flips} == {bool}
    assert equally_likely(flips, [True, False])


@each_flip
@pytest.mark.parametrize("flip", [True, False])
def test_annotations_are_flipped(overlaps: Any, op: Any, mirrored: Any, stateless: Any, flip: bool) -> None:
    for box in BOXES:
        assert overlaps(op, {"flip": flip}, box) == (1.0, 1.0)


@pytest.mark.parametrize(("op", "params", "reference"), TURNS)
@pytest.mark.parametrize("window", [np.s_[:, :], np.s_[:100, :57], np.s_[:1, :], np.s_[:, :1], np.s_[:33, :50, :1]])
def test_a_turn_is_the_op_of_tensorflow(
    photo: np.ndarray, op: Any, params: dict[str, Any], reference: Callable[..., Any], window: Any
) -> None:
    turned = op.apply(photo[window], params)
    assert np.array_equal(turned, reference(photo[window]).numpy())
    assert turned.flags.c_contiguous or turned.base is photo


@pytest.mark.parametrize(("op", "params", "reference"), TURNS)
def test_annotations_are_turned(overlaps: Any, op: Any, params: dict[str, Any], reference: Any) -> None:
    for box in BOXES:
        assert overlaps(op, params, box) == (1.0, 1.0)


@pytest.mark.parametrize(("op", "params", "reference"), TURNS)
def test_keypoints_stay_on_their_pixels_and_change_names_in_a_mirror(op: Any, params: Any, reference: Any) -> None:
    image = np.zeros((12, 20, 3), np.uint8)
    image[3, 5], image[7, 16] = 100, 200
    eyes = np.array([[[5.5, 3.5, 2.0], [16.5, 7.5, 2.0]]])
    objects = Objects.from_boxes(np.array([[0, 0, 20, 12]]), np.array([1]), keypoints=eyes, pairs=((0, 1),))
    after = carry_out(op, Sample(image, objects=objects), params)
    assert after.objects is not None
    assert after.objects.keypoints is not None
    levels = [after.image[int(y), int(x), 0] for x, y, _ in after.objects.keypoints[0]]
    mirrors = isinstance(op, (FlipLeftRight, FlipUpDown, Transpose))
    assert levels == ([200, 100] if mirrors else [100, 200])


def test_ops_without_choice_draw_nothing() -> None:
    for op in (FlipLeftRight(), FlipUpDown(), Transpose()):
        assert op.draw(draws(0), (8, 9, 3)) == {}
    assert Rot90().draw(draws(0), (8, 9, 3)) == {"k": 1}
    assert Rot90(3).draw(draws(0), (8, 9, 3)) == {"k": 3}


@pytest.mark.parametrize("choices", [[0, 1, 2, 3], [0, 2], [1, 3]])
def test_each_choice_of_turns_is_equally_likely(drawn: Any, equally_likely: Any, choices: list[int]) -> None:
    assert equally_likely([params["k"] for params in drawn(Rot90(choices))], choices)  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [4, -1, 1.0, True, None, "1", [], [1, 4], [1, 1], [True]])
def test_turns_are_whole_quarters(k: Any) -> None:
    with pytest.raises(TransformError) as error:
        Rot90(k)
    assert str(error.value) == (
        f"k must be 0, 1, 2 or 3, or a list of different ones of them, got {k!r}; 0 leaves the image, 1 is 90 degrees "
        "counter-clockwise, 2 is 180, 3 is 90 clockwise"
    )


@pytest.mark.parametrize("k", [0, [0]])
def test_no_turn_at_all_is_refused(k: Any) -> None:
    with pytest.raises(TransformError, match=r"^k must allow a turn: 0 leaves every image as it is, got "):
        Rot90(k)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (24, 94), (7, 31)])
def test_a_crop_is_a_window_of_the_photo(photo: np.ndarray, top: int, left: int) -> None:
    window = RandomCrop((200, 130, 3)).apply(photo, {"top": top, "left": left})
    assert window.shape == (200, 130, 3)
    assert np.array_equal(window, photo[top : top + 200, left : left + 130])


@pytest.mark.parametrize("op", [RandomCrop, StatelessRandomCrop])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_crop_is_the_op_of_tensorflow(photo: np.ndarray, op: Any, channels: int) -> None:
    size, image = (200, 130, channels), photo[..., :channels]
    for seed in ([1, i] for i in range(5)):
        places = [224 - 200 + 1, 224 - 130 + 1, 1]
        top, left, _ = tf.random.stateless_uniform([3], seed, 0, tf.int32.max, tf.int32).numpy() % places
        window = op(size).apply(image, {"top": int(top), "left": int(left)})
        assert np.array_equal(window, tf.image.stateless_random_crop(image, size, seed).numpy())


def test_every_place_is_equally_likely_for_a_crop(drawn: Any, equally_likely: Any) -> None:
    places = [(params["top"], params["left"]) for params in drawn(RandomCrop((20, 30, 3)), (24, 36, 3), 7000)]
    assert equally_likely(places, [(top, left) for top in range(5) for left in range(7)])


def test_a_crop_of_the_whole_image_leaves_it(photo: np.ndarray) -> None:
    op = RandomCrop((224, 224, 3))
    assert op.draw(draws(0), photo.shape) == {"top": 0, "left": 0}
    assert np.array_equal(op.apply(photo, {"top": 0, "left": 0}), photo)


@pytest.mark.parametrize("box", [(30, 40, 90, 80), (0, 0, 60, 60), (100, 90, 200, 160), (0, 60, 200, 70)])
def test_annotations_are_cut_with_the_image(overlaps: Any, box: tuple[int, int, int, int]) -> None:
    for params in ({"top": 0, "left": 0}, {"top": 33, "left": 51}, {"top": 60, "left": 100}):
        assert overlaps(RandomCrop((100, 100, 3)), params, box) == (1.0, 1.0)


def test_an_object_outside_the_window_is_gone(overlaps: Any) -> None:
    assert overlaps(RandomCrop((50, 50, 3)), {"top": 100, "left": 100}, (0, 0, 100, 100)) == (1.0, 1.0)


@pytest.mark.parametrize("size", [(225, 100, 3), (100, 225, 3)])
def test_a_crop_larger_than_the_image_names_both_sizes(photo: np.ndarray, size: tuple[int, int, int]) -> None:
    with pytest.raises(TransformError, match=f"size {size[0]}x{size[1]} is larger than the image, 224x224"):
        RandomCrop(size).draw(draws(0), photo.shape)


def test_a_crop_has_the_channels_of_the_image() -> None:
    with pytest.raises(TransformError, match=r"^tf\.image\.random_crop: size asks for 3 channels, the image has 1$"):
        RandomCrop((20, 20, 3)).draw(draws(0), (30, 30, 1))


@pytest.mark.parametrize(
    "size", [200, [200, 130], [200, 130, 2], [0, 130, 3], [-5, 130, 3], [20.0, 30, 3], "200", None]
)
def test_the_size_of_a_crop_is_three_whole_numbers(size: Any) -> None:
    with pytest.raises(TransformError) as error:
        RandomCrop(size)
    assert str(error.value) == (
        f"size must be [height, width, 3] in whole pixels, or [height, width, 1] for grey, got {size!r}"
    )


def test_every_op_is_its_spec() -> None:
    for op in OPS:
        made = op(size=[20, 30, 3]) if issubclass(op, RandomCrop) else op()  # type: ignore[call-arg]
        assert op(**made.arguments()) == made
    assert Rot90([1, 2]).arguments() == {"k": [1, 2]}  # type: ignore[arg-type]
    assert Rot90(**Rot90([1, 2]).arguments()) == Rot90((1, 2))  # type: ignore[arg-type]
