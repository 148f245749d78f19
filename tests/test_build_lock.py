"""One launcher builds at a time, and none while a worker of a killed build may still write."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from augmill.pipeline.build_lock import BuildLock
from augmill.pipeline.errors import BuildError


def test_one_launcher_holds_a_build(tmp_path: Path) -> None:
    first, second = BuildLock(tmp_path / "build"), BuildLock(tmp_path / "build")
    with first.hold(), pytest.raises(BuildError, match="another build is at work"), second.hold():
        pass
    with second.hold():
        pass


def test_workers_enter_together_and_the_next_launcher_waits_for_the_last(tmp_path: Path) -> None:
    with BuildLock(tmp_path).hold():
        workers = [BuildLock(tmp_path).enter() for _ in range(2)]
    began = time.monotonic()
    for seconds, worker in zip((0.1, 0.4), workers, strict=True):
        threading.Timer(seconds, worker.close).start()
    with BuildLock(tmp_path).hold():
        assert all(worker.closed for worker in workers)
        assert time.monotonic() - began >= 0.4


def test_a_worker_that_does_not_go_is_told_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augmill.pipeline.build_lock._PATIENCE", 2)
    with BuildLock(tmp_path).hold():
        hanging = BuildLock(tmp_path).enter()
    with pytest.raises(BuildError, match=r"still writes there: end it \(`fuser .*at-work`"), BuildLock(tmp_path).hold():
        pass
    hanging.close()
