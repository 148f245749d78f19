"""Builds that are disturbed: killed, stopped, out of room, their source changed under them, two at once.

After each, the same command ends in the bytes of an undisturbed build, or an error says what to do.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from augmill.pipeline import Version

SLOW_FUNCTION = """
import time

import numpy as np


def invert_slowly(image: np.ndarray):
    time.sleep(0.015)
    return 255 - image
"""


def test_a_build_goes_on_where_a_killed_launcher_left_it(
    slow_command: list[str], slow_digest: str, tmp_path: Path
) -> None:
    launcher = _start(slow_command, tmp_path)
    family = _wait_for_a_finished_block(launcher, tmp_path)

    launcher.kill()
    launcher.wait()

    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive, "the job outlived its launcher"
    assert not (tmp_path / "slow/1.0.0").exists()
    _finish(slow_command, tmp_path, slow_digest)


def test_a_dead_worker_ends_the_job_and_a_resume_ends_in_the_same_bytes(
    slow_command: list[str], slow_digest: str, tmp_path: Path
) -> None:
    launcher = _start(slow_command, tmp_path)
    family = _wait_for_a_finished_block(launcher, tmp_path)
    worker = next(process for process in family if "sdk_worker_main" in " ".join(process.cmdline()[1:3]))

    worker.send_signal(signal.SIGKILL)
    _, errors = launcher.communicate(timeout=60)

    assert launcher.returncode == 3
    assert "a worker process died" in errors
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "slow/1.0.0").exists()
    _finish(slow_command, tmp_path, slow_digest)


@pytest.fixture(scope="module")
def slow_command(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> list[str]:
    """A build by two workers that takes some seconds, for want of its --output."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow_function.py").write_text(SLOW_FUNCTION)
    spec = folder / "slow.yaml"
    spec.write_text(
        f"""
name: slow
version: 1.0.0
source: {{folder: {photo_folder}}}
image: {{size: [24, 24]}}
copies: 4
block_examples: 3
augment: [slow_function:invert_slowly, tf.image.random_flip_left_right]
"""
    )
    return [sys.executable, "-m", "augmill.scripts.cli", "build", str(spec), "--workers", "2", "--output"]


@pytest.fixture(scope="module")
def slow_digest(slow_command: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The data digest of the slow build when nothing disturbs it."""
    output = tmp_path_factory.mktemp("undisturbed")
    subprocess.run([*slow_command, str(output)], check=True, capture_output=True)
    return Version(output / "slow/1.0.0").manifest.digest


def _start(command: list[str], output: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen([*command, str(output)], stdout=-1, stderr=-1, text=True, env=environment)


def _wait_for_a_finished_block(launcher: subprocess.Popen[str], output: Path) -> list[psutil.Process]:
    rows = output / "slow/1.0.0.building/rows"
    while not list(rows.glob("*.json")):
        assert launcher.poll() is None, "the build ended too soon to be disturbed"
        time.sleep(0.02)
    return psutil.Process(launcher.pid).children(recursive=True)


def _finish(command: list[str], output: Path, digest: str) -> None:
    done = subprocess.run([*command, str(output)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "resuming: " in done.stdout
    version = Version(output / "slow/1.0.0")
    assert version.manifest.digest == digest
    assert [wrong for _, wrong in version.verify() if wrong] == []
    assert not (output / "slow/1.0.0.building").exists()


def test_a_worker_that_is_stopped_ends_the_build_and_a_resume_ends_in_the_same_bytes(
    slow_command: list[str], slow_digest: str, tmp_path: Path
) -> None:
    launcher = _start([*slow_command[:-1], "--stall-timeout", "5", "--output"], tmp_path)
    family = _wait_for_a_finished_block(launcher, tmp_path)
    worker = next(process for process in family if "sdk_worker_main" in " ".join(process.cmdline()[1:3]))

    worker.send_signal(signal.SIGSTOP)
    _, errors = launcher.communicate(timeout=60)

    assert launcher.returncode == 3
    assert "nothing has been done for " in errors
    assert "the same command goes on from the finished blocks" in errors
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive, "a stopped worker outlived the job"
    _finish(slow_command, tmp_path, slow_digest)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.unlink(), "No such file or directory"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "changed since it was listed"),
        (lambda path: path.write_bytes(bytes(len(path.read_bytes()))), "image"),
    ],
    ids=["vanishes", "grows", "is overwritten"],
)
def test_a_photo_that_changes_between_plan_and_read_is_named(
    slow_command: list[str],
    slow_digest: str,
    photo_folder: Path,
    tmp_path: Path,
    change: Callable[[Path], object],
    told: str,
) -> None:
    photos = shutil.copytree(photo_folder, tmp_path / "photos")
    spec = Path(slow_command[4]).read_text().replace(str(photo_folder), str(photos))
    (tmp_path / "slow.yaml").write_text(spec)
    shutil.copy(Path(slow_command[4]).with_name("slow_function.py"), tmp_path)
    command = [*slow_command[:4], str(tmp_path / "slow.yaml"), *slow_command[5:]]

    launcher = _start(command, tmp_path)
    _wait_for_a_finished_block(launcher, tmp_path)
    plan = pq.read_table(tmp_path / "slow/1.0.0.building/plan.parquet", columns=["uri"])
    last = photos / plan.column("uri")[-1].as_py()
    before = last.read_bytes(), last.stat()
    change(last)
    _, errors = launcher.communicate(timeout=60)

    assert launcher.returncode == 3, errors
    assert "1 of 48 examples failed" in errors
    assert f"{last.relative_to(photos)}: " in errors
    assert told in errors
    assert not (tmp_path / "slow/1.0.0").exists()
    last.write_bytes(before[0])
    os.utime(last, ns=(before[1].st_atime_ns, before[1].st_mtime_ns))
    _finish(command, tmp_path, slow_digest)


def test_two_builds_of_one_version_at_once_leave_one_version(
    slow_command: list[str], slow_digest: str, tmp_path: Path
) -> None:
    both = [_start(slow_command, tmp_path) for _ in range(2)]
    told = [launcher.communicate(timeout=90) for launcher in both]

    codes = [launcher.returncode for launcher in both]
    assert 0 in codes
    for code, (_, errors) in zip(codes, told, strict=True):
        assert code == 0 or (code == 3 and "another build is at work in" in errors)
    assert Version(tmp_path / "slow/1.0.0").manifest.digest == slow_digest
    assert sorted(path.name for path in (tmp_path / "slow").iterdir() if path.name != "LATEST") == ["1.0.0"]


def test_blocks_that_are_run_twice_at_once_leave_the_same_bytes(
    slow_command: list[str], slow_digest: str, tmp_path: Path
) -> None:
    launcher = _start(slow_command, tmp_path)
    _wait_for_a_finished_block(launcher, tmp_path)
    twin = """
        import sys
        from augmill.pipeline.materialize import Materializer
        from augmill.pipeline.workspace import Workspace
        materialize = Materializer(Workspace(sys.argv[1]))
        for block in reversed(range(materialize._plan.blocks)):
            materialize(block)
    """
    workspace = tmp_path / "slow/1.0.0.building"
    twins = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(twin), str(workspace)]) for _ in range(2)]
    while launcher.poll() is None and not list(workspace.glob("version/.*.tmp")):
        time.sleep(0.01)
    launcher.kill()  # the twins go on, and whoever comes next waits for them
    _finish(slow_command, tmp_path, slow_digest)
    assert [one.wait(60) for one in twins] == [0, 0]


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_changes_nothing(
    slow_command: list[str], slow_digest: str, tmp_path: Path, days: int
) -> None:
    """The time of day jumps for all processes at once, some while into the work."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "true, monotonic = time.time, time.monotonic\n"
        "jump, file = 86400.0 * int(os.environ['DAYS']), os.environ['JUMPED']\n"
        "time.time = lambda: true() + (jump if os.path.exists(file) else 0)\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    jumped = tmp_path / "jumped"
    environment = {**os.environ, "PYTHONPATH": paths, "DAYS": str(days), "JUMPED": str(jumped)}
    launcher = _start(slow_command, tmp_path, environment)
    _wait_for_a_finished_block(launcher, tmp_path)
    jumped.touch()

    _, errors = launcher.communicate(timeout=90)

    assert launcher.returncode == 0, errors
    version = Version(tmp_path / "slow/1.0.0")
    assert version.manifest.digest == slow_digest
    assert version.manifest.build["job_seconds"] >= 0
