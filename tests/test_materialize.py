"""A block becomes one shard a copy, and everything in them can be told from the source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from augmill.pipeline.example import decode_example
from augmill.pipeline.listing import list_source
from augmill.pipeline.materialize import BlockError, Materializer, Renderer, steps_from_json, steps_to_json
from augmill.pipeline.plan import BlockReader, make_plan
from augmill.pipeline.shard import file_sha256, scan_records
from augmill.pipeline.spec import Spec
from augmill.pipeline.workspace import Workspace
from augmill.transforms.audit import Effects
from augmill.transforms.policy import Step


@pytest.fixture
def workspace(tmp_path: Path, make_spec: Callable[..., Any]) -> Workspace:
    return _prepare(make_spec(), tmp_path)


def _prepare(spec: Spec, folder: Path) -> Workspace:
    prepared = Workspace(folder / "1.0.0.building")
    prepared.prepare(spec, make_plan(spec, list_source(spec)), {"spec": spec.digest()})
    return prepared


def _records(workspace: Workspace, row: dict[str, Any], slot: int) -> list[dict[str, list[Any]]]:
    path = workspace.version / row["shards"][slot]["file"]
    return [decode_example(payload) for _, payload in scan_records(path)]


def test_a_block_makes_a_shard_a_copy_with_its_examples_in_plan_order(workspace: Workspace) -> None:
    row = Materializer(workspace)(0)

    keys = [example["key"].encode() for example in BlockReader(workspace.plan_path).read(0)]
    assert [shard["records"] for shard in row["shards"]] == [len(keys)] * 3
    for slot in range(3):
        records = _records(workspace, row, slot)
        assert [record["key"][0] for record in records] == keys
        assert {record["copy"][0] for record in records} == {slot}


def test_copy_0_is_the_resized_source_image_and_nothing_else(workspace: Workspace, photo_folder: Path) -> None:
    row = Materializer(workspace)(0)

    for record in _records(workspace, row, 0):
        with Image.open(photo_folder / record["key"][0].decode()) as source:
            expected = cv2.resize(np.asarray(source.convert("RGB")), (32, 32), interpolation=cv2.INTER_AREA)
        stored = cv2.imdecode(np.frombuffer(record["image"][0], np.uint8), cv2.IMREAD_COLOR_RGB)
        np.testing.assert_array_equal(stored, expected)
        assert record["augmentation"] == [b"[]"]


def test_a_copy_can_be_made_again_from_what_its_record_says(workspace: Workspace) -> None:
    spec, row = workspace.spec(), Materializer(workspace)(0)
    renderer = Renderer(spec, workspace.plan().classes)
    originals = _records(workspace, row, 0)

    for slot in (1, 2):
        for original, record in zip(originals, _records(workspace, row, slot), strict=True):
            opened = renderer.open(original["image"][0], original["label"][0])
            steps = steps_from_json(record["augmentation"][0].decode())
            again = spec.policy.replay(opened, steps)
            stored = cv2.imdecode(np.frombuffer(record["image"][0], np.uint8), cv2.IMREAD_COLOR_RGB)
            np.testing.assert_array_equal(again.image, stored)


def test_labels_are_those_of_the_class_folders(workspace: Workspace) -> None:
    row = Materializer(workspace)(0)

    for record in _records(workspace, row, 1):
        name = workspace.plan().classes[record["label"][0]]
        assert record["key"][0].decode().startswith(f"{name}/")


def test_other_splits_than_train_are_written_once_and_unaugmented(workspace: Workspace) -> None:
    plan = workspace.plan()
    row = Materializer(workspace)(plan.splits["test"].first_block)

    assert len(row["shards"]) == 1
    assert {record["augmentation"][0] for record in _records(workspace, row, 0)} == {b"[]"}
    assert all(effect["applied"] == 0 for effect in row["effects"])


def test_the_row_tells_the_truth_about_the_shards(workspace: Workspace) -> None:
    row = Materializer(workspace)(0)

    for shard in row["shards"]:
        path = workspace.version / shard["file"]
        assert shard["bytes"] == path.stat().st_size
        assert shard["sha256"] == file_sha256(path)
    assert workspace.row(0) == row
    assert row["images"] == 3 * len(BlockReader(workspace.plan_path).read(0))


def test_effects_count_every_rendition_written(workspace: Workspace) -> None:
    row = Materializer(workspace)(0)
    effects = Effects(workspace.spec().policy.leaves())
    effects.merge_rows(row["effects"])

    examples = len(BlockReader(workspace.plan_path).read(0))
    assert effects.by_place["0"].applied == 2 * examples
    assert effects.by_place["2.0"].applied + effects.by_place["2.1"].applied == 2 * examples


def test_a_block_written_twice_leaves_the_same_files(workspace: Workspace) -> None:
    materialize = Materializer(workspace)
    first = materialize(0)
    before = {path: path.read_bytes() for path in workspace.version.rglob("*") if path.is_file()}
    workspace.forget(0)

    second = materialize(0)

    after = {path: path.read_bytes() for path in workspace.version.rglob("*") if path.is_file()}
    assert second == first
    assert after == before


def test_a_finished_block_is_not_touched(workspace: Workspace) -> None:
    materialize = Materializer(workspace)
    shard = workspace.version / materialize(0)["shards"][0]["file"]
    before = shard.stat().st_mtime_ns

    materialize(0)

    assert shard.stat().st_mtime_ns == before


def test_a_bad_example_is_named_and_leaves_all_copies_of_the_others(
    tmp_path: Path, make_spec: Callable[..., Any], photo_folder: Path
) -> None:
    import shutil

    folder = tmp_path / "some"
    shutil.copytree(photo_folder, folder)
    whole = (folder / "cat/cat-001.jpg").read_bytes()
    (folder / "cat/cat-001.jpg").write_bytes(whole[: len(whole) // 2])
    workspace = _prepare(make_spec(source={"folder": str(folder)}, splits=None, block_examples=48), tmp_path)
    (folder / "coffee/coffee-002.jpg").unlink()  # gone between plan and read

    row = Materializer(workspace)(0)

    reasons = {failure["key"]: failure["reason"] for failure in row["failures"]}
    assert "truncated" in reasons["cat/cat-001.jpg"]
    assert reasons["coffee/coffee-002.jpg"] == "No such file or directory"
    assert [shard["records"] for shard in row["shards"]] == [46, 46, 46]


def test_a_shard_that_cannot_be_written_ends_the_block_with_the_reason(workspace: Workspace) -> None:
    import shutil

    materialize = Materializer(workspace)
    shutil.rmtree(workspace.version)

    with pytest.raises(BlockError, match="block 0 cannot be written: No such file or directory"):
        materialize(0)


def test_steps_survive_their_json() -> None:
    steps = [Step("0", "tf.image.random_hue", {"delta": -0.012345678901234567}), Step("1.2", "m:f", {"seed": [-3, 7]})]

    assert steps_from_json(steps_to_json(steps)) == steps


@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
def test_an_image_without_a_size_keeps_its_own_and_one_with_a_size_gets_it(
    make_spec: Callable[..., Any], photo: np.ndarray, encoding: str
) -> None:
    encoded = cv2.imencode(".png", photo[:100, :70, ::-1])[1].tobytes()
    if encoding != "raw":
        free = Renderer(make_spec(image={"encoding": encoding}, copies=0, augment=[]), None)
        assert free.render(free.open(encoded, 0), "a", 0)[0].image.shape == (100, 70, 3)
    sized = Renderer(
        make_spec(image={"size": [20, 30], "work_size": [50, 50], "encoding": encoding}, copies=0, augment=[]), None
    )
    opened = sized.open(encoded, 0)
    assert opened.image.shape == (50, 50, 3)
    assert sized.render(opened, "a", 0)[0].image.shape == (20, 30, 3)


def test_what_a_failed_example_went_through_is_not_counted(
    tmp_path: Path, make_spec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moody.py").write_text(
        "import numpy as np\ndef f(image: np.ndarray, seed):\n    assert seed[0] % 3\n    return 255 - image\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    workspace = _prepare(make_spec(augment=["tf.image.random_flip_left_right", "moody:f"], copies=3), tmp_path)

    row = Materializer(workspace)(0)

    assert 0 < len(row["failures"]) < 8
    assert "moody:f failed with AssertionError" in row["failures"][0]["reason"]
    written = row["shards"][1]["records"]
    assert [effect["applied"] for effect in row["effects"]] == [3 * written, 3 * written]
