"""TFRecord files, written by TensorFlow, as sources."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline.errors import SourceError
from augmill.pipeline.image import encode_image
from augmill.pipeline.mask import encode_mask
from augmill.pipeline.source import NO_LABEL, Listing, Reader
from augmill.pipeline.source_spec import FeatureNames, SourceSpec
from augmill.pipeline.tfrecord_source import list_tfrecord

Write = Callable[..., Path]
List = Callable[..., Listing]
FEATURES = {"image": "image/encoded", "label": "image/class/label"}


@pytest.fixture
def images(photo: np.ndarray) -> list[bytes]:
    """Twelve JPEGs of real crops."""
    return [encode_image(photo[i * 9 : i * 9 + 40, i : i + 52], "jpeg") for i in range(12)]


def record(**features: Any) -> bytes:
    """An Example as TensorFlow writes it; a double underscore stands for a slash."""
    example = tf.train.Example()
    for name, value in features.items():
        feature = example.features.feature[name.replace("__", "/")]
        values = value if isinstance(value, list) else [value]
        kind = {bytes: feature.bytes_list, int: feature.int64_list, float: feature.float_list}[type(values[0])]
        kind.value.extend(values)
    data: bytes = example.SerializeToString()
    return data


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, records: list[bytes]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for data in records:
                writer.write(data)
        return path

    return write


@pytest.fixture
def listing_of(tmp_path: Path) -> List:
    """List what a glob matches below the test's folder."""

    def listing_of(tfrecord: Any, features: dict[str, Any] = FEATURES, **more: Any) -> Listing:
        return list_tfrecord(SourceSpec(tfrecord=tfrecord, features=FeatureNames(**features), **more), tmp_path)

    return listing_of


def labelled(images: list[bytes], labels: list[Any]) -> list[bytes]:
    return [
        record(image__encoded=image, image__class__label=label) for image, label in zip(images, labels, strict=True)
    ]


def rows_of(listing: Listing) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in listing.addresses.to_pylist()}


def test_an_address_leads_to_the_image_of_its_record(
    write: Write, listing_of: List, images: list[bytes], tmp_path: Path
) -> None:
    write("raw/a.tfrecord", labelled(images[:5], [0, 1, 2, 0, 1]))
    write("raw/b.tfrecord", labelled(images[5:], [2] * 7))
    listing = listing_of("raw/*.tfrecord")
    assert (listing.root, listing.container, listing.bad) == (tmp_path / "raw", "tfrecord", [])
    reader = Reader(listing.root, listing.container, listing.image_feature)
    found = {key: reader.read(row["uri"], row["offset"], row["length"]) for key, row in rows_of(listing).items()}
    names = [f"a.tfrecord#{i}" for i in range(5)] + [f"b.tfrecord#{i}" for i in range(7)]
    assert found == dict(zip(names, images, strict=True))


def test_whole_number_labels_name_themselves(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", labelled(images[:4], [3, 0, 1, 3]))
    listing = listing_of("a")
    assert listing.classes == ["0", "1", "2", "3"]
    assert listing.addresses.column("label").to_pylist() == [3, 0, 1, 3]


def test_classes_name_whole_number_labels(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", labelled(images[:3], [1, 0, 1]))
    listing = listing_of("a", classes=["fur", "face", "never met"])
    assert listing.classes == ["fur", "face", "never met"]
    assert listing.addresses.column("label").to_pylist() == [1, 0, 1]


def test_labels_in_words_become_sorted_classes(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", labelled(images[:4], [b"tabby", "Löwe".encode(), b"calico", b"tabby"]))
    listing = listing_of("a")
    assert listing.classes == ["Löwe", "calico", "tabby"]
    assert listing.addresses.column("label").to_pylist() == [2, 0, 1, 2]


def test_classes_give_the_order_of_labels_in_words(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", labelled(images[:3], [b"tabby", b"calico", b"lion"]))
    listing = listing_of("a", classes=["tabby", "calico"])
    assert listing.addresses.column("label").to_pylist() == [0, 1]
    assert [(bad.key, bad.uri) for bad in listing.bad] == [("a#2", "a")]
    assert "'lion'" in listing.bad[0].reason and "2 classes" in listing.bad[0].reason


@pytest.mark.parametrize("label", [-1, 2, 2**40])
def test_a_label_out_of_range_makes_a_bad_example(
    label: int, write: Write, listing_of: List, images: list[bytes]
) -> None:
    write("a", labelled(images[:3], [1, label, 0]))
    listing = listing_of({"train": "a"}, classes=["fur", "face"])
    assert list(rows_of(listing)) == ["a#0", "a#2"]
    assert [bad[:3] for bad in listing.bad] == [("a#1", "a", "train")]
    assert f"label {label} is none of the 2 classes" in listing.bad[0].reason


def test_fractions_are_no_labels(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", labelled(images[:2], [1, 0.5]))
    with pytest.raises(SourceError, match="labels must all be whole numbers or all be names, got float, int"):
        listing_of("a")


def test_without_a_label_feature_there_are_no_classes(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", labelled(images[:3], [1, 0, 1]))
    listing = listing_of("a", {"image": "image/encoded"})
    assert listing.classes is None
    assert listing.addresses.column("label").to_pylist() == [NO_LABEL] * 3


@pytest.mark.parametrize("identity", [lambda i: f"größe-{i}".encode(), lambda i: 7000 + i])
def test_a_key_feature_is_the_key_whatever_the_file(
    identity: Any, write: Write, listing_of: List, images: list[bytes]
) -> None:
    records = [record(image=image, id=identity(i)) for i, image in enumerate(images)]
    write("one/all", records)
    write("two/b", records[:3])
    write("two/a", records[3:])
    features = {"image": "image", "key": "id"}
    one, two = rows_of(listing_of("one/*", features)), rows_of(listing_of("two/*", features))
    expected = {value.decode() if isinstance(value, bytes) else str(value) for value in map(identity, range(12))}
    assert set(one) == set(two) == expected


def test_globs_by_split_give_splits(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("raw/train-0", labelled(images[:4], [0] * 4))
    write("raw/train-1", labelled(images[4:6], [0] * 2))
    write("held out/x", labelled(images[6:], [0] * 6))
    listing = listing_of({"train": ["raw/train-0", "raw/train-[1-9]"], "test": "held out/*"})
    splits = {key: row["split"] for key, row in rows_of(listing).items()}
    assert splits == {
        **{f"raw/train-0#{i}": "train" for i in range(4)},
        **{f"raw/train-1#{i}": "train" for i in range(2)},
        **{f"held out/x#{i}": "test" for i in range(6)},
    }


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (
            record(image__class__label=1, other=b"x"),
            r"needs one value of 'image/encoded'; .*image/class/label \(1\), other \(1\)",
        ),
        (record(image__encoded=b"x"), "needs one value of 'image/class/label'"),
        (b"\xff\xd8\xff a photo and no Example", r"not a tf\.train\.Example"),
    ],
    ids=["no image", "no label", "no example"],
)
def test_a_record_that_cannot_be_used_is_named_with_its_reason(
    broken: bytes, reason: str, write: Write, listing_of: List, images: list[bytes]
) -> None:
    good = labelled(images[:3], [0, 1, 0])
    write("a", [good[0], broken, *good[1:]])
    listing = listing_of("a")
    assert list(rows_of(listing)) == ["a#0", "a#2", "a#3"]
    assert [(bad.key, bad.uri, bad.split) for bad in listing.bad] == [("a#1", "a", None)]
    assert re.search(reason, listing.bad[0].reason)


def test_the_wrong_feature_name_is_told_with_those_there_are(
    write: Write, listing_of: List, images: list[bytes]
) -> None:
    write("a", labelled(images, [0] * 12))
    with pytest.raises(SourceError, match=r"no usable record.* 12 bad .*'image'; .*image/encoded \(1\)$"):
        listing_of("a", {"image": "image"})


def test_labels_that_are_all_out_of_range_are_told(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", labelled(images[:2], [5, 6]))
    with pytest.raises(SourceError, match="label 5 is none of the 1 classes"):
        listing_of("a", classes=["fur"])


@pytest.mark.parametrize("pattern", ["nothing-*", ["a", "nothing"], {"train": "a", "test": "nothing"}])
def test_a_pattern_that_no_file_matches_is_refused(
    pattern: Any, write: Write, listing_of: List, images: list[bytes]
) -> None:
    write("a", labelled(images[:1], [0]))
    with pytest.raises(SourceError, match=r"no file matches source\.tfrecord '.*nothing"):
        listing_of(pattern)


@pytest.mark.parametrize("patterns", [["a", "a"], ["*", "a"], ["sub/../a", "a"], {"train": "a", "test": "*"}], ids=str)
def test_a_file_given_twice_is_refused_by_name(
    patterns: Any, write: Write, listing_of: List, images: list[bytes], tmp_path: Path
) -> None:
    write("a", labelled(images[:1], [0]))
    (tmp_path / "sub").mkdir()
    with pytest.raises(SourceError, match=r"names .*a more than once"):
        listing_of(patterns)


def test_a_key_met_twice_is_refused_by_name(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", [record(image=image, id=b"tom") for image in images[:2]])
    with pytest.raises(SourceError, match="'tom' is met again"):
        listing_of("a", {"image": "image", "key": "id"})


def test_a_file_that_is_no_tfrecord_is_refused_by_name(
    write: Write, listing_of: List, images: list[bytes], tmp_path: Path
) -> None:
    write("a", labelled(images[:1], [0]))
    (tmp_path / "cat.jpg").write_bytes(images[0])
    with pytest.raises(SourceError, match=r"cat\.jpg, record at byte 0"):
        listing_of(["a", "cat.jpg"])


def test_a_compressed_or_damaged_file_is_refused_with_the_byte(
    write: Write, listing_of: List, images: list[bytes]
) -> None:
    path = write("a", labelled(images, [0] * 12))
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(whole))
    with pytest.raises(SourceError, match=r"record at byte 0: .*compressed"):
        listing_of("a")
    path.write_bytes(whole[:-7])
    with pytest.raises(SourceError, match=r"record at byte [1-9]\d+: the file ends inside"):
        listing_of("a")


def test_a_folder_whose_name_looks_like_a_glob_is_taken_as_it_is(images: list[bytes], tmp_path: Path) -> None:
    folder = tmp_path / "part[1]"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "a.tfrecord")) as writer:
        for encoded in labelled(images[:3], [0, 1, 0]):
            writer.write(encoded)
    source = SourceSpec(tfrecord="*.tfrecord", features=FeatureNames(image="image/encoded", label="image/class/label"))
    assert list_tfrecord(source, folder).addresses.num_rows == 3


# Boxes as TensorFlow's object detection API writes them, and as TFDS does.
OBJECTS: dict[str, Any] = {
    "boxes": [f"image/object/bbox/{side}" for side in ("ymin", "xmin", "ymax", "xmax")],
    "box_labels": "image/object/class/text",
    "crowd": "image/object/is_crowd",
    "keypoints": [f"image/object/keypoint/{part}" for part in ("y", "x", "visibility")],
}


def detected(image: bytes, **changes: Any) -> bytes:
    """A record with two objects, as the object detection API writes it."""
    sides = {"ymin": [0.125, 0.5], "xmin": [0.25, 0.0], "ymax": [0.5, 1.0], "xmax": [0.75, 0.5]}
    points = {"y": [0.25, 0.375, 0.625, 0.75], "x": [0.5, 0.625, 0.125, 0.25], "visibility": [2, 1, 0, 2]}
    features: dict[str, Any] = {
        **{f"image__object__bbox__{side}": values for side, values in sides.items()},
        **{f"image__object__keypoint__{part}": values for part, values in points.items()},
        "image__object__class__text": [b"paw", b"ear"],
        "image__object__is_crowd": [0, 1],
    }
    return record(image__encoded=image, **{**features, **changes})


def boxed(**more: Any) -> dict[str, Any]:
    return {"features": {"image": "image/encoded", **OBJECTS}, "keypoint_names": ["left_tip", "right_tip"], **more}


def test_boxes_and_keypoints_in_features_a_coordinate_are_read(
    write: Write, listing_of: List, images: list[bytes]
) -> None:
    empty = record(image__encoded=images[1])  # no object may be written as no feature
    write("a", [detected(images[0]), empty])
    listing = listing_of("a", **boxed())
    info = listing.annotations
    assert (info.kinds, info.classes, info.crowd) == (("boxes", "keypoints"), ("ear", "paw"), True)
    assert (info.keypoint_names, info.pairs) == (("left_tip", "right_tip"), ((0, 1),))
    assert listing.addresses.column("annotations").to_pylist() == [None, None]
    reader = Reader(listing.root, listing.container, listing.image_feature, info)
    first, second = (reader.read_example(row) for row in listing.addresses.to_pylist())
    said = first.annotations
    assert (first.image, said.relative) == (images[0], True)
    assert said.boxes.tolist() == [[0.25, 0.125, 0.75, 0.5], [0.0, 0.5, 0.5, 1.0]]
    assert (said.labels.tolist(), said.crowd.tolist()) == ([1, 0], [False, True])
    assert said.keypoints.tolist() == [[[0.5, 0.25, 2], [0.625, 0.375, 1]], [[0, 0, 0], [0.25, 0.75, 2]]]
    assert (second.annotations.count, second.annotations.keypoints.shape) == (0, (0, 2, 3))


def test_box_classes_number_the_names_and_the_numbers(write: Write, listing_of: List, images: list[bytes]) -> None:
    strange = detected(images[1], image__object__class__text=[b"paw", b"tail"])
    numbered = detected(images[2], image__object__class__text=[2, 0])
    too_high = detected(images[3], image__object__class__text=[3, 0])
    write("a", [detected(images[0]), strange, numbered, too_high])
    listing = listing_of("a", **boxed(box_classes=["paw", "ear", "nose"]))
    reader = Reader(listing.root, listing.container, listing.image_feature, listing.annotations)
    found = {key: reader.read_example(row).annotations.labels.tolist() for key, row in rows_of(listing).items()}
    assert found == {"a#0": [0, 1], "a#2": [2, 0]}
    assert {bad.key: bad.reason for bad in listing.bad} == {
        "a#1": "label 'tail' of a box is none of the 3 classes",
        "a#3": "label 3 of a box is none of the 3 classes",
    }


def test_boxes_in_one_feature_without_labels_are_objects(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", [record(image=images[0], box=[0.125, 0.25, 0.5, 0.75, 0.0, 0.0, 1.0, 1.0])])
    listing = listing_of("a", {"image": "image", "boxes": "box"})
    (row,) = listing.addresses.to_pylist()
    said = Reader(listing.root, "tfrecord", "image", listing.annotations).read_example(row).annotations
    assert (listing.annotations.classes, said.labels.tolist()) == (("object",), [0, 0])
    assert said.boxes.tolist() == [[0.25, 0.125, 0.75, 0.5], [0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ymin": [0.6, 0.5]}, r"box 0, in fractions of the image, is empty or inverted: \[0.25, 0.6, 0.75, 0.5\]"),
        ({"ymin": [float("nan"), 0.5]}, "box 0, in fractions of the image, is not of numbers"),
        ({"xmin": [0.25, 1.0], "xmax": [0.75, 2.0]}, "box 1, in fractions of the image, lies outside of the image"),
        ({"ymin": [0.125]}, "must have as many values as each other, got image/object/bbox/ymin 1, .*xmin 2"),
    ],
    ids=str,
)
def test_boxes_that_cannot_be_right_are_named(
    changes: dict[str, Any], reason: str, write: Write, listing_of: List, images: list[bytes]
) -> None:
    broken = detected(images[1], **{f"image__object__bbox__{side}": values for side, values in changes.items()})
    write("a", [detected(images[0]), broken])
    listing = listing_of("a", **boxed())
    assert list(rows_of(listing)) == ["a#0"]
    assert re.search(reason, listing.bad[0].reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class__text": [b"paw"]}, "'image/object/class/text' has 1 values for 2 boxes"),
        ({"class__text": [1, -1]}, "label -1 of a box is neither a whole number from 0 nor a name"),
        ({"class__text": [1.5, 1.5]}, "label 1.5 of a box is neither"),
        ({"is_crowd": [0, 0, 0]}, "'image/object/is_crowd' has 3 values for 2 boxes"),
        ({"keypoint__visibility": [2, 7, 0, 2]}, "visibility of a keypoint must be 0, 1 or 2, got 7"),
        ({"bbox__ymin": [b"a", b"b"]}, "'image/object/bbox/ymin' must hold numbers"),
    ],
    ids=str,
)
def test_what_goes_with_boxes_must_fit_them(
    changes: dict[str, Any], reason: str, write: Write, listing_of: List, images: list[bytes]
) -> None:
    broken = detected(images[1], **{f"image__object__{name}": values for name, values in changes.items()})
    write("a", [detected(images[0]), broken])
    (bad,) = listing_of("a", **boxed()).bad
    assert reason in bad.reason


def test_a_feature_that_no_record_has_is_refused(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", labelled(images[:3], [0, 1, 0]))
    with pytest.raises(SourceError, match="no record has a feature 'boxes'"):
        listing_of("a", {**FEATURES, "boxes": "boxes"})


def test_labels_partly_in_words_are_refused(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", [detected(images[0]), detected(images[1], image__object__class__text=[1, 2])])
    with pytest.raises(SourceError, match="must all be whole numbers or all be names, got int, str"):
        listing_of("a", **boxed())


def test_masks_in_records_are_read(write: Write, listing_of: List, images: list[bytes]) -> None:
    deep = encode_mask(np.full((40, 52), 700, np.uint16))
    masks = [encode_mask(np.full((40, 52), 7, np.uint8)), deep, images[2]]
    write("a", [record(image=image, ids=mask) for image, mask in zip(images, masks, strict=False)])
    listing = listing_of("a", {"image": "image", "mask": "ids"})
    assert (listing.annotations.kinds, listing.annotations.mask_bits) == (("masks",), 16)
    assert [(bad.key, bad.reason) for bad in listing.bad] == [("a#2", "the mask is no PNG; ids survive in PNG alone")]
    reader = Reader(listing.root, listing.container, listing.image_feature, listing.annotations)
    assert [reader.read_example(row).annotations.mask for row in listing.addresses.to_pylist()] == masks[:2]


def test_a_record_without_its_mask_is_named(write: Write, listing_of: List, images: list[bytes]) -> None:
    write("a", [record(image=images[0], ids=encode_mask(np.zeros((40, 52), np.uint8))), record(image=images[1])])
    (bad,) = listing_of("a", {"image": "image", "mask": "ids"}).bad
    assert (bad.key, bad.reason) == ("a#1", "the record has no feature 'ids' with one encoded mask")
