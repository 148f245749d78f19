"""What a user gets wrong is told in words, with what to do, and leaves nothing half-published."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"augment": ["tf.image.random_flip_left_rigth"]}, "did you mean tf.image.random_flip_left_right?"),
        ({"augment": [{"tf.image.random_hue": {"max_dleta": 0.1}}]}, "unknown argument; did you mean max_delta?"),
        ({"augment": [{"keras.layers.RandomZoom": {"hieght_factor": 0.1}}]}, "did you mean height_factor?"),
        ({"augment": ["no_such_module:f"]}, "module 'no_such_module' of no_such_module:f can't be imported"),
        ({"copies": 0, "keep_original": False}, "set copies: 1, or keep_original: true"),
        ({"splits": {"train": 0.8, "test": 0.1}}, "splits must add up to 1, got 0.9 (test 0.1, train 0.8)"),
        ({"source": {"folder": "nowhere"}}, "nowhere does not exist"),
        ({"source": {"tfrecord": "no/*.tfrecord", "features": {"image": "x"}}}, "no file matches source.tfrecord"),
        ({"source": {"tfds": "no_such_dataset"}}, "TFDS dataset 'no_such_dataset' cannot be opened"),
        ({"copis": 4}, "copis: unknown key; did you mean copies?"),
        ({"name": "My Flowers"}, "name: must be lower-case letters"),
        ({"splits": {"train": 0.5, "all": 0.5}}, "no split may be called all"),
        ({"augment": ["leaves:f"]}, "module 'leaves' of leaves:f can't be imported (SystemExit: 4)"),
        ({"augment": ["cv2:GaussianBlur"]}, "does not tell its parameters; wrap it in a function of yours"),
        ({"augment": [{"math:floor": {1: 0.5}}]}, "lists and mappings by text, as JSON has them, got 1"),
        ({"augment": [{"math:floor": {"day": datetime.date(2026, 1, 1)}}]}, "got datetime.date(2026, 1, 1)"),
        ({"augment": [{"tf.image.random_contrast": {"lower": 0.5, "upper": 10**400}}]}, "upper must be a number"),
        ({"augment": [{"tf.image.random_hue": {"max_delta": float("nan")}}]}, "as JSON has them, got nan"),
    ],
)
def test_a_wrong_spec_is_one_line_that_says_what_to_do(
    changes: dict[str, Any], told: str, write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "leaves.py").write_text("raise SystemExit(4)\n")
    result = augmill("build", write_spec(**changes), "--output", tmp_path / "out")

    _assert_refused(result, told, code=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["version: 2024-13-01", "seed: 0x_", "[" * 4000, "a: &a [*a]", "\x00", "- 1", ""])
def test_a_file_that_is_no_spec_is_refused_in_one_line(text: str, augmill: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)

    _assert_refused(augmill("check", tmp_path / "spec.yaml"), "spec.yaml", code=2)


def test_a_function_that_leaves_the_program_is_named(
    write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "leaver.py").write_text("def f(image):\n    raise SystemExit(0)\n")

    result = augmill("build", write_spec(augment=["leaver:f"]), "--output", tmp_path / "out")

    assert result.code == 1
    assert "leaver:f failed with SystemExit: 0" in result.err


@pytest.mark.parametrize("names", [(" cat", "cat"), ("a\nb", "c"), ("  ", "c")])
def test_class_names_that_tfds_would_read_as_others_are_refused(
    names: tuple[str, str], write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path, photo: Any
) -> None:
    from PIL import Image

    for name in names:
        (tmp_path / "source" / name).mkdir(parents=True)
        Image.fromarray(photo).save(tmp_path / "source" / name / "1.png")

    _assert_refused(augmill("plan", write_spec(source={"folder": "source"})), "class name", code=2)


def test_all_mistakes_are_told_at_once(
    write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    spec = write_spec(seed=-1, copies="many", image={"size": [0, 32]}, augment=["tf.image.flip", {"one_of": ["a"]}])

    result = augmill("check", spec)

    assert result.code == 2
    assert "has 5 problems:" in result.err
    for place in ("seed", "copies", "image.size[0]", "augment[0].tf.image.flip", "augment[1].one_of[0].a"):
        assert f"\n  {place}: " in result.err


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder.mkdir(), "has no class folders; images belong in"),
        (lambda folder: (folder / "cat").mkdir(parents=True), "holds no image"),
        (lambda folder: folder.write_text("not a folder"), "is not a folder"),
    ],
)
def test_a_source_with_nothing_in_it_is_refused(
    make: Callable[[Path], Any], told: str, write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    make(tmp_path / "source")

    result = augmill("build", write_spec(source={"folder": "source"}), "--output", tmp_path / "out")

    _assert_refused(result, told, code=2)


def test_an_empty_class_among_others_is_named(
    write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path, photo_folder: Path
) -> None:
    import shutil

    shutil.copytree(photo_folder, tmp_path / "source")
    (tmp_path / "source/dog").mkdir()

    result = augmill("plan", write_spec(source={"folder": "source"}))

    _assert_refused(result, "without an image: dog; fill or remove them", code=2)


def test_a_missing_spec_is_named(augmill: Callable[..., Any], tmp_path: Path) -> None:
    _assert_refused(augmill("plan", tmp_path / "none.yaml"), "none.yaml: cannot be read: No such file", code=2)


def test_an_unknown_beam_option_is_refused(
    write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    result = augmill("build", write_spec(), "--output", tmp_path / "out", "--", "--direct_num_wokers=3")

    _assert_refused(result, "Beam has no option --direct_num_wokers", code=2)


def test_a_target_that_is_a_file_is_refused(
    write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file")

    result = augmill("build", write_spec(), "--output", tmp_path / "out/data")

    _assert_refused(result, f"{tmp_path / 'out'} is a file; choose another --output", code=3)


def _assert_refused(result: Any, told: str, *, code: int) -> None:
    assert result.code == code, result.err
    assert result.err.startswith("augmill: ")
    assert told in result.err
    assert len(result.err.splitlines()) == 1
    assert "Traceback" not in result.err


def _may_mount() -> bool:
    """Whether this system lets us mount a file system of our own, in a namespace of our own."""
    try:
        done = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


needs_mounts = pytest.mark.skipif(not _may_mount(), reason="needs unshare -rm and tmpfs")


def _in_a_small_disk(
    options: str, script: str, folder: Path, spec: Path, workers: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run a script with a file system of its own mounted at $DISK."""
    disk = folder / "disk"
    disk.mkdir()
    command = f'set -u; mount -t tmpfs -o {options} none "$DISK"; {script}'
    environment = {
        **os.environ,
        "DISK": str(disk),
        "BUILD": f"{sys.executable} -m augmill.scripts.cli build {spec} --workers {workers} --output {disk}",
    }
    return subprocess.run(
        ["unshare", "-rm", "bash", "-c", command], capture_output=True, text=True, env=environment, timeout=300
    )


@needs_mounts
def test_a_target_that_may_not_be_written_is_refused(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    done = _in_a_small_disk("ro,size=1m", "$BUILD", tmp_path, write_spec())

    assert done.returncode == 3, done.stderr
    assert f"cannot write to {tmp_path / 'disk'}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@needs_mounts
def test_a_disk_that_is_too_small_is_refused_before_the_job(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    done = _in_a_small_disk("size=100k", '$BUILD; code=$?; find "$DISK" -type f; exit $code', tmp_path, write_spec())

    assert done.returncode == 3, done.stderr
    assert "the version needs about" in done.stderr
    assert "100.0 kB" in done.stderr or "102.4 kB" in done.stderr
    assert str(tmp_path / "disk") not in done.stdout


@needs_mounts
@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_fills_up_ends_the_job_and_room_ends_it_well(
    write_spec: Callable[..., Path], tmp_path: Path, workers: int
) -> None:
    script = """
        $BUILD & build=$!
        until [ -d "$DISK"/crops/1.0.0.building/rows ]; do sleep 0.05; done
        cat /dev/zero > "$DISK"/filler 2> /dev/null
        wait $build; echo "ended with $?"
        ls "$DISK"/crops
        rm "$DISK"/filler
        $BUILD > /dev/null; echo "then with $?"
        ls "$DISK"/crops
    """
    done = _in_a_small_disk("size=4m", script, tmp_path, write_spec(), workers)

    assert "No space left on device" in done.stderr
    assert "the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("48 examples")]
    assert lines == ["ended with 3", "1.0.0.building", "then with 0", "1.0.0", "LATEST"]
