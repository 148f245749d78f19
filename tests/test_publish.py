"""Publication checks the blocks against the plan, sweeps what does not belong, and happens in one step."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.errors import BuildError
from augmill.pipeline.lineage import library_versions
from augmill.pipeline.listing import list_source
from augmill.pipeline.materialize import Materializer
from augmill.pipeline.plan import make_plan
from augmill.pipeline.publish import publish
from augmill.pipeline.version import Version
from augmill.pipeline.workspace import Workspace

FACTS: dict[str, Any] = {"started": "2001-01-01T00:00:00+00:00", "seconds": 1.0, "workers": 1}


@pytest.fixture
def finished(tmp_path: Path, make_spec: Callable[..., Any]) -> tuple[Any, Any, Workspace]:
    """A spec, its plan, and a workspace in which every block is finished."""
    spec = make_spec()
    plan = make_plan(spec, list_source(spec))
    workspace = Workspace.beside(tmp_path / "crops/1.0.0")
    workspace.prepare(spec, plan, {})
    materialize = Materializer(workspace)
    for block in range(plan.blocks):
        materialize(block)
    return spec, plan, workspace


def _publish(spec: Any, plan: Any, workspace: Workspace) -> Version:
    return publish(spec, plan, workspace, build=FACTS, libraries=library_versions(), code={})


def test_a_missing_block_stops_it(finished: tuple[Any, Any, Workspace]) -> None:
    spec, plan, workspace = finished
    workspace.forget(3)

    with pytest.raises(BuildError, match="1 of 7 blocks are not finished, the first is block 3"):
        _publish(spec, plan, workspace)

    assert not workspace.target.exists()


def test_a_block_whose_shard_is_short_counts_as_missing(finished: tuple[Any, Any, Workspace]) -> None:
    spec, plan, workspace = finished
    shard = workspace.version / plan.shard_of(spec, 2, 1)
    shard.write_bytes(shard.read_bytes()[:-1])

    with pytest.raises(BuildError, match="the first is block 2"):
        _publish(spec, plan, workspace)


def test_counts_that_do_not_add_up_stop_it(finished: tuple[Any, Any, Workspace]) -> None:
    spec, plan, workspace = finished
    row = workspace.row(0)
    assert row is not None
    row["shards"][1]["records"] -= 1
    workspace.write_row(0, row)

    with pytest.raises(BuildError, match="split train has 101 records, not the 102"):
        _publish(spec, plan, workspace)


def test_what_a_killed_worker_left_is_not_published(finished: tuple[Any, Any, Workspace]) -> None:
    spec, plan, workspace = finished
    (workspace.version / ".crops-train.tfrecord-00000-of-00015.0123.tmp").write_bytes(b"half")
    (workspace.index / ".x.tmp").write_bytes(b"half")

    version = _publish(spec, plan, workspace)

    assert [wrong for _, wrong in version.verify() if wrong] == []
    assert not list(workspace.target.rglob("*.tmp"))


def test_effects_of_all_blocks_are_added_up(finished: tuple[Any, Any, Workspace]) -> None:
    version = _publish(*finished)

    flip, brightness, hue, zoom = version.manifest.effects
    assert flip["applied"] == brightness["applied"] == hue["applied"] + zoom["applied"] == 2 * 34


def test_the_work_is_timed_from_the_first_record_to_the_last(finished: tuple[Any, Any, Workspace]) -> None:
    """Blocks that an interrupted build left are not part of it."""
    spec, plan, workspace = finished
    since = datetime.datetime.fromisoformat(FACTS["started"]).timestamp()
    for block in range(plan.blocks):
        row = workspace.row(block)
        assert row is not None
        row["span"] = [since + 3 * block - 6, since + 3 * block - 4.5]
        workspace.write_row(block, row)

    build = _publish(spec, plan, workspace).manifest.build

    assert build["job_seconds"] == 3 * (plan.blocks - 3) + 1.5


def test_a_version_that_stands_is_not_replaced(finished: tuple[Any, Any, Workspace]) -> None:
    spec, plan, workspace = finished
    workspace.target.mkdir(parents=True)
    (workspace.target / "mine").write_text("mine")

    with pytest.raises(BuildError, match="cannot publish to"):
        _publish(spec, plan, workspace)

    assert [path.name for path in workspace.target.iterdir()] == ["mine"]
