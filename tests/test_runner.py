"""The runner ends a job for certain, and says why in words."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from augmill.pipeline.driver import order
from augmill.pipeline.errors import BuildError
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import BlockReader, make_plan
from augmill.pipeline.runner import Driver, run_local
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


def hang_with_the_lock(image: np.ndarray):
    (10**9 - 1) ** (10**9 - 1)
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
    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(KeyboardInterrupt):
        run_local(prepare("invert"), workers=2, progress=interrupt)

    assert set(psutil.Process().children(recursive=True)) <= before


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


def test_the_job_ends_with_its_launcher_even_while_an_op_holds_the_interpreter(
    prepare: Callable[[str], Workspace],
) -> None:
    workspace, driver = prepare("hang_with_the_lock"), _start_driver()
    assert driver.stdin is not None
    driver.stdin.write(order(workspace, ["--runner=FnApiRunner", "--direct_running_mode=in_memory"]))
    driver.stdin.flush()
    while not workspace.running():
        assert driver.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)  # it is in the op by now
    driver.stdin.close()

    assert driver.wait(timeout=20) == -signal.SIGKILL


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5, 1.0])  # between the workers' start and their first image
def test_workers_end_with_a_launcher_and_a_driver_that_are_killed_together(
    prepare: Callable[[str], Workspace], seconds: float
) -> None:
    driver = _start_driver()
    assert driver.stdin is not None
    options = ["--runner=FnApiRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    driver.stdin.write(order(prepare("linger"), options))
    driver.stdin.flush()
    family = list[psutil.Process]()
    while sum("sdk_worker_main" in " ".join(process.cmdline()) for process in family) < 2:
        family = psutil.Process(driver.pid).children(recursive=True)
        time.sleep(0.02)
    time.sleep(seconds)

    driver.kill()
    driver.stdin.close()

    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_a_worker_that_hangs_ends_the_job_and_its_image_is_named(prepare: Callable[[str], Workspace]) -> None:
    workspace = prepare("linger")

    with pytest.raises(BuildError) as failed:
        run_local(workspace, workers=1, stall_timeout=3, progress=lambda done: None)

    first = BlockReader(workspace.plan_path).read(0)
    assert re.match(r"nothing has been done for \d+ s in block 0, after 0 of its \d+ examples", str(failed.value))
    assert f"a worker hangs, in {first[0]['key']} or soon after it" in str(failed.value)
    assert "the same command goes on from the finished blocks" in str(failed.value)
    assert failed.value.exit_code == 3


def test_a_driver_that_gets_no_order_ends_by_itself() -> None:
    driver = _start_driver()

    assert driver.communicate(timeout=60) == (b"", None)
    assert driver.returncode == 0


def test_a_driver_waits_for_its_order_and_leaves_nothing_if_none_comes(prepare: Callable[[str], Workspace]) -> None:
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

    with pytest.raises(BuildError, match=r"cannot write to .*job\.log: Is a directory"):
        run_local(workspace, workers=1, progress=lambda done: None)
