"""What a build over an earlier version need not do: prove ops again, and start workers for little work."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Spec, Version, build
from augmill.pipeline.check import SAMPLES
from augmill.pipeline.errors import CheckError
from augmill.pipeline.increment import Increment
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan

MakeSpec = Callable[..., Spec]
POLICY = ["tf.image.random_flip_left_right", {"tf.image.adjust_gamma": {"gamma": 0.5}}]


def _write(folder: Path, photo: np.ndarray, numbers: range) -> None:
    for number in numbers:
        path = folder / ("cat", "dog")[number % 2] / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[number % 200 : number % 200 + 14, number // 8 : number // 8 + 14]).save(path)


@pytest.fixture
def parts(tmp_path: Path, photo: np.ndarray) -> dict[str, Any]:
    """A spec's keys, over 300 small photos."""
    _write(tmp_path / "photos", photo, range(300))
    image = {"size": [12, 12], "encoding": "png"}
    return {"source": {"folder": str(tmp_path / "photos")}, "image": image, "augment": POLICY, "copies": 2}


@pytest.fixture
def parent(tmp_path: Path, parts: dict[str, Any], make_spec: MakeSpec, publish_version: Any) -> Version:
    version: Version = publish_version(make_spec(**parts), tmp_path / "data")
    return version


def _over(parent: Version, spec: Spec) -> Increment:
    return Increment.over(parent, spec, make_plan(spec, list_source(spec)))


def test_a_source_that_grew_is_proven(
    tmp_path: Path, parts: dict[str, Any], parent: Version, make_spec: MakeSpec, photo: np.ndarray
) -> None:
    _write(tmp_path / "photos", photo, range(300, 320))

    increment = _over(parent, make_spec(**parts))

    assert increment.known.sum() == 300 and len(increment.known) == 320
    assert SAMPLES > sum(increment.same) > SAMPLES * 0.8, "some of the samples are new"
    assert increment.proven


def test_what_a_source_holds_now_counts_and_not_what_it_is_called(
    tmp_path: Path, parts: dict[str, Any], parent: Version, make_spec: MakeSpec, photo: np.ndarray
) -> None:
    """Grey images of the same names: an op that changes nothing in them is found by the check, as without a parent."""
    for path in (tmp_path / "photos").rglob("*.png"):
        Image.fromarray(np.zeros((14, 14, 3), np.uint8)).save(path)
    spec = make_spec(**parts, version="2.0.0")

    increment = _over(parent, spec)

    assert increment.known.all() and not any(increment.same) and not increment.proven
    with pytest.raises(CheckError, match="changes nothing"):
        build(spec, tmp_path / "data", workers=1)


def test_mixes_and_ops_that_changed_nothing_are_checked_again(
    parts: dict[str, Any], parent: Version, make_spec: MakeSpec
) -> None:
    increment = _over(parent, make_spec(**parts))
    assert increment.proven
    idle = [{**effect, "changed": 0} if effect["at"] == "1" else effect for effect in parent.manifest.effects]
    assert [effect["at"] for effect in idle] == ["0", "1"]
    said = parent.manifest.model_copy(update={"effects": idle})
    parent.__dict__["manifest"] = said
    assert not increment.proven
    assert not dataclasses.replace(increment, spec=make_spec(**{**parts, "augment": ["mix_up"]})).proven


def test_little_work_gets_one_process(parts: dict[str, Any], parent: Version, make_spec: MakeSpec) -> None:
    increment = _over(parent, make_spec(**parts))
    assert increment.workers(2) == 1
    slow = parent.manifest.model_copy(update={"build": {**parent.manifest.build, "processor_seconds": 6000.0}})
    parent.__dict__["manifest"] = slow
    assert increment.workers(2) == 2, "where an op takes ten seconds an image"
    assert dataclasses.replace(increment, known=np.zeros(300, bool)).workers(2) == 2


def test_the_build_says_what_it_did_not_do_again(
    tmp_path: Path, parts: dict[str, Any], parent: Version, make_spec: MakeSpec, photo: np.ndarray
) -> None:
    _write(tmp_path / "photos", photo, range(300, 310))
    told: list[str] = []

    version = build(make_spec(**parts, version="1.1.0"), tmp_path / "data", workers=2, say=told.append)

    assert f"every op is proven by {parent.number}: same recipe and code, and most samples are the same" in told
    assert version.manifest.build["workers"] == 1
    assert version.manifest.build["reused"]["examples"] == 300
