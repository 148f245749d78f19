"""TFDS datasets as sources: small ones, defined here and prepared by TFDS itself."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from augmill.pipeline.errors import SourceError
from augmill.pipeline.image import decode_image
from augmill.pipeline.mask import decode_mask
from augmill.pipeline.shard import scan_records
from augmill.pipeline.source import Listing, Reader
from augmill.pipeline.source_spec import SourceSpec
from augmill.pipeline.tfds_source import list_tfds

CLASSES = ["whiskers", "ears"]  # not in the order of the alphabet


def crop(number: int) -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(data.chelsea()[30 + number : 70 + number, 120 + 3 * number : 170 + 3 * number])


class AugmillTestCrops(tfds.core.GeneratorBasedBuilder):
    """Crops of a photo, each with an id of its own."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(self._features()))

    def _features(self) -> dict[str, Any]:
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
        return {"image": image, "label": tfds.features.ClassLabel(names=CLASSES), "id": tfds.features.Text()}

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._examples(range(12)), "test": self._examples(range(12, 16))}

    def _examples(self, numbers: range) -> Iterator[tuple[int, dict[str, Any]]]:
        for number in numbers:
            yield number, {"image": crop(number), "label": number % 2, "id": f"crop {number}"}

    _generate_examples = _examples


class AugmillTestNameless(AugmillTestCrops):
    """Crops without an id; the first and the last of train are the same image."""

    def _features(self) -> dict[str, Any]:
        return {name: feature for name, feature in super()._features().items() if name != "id"}

    def _examples(self, numbers: range) -> Iterator[tuple[int, dict[str, Any]]]:
        for number in numbers:
            yield number, {"image": crop(0 if number == 11 else number), "label": number % 2}


class AugmillTestPairs(AugmillTestCrops):
    """Two images an example."""

    def _features(self) -> dict[str, Any]:
        return {**super()._features(), "mask": tfds.features.Image(shape=(None, None, 3), encoding_format="png")}

    def _examples(self, numbers: range) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, features in super()._examples(numbers):
            yield number, {**features, "mask": 255 - features["image"]}


class AugmillTestDetection(AugmillTestCrops):
    """Boxes in the form of TFDS's coco: a sequence with a box, a label and more in it; and a mask."""

    def _features(self) -> dict[str, Any]:
        objects = {
            "area": tfds.features.Scalar(np.int64),
            "bbox": tfds.features.BBoxFeature(),
            "is_crowd": tfds.features.Scalar(np.bool_),
            "label": tfds.features.ClassLabel(names=["eye", "nose"]),
            "points": tfds.features.Tensor(shape=(2, 3), dtype=np.float32),
        }
        features = {name: feature for name, feature in super()._features().items() if name != "label"}
        mask = tfds.features.Image(shape=(None, None, 1), dtype=np.uint16, encoding_format="png")
        return {**features, "objects": tfds.features.Sequence(objects), "segmentation": mask}

    def _examples(self, numbers: range) -> Iterator[tuple[int, dict[str, Any]]]:
        for number in numbers:
            objects = [
                {
                    "area": 7,
                    "bbox": tfds.features.BBox(ymin=0.125, xmin=0.25 * i, ymax=0.5, xmax=0.25 * i + 0.25),
                    "is_crowd": i == 1,
                    "label": ("eye", "nose")[i % 2],
                    "points": [[0.25, 0.25 * i + 0.125, 2], [0.5, 0.5, 0]],
                }
                for i in range(number % 3)
            ]
            mask = np.full((40, 50, 1), 300 + number, np.uint16)
            yield number, {"image": crop(number), "id": f"crop {number}", "objects": objects, "segmentation": mask}


class AugmillTestTwoLabels(AugmillTestDetection):
    """Boxes with two kinds of labels."""

    def _features(self) -> dict[str, Any]:
        features = super()._features()
        objects = dict(features["objects"].feature.items())
        del features["segmentation"]
        return {**features, "objects": tfds.features.Sequence({**objects, "source": objects["label"]})}

    def _examples(self, numbers: range) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, features in super()._examples(numbers):
            del features["segmentation"]
            yield number, {**features, "objects": [{**one, "source": "eye"} for one in features["objects"]]}


def prepare(builder: type[Any], folder: Path, *, shards: int = 1, file_format: str = "tfrecord") -> Path:
    made = builder(data_dir=str(folder), file_format=file_format)
    made.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=shards))
    return Path(made.data_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Dataset directories of the builders above, in several shapes."""
    root = tmp_path_factory.mktemp("tfds")
    return {
        "tfrecord": prepare(AugmillTestCrops, root / "tfrecord"),
        "array_record": prepare(AugmillTestCrops, root / "array_record", file_format="array_record", shards=2),
        "nameless": prepare(AugmillTestNameless, root / "nameless"),
        "nameless in 4 shards": prepare(AugmillTestNameless, root / "four", shards=4),
        "nameless array_record": prepare(AugmillTestNameless, root / "array", file_format="array_record"),
        "pairs": prepare(AugmillTestPairs, root / "pairs"),
        "detection": prepare(AugmillTestDetection, root / "detection"),
        "detection array_record": prepare(AugmillTestDetection, root / "detection array", file_format="array_record"),
        "two labels": prepare(AugmillTestTwoLabels, root / "two labels"),
    }


def list_directory(path: Path, **more: Any) -> Listing:
    return list_tfds(SourceSpec(tfds=str(path), **more), Path("/"))


def read_all(listing: Listing) -> dict[str, tuple[str, str, bytes]]:
    """The split, class name and image of each key."""
    reader = Reader(listing.root, listing.container, listing.image_feature)
    assert listing.classes is not None
    return {
        row["key"]: (row["split"], listing.classes[row["label"]], reader.read(row["uri"], row["offset"], row["length"]))
        for row in listing.addresses.to_pylist()
    }


@pytest.mark.parametrize("container", ["tfrecord", "array_record"])
def test_keys_splits_classes_and_pixels_are_the_datasets(container: str, prepared: dict[str, Path]) -> None:
    listing = list_directory(prepared[container])
    assert (listing.container, listing.classes, listing.image_feature) == (container, CLASSES, "image")
    found = read_all(listing)
    assert {key: (split, name) for key, (split, name, _) in found.items()} == {
        f"crop {number}": ("train" if number < 12 else "test", CLASSES[number % 2]) for number in range(16)
    }
    for number in range(16):
        np.testing.assert_array_equal(decode_image(found[f"crop {number}"][2]), crop(number))


def test_both_file_formats_give_the_same_bytes(prepared: dict[str, Path]) -> None:
    assert read_all(list_directory(prepared["tfrecord"])) == read_all(list_directory(prepared["array_record"]))
    assert len({image for _, _, image in read_all(list_directory(prepared["tfrecord"])).values()}) == 16


def test_a_registered_dataset_is_found_by_its_name(prepared: dict[str, Path], tmp_path: Path) -> None:
    data_dir = prepared["tfrecord"].parent.parent
    for name in ("augmill_test_crops", "augmill_test_crops:1.0.0"):
        listing = list_tfds(SourceSpec(tfds=name, data_dir=str(data_dir)), tmp_path)
        assert read_all(listing) == read_all(list_directory(prepared["tfrecord"]))
    relative = list_tfds(SourceSpec(tfds="augmill_test_crops", data_dir=data_dir.name), data_dir.parent)
    assert relative.root == prepared["tfrecord"]


def test_a_directory_may_be_relative_to_the_spec(prepared: dict[str, Path]) -> None:
    path = prepared["tfrecord"]
    for name in ("1.0.0", "./1.0.0", "../augmill_test_crops/1.0.0"):
        assert list_tfds(SourceSpec(tfds=name), path.parent).addresses.num_rows == 16


def test_a_registered_dataset_that_is_not_there_is_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listing = list_tfds(SourceSpec(tfds="augmill_test_crops", data_dir=str(tmp_path)), Path("/"))
    assert (tmp_path / "augmill_test_crops" / "1.0.0" / "dataset_info.json").exists()
    assert listing.addresses.num_rows == 16
    assert capsys.readouterr().out == ""


def test_without_an_id_the_image_is_the_key_however_the_dataset_is_sharded(prepared: dict[str, Path]) -> None:
    one, four = list_directory(prepared["nameless"]), list_directory(prepared["nameless in 4 shards"])
    assert [len(set(each.addresses.column("uri").to_pylist())) for each in (one, four)] == [2, 8]
    arrays = list_directory(prepared["nameless array_record"])
    images = [{key: image for key, (_, _, image) in read_all(each).items()} for each in (one, four, arrays)]
    assert images[0] == images[1] == images[2]


def test_the_second_of_two_equal_images_is_number_2(prepared: dict[str, Path]) -> None:
    found = read_all(list_directory(prepared["nameless"]))
    twice = Counter(image for _, _, image in found.values()).most_common(1)[0][0]
    np.testing.assert_array_equal(decode_image(twice), crop(0))
    first, second = sorted(key for key, (_, _, image) in found.items() if image == twice)
    assert second == f"{first}#2"
    assert len(found) == 16 and sum("#" in key for key in found) == 1


def test_equal_images_keep_their_labels_however_the_dataset_is_sharded(prepared: dict[str, Path]) -> None:
    assert read_all(list_directory(prepared["nameless"])) == read_all(list_directory(prepared["nameless in 4 shards"]))


def test_features_say_which_image_is_meant(prepared: dict[str, Path]) -> None:
    masks = read_all(list_directory(prepared["pairs"], features={"image": "mask", "label": "label"}))
    np.testing.assert_array_equal(decode_image(masks["crop 3"][2]), 255 - crop(3))
    bare = list_directory(prepared["pairs"], features={"image": "image"})
    assert bare.classes is None and set(bare.addresses.column("label").to_pylist()) == {-1}


def refusal(**source: Any) -> str:
    with pytest.raises(SourceError) as error:
        list_tfds(SourceSpec(**source), Path("/"))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_two_images_are_refused_until_one_is_named(prepared: dict[str, Path]) -> None:
    message = refusal(tfds=str(prepared["pairs"]))
    assert "image, mask" in message and "features: {image: ..., label: ..., boxes: ..., " in message


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        ({"image": "picture"}, "image 'picture' (choose from image)"),
        ({"image": "id"}, "image 'id' (choose from image)"),
        ({"image": "image", "label": "class"}, "label 'class' (choose from label)"),
        ({"image": "image", "key": "name"}, "key 'name' (choose from "),
    ],
    ids=str,
)
def test_a_wrong_feature_is_refused_with_those_there_are(
    features: dict[str, str], problem: str, prepared: dict[str, Path]
) -> None:
    assert problem in refusal(tfds=str(prepared["tfrecord"]), features=features)


def test_an_unknown_name_is_refused() -> None:
    assert "'no_such_dataset_anywhere'" in refusal(tfds="no_such_dataset_anywhere")


@pytest.mark.parametrize("name", ["", "nowhere", "photo.txt"])
def test_a_directory_that_is_not_tfdss_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text("no dataset")
    assert "dataset_info.json" in refusal(tfds=str(tmp_path / name))


def cut(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-500])


def cut_after_a_record(shard: Path) -> None:
    offsets = [offset for offset, _ in scan_records(shard)]
    shard.write_bytes(shard.read_bytes()[: offsets[7]])


@pytest.mark.parametrize(
    ("container", "damage"),
    [
        ("tfrecord", cut),
        ("tfrecord", cut_after_a_record),
        ("tfrecord", Path.unlink),
        ("array_record", cut),
        ("array_record", Path.unlink),
    ],
)
def test_a_shard_that_lacks_records_is_refused_by_name(
    container: str, damage: Callable[[Path], None], prepared: dict[str, Path], tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(prepared[container], tmp_path / "copy"))
    shard = sorted(copied.glob("*-train.*"))[0]
    damage(shard)
    assert shard.name in refusal(tfds=str(copied))


def said_by(listing: Listing) -> dict[str, Any]:
    reader = Reader(listing.root, listing.container, listing.image_feature, listing.annotations)
    return {row["key"]: reader.read_example(row).annotations for row in listing.addresses.to_pylist()}


@pytest.mark.parametrize("name", ["detection", "detection array_record"])
def test_boxes_and_masks_are_found_where_there_is_one_choice(name: str, prepared: dict[str, Path]) -> None:
    listing = list_directory(prepared[name])
    info = listing.annotations
    assert (listing.image_feature, listing.classes) == ("image", None)
    assert (info.kinds, info.classes, info.crowd, info.mask_bits) == (("boxes", "masks"), ("eye", "nose"), True, 16)
    for key, said in said_by(listing).items():
        number = int(key.removeprefix("crop "))
        count = number % 3
        assert said.boxes.tolist() == [[0.25 * i, 0.125, 0.25 * i + 0.25, 0.5] for i in range(count)]
        assert (said.labels.tolist(), said.crowd.tolist()) == ([0, 1][:count], [False, True][:count])
        assert np.unique(decode_mask(said.mask)).tolist() == [300 + number]


def test_keypoints_are_read_where_they_are_named(prepared: dict[str, Path]) -> None:
    names = {"boxes": "objects/bbox", "box_labels": "objects/label", "keypoints": "objects/points"}
    listing = list_directory(
        prepared["detection"], features={"image": "image", **names}, keypoint_names=["left", "right"]
    )
    info = listing.annotations
    assert (info.kinds, info.pairs, info.crowd) == (("boxes", "keypoints"), ((0, 1),), False)
    assert said_by(listing)["crop 5"].keypoints.tolist() == [[[0.125 + 0.25 * i, 0.25, 2], [0, 0, 0]] for i in (0, 1)]


def test_features_given_are_all_that_is_read(prepared: dict[str, Path]) -> None:
    listing = list_directory(prepared["detection"], features={"image": "image"})
    assert listing.annotations.kinds == ()
    assert set(said_by(listing).values()) == {None}


def test_boxes_with_two_kinds_of_labels_are_refused_until_one_is_named(prepared: dict[str, Path]) -> None:
    message = refusal(tfds=str(prepared["two labels"]))
    assert "the boxes objects/bbox with the labels objects/label, objects/source; say which" in message
    features = {"image": "image", "boxes": "objects/bbox", "box_labels": "objects/source"}
    found = said_by(list_directory(prepared["two labels"], features=features))
    assert found["crop 2"].labels.tolist() == [0, 0]


def test_a_wrong_feature_of_boxes_is_refused_with_those_there_are(prepared: dict[str, Path]) -> None:
    for role, problem in (
        ("boxes", "boxes 'objects/box' (choose from objects/bbox)"),
        ("mask", "(choose from image, "),
    ):
        features = {"image": "image", role: "objects/box"}
        assert problem in refusal(tfds=str(prepared["detection"]), features=features)
