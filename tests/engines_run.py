"""Builds on real Flink and Spark clusters, undisturbed and disturbed, and says how each ended: `scripts/test-engines`.

Every build is the command itself, `augmill build`, as a process. All must end in the bytes that one local worker makes,
by themselves or when the same command is run again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import psutil
from clusters import REPOSITORY, Cluster, Flink, Spark, WorkerPool, all_of, missing
from conftest import read_photos

from augmill.pipeline import Version

_PATIENCE = 240.0  # seconds for a build
_DOCUMENT = (REPOSITORY / "docs/running.md").read_text("utf-8")
_SPEC = """
name: crops
version: 1.0.0
seed: 3
source: {folder: photos}
splits: {train: 0.75, test: 0.25}
image: {size: [64, 64], encoding: jpeg}
copies: 4
block_examples: 4
augment:
  - tf.image.random_flip_left_right
  - keras.layers.RandomRotation: {factor: 0.1}
  - unhurried:wait
"""
_OP = r"""
import os
import time
from pathlib import Path

import numpy as np


def wait(image: np.ndarray):
    time.sleep(0.03)
    with open(Path(__file__).with_name("calls"), "a") as calls:
        calls.write(f"{os.getpid()}\n")
    return 255 - image
"""


def main() -> None:
    """Run all, or the cases whose names hold a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="of the cases to run; all unless given")
    words = parser.parse_args().words
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the clusters are ended
    if missing():
        sys.exit(f"not installed: {missing()}; run scripts/engines")
    with tempfile.TemporaryDirectory(prefix="augmill-engines-") as folder:
        ended = _Runs(Path(folder)).run(words)
    print("\n".join(ended), flush=True)
    sys.exit(any("WRONG" in line for line in ended))


class _Runs:
    """The cases, which share a dataset and the digest that one local worker makes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.expected = folder, ""
        for name, image in read_photos().items():
            (folder / "photos" / name).mkdir(parents=True)
            for i in range(16):
                cv2.imwrite(str(folder / "photos" / name / f"{i}.jpg"), image[i : 200 + i, i : 260 + i, ::-1])
        (folder / "tmp").mkdir()
        (folder / "spec.yaml").write_text(_SPEC)
        (folder / "unhurried.py").write_text(_OP)

    def run(self, words: list[str]) -> list[str]:
        ended = [self._build("local, 1 worker", ["--workers", "1"])]
        for engine in ("flink", "spark"):
            victims = {"flink": "TaskManager", "spark": "executor"}[engine]
            cases: list[tuple[str, Callable[..., Any] | None]] = [
                (engine, None),
                (f"{engine}, {victims} killed", self._kill_task_manager if engine == "flink" else self._kill_executor),
                (f"{engine}, SDK worker killed", self._kill_sdk_worker),
                (f"{engine}, worker pool killed", self._kill_pool),
                (f"{engine}, launcher killed", self._kill_launcher),
                (f"{engine}, launcher interrupted", self._interrupt),
            ]
            if engine == "flink":
                ended += [self._build("local, 2 workers", ["--workers", "2"])]
                cases.append(("flink without restarts, TaskManager killed", self._kill_task_manager))
            for name, disturb in cases:
                if not words or any(word in name for word in words):
                    with self._up(engine, name) as (cluster, pool):
                        ended.append(self._build(name, self._flags(engine, cluster, pool), disturb, cluster, pool))
        return ended

    @contextmanager
    def _up(self, engine: str, name: str) -> Iterator[tuple[Any, WorkerPool]]:
        place = self.folder / name.replace(", ", "-").replace(" ", "-")
        restarts = 0 if "without restarts" in name else 3
        cluster = Flink(place / "flink", restarts=restarts) if engine == "flink" else Spark(place / "spark")
        pool = WorkerPool(place / "pool", workers=4)
        with all_of(cluster, pool):
            yield cluster, pool
        for process in psutil.process_iter(["cmdline"]):
            assert str(place) not in " ".join(process.info["cmdline"] or []), f"left behind: {process}"

    @staticmethod
    def _flags(engine: str, cluster: Any, pool: WorkerPool) -> list[str]:
        """Those of the command in docs/running.md, with this cluster's addresses."""
        command = next(
            line for line in _DOCUMENT.splitlines() if line.startswith("    augmill build") and engine in line
        )
        words = command.partition("--output data ")[2].split()
        here = {
            "jobmanager:8081": cluster.master,
            "spark://master:7077": cluster.master,
            "localhost:50000": f"localhost:{pool.port}",
        }
        return [str(REPOSITORY / word) if word.startswith(".engines/") else here.get(word, word) for word in words]

    def _build(
        self,
        name: str,
        flags: list[str],
        disturb: Callable[..., Any] | None = None,
        cluster: Cluster | None = None,
        pool: WorkerPool | None = None,
    ) -> str:
        """Build, disturbed or not, and again where that failed; tell how it went in a line."""
        output = self.folder / f"out-{name.replace(' ', '-')}"
        told, clock, launchers = [], time.monotonic(), set[str]()
        (self.folder / "calls").unlink(missing_ok=True)
        for attempt in range(3):
            process = self._start(output, flags)
            launchers.add(str(process.pid))  # it makes samples
            try:
                if disturb is not None and attempt == 0:
                    self._wait_for_rows(output, process)
                    disturb(process, cluster, pool)
                said = process.communicate(timeout=_PATIENCE)[0].strip()
            finally:
                process.kill()
            if process.returncode == 0:
                break
            told.append(f"failed with {process.returncode} after {time.monotonic() - clock:.0f} s: {said[-400:]!r}")
        seconds = time.monotonic() - clock
        version = output / "crops/1.0.0"
        digest = Version(version).manifest.digest if process.returncode == 0 else "no version"
        self.expected = self.expected or digest
        verdict = "same bytes" if digest == self.expected else f"WRONG: {digest}, expected {self.expected}"
        calls = Counter((self.folder / "calls").read_text().split())
        shares = " + ".join(str(count) for worker, count in calls.most_common() if worker not in launchers)
        left = [path.name for path in (self.folder / "tmp").iterdir()]
        if left:
            told.append(f"WRONG: left behind {left}")
        line = "; ".join([f"{name}: {verdict} after {seconds:.0f} s; renditions by worker {shares}", *told])
        print(line, flush=True)
        return line

    def _start(self, output: Path, flags: list[str]) -> subprocess.Popen[str]:
        command = [
            str(Path(sys.executable).with_name("augmill")),
            "build",
            "spec.yaml",
            "--output",
            str(output),
            *flags,
        ]
        return subprocess.Popen(
            [*command, "--stall-timeout", "90"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": str(self.folder / "tmp")},
        )

    @staticmethod
    def _wait_for_rows(output: Path, process: subprocess.Popen[str]) -> None:
        rows, end = output / "crops/1.0.0.building/rows", time.monotonic() + _PATIENCE
        while len(list(rows.glob("[0-9]*.json"))) < 2:
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < end, "no block was finished"
            time.sleep(0.05)

    @staticmethod
    def _kill_task_manager(process: subprocess.Popen[str], cluster: Flink, pool: WorkerPool) -> None:
        cluster.kill("task-manager-1")
        cluster.start_task_manager(2)  # as whatever watches over a cluster would

    @staticmethod
    def _kill_executor(process: subprocess.Popen[str], cluster: Spark, pool: WorkerPool) -> None:
        executors = []
        for child in psutil.Process(cluster.processes["worker"].pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "--executor-id" in child.cmdline():
                    executors.append(child)
        assert executors
        executors[0].kill()

    @staticmethod
    def _kill_sdk_worker(process: subprocess.Popen[str], cluster: Cluster, pool: WorkerPool) -> None:
        children = psutil.Process(pool.processes["pool"].pid).children()
        at_work = [child for child in children if any(file.path.endswith("at-work") for file in child.open_files())]
        assert at_work
        at_work[0].kill()

    @staticmethod
    def _kill_pool(process: subprocess.Popen[str], cluster: Cluster, pool: WorkerPool) -> None:
        """Its workers end with it; another is started at the same port, as whatever watches over it would."""
        pool.kill("pool")
        pool.start_pool()

    @classmethod
    def _interrupt(cls, process: subprocess.Popen[str], cluster: Any, pool: WorkerPool) -> None:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        assert not cluster.busy()

    @staticmethod
    def _kill_launcher(process: subprocess.Popen[str], cluster: Any, pool: WorkerPool) -> None:
        """Nothing of the job may be left soon after: the engine is told to cancel it."""
        process.send_signal(signal.SIGKILL)
        process.wait()
        cluster.wait_until("the end of the job", lambda: not cluster.busy())
        pool.wait_until("the end of the SDK workers", lambda: not psutil.Process(pool.processes["pool"].pid).children())


if __name__ == "__main__":
    main()
