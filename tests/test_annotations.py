"""Annotations from what a source says to what a record holds, and the mistakes that are named on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from augmill.pipeline.annotation_info import NO_ANNOTATIONS, AnnotationInfo
from augmill.pipeline.annotations import AnnotationError, Annotations, box_problem, keypoint_array, record_features
from augmill.pipeline.example import decode_example, encode_example
from augmill.pipeline.mask import decode_mask, encode_mask
from augmill.pipeline.record_annotations import read_annotations

INFO = AnnotationInfo(
    kinds=("boxes", "masks", "keypoints"),
    classes=("cat", "dog"),
    keypoint_names=("left_eye", "right_eye"),
    crowd=True,
)


@pytest.fixture
def said() -> Annotations:
    """Two objects in an image of 224 x 224, in pixels."""
    points = [[[40.5, 30.5, 2], [60.5, 31.5, 1]], [[0, 0, 0], [150.5, 99.5, 2]]]
    return Annotations(
        boxes=np.array([[30, 20, 90, 80.25], [100, 50, 224, 224]], float),
        labels=np.array([1, 0]),
        keypoints=np.array(points, float),
        crowd=np.array([False, True]),
        size=(224, 224),
        mask=encode_mask(np.tile(np.arange(224, dtype=np.uint8) % 2, (224, 1))),
    )


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("nose", "left_eye", "right_eye", "left_ear", "right_ear"), ((1, 2), (3, 4))),
        (("Left Eye", "Right Eye"), ((0, 1),)),
        (("wrist_l", "wrist_r", "l-hip", "r-hip"), ((0, 1), (2, 3))),
        (("rightWing", "leftWing", "tail"), ((0, 1),)),
        (("nose", "left_eye", "collar", "red"), ()),
        ((), ()),
    ],
    ids=str,
)
def test_the_names_of_keypoints_say_which_a_mirror_exchanges(names: tuple[str, ...], pairs: Any) -> None:
    assert AnnotationInfo(kinds=("boxes", "keypoints"), keypoint_names=names).pairs == pairs


def test_what_is_known_survives_its_json() -> None:
    info = replace(INFO, mask_bits=16, mask_classes=("sky", "sea"), features={"boxes": ["a", "b", "c", "d"]})
    assert AnnotationInfo.from_json(info.to_json()) == info
    assert AnnotationInfo.from_json(NO_ANNOTATIONS.to_json()) == NO_ANNOTATIONS
    assert "features" not in info.public() and info.public()["mask_classes"] == ["sky", "sea"]


def test_objects_survive_the_plans_json_to_the_last_bit(said: Annotations) -> None:
    said = replace(said, boxes=said.boxes / 3, mask=None)
    again = Annotations.from_json(said.to_json(), INFO)
    assert again.digest() == said.digest()
    assert (again.size, again.crowd.tolist()) == ((224, 224), [False, True])
    none = Annotations(np.zeros((0, 4)), np.zeros(0, int), np.zeros((0, 2, 3)), np.zeros(0, bool))
    assert Annotations.from_json(none.to_json(), INFO).keypoints.shape == (0, 2, 3)


def test_the_digest_follows_every_part(said: Annotations) -> None:
    moved = said.boxes + np.array([[0, 0, 0, 0.25], [0, 0, 0, 0]])
    changed = [
        replace(said, boxes=moved),
        replace(said, labels=said.labels[::-1].copy()),
        replace(said, keypoints=said.keypoints + 1),
        replace(said, crowd=None),
        replace(said, mask=encode_mask(np.zeros((224, 224), np.uint8))),
        replace(said, size=None),
        replace(said, relative=True),
    ]
    assert len({one.digest() for one in [said, *changed]}) == len(changed) + 1


def test_pixels_and_fractions_make_the_same_objects(said: Annotations, photo: np.ndarray) -> None:
    image = photo[:112]
    halved = replace(said, boxes=said.boxes * [1, 0.5, 1, 0.5], size=None, keypoints=None, mask=None)
    relative = replace(halved, boxes=halved.boxes / [224, 112, 224, 112], relative=True)
    one, other = (each.attach(image, 3, INFO) for each in (halved, relative))
    assert one.equals(other)
    assert one.objects.boxes.tolist() == [[30, 10, 90, 40.125], [100, 25, 224, 112]]
    assert (one.label, one.objects.labels.tolist(), one.objects.crowd.tolist()) == (3, [1, 0], [False, True])
    assert one.objects.visible.tolist() == [1, 1]


def test_a_box_that_pokes_out_is_cut_at_the_edge(photo: np.ndarray) -> None:
    said = Annotations(boxes=np.array([[-7.5, 200, 20, 300.0]]), labels=np.zeros(1, int))
    objects = said.attach(photo, None, INFO).objects
    assert objects.boxes.tolist() == [[0, 200, 20, 224]]
    assert objects.visible.tolist() == [1]


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ([10, 10, 10, 20], r"is empty or inverted: \[10, 10, 10, 20\] \(xmin, ymin, xmax, ymax\)"),
        ([30, 10, 20, 20], "is empty or inverted"),
        ([10, np.nan, 20, 20], "is not of numbers"),
        ([10, 10, np.inf, 20], "is not of numbers"),
        ([-20, 10, 0, 20], "lies outside of the image, which is 224x224"),
        ([10, 224, 20, 300], "lies outside of the image"),
    ],
    ids=str,
)
def test_a_box_that_cannot_be_right_is_named(box: list[float], problem: str, photo: np.ndarray) -> None:
    said = Annotations(boxes=np.array([[1, 1, 9, 9], box], float), labels=np.zeros(2, int))
    with pytest.raises(AnnotationError, match=f"box 1 {problem}"):
        said.attach(photo, None, INFO)


def test_a_sound_box_has_no_problem() -> None:
    assert box_problem(np.array([0, 0, 1, 1.0]), 1, 1) == ""


def test_keypoints_outside_or_hidden_are_nowhere(said: Annotations, photo: np.ndarray) -> None:
    points = said.keypoints.copy()
    points[0, 0] = (-0.5, 30, 2)
    points[1, 0] = (70, 70, 0)
    kept = replace(said, keypoints=points, mask=None).attach(photo, None, INFO).objects.keypoints
    assert kept[0].tolist() == [[0, 0, 0], [60.5, 31.5, 1]]
    assert kept[1].tolist() == [[0, 0, 0], [150.5, 99.5, 2]]


@pytest.mark.parametrize(
    ("values", "count", "problem"),
    [
        ([1, 1, 2, 3, 3], 1, "it has 5 numbers of keypoints, not 6"),
        ([1, 1, 2, 3, 3, 2], 2, "it has 6 numbers of keypoints, not 12: 2 objects with 3 numbers for each of 2"),
        ([1, 1, 3, 3, 3, 2], 1, "visibility of a keypoint must be 0, 1 or 2, got 3"),
        ([1, np.nan, 2, 3, 3, 2], 1, "its place is not of numbers"),
    ],
)
def test_keypoints_that_cannot_be_right_are_named(values: list[float], count: int, problem: str) -> None:
    with pytest.raises(AnnotationError, match=problem):
        keypoint_array(values, count, ("a", "b"))


def test_a_hidden_keypoint_may_lie_nowhere() -> None:
    assert keypoint_array([np.nan, 7, 0, 3, 3, 2], 1, ("a", "b")).tolist() == [[[0, 0, 0], [3, 3, 2]]]


def test_annotations_for_another_size_are_refused(said: Annotations, photo: np.ndarray) -> None:
    told = r"for an image of 224x224 pixels \(height x width\), and it is shown as 200x150$"
    with pytest.raises(AnnotationError, match=told):
        said.attach(photo[:200, :150], None, INFO)
    with pytest.raises(AnnotationError, match="annotate images as viewers show them, turned by their EXIF orientation"):
        replace(said, size=(150, 200)).attach(photo[:200, :150], None, INFO)


def test_a_mask_must_have_the_images_size(photo: np.ndarray) -> None:
    said = Annotations(mask=encode_mask(np.zeros((30, 40), np.uint8)))
    with pytest.raises(AnnotationError, match=r"its mask has 30x40 pixels \(height x width\).* shown as 224x224$"):
        said.attach(photo, None, INFO)
    with pytest.raises(AnnotationError, match="EXIF"):
        said.attach(photo[:40, :30], None, INFO)


def test_ids_must_be_classes_or_void(photo: np.ndarray) -> None:
    info = AnnotationInfo(kinds=("masks",), mask_classes=("sky", "sea"))
    mask = np.array([[0, 1, 255]], np.uint8)
    sample = Annotations(mask=encode_mask(mask)).attach(photo[:1, :3], None, info, mask_fill=255)
    assert (sample.mask.tolist(), sample.mask_fill) == ([[0, 1, 255]], 255)
    with pytest.raises(AnnotationError, match="its mask has the id 7, which is none of the 2 classes"):
        Annotations(mask=encode_mask(np.array([[0, 7]], np.uint8))).attach(photo[:1, :2], None, info)
    assert Annotations(mask=encode_mask(mask + 7)).attach(photo[:1, :3], None, INFO).mask[0, 0] == 7


def test_masks_of_one_source_have_one_depth(photo: np.ndarray) -> None:
    info = AnnotationInfo(kinds=("masks",), mask_bits=16)
    for dtype in (np.uint8, np.uint16):
        mask = Annotations(mask=encode_mask(np.array([[3, 200]], dtype))).attach(photo[:1, :2], None, info).mask
        assert (mask.dtype, mask.tolist()) == (np.uint16, [[3, 200]])


def test_a_record_holds_what_the_sample_has(said: Annotations, photo: np.ndarray) -> None:
    sample = said.attach(photo, 1, INFO)
    example = decode_example(encode_example(record_features(sample, INFO)))
    np.testing.assert_allclose(example["objects/bbox"][:4], [20 / 224, 30 / 224, 80.25 / 224, 90 / 224], rtol=1e-6)
    assert (example["objects/label"], example["objects/is_crowd"]) == ([1, 0], [0, 1])
    np.testing.assert_allclose(example["objects/keypoints"][:3], [30.5 / 224, 40.5 / 224, 2], rtol=1e-6)
    np.testing.assert_array_equal(decode_mask(example["mask"][0]), sample.mask)


@pytest.mark.parametrize("count", [2, 0])
def test_a_records_features_are_read_back(count: int, said: Annotations, photo: np.ndarray) -> None:
    some = slice(0, count)
    said = replace(said, **{n: getattr(said, n)[some] for n in ("boxes", "labels", "keypoints", "crowd")})
    sample = said.attach(photo, 1, INFO)
    names = {"boxes": "bbox", "box_labels": "label", "crowd": "is_crowd", "keypoints": "keypoints"}
    features = {role: [f"objects/{name}"] for role, name in names.items()}
    example = decode_example(encode_example(record_features(sample, INFO)))
    again = read_annotations(example, replace(INFO, features={**features, "mask": ["mask"]})).attach(photo, 1, INFO)
    np.testing.assert_allclose(again.objects.boxes, sample.objects.boxes, atol=1e-4)
    np.testing.assert_allclose(again.objects.keypoints, sample.objects.keypoints, atol=1e-4)
    assert again.objects.labels.tolist() == sample.objects.labels.tolist()
    assert again.objects.crowd.tolist() == sample.objects.crowd.tolist()
    np.testing.assert_array_equal(again.mask, sample.mask)


def test_settings_about_a_kind_that_is_not_there_are_named() -> None:
    asked = {"boxes": ["min_area"], "masks": ["mask_fill"]}
    (problem,) = AnnotationInfo(kinds=("boxes",)).check_kinds(asked)
    assert problem.startswith("annotations.mask_fill is about masks, and of these the source has none; ")
    assert len(NO_ANNOTATIONS.check_kinds(asked)) == 2
