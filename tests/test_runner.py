"""The runner ends a job for certain, and says why in words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.driver import order
from augmill.pipeline.errors import BuildError, OptionError
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.runner import Driver, check_beam_options, run_local
from augmill.pipeline.workspace import Workspace

START = "import sys; from augmill.pipeline.driver import main; main(sys.argv[1:])"
TO_STDOUT = "1"  # where the driver is to say why it ends
FUNCTIONS = """
import os
import signal
import time

import numpy as np

def kill_the_worker(image: np.ndarray):
    os.kill(os.getpid(), signal.SIGSEGV)


def invert(image: np.ndarray):
    return 255 - image


def linger(image: np.ndarray):
    time.sleep(60)
"""


@pytest.fixture
def prepare(
    tmp_path: Path, make_spec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Workspace]:
    """Make a workspace whose policy is one function of a module beside it."""
    (tmp_path / "runner_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)

    def make(function: str) -> Workspace:
        spec = make_spec(augment=[f"runner_functions:{function}"])
        workspace = Workspace(tmp_path / "1.0.0.building")
        workspace.prepare(spec, make_plan(spec, list_source(spec)), {"spec": spec.digest()})
        return workspace

    return make


def test_all_blocks_are_written_and_progress_reaches_the_whole(prepare: Callable[[str], Workspace]) -> None:
    workspace, told = prepare("invert"), list[int]()

    run_local(workspace, workers=1, progress=told.append)

    plan = workspace.plan()
    assert sorted(workspace.finished(plan.blocks)) == list(range(plan.blocks))
    assert told == sorted(told)
    assert told[-1] == sum(plan.records(workspace.spec()).values())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_crashes_ends_the_job_with_its_reason(prepare: Callable[[str], Workspace], workers: int) -> None:
    workspace = prepare("kill_the_worker")

    with pytest.raises(BuildError) as failed:
        run_local(workspace, workers=workers, progress=lambda done: None)

    told = str(failed.value)
    assert "ended by SIGSEGV" in told if workers == 1 else "a worker process died" in told
    assert f"The log is {workspace.log}; the same command goes on" in told
    assert failed.value.exit_code == 3


def test_a_block_that_cannot_be_written_is_told_in_its_own_words(prepare: Callable[[str], Workspace]) -> None:
    import shutil

    workspace = prepare("invert")
    shutil.rmtree(workspace.version)

    with pytest.raises(BuildError, match=r"^block \d+ cannot be written: No such file or directory"):
        run_local(workspace, workers=1, progress=lambda done: None)


def test_an_interrupted_runner_leaves_no_process_behind(prepare: Callable[[str], Workspace]) -> None:
    import psutil

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(KeyboardInterrupt):
        run_local(prepare("invert"), workers=2, progress=interrupt)

    assert set(psutil.Process().children(recursive=True)) <= before


def test_beam_flags_that_beam_does_not_know_are_refused() -> None:
    check_beam_options([])
    check_beam_options(["--direct_running_mode=multi_threading", "--direct_runner_bundle_repeat", "1"])
    with pytest.raises(OptionError, match="Beam has no option --direct_runing_mode"):
        check_beam_options(["--direct_runing_mode=multi_threading"])
    with pytest.raises(OptionError, match="Beam has no option stray"):
        check_beam_options(["stray"])
    with pytest.raises(OptionError, match="--runner is not for Beam here"):
        check_beam_options(["--runner=FlinkRunner"])
    with pytest.raises(OptionError, match="--help is not for Beam here"):
        check_beam_options(["--help"])
    with pytest.raises(OptionError, match="Beam refuses its options: argument --direct_num_workers: invalid int"):
        check_beam_options(["--direct_num_workers=abc"])


def _start_driver() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", START, TO_STDOUT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )


def test_the_job_ends_when_standard_input_closes(prepare: Callable[[str], Workspace]) -> None:
    """Whoever started the driver holds its standard input open; a dead launcher holds nothing."""
    driver = _start_driver()
    assert driver.stdin is not None
    driver.stdin.write(order(prepare("linger"), ["--runner=FnApiRunner"]))
    driver.stdin.close()

    assert driver.wait(timeout=60) == -signal.SIGKILL


def test_a_driver_that_gets_no_order_ends_by_itself() -> None:
    driver = _start_driver()

    assert driver.communicate(timeout=60) == (b"", None)
    assert driver.returncode == 0


def test_a_driver_waits_for_its_order_and_leaves_nothing_if_none_comes(prepare: Callable[[str], Workspace]) -> None:
    import psutil

    before = set(psutil.Process().children(recursive=True))
    workspace, told = prepare("invert"), list[int]()
    with Driver():
        assert len(set(psutil.Process().children()) - before) == 1
    assert set(psutil.Process().children(recursive=True)) <= before

    with Driver() as driver:
        driver.run(workspace, workers=1, progress=told.append)
    assert told[-1] == sum(workspace.plan().records(workspace.spec()).values())


def test_a_job_whose_log_cannot_be_written_says_so(prepare: Callable[[str], Workspace]) -> None:
    workspace = prepare("invert")
    workspace.log.mkdir()

    with pytest.raises(BuildError, match=r"Is a directory.*job\.log"):
        run_local(workspace, workers=1, progress=lambda done: None)
