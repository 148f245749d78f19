"""What a build decides around the job: stand, resume, start anew, refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Version, build
from augmill.pipeline.builder import differences, estimate, next_version
from augmill.pipeline.check import CheckReport
from augmill.pipeline.errors import BuildError, VersionError
from augmill.pipeline.listing import list_source
from augmill.pipeline.materialize import Materializer
from augmill.pipeline.plan import make_plan
from augmill.pipeline.workspace import Workspace
from augmill.transforms.audit import Effects


@pytest.fixture(scope="module")
def files_of() -> Callable[[Path], dict[str, bytes]]:
    def files(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return files


def test_a_build_ends_in_a_version_that_verifies(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    told: list[str] = []

    version = build(make_spec(), tmp_path, workers=1, say=told.append)

    assert version.path == tmp_path / "crops/1.0.0"
    assert [wrong for _, wrong in version.verify() if wrong] == []
    assert version.manifest.source["examples"] == 48
    assert told == ["48 examples in 7 blocks, 116 records to write"]
    assert not (tmp_path / "crops/1.0.0.building").exists()
    assert version.manifest.libraries["tensorflow"].count(".") == 2


def test_the_same_spec_finds_its_version_standing(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version], files_of: Any
) -> None:
    published = publish_version(make_spec(), tmp_path)
    before, told = files_of(published.path), []

    again = build(make_spec(), tmp_path, say=told.append)

    assert again.manifest == published.manifest
    assert told == ["crops 1.0.0 is already built from this spec (116 records); nothing to do"]
    assert files_of(published.path) == before


def test_another_spec_is_refused_with_what_differs_and_the_next_version(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version], files_of: Any
) -> None:
    published = publish_version(make_spec(), tmp_path)
    before = files_of(published.path)

    with pytest.raises(VersionError) as refused:
        build(make_spec(copies=3, seed=9), tmp_path)

    assert "seed: 3 is published, 9 is in the spec" in str(refused.value)
    assert "copies: 2 is published, 3 is in the spec" in str(refused.value)
    assert "Set version: 2.0.0" in str(refused.value)
    assert files_of(published.path) == before


def test_an_unfinished_build_of_the_same_is_taken_up(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    spec, told = make_spec(), list[str]()
    _build_some_blocks(spec, tmp_path, 3)

    version = build(spec, tmp_path, workers=1, say=told.append)

    assert "resuming: 63 records stand already" in told  # 21 of the 34 training examples, three times
    assert version.manifest.build["resumed_records"] == 63
    assert [wrong for _, wrong in version.verify() if wrong] == []


def test_an_unfinished_build_of_something_else_is_thrown_away(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    told: list[str] = []
    _build_some_blocks(make_spec(seed=99), tmp_path, 3)

    version = build(make_spec(), tmp_path, workers=1, say=told.append)

    assert told[-1].startswith("an interrupted build was of something else (spec, source differ)")
    assert version.manifest.build["resumed_records"] == 0
    assert [wrong for _, wrong in version.verify() if wrong] == []


def _build_some_blocks(spec: Any, output: Path, blocks: int) -> None:
    """Leave what a build leaves that is killed after some blocks, a half-written shard of another among it."""
    from augmill.pipeline import builder

    plan = make_plan(spec, list_source(spec))
    workspace = Workspace.beside(output / spec.name / spec.version)
    lineage = {"libraries": builder.library_versions(), "code": {}}
    workspace.prepare(spec, plan, {"spec": spec.digest(), "source": plan.digest(), **lineage})
    for block in range(blocks):
        Materializer(workspace)(block)
    (workspace.version / ".crops-train.tfrecord-00004-of-00015.deadbeef.tmp").write_bytes(b"half")
    workspace.note_progress(blocks, 5)


def test_two_builds_of_one_version_do_not_meet(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    workspace = Workspace.beside(tmp_path / "crops/1.0.0")

    with workspace.lock(), pytest.raises(BuildError, match="another build is at work"):
        build(make_spec(), tmp_path, workers=1)


def test_a_folder_that_is_no_version_is_not_written_into(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    (tmp_path / "crops/1.0.0").mkdir(parents=True)
    (tmp_path / "crops/1.0.0/mine.txt").write_text("mine")

    with pytest.raises(VersionError, match="is in the way"):
        build(make_spec(), tmp_path)

    assert (tmp_path / "crops/1.0.0/mine.txt").read_text() == "mine"


def test_the_output_may_not_lie_inside_the_source(make_spec: Callable[..., Any], photo_folder: Path) -> None:
    with pytest.raises(BuildError, match="lies inside the source folder"):
        build(make_spec(), photo_folder / "out")

    assert not (photo_folder / "out").exists()


def test_bad_images_are_named_counted_and_the_rest_published(
    tmp_path: Path, make_spec: Callable[..., Any], spoilt_folder: Path
) -> None:
    spec = make_spec(source={"folder": str(spoilt_folder)}, max_bad_fraction=0.1)

    version = build(spec, tmp_path / "out", workers=1)

    assert [failure["key"] for failure in version.failures] == ["cat/cat-001.jpg", "galaxy/galaxy-003.jpg"]
    assert version.failures[0]["reason"] == "not an image: no JPEG, PNG, BMP, WebP or GIF begins like this"
    assert version.failures[1]["reason"] == "the file is empty"
    assert version.manifest.source["examples"] == 48
    written = sum(split.examples for split in version.manifest.splits.values())
    assert written + version.manifest.source["failed"] == 48
    assert [wrong for _, wrong in version.verify() if wrong] == []


def test_too_many_bad_images_end_the_build_and_a_mended_source_ends_it_well(
    tmp_path: Path, make_spec: Callable[..., Any], spoilt_folder: Path, photo_folder: Path
) -> None:
    spec = make_spec(source={"folder": str(spoilt_folder)})

    with pytest.raises(BuildError) as failed:
        build(spec, tmp_path / "out", workers=1)

    assert "2 of 48 examples failed (4.17%), more than max_bad_fraction 0.001 allows" in str(failed.value)
    assert "cat/cat-001.jpg: not an image" in str(failed.value)
    assert "galaxy/galaxy-003.jpg: the file is empty" in str(failed.value)
    assert failed.value.exit_code == 3
    assert not (tmp_path / "out/crops/1.0.0").exists()

    for name in ("cat/cat-001.jpg", "galaxy/galaxy-003.jpg"):
        (spoilt_folder / name).write_bytes((photo_folder / name).read_bytes())
    assert build(spec, tmp_path / "out", workers=1).failures == []


@pytest.fixture
def spoilt_folder(tmp_path: Path, photo_folder: Path) -> Path:
    """The photos with one file that is text and one that is empty."""
    import shutil

    folder = tmp_path / "spoilt"
    shutil.copytree(photo_folder, folder)
    (folder / "cat/cat-001.jpg").write_text("<html>404</html>")
    (folder / "galaxy/galaxy-003.jpg").write_bytes(b"")
    return folder


def test_the_estimate_is_the_sample_times_the_whole(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    spec = make_spec()
    plan = make_plan(spec, list_source(spec))
    report = CheckReport(Effects([]), open_seconds=0.5, copy_seconds=2.0, record_bytes=1000.0)

    one, two = (estimate(spec, plan, report, workers, tmp_path / "not/there/yet") for workers in (1, 2))

    train = plan.splits["train"].examples
    copies = 3 * train + (48 - train)
    assert one.records == copies == 116
    assert one.bytes == 1000 * copies
    assert one.seconds - 8 == pytest.approx(0.5 * 48 + 2.0 * 2 * train)
    assert two.seconds - 8 == pytest.approx((one.seconds - 8) / 2)
    assert one.free > 0


def test_differences_name_the_place_and_both_values() -> None:
    old = {"seed": 1, "image": {"size": [32, 32]}, "augment": ["a", {"b": {"x": 1}}]}
    new = {"seed": 1, "image": {"size": [64, 32]}, "augment": ["a", {"b": {"x": 2}}]}

    assert differences(old, new) == [
        "image.size: [32, 32] is published, [64, 32] is in the spec",
        "augment[1].b.x: 1 is published, 2 is in the spec",
    ]


def test_the_next_version_follows_the_newest_by_number(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    for number in ("9.0.0", "10.0.1"):
        publish_version(make_spec(version=number, copies=0, augment=[]), tmp_path)

    assert next_version(tmp_path / "crops") == "11.0.0"


def test_the_manifest_names_the_users_code(tmp_path: Path, make_spec: Callable[..., Any], monkeypatch: Any) -> None:
    from augmill.pipeline.builder import _user_code

    (tmp_path / "my_ops.py").write_text("def f(image):\n    return 255 - image\n")
    monkeypatch.syspath_prepend(tmp_path)
    first = _user_code(make_spec(augment=["my_ops:f"]))
    (tmp_path / "my_ops.py").write_text("def f(image):\n    return 250 - image\n")

    assert list(first) == ["my_ops"]
    assert _user_code(make_spec(augment=["my_ops:f"])) != first
    assert json.dumps(first)
