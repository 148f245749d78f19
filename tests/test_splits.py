"""Splits by groups: no subject stands in two of them, wherever its group is written."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline.errors import SourceError
from augmill.pipeline.example import encode_example
from augmill.pipeline.image import encode_image
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import Plan, make_plan
from augmill.pipeline.shard import ShardWriter

MakeSpec = Callable[..., Any]
BY_PATIENT = {"key": r"/(p\d+)_"}


def _plan(spec: Any) -> Plan:
    return make_plan(spec, list_source(spec))


def _splits_by_group(plan: Plan, group_of: Callable[[str], str]) -> dict[str, set[str]]:
    found = defaultdict[str, set[str]](set)
    for row in plan.table.to_pylist():
        found[group_of(row["key"])].add(plan.split_of(row["block"]))
    return found


@pytest.fixture
def patients(tmp_path: Path, photo: np.ndarray) -> Path:
    """Sixty patients, three images of each, in two classes."""
    for number in range(60):
        for view in range(3):
            folder = tmp_path / "patients" / ("ill" if view else "well")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo[number : number + 8, view : view + 8]).save(folder / f"p{number:03d}_{view}.png")
    return tmp_path / "patients"


def test_a_group_stands_in_one_split(make_spec: MakeSpec, patients: Path) -> None:
    spec = make_spec(source={"folder": str(patients)}, group_by=BY_PATIENT)
    plan = _plan(spec)

    found = _splits_by_group(plan, lambda key: key.split("/")[1][:4])

    assert len(found) == 60 and all(len(splits) == 1 for splits in found.values())
    assert plan.splits["train"].examples == 3 * sum(splits == {"train"} for splits in found.values())
    assert 0.6 < plan.splits["train"].examples / 180 < 0.9
    ungrouped = _splits_by_group(_plan(make_spec(source={"folder": str(patients)})), lambda key: key.split("/")[1][:4])
    assert any(len(splits) == 2 for splits in ungrouped.values()), "else this test could not fail"


def test_keys_without_a_group_are_named(make_spec: MakeSpec, patients: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo[:8, :8]).save(patients / "ill/stray.png")

    with pytest.raises(SourceError, match=r"finds no group in 1 of 181 keys \(ill/stray.png\); it must find one"):
        _plan(make_spec(source={"folder": str(patients)}, group_by=BY_PATIENT))


def test_a_group_in_two_of_the_sources_own_splits_is_named(
    make_spec: MakeSpec, tmp_path: Path, photo: np.ndarray
) -> None:
    for file in ("train/cat/p1_a.png", "train/cat/p2_a.png", "test/cat/p1_b.png", "test/cat/p3_a.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[:8, :8]).save(tmp_path / file)
    spec = make_spec(source={"folder": str(tmp_path)}, splits=None, group_by=BY_PATIENT)

    with pytest.raises(SourceError, match=r"1 of 3 groups stand in more than one .* \(p1 in test and train\); mend"):
        _plan(spec)

    (tmp_path / "test/cat/p1_b.png").unlink()
    assert _plan(spec).splits["train"].examples == 2


def test_records_are_grouped_by_a_feature(make_spec: MakeSpec, tmp_path: Path, photo: np.ndarray) -> None:
    (tmp_path / "index").mkdir()
    with ShardWriter(tmp_path, tmp_path / "index", "raw.tfrecord") as writer:
        for number in range(90):
            features = {"img": encode_image(photo[number : number + 8, :8], "png"), "id": f"{number:03d}".encode()}
            writer.write(encode_example({**features, **({"patient": number // 3} if number < 87 else {})}))
        writer.finish()
    source = {"tfrecord": str(tmp_path / "raw.tfrecord"), "features": {"image": "img", "key": "id"}}
    plan = _plan(make_spec(source=source, group_by={"feature": "patient"}))

    found = _splits_by_group(plan, lambda key: str(int(key) // 3))

    assert len(found) == 29 and all(len(splits) == 1 for splits in found.values())
    assert {name for splits in found.values() for name in splits} == {"train", "test"}
    assert [bad.key for bad in plan.bad] == ["087", "088", "089"]
    assert "needs one value of 'patient'" in plan.bad[0].reason


def test_coco_images_are_grouped_by_a_field(make_spec: MakeSpec, tmp_path: Path, photo: np.ndarray) -> None:
    images = [{"id": i, "file_name": f"{i:02d}.png", "patient": f"p{i // 3}"} for i in range(60)]
    del images[59]["patient"]
    for image in images:
        Image.fromarray(photo[:8, :8]).save(tmp_path / str(image["file_name"]))
    coco = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "a.json").write_text(json.dumps(coco))
    source = {"coco": str(tmp_path / "a.json"), "images": str(tmp_path)}

    plan = _plan(make_spec(source=source, group_by={"feature": "patient"}, augment=["tf.image.random_flip_left_right"]))

    found = _splits_by_group(plan, lambda key: str(int(key[:2]) // 3))
    assert len(found) == 20 and all(len(splits) == 1 for splits in found.values())
    assert [(bad.key, bad.reason) for bad in plan.bad] == [
        ("59.png", "its 'patient', to group by, must be a text or a whole number, got None")
    ]
