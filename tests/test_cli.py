"""The command: what it prints, its exit codes, and that all of it is documented."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Version
from augmill.scripts.cli import COMMANDS, cli

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    from augmill.pipeline import Spec

    spec = Spec(
        name="crops",
        version="1.2.0",
        source={"folder": str(photo_folder)},
        image={"size": [24, 24]},
        augment=["tf.image.random_flip_left_right", {"tf.image.random_brightness": {"max_delta": 0.1}}],
    )
    version: Version = publish_version(spec, tmp_path_factory.mktemp("cli"))
    return version


def test_plan_says_what_a_build_makes_needs_and_takes(
    write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    result = augmill("plan", write_spec(), "--output", tmp_path / "out", "--workers", 2)

    assert result.code == 0, result.err
    words = " ".join(result.out.split())
    assert "train 34 3 102 5 15" in words
    assert "test 14 1 14 2 2" in words
    assert "classes: cat 16, coffee 16, galaxy 16" in words
    assert "with 2 workers (timed on 48 examples)" in words
    assert words.endswith("free: enough")
    assert not (tmp_path / "out").exists()


def test_plan_as_json_gives_the_same_numbers(write_spec: Callable[..., Path], augmill: Callable[..., Any]) -> None:
    facts = json.loads(augmill("plan", write_spec(), "--json").out)

    assert facts["records"] == 116
    assert facts["shards"] == 17
    assert facts["classes"] == {"cat": 16, "coffee": 16, "galaxy": 16}
    assert facts["expected_bytes"] > 100_000
    assert facts["problems"] == []


def test_the_expected_bytes_are_near_the_real_ones(
    write_spec: Callable[..., Path],
    augmill: Callable[..., Any],
    make_spec: Callable[..., Any],
    publish_version: Callable[..., Version],
    tmp_path: Path,
) -> None:
    expected = json.loads(augmill("plan", write_spec(), "--json").out)["expected_bytes"]

    assert publish_version(make_spec(), tmp_path / "out").bytes == pytest.approx(expected, rel=0.1)


def test_check_prints_the_effects(write_spec: Callable[..., Path], augmill: Callable[..., Any]) -> None:
    result = augmill("check", write_spec())

    assert result.code == 0
    assert "one copy of 48 images:" in result.out
    assert "tf.image.random_brightness" in result.out
    assert "every op does its work" in result.out
    effects = json.loads(augmill("check", write_spec(), "--samples", 10, "--json").out)["effects"]
    assert [effect["applied"] for effect in effects[:2]] == [10, 10]


def test_versions_show_and_verify_tell_of_a_version(published: Version, augmill: Callable[..., Any]) -> None:
    listed = augmill("versions", published.path.parent)
    shown = augmill("show", published.path)
    verified = augmill("verify", published.path)

    assert (listed.code, shown.code, verified.code) == (0, 0, 0)
    assert "1.2.0" in listed.out
    assert "crops 1.2.0: 96 records" in shown.out
    assert "tf.image.random_brightness" in shown.out
    assert f"digest: {published.manifest.digest}" in shown.out
    assert "files are as published" in verified.out


def test_tables_come_as_json_too(published: Version, augmill: Callable[..., Any]) -> None:
    (listed,) = json.loads(augmill("versions", published.path.parent, "--json").out)
    shown = json.loads(augmill("show", published.path, "--json").out)
    verified = json.loads(augmill("verify", published.path, "--json").out)

    assert listed["digest"] == shown["digest"] == published.manifest.digest
    assert shown["splits"]["train"]["examples"] == 48
    assert verified["wrong"] == {}


def test_verify_ends_with_1_and_names_the_file(published: Version, augmill: Callable[..., Any], tmp_path: Path) -> None:
    import shutil

    spoilt = shutil.copytree(published.path, tmp_path / "1.2.0")
    shard = spoilt / published.manifest.splits["train"].shards[0].file
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)

    result = augmill("verify", spoilt)

    assert result.code == 1
    assert f"{shard.name}: has sha256" in result.err


def test_building_twice_says_so_and_ends_with_0(
    write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    first = augmill("build", write_spec(), "--output", tmp_path / "out", "--workers", 1)
    again = augmill("build", write_spec(), "--output", tmp_path / "out")
    other = augmill("build", write_spec(seed=8), "--output", tmp_path / "out")

    assert first.code == again.code == 0, first.err
    assert "116 records" in first.out
    assert "tf.image.random_flip_left_right" in first.out
    assert "crops 1.0.0 is already built from this spec" in again.out
    assert other.code == 2
    assert "seed: 3 is published, 8 is in the spec" in other.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(name: str) -> None:
    command = cli.get_command(None, name)  # type: ignore[arg-type]

    assert command is not None
    assert command.help
    for option in command.params:
        assert getattr(option, "help", None) or option.param_type_name == "argument" or option.name == "help", option
    assert f"augmill {name}" in (REPOSITORY / "README.md").read_text("utf-8")


@pytest.mark.parametrize("arguments", [["--help"], ["build", "--help"], ["--version"]])
def test_the_command_starts(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "augmill.scripts.cli", *arguments], capture_output=True, text=True, check=True
    )

    assert "augmill" in done.stdout
    assert done.stderr == ""


def test_progress_is_live_on_a_terminal(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    """tqdm counts images, not blocks, with rate and time left, while a block is still running."""
    (tmp_path / "slow_ops.py").write_text(
        "import time\nimport numpy as np\n"
        "def invert(image: np.ndarray):\n    time.sleep(0.02)\n    return 255 - image\n"
    )
    spec = write_spec(augment=["slow_ops:invert"], splits=None, block_examples=100)
    command = [sys.executable, "-m", "augmill.scripts.cli", "build", str(spec), "--workers", "1", "--output"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))  # rows and columns
    build = subprocess.Popen([*command, str(tmp_path / "out")], stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError):  # the terminal closes when the build ends
        while chunk := os.read(ours, 1024):
            shown += chunk.decode("utf-8", "replace")

    assert build.wait() == 0
    counts = {int(done) for done in re.findall(r"augmenting:.*?(\d+)/144", shown)}
    assert len(counts - {0, 144}) >= 2, "one block, and yet it moves"
    assert re.search(r"\d+/144 \[\d\d:\d\d<\d\d:\d\d, +\d+\.\d+image/s\]", shown)


def test_a_reader_that_goes_away_is_no_fault_of_the_command() -> None:
    """As in `augmill ops | head -1`."""
    command = [sys.executable, "-m", "augmill.scripts.cli", "ops"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode in (141, 0)
