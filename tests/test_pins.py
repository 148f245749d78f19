"""What is pinned stays, whoever removes it; what a dead process pinned is free."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from augmill.pipeline.errors import CacheError
from augmill.pipeline.pins import Pins, in_use, sweep_pins


def test_a_pinned_file_outlives_its_name(tmp_path: Path) -> None:
    file = tmp_path / "abc"
    file.write_bytes(b"data")
    pins = Pins(tmp_path / "pins")

    path = pins.add(file, "abc")
    assert in_use(file.stat())
    file.unlink()

    assert path is not None
    assert path.read_bytes() == b"data"
    assert pins.path("abc") == path
    pins.remove("abc")
    assert pins.path("abc") is None
    pins.remove("abc")
    assert pins.add(file, "abc") is None


def test_two_users_pin_the_same_file_by_paths_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "abc"
    file.write_bytes(b"data")
    first, second = Pins(tmp_path / "pins"), Pins(tmp_path / "pins")

    assert first.add(file, "abc") == first.add(file, "abc") != second.add(file, "abc")
    first.close()
    assert in_use(file.stat())
    second.close()
    assert not in_use(file.stat())
    assert list((tmp_path / "pins").iterdir()) == []


def test_only_what_the_dead_have_pinned_is_swept(tmp_path: Path) -> None:
    file = tmp_path / "abc"
    file.write_bytes(b"data")
    mine = Pins(tmp_path / "pins")
    mine.add(file, "abc")
    code = (
        "import sys, time; from pathlib import Path; from augmill.pipeline.pins import Pins\n"
        f"pins = Pins(Path({str(tmp_path / 'pins')!r})); pins.add(Path({str(file)!r}), 'abc')\n"
        "print('pinned', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "pinned\n"

    sweep_pins(tmp_path / "pins")
    assert file.stat().st_nlink == 3
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    sweep_pins(tmp_path / "pins")

    assert file.stat().st_nlink == 2
    assert mine.path("abc") is not None


def test_a_file_system_without_links_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    (tmp_path / "abc").write_bytes(b"data")

    with pytest.raises(CacheError, match="a cache needs a file system with hard links"):
        Pins(tmp_path / "pins").add(tmp_path / "abc", "abc")
