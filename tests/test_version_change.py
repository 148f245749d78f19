"""A change is told as major, minor or patch, and a number that says less than the change is warned of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import build
from augmill.pipeline.version_change import Reason, change_text, class_reasons, kind_of, spec_reasons


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"seed": 9}, "major", "seed"),
        ({"augment": ["tf.image.random_flip_left_right"]}, "major", "augment[1]"),
        ({"image": {"size": [48, 32], "encoding": "png"}}, "major", "image.size"),
        ({"image": {"size": [32, 32], "encoding": "jpeg"}}, "major", "image.encoding"),
        ({"image": {"size": [32, 32], "encoding": "raw"}}, "patch", "image.encoding"),
        ({"copies": 3}, "minor", "copies"),
        ({"copies": 1}, "major", "copies"),
        ({"keep_original": False}, "major", "keep_original"),
        ({"splits": {"train": 0.5, "test": 0.5}}, "major", "splits.train"),
        ({"block_examples": 9}, "patch", "block_examples"),
        ({"block_examples": 9, "augment": ["mix_up"]}, "major", "block_examples"),
        ({"kernels": "reference"}, "major", "kernels"),
        ({"max_bad_fraction": 0.5, "version": "9.0.0"}, "patch", None),
    ],
)
def test_each_change_of_a_spec_asks_for_a_kind(
    make_spec: Callable[..., Any], changes: dict[str, Any], kind: str, told: str | None
) -> None:
    new = make_spec(**changes)

    reasons = list(spec_reasons(make_spec().canonical(), new.canonical(), mixes=new.mixes))

    assert kind_of(reasons) == kind
    assert (told in [reason.what for reason in reasons]) if told else not reasons


def test_a_class_at_the_end_leaves_the_numbers_of_the_others() -> None:
    assert list(class_reasons(["cat", "dog"], ["cat", "dog", "elk"])) == []
    assert [reason.kind for reason in class_reasons(["cat", "dog"], ["ant", "cat", "dog"])] == ["major"]
    assert [reason.kind for reason in class_reasons(None, ["cat"])] == ["major"]


def test_the_weightiest_change_decides_and_is_named() -> None:
    reasons = [
        Reason("augment[2]", "major", "existing renditions change"),
        Reason("seed", "major", "existing renditions change"),
        Reason("copies", "minor", "renditions are added"),
    ]
    line = "since 1.4.2 changed: augment[2], seed: existing renditions change, so a major version: 2.0.0 is the next"

    assert change_text("1.4.2", "2.0.0", reasons) == line
    assert change_text("1.4.2", "3.1.0", reasons) == line
    assert change_text("1.4.2", "1.5.0", reasons) == f"warning: {line}; 1.5.0 says less"
    assert change_text("1.4.2", "1.5.0", []).endswith("so a patch: 1.4.3 is the next")


def test_a_build_says_what_changed_and_what_it_finds_when_it_reads(
    tmp_path: Path, photo_folder: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Any]
) -> None:
    photos = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    spec = {"source": {"folder": str(photos)}, "copies": 0, "augment": []}
    publish_version(make_spec(**spec), tmp_path / "out")
    shutil.copy(photos / "cat/cat-001.jpg", photos / "cat/new.jpg")
    told: list[str] = []

    grown = build(make_spec(version="1.1.0", **spec), tmp_path / "out", workers=1, say=told.append)
    Image.fromarray(255 - np.asarray(Image.open(photos / "cat/cat-002.jpg"))).save(photos / "cat/cat-002.jpg")
    build(make_spec(version="1.1.1", **spec), tmp_path / "out", workers=1, say=told.append)

    since = [line for line in told if "since" in line]
    assert grown.manifest.parent is not None
    assert since == [
        "since 1.0.0 changed: 1 example new: data is added, so a minor version: 1.1.0 is the next",
        "since 1.1.0 nothing changed that decides data, so a patch: 1.1.1 is the next",
        "warning: since 1.1.0 changed: 1 example changed: existing examples change, so a major version: 2.0.0 is the"
        " next; 1.1.1 says less",
    ]
