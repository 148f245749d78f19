"""A block in which nothing has been done for too long is found, and where it stands is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.errors import BuildError
from augmill.pipeline.folder_source import list_folder
from augmill.pipeline.plan import BlockReader, make_plan
from augmill.pipeline.stall import StallWatch
from augmill.pipeline.workspace import Workspace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def workspace(tmp_path: Path, make_spec: Callable[..., Any], photo_folder: Path) -> Workspace:
    spec, workspace = make_spec(), Workspace(tmp_path / "1.0.0.building")
    workspace.prepare(spec, make_plan(spec, list_folder(photo_folder)), {})
    return workspace


def test_a_block_that_gets_on_is_waited_for(workspace: Workspace) -> None:
    clock = Clock()
    watch = StallWatch(workspace, 10, clock)
    for done in range(8):
        workspace.note_progress(0, 2 * done, done)
        watch.look(2 * done)
        clock.now += 9


def test_one_block_that_stands_still_is_found_among_others_that_do_not(workspace: Workspace) -> None:
    clock = Clock()
    watch = StallWatch(workspace, 10, clock)
    workspace.note_progress(1, 6, 3)
    for done in range(2):
        workspace.note_progress(0, done, done)
        watch.look(done)
        clock.now += 5
    workspace.note_progress(0, 2, 2)
    hung = BlockReader(workspace.plan_path).read(1)

    with pytest.raises(BuildError) as found:
        watch.look(2)

    assert str(found.value).startswith(
        f"nothing has been done for 10 s in block 1, after 3 of its {len(hung)} examples: a worker hangs, in "
        f"{hung[3]['key']} or soon after it"
    )


def test_a_disk_that_does_not_answer_is_told_from_an_op_that_hangs(workspace: Workspace) -> None:
    clock = Clock()
    watch = StallWatch(workspace, 10, clock)
    examples = len(BlockReader(workspace.plan_path).read(0))
    workspace.note_progress(0, 3 * examples, examples)
    watch.look(1)
    clock.now = 10
    with pytest.raises(BuildError, match="as its shards were being made durable: see whether the disk answers"):
        watch.look(1)


def test_workers_that_never_start_are_found(workspace: Workspace) -> None:
    clock = Clock()
    watch = StallWatch(workspace, 10, clock)
    watch.look(0)
    clock.now = 119
    watch.look(0)
    clock.now = 120
    with pytest.raises(BuildError, match="no block is in hand: the workers may not start"):
        watch.look(0)


def test_a_finished_block_is_forgotten(workspace: Workspace) -> None:
    clock = Clock()
    watch = StallWatch(workspace, 10, clock)
    workspace.note_progress(0, 1, 1)
    watch.look(1)
    workspace.write_row(0, {"images": 12, "shards": []})
    clock.now = 9
    workspace.note_progress(1, 1, 1)
    watch.look(13)
    clock.now = 18
    watch.look(13)


def test_no_timeout_waits_for_ever(workspace: Workspace) -> None:
    clock = Clock()
    watch = StallWatch(workspace, 0, clock)
    watch.look(0)
    clock.now = 1e9
    watch.look(0)
