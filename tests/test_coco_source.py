"""COCO files as sources: what they say, what they get wrong, and the whole way to a version."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from augmill.pipeline import Version, load
from augmill.pipeline.annotations import Annotations
from augmill.pipeline.coco_source import list_coco
from augmill.pipeline.errors import SourceError
from augmill.pipeline.image import encode_image
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.source import Listing, Reader
from augmill.pipeline.source_spec import SourceSpec

CATEGORIES = [  # ids neither from 0 nor in order
    {"id": 18, "name": "lime"},
    {"id": 3, "name": "magenta", "keypoints": ["left_corner", "right_corner"]},
]
IDS = {"lime": 18, "magenta": 3}
Change = Callable[[dict[str, Any]], Any]


def coco_of(painted: list[Any]) -> dict[str, Any]:
    """What COCO says of painted photos; a magenta rectangle has keypoints in the middles of its upper corner pixels."""
    images, annotations = [], []
    for number, drawn in enumerate(painted):
        height, width = drawn.image.shape[:2]
        images.append({"id": 100 + number, "file_name": f"{number:02d}.png", "height": height, "width": width})
        for name, (left, top, right, bottom) in drawn.boxes.items():
            box = {"bbox": [left, top, right - left, bottom - top], "category_id": IDS[name], "iscrowd": number % 2}
            points = {"keypoints": [left + 2, top + 2, 2, right - 3, top + 2, 1]} if name == "magenta" else {}
            annotations.append({"id": len(annotations), "image_id": 100 + number, **box, **points})
    return {"images": images, "annotations": annotations, "categories": CATEGORIES}


@pytest.fixture(scope="module")
def photos_path(tmp_path_factory: pytest.TempPathFactory, painted: list[Any]) -> Path:
    """The painted photos as PNG."""
    folder = tmp_path_factory.mktemp("coco") / "photos"
    folder.mkdir()
    for number, drawn in enumerate(painted):
        (folder / f"{number:02d}.png").write_bytes(encode_image(drawn.image, "png"))
    return folder


@pytest.fixture
def listed(tmp_path: Path, photos_path: Path, painted: list[Any]) -> Callable[..., Listing]:
    """List the photos with COCO's words for them, changed by a function."""

    def listed(change: Change = lambda coco: None, **source: Any) -> Listing:
        coco = coco_of(painted)
        change(coco)
        (tmp_path / "instances.json").write_text(json.dumps(coco))
        given = {"coco": "instances.json", "images": str(photos_path), **source}
        return list_coco(SourceSpec(**given), tmp_path)

    return listed


def said_of(listing: Listing, key: str) -> Annotations:
    row = next(row for row in listing.addresses.to_pylist() if row["key"] == key)
    return Annotations.from_json(row["annotations"], listing.annotations)


def test_categories_are_numbered_in_the_order_of_their_ids(listed: Callable[..., Listing]) -> None:
    info = listed().annotations
    assert (info.kinds, info.classes) == (("boxes", "keypoints"), ("magenta", "lime"))
    assert (info.keypoint_names, info.pairs, info.crowd) == (("left_corner", "right_corner"), ((0, 1),), True)


def test_every_image_is_listed_with_its_boxes_and_one_without_has_none(
    listed: Callable[..., Listing], painted: list[Any], photos_path: Path
) -> None:
    listing = listed()
    assert (listing.root, listing.container, listing.classes, listing.bad) == (photos_path, "file", None, [])
    assert listing.addresses.column("key").to_pylist() == [f"{number:02d}.png" for number in range(12)]
    for number, drawn in enumerate(painted):
        said = said_of(listing, f"{number:02d}.png")
        names = [listing.annotations.classes[label] for label in said.labels]
        assert dict(zip(names, map(tuple, said.boxes.tolist()), strict=True)) == drawn.boxes
        assert said.crowd.tolist() == [bool(number % 2)] * len(drawn.boxes)
        assert said.size == (120, 160)
    assert said_of(listing, "11.png").count == 0


def test_keypoints_are_moved_from_pixel_indices_to_their_middles(listed: Callable[..., Listing]) -> None:
    def hide(coco: dict[str, Any]) -> None:
        coco["annotations"][0]["keypoints"] = [7, 8, 2, 0, 0, 0]

    said = said_of(listed(hide), "00.png")
    assert said.keypoints[0].tolist() == [[7.5, 8.5, 2], [0, 0, 0]]
    assert said.keypoints[1].tolist() == [[0, 0, 0], [0, 0, 0]], "lime rectangles have no keypoints"


def test_the_reader_gives_the_image_and_what_is_said_of_it(
    listed: Callable[..., Listing], photos_path: Path, painted: list[Any]
) -> None:
    listing = listed()
    reader = Reader(listing.root, listing.container, listing.image_feature, listing.annotations)
    rows = listing.addresses.to_pylist()
    for row in rows:
        found = reader.read_example(row)
        assert found.image == (photos_path / row["key"]).read_bytes()
        assert found.annotations.count == len(painted[int(row["key"][:2])].boxes)
    assert len({reader.read_example(row).digest() for row in rows}) == 12


def test_the_plan_carries_what_is_said(listed: Callable[..., Listing], make_spec: Callable[..., Any]) -> None:
    listing, spec = listed(), make_spec()
    plan = make_plan(spec, listing)
    assert plan.annotations == listing.annotations
    said = dict(zip(*(plan.table.column(name).to_pylist() for name in ("key", "annotations")), strict=True))
    assert said == dict(zip(*(listing.addresses.column(n).to_pylist() for n in ("key", "annotations")), strict=True))

    def nudge(coco: dict[str, Any]) -> None:
        coco["annotations"][5]["bbox"][0] += 0.5

    def rename(coco: dict[str, Any]) -> None:
        coco["categories"] = [dict(CATEGORIES[0], name="green"), CATEGORIES[1]]

    others = [listed(nudge), listed(rename)]
    assert len({one.digest() for one in [listing, *others]}) == 3
    assert len({make_plan(spec, one).digest() for one in [listing, *others]}) == 3


def _split(number: int) -> Any:
    def change(coco: dict[str, Any]) -> None:
        coco["images"] = [image for image in coco["images"] if image["id"] % 2 == number]
        numbers = {image["id"] for image in coco["images"]}
        coco["annotations"] = [one for one in coco["annotations"] if one["image_id"] in numbers]

    return change


def test_files_by_split_give_splits(tmp_path: Path, photos_path: Path, painted: list[Any]) -> None:
    for name, number in (("train", 0), ("validation", 1)):
        coco = coco_of(painted)
        _split(number)(coco)
        (tmp_path / f"{name}.json").write_text(json.dumps(coco))
    files = {"train": "train.json", "validation": "validation.json"}
    listing = list_coco(SourceSpec(coco=files, images=str(photos_path)), tmp_path)
    assert {row["key"]: row["split"] for row in listing.addresses.to_pylist()} == {
        f"{number:02d}.png": "validation" if number % 2 else "train" for number in range(12)
    }


def test_a_name_that_two_splits_have_is_told_apart_by_its_split(tmp_path: Path, painted: list[Any]) -> None:
    for name, some in (("train", painted[:3]), ("test", painted[2:3])):
        (tmp_path / name).mkdir()
        for number, drawn in enumerate(some):
            (tmp_path / name / f"{number:02d}.png").write_bytes(encode_image(drawn.image, "png"))
        (tmp_path / f"{name}.json").write_text(json.dumps(coco_of(some)))
    source = SourceSpec(
        coco={"train": "train.json", "test": "test.json"}, images={"train": "train", "test": "./x/../test"}
    )
    listing = list_coco(source, tmp_path)
    keys = {row["key"]: row["uri"] for row in listing.addresses.to_pylist()}
    assert keys == {
        "01.png": "train/01.png",
        "02.png": "train/02.png",
        "train/00.png": "train/00.png",
        "test/00.png": "test/00.png",
    }
    reader = Reader(listing.root, "file", None, listing.annotations)
    for row in listing.addresses.to_pylist():
        assert reader.read_example(row).image == (tmp_path / keys[row["key"]]).read_bytes()


def _first(**changes: Any) -> Change:
    return lambda coco: coco["annotations"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        (_first(bbox=[5, 5, 0, 9]), "00.png", r"annotation 0 has bbox \[5, 5, 0, 9\]: it is empty or inverted"),
        (_first(bbox=[5, 5, -3, 9]), "00.png", "it is empty or inverted"),
        (_first(bbox=[float("nan"), 5, 3, 9]), "00.png", "it is not of numbers"),
        (_first(bbox=[-50, 5, 10, 9]), "00.png", "it lies outside of the image"),
        (_first(bbox=[5, 5, 9]), "00.png", r"no bbox of four numbers \[x, y, width, height\], got \[5, 5, 9\]"),
        (_first(bbox=None), "00.png", "no bbox of four numbers"),
        (_first(bbox=["5", 5, 9, 9]), "00.png", "no bbox of four numbers"),
        (_first(category_id=4), "00.png", r"category_id 4, which is none of the categories \(3, 18\)"),
        (_first(category_id=[3]), "00.png", "which is none of the categories"),
        (_first(keypoints=[1, 1, 2]), "00.png", "it has 3 numbers of keypoints, not 6"),
        (_first(keypoints=[1, 1, 2, 5, 5, 9]), "00.png", "visibility of a keypoint must be 0, 1 or 2, got 9"),
        (_first(keypoints="none"), "00.png", "keypoints that are no list of numbers"),
        (_first(id=5), "00.png", "annotation 5 is there 2 times"),
        (_first(image_id=77), "image 77", "1 annotations name image 77, which is not listed"),
        (_first(image_id=None), "image None", "which is not listed"),
        (lambda coco: coco["images"][4].update(file_name="gone.png"), "gone.png", "No such file or directory"),
        (lambda coco: coco["images"][4].update(file_name="../up.png"), "../up.png", "a file within source.images"),
        (lambda coco: coco["images"][4].update(file_name="/etc/passwd"), "/etc/passwd", "a file within source.images"),
        (lambda coco: coco["images"][4].update(file_name="a\udce9.png"), r"a\udce9.png", "in UTF-8"),
        (lambda coco: coco["images"][4].update(file_name="a\0.png"), "a\0.png", "a file within source.images"),
        (lambda coco: coco["images"][4].pop("file_name"), "None", "an image needs an id and a file_name"),
        (lambda coco: coco["images"][4].update(file_name="05.png"), "05.png", "its file_name is that of 2 images"),
        (lambda coco: coco["images"][4].update(id=105), "04.png", "id 105 is that of 2 images"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_named_and_the_rest_listed(
    change: Change, key: str, reason: str, listed: Callable[..., Listing]
) -> None:
    import re

    listing = listed(change)
    reasons = {bad.key: bad.reason for bad in listing.bad}
    assert re.search(reason, reasons[key])
    known = {row["key"] for row in listing.addresses.to_pylist()}
    assert known | set(reasons) >= {f"{number:02d}.png" for number in range(12)} - {"04.png"}
    assert not known & set(reasons)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda coco: coco.pop("annotations"), "must have a list of objects called annotations; its keys are images, "),
        (lambda coco: coco.update(images={}), "must have a list of objects called images"),
        (lambda coco: coco.update(images=[]), "instances.json names no image that can be used"),
        (lambda coco: coco.update(categories=[]), "has no categories"),
        (lambda coco: coco.update(categories=[CATEGORIES[0]] * 2), "category id 18 is given twice"),
        (lambda coco: coco.update(categories=[{"id": "3", "name": "a"}]), "needs a whole number as id and a name"),
        (lambda coco: coco["categories"][0].update(keypoints=["nose"]), "they differ \\(magenta: 2 and lime: 1\\)"),
        (lambda coco: coco["categories"][0].update(name="magenta"), "class names must differ.*'magenta'"),
    ],
)
def test_a_file_not_in_cocos_form_is_refused(change: Change, problem: str, listed: Callable[..., Listing]) -> None:
    def safely(coco: dict[str, Any]) -> None:
        coco["categories"] = [dict(category) for category in coco["categories"]]
        change(coco)

    with pytest.raises(SourceError, match=problem):
        listed(safely)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"coco": "nowhere.json"}, "nowhere.json cannot be read: No such file"),
        ({"images": "nowhere"}, "source.images .*nowhere does not exist"),
        ({"images": "instances.json"}, "source.images .*instances.json is not a folder"),
    ],
)
def test_what_is_not_there_is_named(source: dict[str, str], problem: str, listed: Callable[..., Listing]) -> None:
    with pytest.raises(SourceError, match=problem):
        listed(**source)


def test_text_that_is_no_json_is_refused(tmp_path: Path, photos_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"images": [')
    with pytest.raises(SourceError, match="is no valid JSON"):
        list_coco(SourceSpec(coco="a.json", images=str(photos_path)), tmp_path)


def test_splits_must_agree_about_categories(tmp_path: Path, photos_path: Path, painted: list[Any]) -> None:
    coco = coco_of(painted)
    (tmp_path / "a.json").write_text(json.dumps(coco))
    coco["categories"] = [dict(CATEGORIES[0], name="green"), CATEGORIES[1]]
    (tmp_path / "b.json").write_text(json.dumps(coco))
    source = SourceSpec(coco={"train": "a.json", "test": "b.json"}, images=str(photos_path))
    with pytest.raises(SourceError, match="category 18 is 'lime' and again 'green'; one id, one meaning"):
        list_coco(source, tmp_path)


def test_no_tensorflow_is_loaded_to_list_coco(tmp_path: Path, photos_path: Path, painted: list[Any]) -> None:
    (tmp_path / "instances.json").write_text(json.dumps(coco_of(painted)))
    (tmp_path / "spec.yaml").write_text(
        f"name: a\nversion: 1.0.0\ncopies: 0\nsource: {{coco: instances.json, images: {photos_path}}}\n"
    )
    script = (
        "import sys\nfrom augmill.pipeline.spec import Spec\nfrom augmill.pipeline.listing import list_source\n"
        f"listing = list_source(Spec.from_yaml({str(tmp_path / 'spec.yaml')!r}))\n"
        "print(listing.addresses.num_rows, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["12", "False"], done.stderr


@pytest.fixture(scope="module")
def version(
    tmp_path_factory: pytest.TempPathFactory, photos_path: Path, painted: list[Any], publish_version: Any
) -> Version:
    """A version of the painted photos: flipped, and cropped to 96 x 96 out of 112 x 144."""
    from augmill.pipeline import Spec

    folder = tmp_path_factory.mktemp("coco version")
    (folder / "instances.json").write_text(json.dumps(coco_of(painted)))
    spec = Spec(
        name="painted",
        version="1.0.0",
        source={"coco": str(folder / "instances.json"), "images": str(photos_path)},
        image={"size": [96, 96], "work_size": [112, 144], "encoding": "png"},
        annotations={"min_area": 500, "min_visibility": 0.1},
        copies=4,
        seed=5,
        augment=["tf.image.random_flip_left_right", {"tf.image.random_crop": {"size": [96, 96, 3]}}],
    )
    published: Version = publish_version(spec, folder / "out")
    return published


def _check_against_pixels(
    image: np.ndarray, objects: dict[str, np.ndarray], augmentation: bytes, seen_in: Any, box_iou: Any
) -> int:
    """Hold the objects of a record to its pixels; return how many there are."""
    flipped = any(step["params"].get("flip", False) for step in json.loads(augmentation))
    for box, label in zip(objects["bbox"], objects["label"], strict=True):
        assert box_iou(box, seen_in(image, ("magenta", "lime")[label])) >= 0.9
    for points, label in zip(objects["keypoints"], objects["label"], strict=True):
        left, right = points
        assert label == 0 or not points.any(), "lime rectangles have none"
        for y, x, _ in points[points[:, 2] > 0]:
            assert seen_in(image[int(y * 96), int(x * 96)][None, None], "magenta").all()
        if left[2] and right[2]:
            assert left[1] < right[1], "a mirror makes the right corner the left one"
            assert (left[2], right[2]) == ((1, 2) if flipped else (2, 1))
    return len(objects["bbox"])


def test_plain_tfds_reads_boxes_that_fit_the_stored_pixels(version: Version, seen_in: Any, box_iou: Any) -> None:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(version.path))
    assert builder.info.features["objects"]["label"].names == ["magenta", "lime"]
    assert isinstance(builder.info.features["objects"]["bbox"], tfds.features.BBoxFeature)
    records = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert len(records) == 60
    counted = sum(
        _check_against_pixels(record["image"], record["objects"], record["augmentation"], seen_in, box_iou)
        for record in records
    )
    assert counted == version.manifest.objects["written"] > 80


def test_the_loader_gives_what_tfds_does(version: Version, seen_in: Any, box_iou: Any) -> None:
    counted = 0
    for batch in load(version, batch_size=7):
        objects = batch["objects"]
        assert objects["bbox"].shape.as_list() == [batch["image"].shape[0], None, 4]
        assert objects["keypoints"].shape.as_list()[2:] == [2, 3]
        for i, image in enumerate(batch["image"].numpy()):
            mine = {name: part[i].numpy() for name, part in objects.items()}
            counted += _check_against_pixels(image, mine, batch["augmentation"][i].numpy(), seen_in, box_iou)
    assert counted == version.manifest.objects["written"]


def test_every_object_is_counted(version: Version) -> None:
    counts = version.manifest.objects
    assert counts["seen"] == 5 * 22
    assert counts["seen"] + counts["mixed_in"] == sum(
        counts[name] for name in ("written", "cut_off", "too_small", "hidden")
    )
    assert counts["mixed_in"] == 0 < counts["cut_off"] + counts["too_small"] + counts["hidden"]


def test_the_original_keeps_every_object(version: Version) -> None:
    (batch,) = load(version, copies=0, shuffle=False)
    counts = batch["objects"]["bbox"].row_lengths().numpy().tolist()
    assert {key.decode(): count for key, count in zip(batch["key"].numpy(), counts, strict=True)} == {
        f"{number:02d}.png": 2 if number < 11 else 0 for number in range(12)
    }


def test_the_manifest_says_what_the_numbers_stand_for(version: Version) -> None:
    known = version.manifest.annotations
    assert (known["kinds"], known["classes"]) == (["boxes", "keypoints"], ["magenta", "lime"])
    assert (known["keypoint_names"], known["crowd"]) == (["left_corner", "right_corner"], True)
    assert [wrong for _, wrong in version.verify() if wrong] == []


def test_a_turned_photo_is_refused_where_its_boxes_are_for_the_unturned_one(
    tmp_path: Path, painted: list[Any], publish_version: Callable[..., Version], make_spec: Callable[..., Any]
) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "photos").mkdir()
    for number, drawn in enumerate(painted[:2]):
        Image.fromarray(drawn.image).save(tmp_path / f"photos/{number:02d}.png", exif=exif if number else None)
    (tmp_path / "a.json").write_text(json.dumps(coco_of(painted[:2])))
    source = {"coco": str(tmp_path / "a.json"), "images": str(tmp_path / "photos")}
    image = {"size": [96, 96], "encoding": "png"}
    spec = make_spec(source=source, image=image, splits=None, copies=0, augment=[], max_bad_fraction=1)
    assert cv2.imread(str(tmp_path / "photos/01.png")).shape[:2] == (160, 120)

    (failure,) = publish_version(spec, tmp_path / "out").failures

    assert failure["key"] == "01.png"
    assert "for an image of 120x160 pixels (height x width), and it is shown as 160x120" in failure["reason"]
    assert list_source(spec).bad == []
