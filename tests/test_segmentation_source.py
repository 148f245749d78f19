"""Folders of images and masks as sources: how they are paired, and the whole way to a version."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Spec, Version, load
from augmill.pipeline.errors import SourceError
from augmill.pipeline.image import encode_image
from augmill.pipeline.mask import decode_mask, encode_mask
from augmill.pipeline.plan import make_plan
from augmill.pipeline.segmentation_source import list_segmentation
from augmill.pipeline.shard import RecordError
from augmill.pipeline.source import Listing, Reader
from augmill.pipeline.source_spec import SourceSpec

CLASSES = ["ground", "magenta", "lime"]
Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, photo: np.ndarray) -> Put:
    """Write a photo of 24 x 31, or a mask of its size below masks/, to each of the paths; return their folder."""

    def put(*names: str, folder: Path = tmp_path) -> Path:
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            top = sum(name.encode()) % 150
            image = photo[top : top + 24, :31]
            path.write_bytes(encode_mask(image[..., 0] // 64) if "masks" in name else encode_image(image, "png"))
        return folder

    return put


def listed(folder: Path, **more: Any) -> Listing:
    return list_segmentation(SourceSpec(**{"segmentation": "photos", "masks": "masks", **more}), folder)


def keys(listing: Listing) -> dict[str, str | None]:
    return {row["key"]: row["split"] for row in listing.addresses.to_pylist()}


def test_images_and_masks_are_paired_by_path_whatever_the_extension(put: Put) -> None:
    names = ["a.jpg", "x/a.png", "x/b.y.webp", "größe 1.JPG"]
    masks = ["a.png", "x/a.png", "x/b.y.png", "größe 1.PNG"]
    folder = put(*(f"photos/{name}" for name in names), *(f"masks/{name}" for name in masks))
    listing = listed(folder, classes=CLASSES)
    assert (keys(listing), listing.bad, listing.classes) == (dict.fromkeys(names), [], None)
    info = listing.annotations
    assert (info.kinds, info.mask_bits, info.mask_classes) == (("masks",), 8, tuple(CLASSES))
    reader = Reader(listing.root, listing.container, None, info)
    for row in listing.addresses.to_pylist():
        found = reader.read_example(row)
        assert found.image == (folder / "photos" / row["key"]).read_bytes()
        assert found.annotations.mask == (folder / "masks" / masks[names.index(row["key"])]).read_bytes()


def test_split_folders_become_splits(put: Put) -> None:
    names = ["train/a", "val/a", "Test/x/a"]
    folder = put(*(f"photos/{name}.jpg" for name in names), *(f"masks/{name}.png" for name in names))
    assert keys(listed(folder)) == {"train/a.jpg": "train", "val/a.jpg": "validation", "Test/x/a.jpg": "test"}
    put("photos/b.jpg", "masks/b.png", folder=folder)
    assert set(keys(listed(folder)).values()) == {None}


def test_one_mask_of_16_bits_makes_them_all_so(put: Put, tmp_path: Path) -> None:
    folder = put("photos/a.jpg", "photos/b.jpg", "masks/a.png")
    (folder / "masks/b.png").write_bytes(encode_mask(np.full((24, 31), 3000, np.uint16)))
    assert listed(folder).annotations.mask_bits == 16


@pytest.mark.parametrize("inside", ["photos/masks", "masks/photos"])
def test_one_folder_may_stand_in_the_other(inside: str, put: Put, tmp_path: Path) -> None:
    photos, masks = ("photos", inside) if inside.startswith("photos") else (inside, "masks")
    put(f"{masks}/a.png")
    (tmp_path / photos).mkdir(exist_ok=True)
    (tmp_path / photos / "a.jpg").write_bytes((tmp_path / masks / "a.png").read_bytes())
    listing = listed(tmp_path, segmentation=photos, masks=masks)
    assert (list(keys(listing)), listing.bad) == (["a.jpg"], [])


def _coloured(path: Path) -> None:
    Image.new("RGB", (31, 24)).save(path)


def _jpeg(path: Path) -> None:
    path.unlink()
    Image.new("L", (31, 24)).save(path.with_suffix(".jpg"))


@pytest.mark.parametrize(
    ("damage", "key", "reason"),
    [
        (lambda f: (f / "masks/b.png").unlink(), "b.jpg", "it has no mask in "),
        (lambda f: (f / "photos/b.jpg").unlink(), "b.png", "no image goes with this mask"),
        (lambda f: (f / "photos/b.png").write_bytes(b"x"), "b.jpg", "2 images have this name but for the extension"),
        (lambda f: (f / "masks/b.PNG").write_bytes(b"x"), "b.jpg", "it has 2 masks: b.PNG, b.png"),
        (lambda f: _coloured(f / "masks/b.png"), "b.jpg", "b.png: the mask is a PNG of colours"),
        (lambda f: _jpeg(f / "masks/b.png"), "b.jpg", "b.jpg: the mask is no PNG"),
        (lambda f: (f / "masks/b.png").write_bytes(b""), "b.jpg", "b.png: the mask is no PNG"),
    ],
)
def test_what_has_no_good_partner_is_named_and_the_rest_listed(
    damage: Callable[[Path], Any], key: str, reason: str, put: Put
) -> None:
    folder = put(*(f"photos/{name}.jpg" for name in "abc"), *(f"masks/{name}.png" for name in "abc"))
    damage(folder)
    listing = listed(folder)
    assert reason in {bad.key: bad.reason for bad in listing.bad}[key]
    assert list(keys(listing)) == ["a.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"masks": "nowhere"}, "source.masks .*nowhere does not exist"),
        ({"segmentation": "photos/a.jpg"}, "source.segmentation .*a.jpg is not a folder"),
        ({"masks": "x/../photos"}, "are one folder"),
        ({"masks": "empty"}, "holds no image with a mask in .*empty; the first of 1 bad ones, a.jpg: it has no mask"),
    ],
)
def test_folders_that_will_not_do_are_refused(source: dict[str, str], problem: str, put: Put) -> None:
    folder = put("photos/a.jpg", "masks/a.png")
    (folder / "empty").mkdir()
    with pytest.raises(SourceError, match=problem):
        listed(folder, **source)


def test_other_files_are_counted(put: Put) -> None:
    folder = put("photos/a.jpg", "masks/a.png")
    (folder / "photos/notes.txt").write_text("no photo")
    assert listed(folder).ignored == {".txt": 1}


def test_a_mask_that_changed_since_it_was_listed_is_refused(put: Put, make_spec: Callable[..., Any]) -> None:
    folder = put("photos/a.jpg", "masks/a.png")
    listing = listed(folder)
    (row,) = listing.addresses.to_pylist()
    reader = Reader(listing.root, "file", None, listing.annotations)
    whole, digests = (folder / "masks/a.png").read_bytes(), {listing.files_digest()}
    before = reader.read_example(row).digest()
    (folder / "masks/a.png").write_bytes(whole[:-20] + bytes(20))
    digests.add(listing.files_digest())
    assert reader.read_example(row).digest() != before
    (folder / "masks/a.png").write_bytes(whole + bytes(5))
    with pytest.raises(RecordError, match=f"a.png changed since it was listed: {len(whole)} bytes then"):
        reader.read_example(row)
    assert len(digests) == 2
    assert make_plan(make_spec(), listed(folder)).digest() != make_plan(make_spec(), listing).digest()


def mask_of(drawn: Any) -> np.ndarray:
    """The ids of a painted photo; the border of two pixels around magenta is void."""
    mask = np.zeros(drawn.image.shape[:2], np.uint8)
    for name, (left, top, right, bottom) in drawn.boxes.items():
        mask[top:bottom, left:right] = CLASSES.index(name)
    return mask


def palette_png(mask: np.ndarray) -> bytes:
    """A mask with a palette, as Pascal VOC has them, whose colours say nothing of the ids."""
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 128, 0, 0, 128, 0, 0])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, painted: list[Any], publish_version: Any) -> Version:
    """A version of the painted photos with masks of palettes: flipped, and cropped to 96 x 96 out of 112 x 144."""
    folder = tmp_path_factory.mktemp("segmentation")
    for name in ("photos", "masks"):
        (folder / name).mkdir()
    for number, drawn in enumerate(painted):
        (folder / f"photos/{number:02d}.png").write_bytes(encode_image(drawn.image, "png"))
        (folder / f"masks/{number:02d}.png").write_bytes(palette_png(mask_of(drawn)))
    spec = Spec(
        name="painted",
        version="1.0.0",
        source={"segmentation": str(folder / "photos"), "masks": str(folder / "masks"), "classes": CLASSES},
        image={"size": [96, 96], "work_size": [112, 144], "encoding": "png"},
        copies=3,
        augment=["tf.image.random_flip_left_right", {"tf.image.random_crop": {"size": [96, 96, 3]}}],
    )
    published: Version = publish_version(spec, folder / "out")
    return published


def _check_against_pixels(image: np.ndarray, mask: np.ndarray, seen_in: Any) -> None:
    assert set(np.unique(mask)) <= {0, 1, 2}, "no id is made up"
    for number, name in enumerate(CLASSES[1:], start=1):
        found, told = seen_in(image, name), mask[..., 0] == number
        if found.sum() > 300 or told.sum() > 300:
            assert (found & told).sum() / (found | told).sum() >= 0.9


def test_plain_tfds_reads_masks_that_fit_the_stored_pixels(version: Version, seen_in: Any) -> None:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(version.path))
    feature = builder.info.features["mask"]
    assert (feature.shape, feature.np_dtype, sorted(builder.info.features)) == (
        (96, 96, 1),
        np.uint8,
        ["augmentation", "copy", "image", "key", "mask"],
    )
    records = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert len(records) == 48
    for record in records:
        _check_against_pixels(record["image"], record["mask"], seen_in)
    assert sum((record["mask"] > 0).mean() for record in records) > 48 * 0.15


def test_the_loader_gives_the_stored_masks_and_resizes_them_by_the_nearest_id(version: Version, seen_in: Any) -> None:
    for batch in load(version, batch_size=10).as_numpy_iterator():
        assert batch["mask"].dtype == np.uint8 and "objects" not in batch
        for image, mask in zip(batch["image"], batch["mask"], strict=True):
            _check_against_pixels(image, mask, seen_in)
    whole = next(load(version, shuffle=False).as_numpy_iterator())["mask"]
    halved = next(load(version, shuffle=False, size=(48, 48)).as_numpy_iterator())["mask"]
    np.testing.assert_array_equal(halved, whole[:, 1::2, 1::2])


def test_the_manifest_says_what_the_ids_stand_for(version: Version) -> None:
    known = version.manifest.annotations
    assert (known["kinds"], known["mask_bits"], known["mask_classes"]) == (["masks"], 8, CLASSES)
    assert version.manifest.objects == {}
    assert [wrong for _, wrong in version.verify() if wrong] == []


def test_ids_of_16_bits_come_through_and_padding_is_filled(
    tmp_path: Path, photo: np.ndarray, publish_version: Callable[..., Version]
) -> None:
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    ids = np.repeat(np.arange(40, dtype=np.uint16)[:, None] * 1601, 20, axis=1)
    (tmp_path / "photos/a.png").write_bytes(encode_image(photo[:40, :20], "png"))
    (tmp_path / "masks/a.png").write_bytes(encode_mask(ids))
    version = publish_version(
        Spec(
            name="deep",
            version="1.0.0",
            source={"segmentation": str(tmp_path / "photos"), "masks": str(tmp_path / "masks")},
            image={"size": [40, 40], "fit": "pad", "encoding": "png"},
            annotations={"mask_fill": 65535},
            copies=0,
        ),
        tmp_path / "out",
    )
    import tensorflow_datasets as tfds

    padded = np.pad(ids, ((0, 0), (10, 10)), constant_values=65535)
    (batch,) = load(version).as_numpy_iterator()
    (record,) = tfds.as_numpy(tfds.builder_from_directory(str(version.path)).as_dataset(split="train"))
    for mask in (batch["mask"][0], record["mask"]):
        assert mask.dtype == np.uint16
        np.testing.assert_array_equal(mask[..., 0], padded)


def test_a_mask_of_another_size_fails_with_its_reason(
    put: Put, publish_version: Callable[..., Version], make_spec: Callable[..., Any]
) -> None:
    folder = put(*(f"photos/{name}.jpg" for name in "abc"), *(f"masks/{name}.png" for name in "abc"))
    (folder / "masks/b.png").write_bytes(encode_mask(np.zeros((31, 24), np.uint8)))
    (folder / "masks/c.png").write_bytes(encode_mask(np.full((24, 31), 9, np.uint8)))
    source = {"segmentation": str(folder / "photos"), "masks": str(folder / "masks"), "classes": ["a", "b", "c", "d"]}
    spec = make_spec(source=source, splits=None, copies=0, augment=[], max_bad_fraction=1)

    version = publish_version(spec, folder / "out")

    reasons = {failure["key"]: failure["reason"] for failure in version.failures}
    assert "its mask has 31x24 pixels (height x width), and the image is shown as 24x31; annotate" in reasons["b.jpg"]
    assert "its mask has the id 9, which is none of the 4 classes" in reasons["c.jpg"]
    assert version.manifest.splits["train"].examples == 1


def test_what_is_stored_unaugmented_is_the_mask_itself(put: Put, publish_version: Any, make_spec: Any) -> None:
    folder = put("photos/a.jpg", "masks/a.png")
    source = {"segmentation": str(folder / "photos"), "masks": str(folder / "masks")}
    image = {"encoding": "png"}
    version = publish_version(make_spec(source=source, splits=None, copies=0, augment=[], image=image), folder / "out")
    (batch,) = load(version, size=(24, 31)).as_numpy_iterator()
    np.testing.assert_array_equal(batch["mask"][0, ..., 0], decode_mask((folder / "masks/a.png").read_bytes()))
