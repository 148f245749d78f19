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
from augmill.pipeline.materialize import BlockError, Materializer, measured_examples
from augmill.pipeline.plan import BlockReader, make_plan
from augmill.pipeline.renderer import Renderer
from augmill.pipeline.shard import ShardWriter, file_sha256, scan_records
from augmill.pipeline.spec import Spec
from augmill.pipeline.steps import steps_from_json
from augmill.pipeline.workspace import Workspace
from augmill.transforms.audit import Effects


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


@pytest.mark.parametrize(("kernels", "most"), [("reference", 0), ("fast", 1.3)])
def test_copy_0_is_the_resized_source_image_and_nothing_else(
    kernels: str, most: float, tmp_path: Path, make_spec: Callable[..., Any], photo_folder: Path
) -> None:
    workspace = _prepare(make_spec(kernels=kernels), tmp_path)
    row = Materializer(workspace)(0)

    for record in _records(workspace, row, 0):
        with Image.open(photo_folder / record["key"][0].decode()) as source:
            expected = cv2.resize(np.asarray(source.convert("RGB")), (32, 32), interpolation=cv2.INTER_AREA)
        stored = cv2.imdecode(np.frombuffer(record["image"][0], np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.abs(stored.astype(int) - expected).mean() <= most
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
    assert effects.by_place["0"].measured == 2 * examples, "so few images are all measured"


@pytest.mark.parametrize(
    ("blocks", "examples", "measured"), [(1, 1000, 64), (32, 200, 2), (64, 7, 1), (1, 10_000, 100)]
)
def test_enough_examples_of_a_split_are_measured(blocks: int, examples: int, measured: int) -> None:
    assert measured_examples(examples, blocks) == measured
    assert blocks * measured >= 64 or measured == examples
    assert measured >= examples / 100


def test_a_sample_is_measured_and_everything_counted(
    tmp_path: Path, make_spec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augmill.pipeline.materialize.MEASURED", 10)  # of the split, which has 5 blocks of 7 or less
    workspace = _prepare(make_spec(), tmp_path)
    materialize = Materializer(workspace)
    blocks = workspace.plan().splits["train"].blocks
    rows = [materialize(block) for block in range(blocks)]

    for row in rows:
        flip = row["effects"][0]
        assert (flip["applied"], flip["measured"]) == (2 * row["shards"][0]["records"], 4)
    first = _records(workspace, rows[0], 1)[:2] + _records(workspace, rows[0], 2)[:2]
    flips = [steps_from_json(record["augmentation"][0].decode())[0].params["flip"] for record in first]
    assert rows[0]["effects"][0]["changed"] == sum(flips), "what was measured are the block's first examples"


def test_a_block_that_was_begun_stands_after_waiting(workspace: Workspace) -> None:
    materialize = Materializer(workspace)
    assert materialize.wait() == {}

    images = [materialize.begin(block) for block in range(3)]
    last = materialize.wait()

    rows = [workspace.row(block) for block in range(3)]
    assert [row and row["images"] for row in rows] == images
    assert rows[2] == last
    assert materialize.begin(1) == images[1], "and is not written again"
    assert materialize.wait() == rows[1]


def test_a_block_that_cannot_be_made_durable_is_told_by_the_next_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    materialize = Materializer(workspace)
    monkeypatch.setattr(workspace, "write_row", full)
    materialize.begin(0)
    with pytest.raises(BlockError, match="block 0 cannot be written: No space left on device"):
        materialize.begin(1)
    assert not list(workspace.version.glob(".*.tmp")), "nothing half-done is left of either"
    assert materialize.wait() == {}


def test_a_shard_that_cannot_be_made_durable_leaves_nothing_half_done(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, finished = ShardWriter.finish, list[ShardWriter]()

    def fail_once(self: ShardWriter) -> Any:
        finished.append(self)
        if len(finished) == 2:
            raise OSError(28, "No space left on device")
        return finish(self)

    materialize = Materializer(workspace)
    monkeypatch.setattr(ShardWriter, "finish", fail_once)
    with pytest.raises(BlockError, match="block 0 cannot be written: No space left on device"):
        materialize(0)
    assert not list(workspace.version.glob(".*.tmp"))
    assert workspace.row(0) is None
    assert materialize(0)["images"] > 0, "and it can be tried again"


def test_a_row_says_when_its_records_were_made(workspace: Workspace) -> None:
    import time

    before = time.time()
    began, ended = Materializer(workspace)(0)["span"]
    assert before <= began < ended <= time.time()


def test_a_block_written_twice_leaves_the_same_files(workspace: Workspace) -> None:
    materialize = Materializer(workspace)
    first = materialize(0)
    before = {path: path.read_bytes() for path in workspace.version.rglob("*") if path.is_file()}
    workspace.forget(0)

    second = materialize(0)

    assert first.pop("span")[1] <= second.pop("span")[0]
    assert first.pop("processor_seconds") > 0 and second.pop("processor_seconds") > 0
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


@pytest.fixture
def painted_workspace(
    tmp_path: Path, make_spec: Callable[..., Any], painted: list[Any], drawn_coco: Callable[..., dict[str, Any]]
) -> Callable[..., Workspace]:
    """Prepare a block of the painted photos, with 96 x 96 cut out of 112 x 144 in each of two copies."""

    def prepare(**changes: Any) -> Workspace:
        parts: dict[str, Any] = {
            "source": drawn_coco(tmp_path),
            "splits": None,
            "image": {"size": [96, 96], "work_size": [112, 144], "encoding": "png"},
            "block_examples": 12,
            "augment": [{"tf.image.random_crop": {"size": [96, 96, 3]}}],
        }
        return _prepare(make_spec(**{**parts, **changes}), tmp_path)

    return prepare


@pytest.fixture
def drawn_coco(painted: list[Any]) -> Callable[..., dict[str, Any]]:
    """Write the painted photos and a COCO file for them; return them as a source."""
    import json

    from augmill.pipeline.image import encode_image

    def write(folder: Path) -> dict[str, Any]:
        (folder / "painted").mkdir(exist_ok=True)
        coco: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
        for number, one in enumerate(painted):
            (folder / f"painted/{number:02d}.png").write_bytes(encode_image(one.image, "png"))
            coco["images"].append({"id": number, "file_name": f"{number:02d}.png"})
            for left, top, right, bottom in one.boxes.values():
                box = {"image_id": number, "category_id": 1, "bbox": [left, top, right - left, bottom - top]}
                coco["annotations"].append(box)
        (folder / "painted.json").write_text(json.dumps(coco))
        return {"coco": str(folder / "painted.json"), "images": str(folder / "painted")}

    return write


def _boxes(workspace: Workspace, row: dict[str, Any], slot: int) -> dict[bytes, np.ndarray]:
    """The boxes of each record in pixels, (ymin, xmin, ymax, xmax)."""
    records = _records(workspace, row, slot)
    return {r["key"][0]: np.array(r.get("objects/bbox", []), float).reshape(-1, 4) * 96 for r in records}


def test_without_limits_every_object_that_shows_is_stored(painted_workspace: Callable[..., Workspace]) -> None:
    workspace = painted_workspace()
    row = Materializer(workspace)(0)
    counts, stored = row["objects"], [_boxes(workspace, row, slot) for slot in range(3)]
    assert sum(len(boxes) for boxes in stored[0].values()) == 22
    assert counts["written"] == sum(len(boxes) for each in stored for boxes in each.values())
    assert counts["too_small"] == counts["hidden"] == counts["mixed_in"] == 0
    assert counts["seen"] == 66 == counts["written"] + counts["cut_off"]


@pytest.mark.parametrize(
    "limits", [{"min_area": 800}, {"min_visibility": 0.7}, {"min_area": 800, "min_visibility": 0.7}]
)
def test_limits_leave_out_exactly_what_they_say(
    limits: dict[str, float], painted_workspace: Callable[..., Workspace]
) -> None:
    workspace = painted_workspace()
    free = Materializer(workspace)(0)
    everything = [_boxes(workspace, free, slot) for slot in range(3)]
    whole = {
        key: np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * 112 * 144 / 96**2 for key, boxes in everything[0].items()
    }
    workspace = painted_workspace(annotations=limits)

    row = Materializer(workspace)(0)

    for slot in range(3):
        for key, boxes in _boxes(workspace, row, slot).items():
            area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
            if slot == 0:
                np.testing.assert_array_equal(boxes, everything[0][key])
                continue
            assert (area >= limits.get("min_area", 0)).all()
            least = limits.get("min_visibility", 0) * min(whole[key], default=0)
            assert (area >= least - 0.01).all()
    counts = row["objects"]
    assert counts["seen"] == counts["written"] + counts["cut_off"] + counts["too_small"] + counts["hidden"]
    assert counts["cut_off"] == free["objects"]["cut_off"]
    assert [counts["too_small"] > 0, counts["hidden"] > 0] == ["min_area" in limits, "min_visibility" in limits]


def test_what_fit_crop_cuts_off_is_counted_for_every_copy(painted_workspace: Callable[..., Workspace]) -> None:
    image = {"size": [60, 20], "fit": "crop", "encoding": "png"}
    row = Materializer(workspace := painted_workspace(image=image, augment=["tf.image.random_flip_up_down"]))(0)
    kept = sum(len(boxes) for boxes in _boxes(workspace, row, 0).values())
    assert kept < 22
    counted = {name: count for name, count in row["objects"].items() if count}
    assert counted == {"seen": 66, "cut_off": 3 * (22 - kept), "written": 3 * kept}


def test_objects_of_an_example_that_fails_are_not_counted(
    painted_workspace: Callable[..., Workspace], tmp_path: Path, painted: list[Any]
) -> None:
    workspace = painted_workspace()
    (tmp_path / "painted/03.png").unlink()
    row = Materializer(workspace)(0)
    assert [failure["key"] for failure in row["failures"]] == ["03.png"]
    assert row["objects"]["seen"] == 3 * (22 - len(painted[3].boxes))


def test_a_box_outside_its_image_fails_the_example_by_name(
    painted_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    workspace = painted_workspace()
    from PIL import Image

    with Image.open(tmp_path / "painted/05.png") as whole:
        size = (tmp_path / "painted/05.png").stat().st_size
        whole.crop((0, 0, 4, 4)).save(tmp_path / "painted/05.png")
    short = (tmp_path / "painted/05.png").read_bytes()
    (tmp_path / "painted/05.png").write_bytes(short + bytes(size - len(short)))  # as long as when it was listed
    (failure,) = Materializer(workspace)(0)["failures"]
    assert failure["key"] == "05.png"
    assert "lies outside of the image, which is 4x4 (height x width)" in failure["reason"]


def test_the_content_digest_covers_the_annotations(painted_workspace: Callable[..., Workspace], tmp_path: Path) -> None:
    first = Materializer(painted_workspace())(0)["source_sha256"]
    import json

    coco = json.loads((tmp_path / "painted.json").read_text())

    def with_width(width: float) -> str:
        coco["annotations"][0]["bbox"][2] = width
        (tmp_path / "painted.json").write_text(json.dumps(coco))
        listing = list_source(workspace.spec())
        plan = make_plan(workspace.spec(), listing)
        workspace.prepare(workspace.spec(), plan, {"listing": listing.digest()})
        digest: str = Materializer(workspace)(0)["source_sha256"]
        return digest

    width = coco["annotations"][0]["bbox"][2]
    workspace = painted_workspace()
    assert with_width(width + 1) != first == with_width(width)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_boxes_are_those_of_the_image_as_a_viewer_shows_it(
    orientation: int, make_spec: Callable[..., Any], painted: list[Any], seen_in: Any, box_iou: Any
) -> None:
    import io

    from augmill.pipeline.annotation_info import AnnotationInfo
    from augmill.pipeline.annotations import Annotations

    (left, top, right, bottom), shown = painted[0].boxes["magenta"], painted[0].image
    turned_back = {1: shown, 3: shown[::-1, ::-1], 6: np.rot90(shown), 8: np.rot90(shown, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(turned_back)).save(buffer, "JPEG", quality=95, exif=exif)
    said = Annotations(np.array([[left, top, right, bottom]], float), np.zeros(1, int), size=shown.shape[:2])
    info = AnnotationInfo(kinds=("boxes",), classes=("magenta",))
    renderer = Renderer(make_spec(image={"size": [90, 100]}, copies=0, augment=[]), None, annotations=info)

    sample = renderer.render(renderer.open(buffer.getvalue(), -1, said), "a", 0)[0]

    record = decode_example(renderer.record(sample, "a", 0, []))
    assert box_iou(record["objects/bbox"], seen_in(sample.image, "magenta")) > 0.9
