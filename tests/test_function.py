"""The user's own function: what it is given, what it may return, and what it is told when it is wrong."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.base import KEPT, KINDS, MOVED, REFUSED, Sample, TransformError
from augmill.transforms.function import UserFunction
from augmill.transforms.motion import Motion, about_centre, rotation
from augmill.transforms.objects import Objects
from augmill.transforms.policy import Policy
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
        TransformError,
        match=rf"^{module} \(.*{module}.py\) has nothing called 'turn' that can be used; it has augment, rotate$",
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


BOXES = np.array([[10, 20, 60, 90], [100.25, 30, 180, 200.5], [0, 0, 30, 40]])
KEYPOINTS = np.array([[[20, 30, 2], [50, 80, 1]], [[110, 40, 2], [0, 0, 0]], [[5, 6, 2], [20, 30, 1]]], np.float64)


@pytest.fixture
def scene(photo: np.ndarray) -> Sample:
    """A photo with a label, three objects with keypoints, the second one a crowd, and a mask."""
    objects = Objects.from_boxes(
        BOXES, np.array([3, 5, 3]), keypoints=KEYPOINTS, crowd=np.array([False, True, False]), pairs=((0, 1),)
    )
    turned = Motion((224, 224), about_centre(rotation(0.3), (224, 224)))
    outlined = replace(objects, outlines=(turned.move_objects(objects).outlines[0], *objects.outlines[1:]))
    mask = np.zeros((224, 224), np.uint8)
    mask[20:90, 10:60] = 7
    return Sample(photo, 4, objects=outlined, mask=mask)


MIRROR = """
def augment(image, boxes, box_labels, mask, keypoints):
    width = tf.cast(tf.shape(image)[1], tf.float32)
    flipped = tf.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    there = keypoints[..., 2:] > 0
    points = tf.concat([width - keypoints[..., :1], keypoints[..., 1:]], axis=2)
    return {"image": image[:, ::-1], "boxes": flipped, "box_labels": box_labels, "mask": mask[:, ::-1],
            "keypoints": tf.where(there, points, 0.0)}
"""


def test_a_function_may_move_every_annotation(write: Write, scene: Sample) -> None:
    op = UserFunction(write(MIRROR))
    after = run(op, scene)
    assert after.objects is not None and after.mask is not None and scene.mask is not None
    expected = Motion((224, 224), np.array([[-1.0, 0, 224], [0, 1, 0], [0, 0, 1]])).move_objects(
        replace(scene.objects, pairs=())
    )
    assert np.allclose(after.objects.boxes, expected.boxes, atol=1e-4)
    assert np.allclose(after.objects.keypoints, expected.keypoints, atol=1e-4)
    assert np.array_equal(after.mask, scene.mask[:, ::-1])
    assert (after.label, after.mask.dtype, after.objects.pairs) == (4, np.uint8, ((0, 1),))
    assert after.objects.labels.tolist() == [3, 5, 3]
    assert after.objects.crowd.tolist() == [False, True, False]
    assert [op.treatment(kind) for kind in KINDS] == [MOVED] * 3


def test_what_a_function_is_given_has_the_types_that_are_documented(write: Write, scene: Sample) -> None:
    source = """
    def augment(mask, image, boxes, keypoints, box_labels, label):
        tensors = (image, label, boxes, box_labels, mask, keypoints)
        assert [t.dtype for t in tensors] == [tf.uint8, tf.int64, tf.float32, tf.int64, tf.uint8, tf.float32]
        assert [t.shape.as_list() for t in tensors] == [[224, 224, 3], [], [3, 4], [3], [224, 224], [3, 2, 3]]
        return mask, image, boxes, keypoints, box_labels, label
    """
    assert run(UserFunction(write(source)), scene).equals(scene)
    arrays = source.replace("image,", "image: np.ndarray,", 1).replace("tf.", "np.")
    arrays = arrays.replace(".as_list()", "").replace("[[", "[(").replace("], [", "), (").replace("]]", ")]")
    arrays = arrays.replace("(3)", "(3,)")
    assert run(UserFunction(write(arrays)), scene).equals(scene)


def test_what_a_function_leaves_alone_keeps_every_digit(write: Write, scene: Sample) -> None:
    source = "def augment(image, boxes, keypoints): return 255 - image, boxes, keypoints"
    exact = replace(scene, objects=replace(scene.objects, keypoints=KEYPOINTS + [1 / 3, 0.1, 0] * (KEYPOINTS > 0)))
    after = run(UserFunction(write(source)), exact)
    assert after.objects.equals(exact.objects)
    assert after.mask is exact.mask


def test_objects_may_come_and_go(write: Write, scene: Sample) -> None:
    source = """
    def augment(image: np.ndarray, boxes, box_labels, keypoints):
        boxes = np.concatenate([boxes[1:], [[5, 5, 9, 9], [7, 7, 8, 8]]])
        return image, boxes, np.append(box_labels[1:], [8, 9]), keypoints[[1, 2, 0, 0]]
    """
    objects = run(UserFunction(write(source)), scene).objects
    assert objects is not None
    assert objects.boxes.tolist() == [*BOXES[1:].tolist(), [5, 5, 9, 9], [7, 7, 8, 8]]
    assert objects.labels.tolist() == [5, 3, 8, 9]
    assert objects.numbers.tolist() == [1, 2, 5, 6]
    assert objects.crowd.tolist() == [True, False, False, False]
    nothing = "def augment(image, boxes, box_labels, keypoints): return image, boxes[:0], box_labels[:0], keypoints[:0]"
    emptied = run(UserFunction(write(nothing)), scene).objects
    assert emptied is not None and len(emptied) == 0 and emptied.keypoints.shape == (0, 2, 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "def augment(image, boxes): return image",
            r"takes `boxes`, so it must return \(image, boxes\), got EagerTensor of shape",
        ),
        (
            "def augment(image, boxes): return {'image': image}",
            r"so it must return \(image, boxes\), got a dict of image$",
        ),
        ("def augment(image): return {'boxes': image}", "must return the image, got a dict of boxes$"),
        ("def augment(image, boxes): return image, None", "must return boxes as numbers .* got object of shape"),
        (
            "def augment(image, boxes): return image, boxes[:, :3]",
            r"boxes as numbers \[objects, 4\] .* got float32 of shape \[3, 3\]",
        ),
        ("def augment(image, boxes): return image, boxes * np.nan", r"box 0, \[nan, .*\], with an end that is not a"),
        (
            "def augment(image, boxes): return image, tf.gather(boxes, [2, 1, 0, 3], axis=1)",
            "whose ends do not go up: boxes are xmin, ymin, xmax, ymax in pixels, and none is empty$",
        ),
        (
            "def augment(image, boxes): return image, boxes + 100",
            r"box 1, \[200.25, 130, 280, 300.5\], which leaves the image of 224 x 224 pixels; cut boxes at its edges",
        ),
        ("def augment(image, boxes): return image, boxes / 224 - 0.5", "box 0, .* which leaves the image"),
        (
            "def augment(image, boxes): return image, boxes[:2]",
            r"as many of each, got 2 boxes, 3 box_labels \(as before\), 3 keypoints \(as before\); to change the "
            "number of 3 objects, take and return `boxes` and `box_labels` and `keypoints`$",
        ),
        (
            "def augment(image, box_labels): return image, tf.cast(box_labels, tf.float32)",
            "must return box_labels as indices of classes, whole numbers .* got float32",
        ),
        ("def augment(image, box_labels): return image, box_labels - 4", "whole numbers .* with -1 in it$"),
        (
            "def augment(image, mask): return image, tf.cast(mask, tf.float32)",
            r"must return ids as mask, whole numbers \(uint8\) as it was given, got float32; interpolate masks by the",
        ),
        (
            "def augment(image, mask): return image, mask[::2, ::2]",
            r"a mask \[height, width\] of the image's size, \[224, 224\] here, got shape \[112, 112\]$",
        ),
        (
            "def augment(image, mask): return image, tf.cast(mask, tf.int32) * 100",
            "must return ids that fit uint8 as mask, 0 to 255, got 0 to 700$",
        ),
        ("def augment(image, mask): return image[:99], mask", r"\[99, 224\] here, got shape \[224, 224\]$"),
        (
            "def augment(image, keypoints): return image, keypoints[:, :1]",
            r"keypoints as numbers \[objects, 2, 3\] of x, y and visibility, got float32 of shape \[3, 1, 3\]$",
        ),
        ("def augment(image, keypoints): return image, keypoints / 0", "returned keypoints that are not numbers"),
        ("def augment(image, keypoints): return image, keypoints * 2", "with a visibility of 0"),
        (
            "def augment(image, keypoints): return image, keypoints + [300.0, 0, 0]",
            "a keypoint outside the image of 224 x 224 pixels; give it visibility 0$",
        ),
        ("def augment(image, label): return image, label - 9", "index of a class as label, from 0 up, got -5$"),
    ],
)
def test_a_wrong_annotation_is_an_error_that_names_the_function(
    write: Write, scene: Sample, source: str, message: str
) -> None:
    target = write(source)
    with pytest.raises(TransformError, match=message) as error:
        run(UserFunction(target), scene)
    assert str(error.value).startswith(f"{target} ")


@pytest.mark.parametrize(
    ("name", "lacking"),
    [("boxes", "boxes"), ("box_labels", "boxes"), ("mask", "masks"), ("keypoints", "keypoints")],
)
def test_a_function_is_told_what_the_source_has_not(write: Write, photo: np.ndarray, name: str, lacking: str) -> None:
    op = UserFunction(write(f"def augment(image, {name}): return image, {name}"))
    with pytest.raises(TransformError, match=f"takes `{name}`, but this source has no {lacking}$"):
        run(op, Sample(photo))


def test_a_function_of_the_image_alone_is_refused_where_it_might_move_boxes(write: Write, scene: Sample) -> None:
    op = UserFunction(write("def augment(image, mask): return 255 - image, mask"))
    assert [op.treatment(kind) for kind in KINDS] == [REFUSED, MOVED, REFUSED]
    with pytest.raises(TransformError) as error:
        Policy((op,)).run(scene, seed=0, key="a", copy=1)
    assert str(error.value) == (
        f"{op.target} cannot be used with boxes: they could not follow its pixels; it can take masks along; let it "
        "take `boxes` and return it moved, or, if it leaves every pixel in its place, say so by augment.moves_pixels = "
        "False beside it"
    )


@pytest.mark.parametrize("decorator", ["", "@tf.function\n"])
def test_a_function_may_say_that_it_moves_no_pixels(write: Write, scene: Sample, decorator: str) -> None:
    source = f"{decorator}def augment(image): return 255 - image\naugment.moves_pixels = False"
    op = UserFunction(write(source))
    assert [op.treatment(kind) for kind in KINDS] == [KEPT] * 3
    after = Policy((op,)).run(scene, seed=0, key="a", copy=1)[0]
    assert after.equals(replace(scene, image=255 - scene.image))


def test_a_function_that_says_so_must_keep_its_word(write: Write, scene: Sample) -> None:
    op = UserFunction(write("def augment(image): return image[:100]\naugment.moves_pixels = False"))
    with pytest.raises(TransformError, match=r"moves_pixels = False, and yet .* size from 224x224 to 100x224$"):
        run(op, scene)
    wrong = UserFunction(write("def augment(image): return image\naugment.moves_pixels = 'no'"))
    with pytest.raises(TransformError, match=r"moves_pixels must be True or False, got 'no'$"):
        wrong.treatment("boxes")


def test_grey_images_stay_grey(write: Write, photo: np.ndarray) -> None:
    grey = Sample(np.ascontiguousarray(photo[..., :1]))
    assert run(UserFunction(write("def augment(image): return 255 - image")), grey).image.shape == (224, 224, 1)
    with pytest.raises(TransformError, match=r"an image \[height, width, 1\], got shape \[224, 224, 3\]$"):
        run(UserFunction(write("def augment(image): return tf.image.grayscale_to_rgb(image)")), grey)


def test_a_function_of_arrays_is_told_how_arrays_end(write: Write, photo: np.ndarray) -> None:
    op = UserFunction(write("def augment(image: np.ndarray): return image * 0.5"))
    with pytest.raises(TransformError, match=r"end it with np.clip\(np.rint\(image\), 0, 255\).astype\(np.uint8\)"):
        run(op, Sample(photo))


def test_the_label_of_a_mixed_image_is_not_to_be_changed(write: Write, photo: np.ndarray) -> None:
    mixed = Sample(photo, 2, mixture=((2, 0.7), (3, 0.3)))
    keeps = run(UserFunction(write("def augment(image, label): return 255 - image, label")), mixed)
    assert keeps.mixture == mixed.mixture
    with pytest.raises(TransformError, match="changed the label of a mixed image, which has several; put it before"):
        run(UserFunction(write("def augment(image, label): return image, label + 1")), mixed)
