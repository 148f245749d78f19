"""The `.building` directory: what counts as finished, what is taken up again, and who may build."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.errors import BuildError
from augmill.pipeline.folder_source import list_folder
from augmill.pipeline.plan import BlockReader, Plan, make_plan
from augmill.pipeline.shard import ShardWriter
from augmill.pipeline.spec import Spec
from augmill.pipeline.workspace import Workspace, write_json

FINGERPRINT = {"spec": "aaa", "source": "bbb", "libraries": {"numpy": "2.0"}}
Finish = Callable[[int], dict[str, Any]]


@pytest.fixture
def spec(make_spec: Callable[..., Spec]) -> Spec:
    return make_spec()


@pytest.fixture
def plan(spec: Spec, photo_folder: Path) -> Plan:
    return make_plan(spec, list_folder(photo_folder))


@pytest.fixture
def workspace(tmp_path: Path, spec: Spec, plan: Plan) -> Workspace:
    """A workspace ready for its first block."""
    workspace = Workspace.beside(tmp_path / "crops" / "1.0.0")
    assert workspace.prepare(spec, plan, FINGERPRINT) == []
    return workspace


@pytest.fixture
def finish(workspace: Workspace, photo_folder: Path) -> Finish:
    """Write a block's source images to a shard and note the row."""

    def finish(block: int) -> dict[str, Any]:
        with ShardWriter(workspace.version, workspace.index, f"shard-{block}") as writer:
            for example in BlockReader(workspace.plan_path).read(block):
                writer.write((photo_folder / example["uri"]).read_bytes())
            info = writer.finish()
        row = {"block": block, "images": info.records, "shards": [info._asdict()]}
        workspace.write_row(block, row)
        return row

    return finish


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_workspace_stands_beside_its_version(tmp_path: Path) -> None:
    assert Workspace.beside(tmp_path / "crops" / "1.0.0").path == tmp_path / "crops" / "1.0.0.building"


def test_spec_and_plan_are_read_back_as_prepared(workspace: Workspace, spec: Spec, plan: Plan) -> None:
    assert workspace.spec().canonical() == spec.canonical()
    assert workspace.spec().base == spec.base
    assert (workspace.plan().splits, workspace.plan().source_digest) == (plan.splits, plan.source_digest)
    rows = [row for block in range(plan.blocks) for row in BlockReader(workspace.plan_path).read(block)]
    assert rows == plan.table.to_pylist()


def test_a_row_counts_with_its_shards_alone(workspace: Workspace, finish: Finish) -> None:
    assert workspace.row(0) is None
    expected = finish(0)
    assert workspace.row(0) == expected
    shard = workspace.version / "shard-0"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    assert workspace.row(0) is None
    shard.unlink()
    assert workspace.row(0) is None
    shard.write_bytes(whole)
    assert workspace.row(0) == expected
    (workspace.index / "shard-0.npy").unlink()
    assert workspace.row(0) is None


def test_a_row_cut_short_does_not_count(workspace: Workspace, finish: Finish) -> None:
    finish(0)
    (path,) = (workspace.path / "rows").iterdir()
    path.write_text(path.read_text()[:-30])
    assert workspace.row(0) is None
    assert workspace.finished(3) == {}


def test_finished_rows_are_given_by_block(workspace: Workspace, finish: Finish) -> None:
    rows = {block: finish(block) for block in (2, 0)}
    assert workspace.finished(4) == rows
    workspace.forget(2)
    assert workspace.finished(4) == {0: rows[0]}
    workspace.forget(3)


def test_progress_adds_up_over_finished_and_running_blocks(workspace: Workspace, finish: Finish) -> None:
    assert workspace.images_done() == 0
    workspace.note_progress(0, 3, 1)
    workspace.note_progress(1, 2, 1)
    workspace.note_progress(1, 5, 2)
    assert workspace.images_done() == 8
    assert workspace.running() == {0: (3, 1), 1: (5, 2)}
    images = finish(0)["images"]
    assert images > 5
    assert workspace.images_done() == images + 5


def test_the_same_build_is_taken_up_where_it_stood(
    workspace: Workspace, finish: Finish, spec: Spec, plan: Plan
) -> None:
    row = finish(0)
    workspace.note_progress(1, 4, 1)
    assert workspace.prepare(spec, plan, dict(FINGERPRINT)) == []
    assert workspace.finished(plan.blocks) == {0: row}
    assert workspace.images_done() == row["images"]


def test_another_build_starts_anew_and_says_what_differs(
    workspace: Workspace, finish: Finish, spec: Spec, plan: Plan
) -> None:
    finish(0)
    (workspace.version / ".left-over.tmp").write_bytes(b"half a shard")
    other = {**FINGERPRINT, "source": "ccc", "libraries": {"numpy": "2.1"}}
    assert workspace.prepare(spec, plan, other) == ["source", "libraries"]
    assert files_in(workspace.path) == {"spec.json", "build.json", "plan.parquet"}
    assert workspace.prepare(spec, plan, other) == []


def test_a_workspace_that_was_never_fully_prepared_is_made_anew(
    workspace: Workspace, finish: Finish, spec: Spec, plan: Plan
) -> None:
    finish(0)
    (workspace.path / "build.json").write_text("{")
    assert workspace.prepare(spec, plan, FINGERPRINT) == []
    assert workspace.finished(plan.blocks) == {}


def test_throwing_work_away_can_be_interrupted(
    workspace: Workspace, finish: Finish, spec: Spec, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(0)
    iterdir, unlink = Path.iterdir, Path.unlink

    def interrupted(path: Path, missing_ok: bool = False) -> None:
        if path.name == "build.json":
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        # A folder may list its files in any order, the one that counts last of all.
        patched.setattr(Path, "iterdir", lambda path: iter(sorted(iterdir(path), key=lambda p: p.name == "build.json")))
        patched.setattr(Path, "unlink", interrupted)
        workspace.prepare(spec, plan, {**FINGERPRINT, "spec": "ddd"})
    workspace.prepare(spec, plan, FINGERPRINT)
    assert workspace.plan().splits == plan.splits
    finish(1)
    assert 1 in workspace.finished(plan.blocks)


def test_an_unreadable_spec_is_told_with_the_cure(workspace: Workspace) -> None:
    (workspace.path / "spec.json").write_text("")
    with pytest.raises(BuildError, match=r"1\.0\.0\.building holds no readable spec\.json; remove it"):
        workspace.spec()


def test_a_second_build_is_refused_while_the_first_is_at_work(workspace: Workspace) -> None:
    other = Workspace(workspace.path)
    with workspace.lock():
        with pytest.raises(BuildError, match=r"another build is at work in .*1\.0\.0\.building"), other.lock():
            pass
        assert workspace.plan_path.exists()
    with other.lock():
        pass


def test_a_lock_outlives_a_fresh_start(workspace: Workspace, spec: Spec, plan: Plan) -> None:
    with workspace.lock():
        workspace.prepare(spec, plan, {**FINGERPRINT, "spec": "ddd"})
        with pytest.raises(BuildError, match="another build is at work"), Workspace(workspace.path).lock():
            pass


def test_a_killed_build_lets_go_of_the_lock(workspace: Workspace) -> None:
    code = (
        "import sys, time; from augmill.pipeline.workspace import Workspace\n"
        "with Workspace(sys.argv[1]).lock(): print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(workspace.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(BuildError, match="another build is at work"), workspace.lock():
            pass
    finally:
        holder.kill()
        holder.communicate()
    with workspace.lock():
        pass


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "crops").write_text("a file where a folder should be")
    with (
        pytest.raises(BuildError, match=r"cannot write to .*crops.*choose another --output"),
        Workspace.beside(tmp_path / "crops" / "1.0.0").lock(),
    ):
        pass


def test_removing_a_workspace_leaves_what_stands_beside_it(workspace: Workspace) -> None:
    neighbour = workspace.path.with_name("0.9.0")
    neighbour.mkdir()
    workspace.remove()
    assert [path.name for path in workspace.path.parent.iterdir()] == ["0.9.0"]


def test_json_is_replaced_whole_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    write_json(path, {"key": "größe", "images": 3})
    with path.open() as open_before:
        write_json(path, {"images": 4})
        assert json.load(open_before) == {"key": "größe", "images": 3}
    assert json.loads(path.read_text("utf-8")) == {"images": 4}
    assert files_in(tmp_path) == {"row.json"}


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    write_json(path, {"images": 3})
    with pytest.raises(TypeError):
        write_json(path, {"images": object()})
    assert json.loads(path.read_text()) == {"images": 3}
    assert files_in(tmp_path) == {"row.json"}
