"""A shard is a function of spec, source and libraries: not of the workers, the mode, the order of work or a crash."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from augmill.pipeline import Spec, Version, build, folder_source

SLOW_FUNCTION = """
import time

import numpy as np


def invert_slowly(image: np.ndarray):
    time.sleep(0.015)
    return 255 - image
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Version:
    """The version that one worker builds."""
    return build(_spec(photo_folder), tmp_path_factory.mktemp("reference"), workers=1)


def _spec(folder: Path) -> Spec:
    return Spec(
        name="crops",
        version="1.0.0",
        seed=3,
        source={"folder": str(folder)},
        splits={"train": 0.75, "test": 0.25},
        image={"size": [32, 32], "encoding": "jpeg"},
        copies=2,
        block_examples=8,
        augment=[
            "tf.image.random_flip_left_right",
            {"tf.image.random_saturation": {"lower": 0.5, "upper": 1.5}},
            {"sometimes": {"p": 0.5, "do": [{"keras.layers.RandomRotation": {"factor": 0.1}}]}},
            {"keras.layers.RandomErasing": {"factor": [1.0, 1.0]}},
        ],
    )


@pytest.mark.parametrize(
    ("workers", "beam_options"),
    [
        (2, []),
        (1, ["--direct_running_mode=multi_processing"]),
        (1, ["--direct_running_mode=multi_threading"]),
        (2, ["--direct_running_mode=multi_threading"]),
        (2, ["--direct_runner_bundle_repeat=1"]),
    ],
)
def test_workers_and_modes_have_no_say(
    reference: Version, photo_folder: Path, tmp_path: Path, workers: int, beam_options: list[str]
) -> None:
    version = build(_spec(photo_folder), tmp_path, workers=workers, beam_options=beam_options)

    assert _shard_digests(version) == _shard_digests(reference)
    assert version.manifest.effects == reference.manifest.effects


def test_the_order_of_the_listing_and_the_place_of_the_source_have_no_say(
    reference: Version,
    photo_folder: Path,
    tmp_path: Path,
    publish_version: Callable[..., Version],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved = shutil.copytree(photo_folder, tmp_path / "moved")
    files = folder_source.walk_files
    monkeypatch.setattr(folder_source, "walk_files", lambda root, **how: reversed(list(files(root, **how))))

    version = publish_version(_spec(moved), tmp_path / "out")

    assert _shard_digests(version) == _shard_digests(reference)


def test_another_seed_gives_other_bytes(
    reference: Version, photo_folder: Path, tmp_path: Path, publish_version: Callable[..., Version]
) -> None:
    spec = Spec(**{**_spec(photo_folder).canonical(), "seed": 4})

    version = publish_version(spec, tmp_path)

    assert set(_shard_digests(version).values()).isdisjoint(_shard_digests(reference).values())


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


def _start(command: list[str], output: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([*command, str(output)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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


def _shard_digests(version: Any) -> dict[str, str]:
    return {shard.file: shard.sha256 for split in version.manifest.splits.values() for shard in split.shards}
