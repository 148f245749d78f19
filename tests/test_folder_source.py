"""Folders of photos as sources: what is a class, what is a split, and what is neither."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline.errors import SourceError
from augmill.pipeline.folder_source import list_folder
from augmill.pipeline.image import encode_image
from augmill.pipeline.source import Reader

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, photo: np.ndarray) -> Put:
    """Write a crop of a photo to each of the paths, every one another crop; return the source folder."""

    def put(*names: str) -> Path:
        for name in names:
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            top = sum(name.encode()) % 150
            path.write_bytes(encode_image(photo[top : top + 24, :31], "png"))
        return tmp_path / "photos"

    return put


def column(root: Path, name: str) -> list[Any]:
    return list_folder(root).addresses.column(name).to_pylist()


def test_class_folders_become_labels_and_paths_become_keys(photo_folder: Path) -> None:
    listing = list_folder(photo_folder)
    assert listing.classes == ["cat", "coffee", "galaxy"]
    assert listing.container == "file" and listing.image_feature is None
    rows = listing.addresses.to_pylist()
    assert len(rows) == 48 and {row["split"] for row in rows} == {None}
    for row in rows:
        assert row["key"] == row["uri"] and row["offset"] == 0
        assert listing.classes[row["label"]] == row["key"].split("/")[0]
        assert row["length"] == (photo_folder / row["uri"]).stat().st_size


def test_an_address_leads_to_the_files_bytes(photo_folder: Path) -> None:
    listing = list_folder(photo_folder)
    reader = Reader(listing.root, listing.container, listing.image_feature)
    for row in listing.addresses.to_pylist()[::7]:
        assert reader.read(row["uri"], row["offset"], row["length"]) == (photo_folder / row["key"]).read_bytes()


@pytest.mark.parametrize(
    ("train", "other", "means"),
    [
        ("train", "val", "validation"),
        ("Training", "Testing", "test"),
        ("TRAIN", "Valid", "validation"),
        ("train", "dev", "validation"),
        ("training", "validation", "validation"),
        ("train", "test", "test"),
    ],
)
def test_split_folders_become_splits(train: str, other: str, means: str, put: Put) -> None:
    listing = list_folder(put(f"{train}/cat/1.png", f"{train}/dog/1.png", f"{other}/cat/1.png"))
    assert listing.classes == ["cat", "dog"]
    found = {row["key"]: (row["split"], row["label"]) for row in listing.addresses.to_pylist()}
    assert found == {
        f"{train}/cat/1.png": ("train", 0),
        f"{train}/dog/1.png": ("train", 1),
        f"{other}/cat/1.png": (means, 0),
    }


def test_a_class_called_test_among_others_is_a_class(put: Put) -> None:
    listing = list_folder(put("test/blood/1.png", "train/steam/1.png", "car/1.png"))
    assert listing.classes == ["car", "test", "train"]
    assert set(listing.addresses.column("split").to_pylist()) == {None}


def test_train_and_test_folders_that_hold_images_themselves_are_classes(put: Put) -> None:
    listing = list_folder(put("train/1.png", "test/1.png"))
    assert listing.classes == ["test", "train"]
    assert set(listing.addresses.column("split").to_pylist()) == {None}


def test_folders_inside_a_class_belong_to_it(put: Put) -> None:
    root = put("cat/a.png", "cat/2019/spring/a.png", "dog/2019/a.png")
    assert column(root, "key") == ["cat/2019/spring/a.png", "cat/a.png", "dog/2019/a.png"]
    assert column(root, "label") == [0, 0, 1]


def test_any_name_makes_a_key(put: Put) -> None:
    names = ["Ära/größe 1.png", 'it\'s/a "quote".png', "new york/taxi #7 & co.png", "猫/写真.png", "ß/%20.png"]
    listing = list_folder(put(*names))
    assert sorted(listing.addresses.column("key").to_pylist()) == sorted(names)
    reader = Reader(listing.root, "file", None)
    assert len({reader.read(row["uri"], 0, row["length"]) for row in listing.addresses.to_pylist()}) == len(names)


def test_a_name_that_is_no_utf8_makes_a_bad_example(put: Put) -> None:
    root = put("cat/1.png", "cat/2.png")
    os.rename(root / "cat" / "2.png", os.fsencode(root / "cat") + b"/caf\xe9.png")  # noqa: PTH104
    (bad,) = list_folder(root).bad
    assert bad.reason == "its name is no valid UTF-8; rename it"
    assert "caf" in bad.key
    assert column(root, "key") == ["cat/1.png"]


def test_every_extension_counts_in_upper_and_lower_case(put: Put) -> None:
    names = ["1.jpg", "2.JPEG", "3.Png", "4.bmp", "5.WEBP", "6.gif", "7.jpe", "8.JFIF"]
    assert len(column(put(*(f"cat/{name}" for name in names)), "key")) == len(names)


def test_other_files_are_counted_by_extension(put: Put) -> None:
    root = put("cat/1.png", "dog/1.png")
    for name in ("README", "labels.csv", "cat/1.txt", "cat/2.TXT", "cat/.DS_Store", "dog/raw.tiff"):
        (root / name).write_text("no photo")
    listing = list_folder(root)
    assert listing.addresses.num_rows == 2
    assert listing.ignored == Counter({".txt": 2, "README": 1, ".csv": 1, ".DS_Store": 1, ".tiff": 1})


def test_hidden_folders_are_left_out(put: Put) -> None:
    root = put("cat/1.png", ".thumbnails/1.png", "cat/.cache/1.png", ".git/train/cat/1.png")
    assert list_folder(root).classes == ["cat"]
    assert column(root, "key") == ["cat/1.png"]


def test_images_outside_of_class_folders_are_refused_by_name(put: Put) -> None:
    with pytest.raises(SourceError, match=r"2 images in .* \(one\.png, two\.png\).*<class>/"):
        list_folder(put("one.png", "two.png", "cat/1.png"))


def test_an_image_between_split_and_class_is_refused_by_name(put: Put) -> None:
    with pytest.raises(SourceError, match=r"1 images in .* \(train/stray\.png\).*<split>/<class>/"):
        list_folder(put("train/cat/1.png", "test/cat/1.png", "train/stray.png"))


def test_an_empty_class_is_refused_by_name(put: Put) -> None:
    root = put("cat/1.png")
    (root / "dog").mkdir()
    (root / "mouse").mkdir()
    (root / "mouse" / "notes.txt").write_text("no photo")
    with pytest.raises(SourceError, match="without an image: dog, mouse"):
        list_folder(root)


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no class folders"):
        list_folder(tmp_path)


def test_class_folders_without_any_image_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(SourceError, match=r"holds no image; it may hold \.bmp, .*\.webp"):
        list_folder(tmp_path)


def test_a_missing_folder_and_a_file_are_told_apart(put: Put) -> None:
    root = put("cat/1.png")
    with pytest.raises(SourceError, match="nowhere does not exist"):
        list_folder(root / "nowhere")
    with pytest.raises(SourceError, match=r"1\.png is not a folder"):
        list_folder(root / "cat" / "1.png")


def test_links_within_the_folder_are_followed(put: Put) -> None:
    root = put("cat/1.png")
    (root / "dog").symlink_to(root / "cat")
    (root / "cat/2.png").symlink_to("1.png")
    assert column(root, "key") == ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]


@pytest.mark.parametrize("link", ["galaxy", "dog/2.png"])
def test_a_link_that_leads_out_is_refused_unless_it_may(link: str, put: Put, photo_folder: Path) -> None:
    root = put("dog/1.png")
    target = photo_folder / ("galaxy" if link == "galaxy" else "galaxy/galaxy-000.png")
    (root / link).symlink_to(target)

    with pytest.raises(SourceError, match=rf"{link} is a link that leads out of the .* to {target}; .*links_outside"):
        list_folder(root)
    listing = list_folder(root, links_outside=True)
    assert listing.addresses.num_rows == (17 if link == "galaxy" else 2)


def test_a_folder_that_is_itself_a_link_is_home(put: Put, tmp_path: Path) -> None:
    root = put("cat/1.png")
    (root / "cat/2.png").symlink_to(root / "cat/1.png")
    (tmp_path / "elsewhere").symlink_to(root)
    assert column(tmp_path / "elsewhere", "key") == ["cat/1.png", "cat/2.png"]


def test_a_link_back_to_a_folder_above_ends(put: Put) -> None:
    root = put("cat/1.png", "dog/1.png")
    (root / "cat" / "again").symlink_to(root)
    assert column(root, "key") == ["cat/1.png", "dog/1.png"]


def test_links_that_lead_to_each_other_end(put: Put) -> None:
    root = put("cat/1.png", "dog/1.png")
    (root / "cat/dog").symlink_to(root / "dog")
    (root / "dog/cat").symlink_to(root / "cat")
    assert column(root, "key") == ["cat/1.png", "cat/dog/1.png", "dog/1.png", "dog/cat/1.png"]


def test_what_is_called_an_image_and_is_no_file_is_refused(put: Put) -> None:
    root = put("cat/1.png")
    os.mkfifo(root / "cat/2.png")  # which nobody writes to: to read it would be to wait for ever
    with pytest.raises(SourceError, match=r"2\.png is no file that could be an image, but a pipe"):
        list_folder(root)


def test_a_broken_link_is_refused_by_name(put: Put) -> None:
    root = put("cat/1.png")
    (root / "cat" / "2.png").symlink_to(root / "gone.png")
    with pytest.raises(SourceError, match=r"2\.png cannot be read: No such file.*mend or remove it"):
        list_folder(root)


def test_a_folder_that_cannot_be_read_is_not_passed_over(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put("cat/1.png", "cat/locked/2.png")
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises((SourceError, PermissionError), match="locked"):
        list_folder(root)
