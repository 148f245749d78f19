"""One run of a command: its whole time, and the most memory that each process of its tree ever held."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

REPOSITORY = Path(__file__).parent.parent
_SAMPLE_SECONDS = 0.1
_LAST_LINES = 15
# What a process is, by a word of its command line; the first that fits.
_ROLES = (
    ("augmill.pipeline.driver", "driver"),
    ("augmill.scripts.cli", "launcher"),
    ("sdk_worker_main", "worker"),
    ("benchmarks.contenders", "contender"),
    ("benchmarks.loaders", "contender"),
)
_QUIET = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "NO_ALBUMENTATIONS_UPDATE": "1",  # it would ask a server for news of itself
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class RunError(Exception):
    """A contender failed; the message ends with what it said last."""


@dataclass(frozen=True)
class Run:
    """One run of one contender.

    Attributes:
      records: written. work_seconds: from the first image taken to the last record written, by the contender's clock.
      whole_seconds: of the command. bytes: of all that it wrote.
      peak: the most resident memory that all processes held together, in bytes.
      peaks: (role, most resident memory of one process in bytes), greatest first.
    """

    records: int
    work_seconds: float
    whole_seconds: float
    bytes: int
    peak: int
    peaks: tuple[tuple[str, int], ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def use_cores(count: int) -> None:
    """Bind this process, and all that it starts, to `count` cores.

    Raises:
      RunError: there are fewer.
    """
    if not hasattr(os, "sched_getaffinity"):
        return  # this system does not bind processes to cores
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        raise RunError(f"{count} workers need a core each, and this process may use {len(cores)}; give --workers")
    os.sched_setaffinity(0, cores[:count])


class Told(NamedTuple):
    """What a command said in its last line, how long it took in all, and what memory its processes held at most."""

    values: dict[str, Any]
    seconds: float
    peak: int
    peaks: tuple[tuple[str, int], ...]


def run_contender(
    module: str, recipe: str, source: Path, output: Path, *, workers: int, options: Mapping[str, str] | None = None
) -> Run:
    """Run one contender as a process of its own.

    Raises:
      RunError: it failed.
    """
    arguments = ["--recipe", recipe, "--source", str(source), "--output", str(output), "--workers", str(workers)]
    told = run_module(f"benchmarks.contenders.{module}", [*arguments, *option_arguments(options)])
    written = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    return Run(told.values["records"], told.values["seconds"], told.seconds, written, told.peak, told.peaks)


def option_arguments(options: Mapping[str, str] | None) -> list[str]:
    """Options as a contender's command line has them."""
    return [part for name, value in (options or {}).items() for part in ("--option", f"{name}={value}")]


def run_module(module: str, arguments: Sequence[str]) -> Told:
    """Run a module of the repository as a process of its own; its last line must be JSON.

    Raises:
      RunError: it failed.
    """
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **_QUIET},
            stdout=said,
            stderr=complained,
            start_new_session=True,
        )
        memory = _Memory(process.pid)
        try:
            while process.poll() is None:
                memory.sample()
                time.sleep(_SAMPLE_SECONDS)
            seconds = time.monotonic() - started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            name = module.rpartition(".")[2]
            raise RunError(f"{name} ended with code {process.returncode}:\n{_last_lines(complained, _LAST_LINES)}")
        return Told(json.loads(_last_lines(said, 1)), seconds, memory.most, memory.peaks())


def _last_lines(file: Any, count: int) -> str:
    file.seek(0)
    return "\n".join(file.read().strip().splitlines()[-count:])


class _Memory:
    """The most resident memory of a process and all below it; what processes share counts in each of them."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._roles: dict[int, str] = {}
        self._most: dict[int, int] = {}
        self.most = 0

    def sample(self) -> None:
        """Look at every process once."""
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [self._root, *self._root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    held = process.memory_info().rss
                    total += held
                    self._most[process.pid] = max(held, self._most.get(process.pid, 0))
                    if process.pid not in self._roles:
                        self._roles[process.pid] = _role(" ".join(process.cmdline()))
        self.most = max(self.most, total)

    def peaks(self) -> tuple[tuple[str, int], ...]:
        """(role, most memory) of each process, greatest first."""
        found = [(self._roles.get(pid, "other"), held) for pid, held in self._most.items()]
        return tuple(sorted(found, key=lambda one: -one[1]))


def _role(command: str) -> str:
    return next((role for word, role in _ROLES if word in command), "other")
