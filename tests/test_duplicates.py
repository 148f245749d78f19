"""Duplicates: equal images are found wherever they stand, told, and left out or refused where the spec says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Version, build
from augmill.pipeline.duplicates import Copy, find_duplicates, summary
from augmill.pipeline.errors import SourceError
from augmill.pipeline.listing import list_source
from augmill.pipeline.manifest import DUPLICATES
from augmill.pipeline.plan import make_plan
from augmill.pipeline.units import duplicates_text

MakeSpec = Callable[..., Any]


@pytest.fixture
def copied(tmp_path: Path, photo: np.ndarray) -> Path:
    """Forty photos in splits of their own, of which one stands in train thrice and one in train and test."""
    for number in range(40):
        path = tmp_path / "copied" / ("test" if number < 10 else "train") / "cat" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[number : number + 20, :20]).save(path)
    folder = tmp_path / "copied"
    shutil.copy(folder / "train/cat/20.png", folder / "train/cat/b.png")
    shutil.copy(folder / "train/cat/20.png", folder / "train/cat/a.png")
    shutil.copy(folder / "test/cat/05.png", folder / "train/cat/00-leak.png")
    return folder


def _lines(version: Version) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (version.path / DUPLICATES).read_text().splitlines()]


def test_duplicates_are_told_and_kept(
    make_spec: MakeSpec, copied: Path, publish_version: Callable[..., Version], tmp_path: Path
) -> None:
    version = publish_version(make_spec(source={"folder": str(copied)}, splits=None), tmp_path / "out")

    assert version.manifest.source["duplicates"] == {
        "groups": 2,
        "within": {"train": 2},
        "across": {"test+train": 1},
        "dropped": 0,
    }
    train, leak = "train/cat/", "train/cat/00-leak.png"
    assert _lines(version) == [
        {"same": [{"key": "test/cat/05.png", "split": "test"}, {"key": leak, "split": "train"}]},
        {"same": [{"key": f"{train}{name}.png", "split": "train"} for name in ("20", "a", "b")]},
    ]
    assert version.manifest.source["examples"] == 43 and version.manifest.files[DUPLICATES].bytes > 0


def test_a_leak_is_a_warning_and_dropped_if_asked(make_spec: MakeSpec, copied: Path, tmp_path: Path) -> None:
    parts, told = {"source": {"folder": str(copied)}, "splits": None}, list[str]()

    build(make_spec(**parts), tmp_path / "kept", workers=1, say=told.append)

    assert told[-1].startswith("warning: 2 images met more than once: 2 within train, 1 in both test and train;")
    told.clear()
    version = build(make_spec(duplicates="drop", **parts), tmp_path / "dropped", workers=1, say=told.append)
    assert told[0] == "3 examples left out: others have the same image"
    assert not any(line.startswith("warning") for line in told)
    counts = {name: split.examples for name, split in version.manifest.splits.items()}
    assert counts == {"train": 30, "test": 10}, "the test split stays whole"
    source = version.manifest.source
    assert (source["examples"], source["duplicates"]["dropped"], source["duplicates"]["groups"]) == (43, 3, 0)
    assert {(line["dropped"], line["kept"]) for line in _lines(version)} == {
        ("train/cat/00-leak.png", "test/cat/05.png"),
        ("train/cat/a.png", "train/cat/20.png"),
        ("train/cat/b.png", "train/cat/20.png"),
    }
    assert [wrong for _, wrong in version.verify() if wrong] == []


def test_duplicates_are_refused_if_asked(make_spec: MakeSpec, copied: Path) -> None:
    spec = make_spec(source={"folder": str(copied)}, splits=None, duplicates="error")

    with pytest.raises(SourceError) as refused:
        list_source(spec)

    assert "2 images met more than once: 2 within train, 1 in both test and train" in str(refused.value)
    assert "test/cat/05.png (test) and train/cat/00-leak.png (train)" in str(refused.value)
    for name in ("a", "b", "00-leak"):
        (copied / f"train/cat/{name}.png").unlink()
    assert list_source(spec).addresses.num_rows == 40


def test_annotations_make_no_difference_and_records_are_compared_too(
    make_spec: MakeSpec, tmp_path: Path, annotated_records: Any, publish_version: Callable[..., Version]
) -> None:
    """The painted photos differ; the second file holds one of them again, under another key and with another box."""
    from augmill.pipeline.example import decode_example, encode_example
    from augmill.pipeline.shard import ShardWriter, scan_records

    source = annotated_records(tmp_path)
    first = decode_example(next(scan_records(tmp_path / "painted.tfrecord"))[1])
    with ShardWriter(tmp_path, tmp_path / "index", "more.tfrecord") as writer:
        writer.write(encode_example({**first, "key": b"again", "class": [1, 0]}))
        writer.finish()
    source["tfrecord"] = str(tmp_path / "*.tfrecord")
    parts = {"source": source, "splits": None, "augment": ["tf.image.random_flip_left_right"]}

    version = publish_version(make_spec(**parts), tmp_path / "out")

    assert [[copy["key"] for copy in line["same"]] for line in _lines(version)] == [["00", "again"]]
    dropping = make_spec(**parts, duplicates="drop")
    assert [one.key for one in make_plan(dropping, list_source(dropping)).dropped] == ["again"]


def test_what_is_first_does_not_depend_on_the_order_of_finding() -> None:
    found = [("b", "train", b"1"), ("a", "train", b"1"), ("z", "test", b"1"), ("c", "train", b"2")]
    found += [("d", "train", None), ("e", "train", None)]
    expected = [[Copy("z", "test"), Copy("a", "train"), Copy("b", "train")]]

    assert find_duplicates(found) == find_duplicates(reversed(found)) == expected
    assert summary(expected) == {"groups": 1, "within": {"train": 1}, "across": {"test+train": 1}}
    assert duplicates_text(summary([])) == ""
