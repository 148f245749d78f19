"""Builds that are killed at random moments, each ended by the same command in the bytes of an undisturbed one.

    python tests/kills.py --kills 200 --seed 7

Each kill is named by its seed, which draws the mode, the moment and who is killed: `--only SEED` does one again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from conftest import read_photos, write_photo_folder
from tqdm import tqdm

from augmill.pipeline import Version

WORKERS = (1, 2)  # one works within the driver, two are processes of their own
VICTIMS = ("launcher", "driver", "worker", "launcher and driver", "launcher and worker", "everyone")
_AT_WORK = 0.6  # of the kills come after the first block stands, the others at any moment
SPEC = """
name: kills
version: 1.0.0
seed: 5
source: {{folder: {photos}}}
splits: {{train: 0.8, test: 0.2}}
image: {{size: [96, 96], encoding: jpeg}}
copies: 40
block_examples: 4
augment:
  - tf.image.random_flip_left_right
  - tf.image.random_brightness: {{max_delta: 0.2}}
  - keras.layers.RandomRotation: {{factor: 0.1}}
"""


class Kill(NamedTuple):
    """One kill and what came of it."""

    seed: str
    workers: int
    victim: str
    moment: float  # seconds from the build's start
    finished: int  # blocks that stood then
    ended: int  # the launcher's exit code
    problems: list[str]

    @property
    def in_time(self) -> bool:
        """Whether there was a build to be killed."""
        return self.ended != 0

    def line(self) -> str:
        told = "; ".join(self.problems) or "the same bytes"
        return (
            f"seed {self.seed}: {self.workers} worker(s), {self.victim} killed after {self.moment:.2f} s with "
            f"{self.finished} blocks done, exit code {self.ended}; run again: {told}"
        )


class Suite:
    """Builds over one folder of photos, and what they make when nothing disturbs them."""

    def __init__(self, photos: Path, folder: Path) -> None:
        self._folder = folder
        self._spec = folder / "kills.yaml"
        self._spec.write_text(SPEC.format(photos=photos))
        self._wanted: dict[str, str] = {}
        self._seconds: dict[int, tuple[float, float]] = {}  # of a whole build, and from its first block to its end
        for workers in WORKERS:
            output = folder / f"undisturbed-{workers}"
            began, launcher = time.monotonic(), self._start(workers, output)
            _wait_for_a_block(launcher, output)
            first = time.monotonic()
            _, errors = launcher.communicate()
            assert launcher.returncode == 0, errors
            self._seconds[workers] = (time.monotonic() - began, time.monotonic() - first)
            made = contents(output / "kills/1.0.0")
            assert self._wanted in ({}, made), "one worker and two made other bytes"
            self._wanted = made

    def kill(self, seed: str) -> Kill:
        """Start a build, kill some of it at a moment that the seed draws, and run the same command again."""
        drawn = random.Random(seed)
        workers, victim = drawn.choice(WORKERS), drawn.choice(VICTIMS)
        at_work, share = drawn.random() < _AT_WORK, drawn.random()
        output = self._folder / f"killed-{seed}"
        problems = list[str]()
        try:
            launcher = self._start(workers, output)
            began = time.monotonic()
            whole, working = self._seconds[workers]
            if at_work:
                _wait_for_a_block(launcher, output)
            with contextlib.suppress(subprocess.TimeoutExpired):
                launcher.wait(share * (working if at_work else whole))
            family = _end(launcher, victim, drawn)
            moment = time.monotonic() - began
            finished = len(list(output.glob("kills/*.building/rows/0*.json")))
            problems += self._seen_by_a_reader(output)
            _, errors = launcher.communicate(timeout=120)
            problems += _told_badly(launcher.returncode, errors)
            _, alive = psutil.wait_procs(family, timeout=20)
            problems += [f"{process} lives on" for process in alive]

            again = self._run(workers, output)
            if again.returncode:
                problems.append(f"run again, exit code {again.returncode}: {again.stderr}")
            else:
                problems += self._differs(output)
            return Kill(seed, workers, victim, moment, finished, launcher.returncode, problems)
        finally:
            shutil.rmtree(output, ignore_errors=True)

    def _command(self, workers: int, output: Path) -> list[str]:
        build = [sys.executable, "-m", "augmill.scripts.cli", "build", str(self._spec)]
        return [*build, "--workers", str(workers), "--output", str(output)]

    def _start(self, workers: int, output: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(self._command(workers, output), stdout=-1, stderr=-1, text=True)

    def _run(self, workers: int, output: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._command(workers, output), capture_output=True, text=True, timeout=300)

    def _seen_by_a_reader(self, output: Path) -> list[str]:
        """A version either is not there or is whole, at any moment."""
        target = output / "kills/1.0.0"
        return self._differs(output, tidy=False) if target.exists() else []

    def _differs(self, output: Path, *, tidy: bool = True) -> list[str]:
        target, problems = output / "kills/1.0.0", list[str]()
        problems += [f"{file} {wrong}" for file, wrong in Version(target).verify() if wrong]
        made = contents(target)
        names = sorted(name for name in made.keys() | self._wanted.keys() if made.get(name) != self._wanted.get(name))
        problems += [f"{name} differs from the undisturbed build's" for name in names]
        if tidy:
            strays = sorted(path.name for path in target.parent.iterdir() if path != target)
            problems += [f"{name} is left beside the version" for name in strays if name not in ("LATEST",)]
        return problems


def _wait_for_a_block(launcher: subprocess.Popen[str], output: Path) -> None:
    rows = output / "kills/1.0.0.building/rows"
    while launcher.poll() is None and not list(rows.glob("0*.json")):
        time.sleep(0.01)


def contents(version: Path) -> dict[str, str]:
    """Every file of a version with its digest; of the manifest, all but how and when it was built."""
    found = {
        path.relative_to(version).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in version.rglob("*")
        if path.is_file()
    }
    manifest = json.loads((version / "augmill.json").read_text())
    found["augmill.json"] = json.dumps(
        {name: manifest[name] for name in ("digest", "splits", "effects", "spec_digest")}
    )
    return found


def _end(launcher: subprocess.Popen[str], victim: str, drawn: random.Random) -> list[psutil.Process]:
    """Kill who is to be killed, as far as there is one; return all processes of the build."""
    try:
        family = psutil.Process(launcher.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    lines = {process: _command_line(process) for process in family}
    drivers = [process for process, line in lines.items() if "augmill.pipeline.driver" in line]
    workers = [process for process, line in lines.items() if "sdk_worker_main" in line and "/bin/sh" not in line]
    dying: list[Any] = []
    if victim == "everyone":
        dying = [launcher, *family]
    else:
        dying += [launcher] * ("launcher" in victim)
        dying += drivers * ("driver" in victim)
        dying += [drawn.choice(workers or drivers or [launcher])] * ("worker" in victim)
    for process in dying:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return family


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


def _told_badly(code: int, errors: str) -> list[str]:
    """What is wrong with how a launcher ended: killed, done, or with a message that says what to do."""
    if code in (-9, 0):
        return []
    if code == 3 and "the same command" in errors and "Traceback" not in errors:
        return []
    return [f"the launcher ended with {code}: {errors}"]


def killed(photos: Path, folder: Path, seed: str, kills: int) -> Iterator[Kill]:
    """Kill builds until so many have been killed in time; those that ended before are yielded too."""
    suite, number = Suite(photos, folder), 0
    while kills:
        kill = suite.kill(f"{seed}-{number}")
        kills -= kill.in_time
        number += 1
        yield kill


def main(say: Callable[[str], None] = tqdm.write) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", default=str(int(time.time())))
    options.add_argument("--only", metavar="SEED", help="one kill, by its seed")
    given = options.parse_args()
    done = list[Kill]()
    with tempfile.TemporaryDirectory() as name, tqdm(total=given.kills, unit="kill", disable=None) as bar:
        folder = Path(name)
        photos = write_photo_folder(folder / "photos", read_photos(), 16)
        once = given.only and iter([Suite(photos, folder).kill(given.only)])
        for kill in once or killed(photos, folder, given.seed, given.kills):
            say(kill.line())
            bar.update(kill.in_time)
            done.append(kill)
    for line in summary(done):
        say(line)
    return 1 if any(kill.problems for kill in done) else 0


def summary(done: list[Kill]) -> Iterator[str]:
    """What came of all kills, in lines."""
    hit = [kill for kill in done if kill.in_time]
    for (victim, workers), count in sorted(Counter((kill.victim, kill.workers) for kill in hit).items()):
        yield f"{victim} of a build by {workers}: {count}"
    early = sum(not kill.finished for kill in hit)
    wrong = [kill for kill in done if kill.problems]
    yield f"{len(hit)} builds killed, {early} of them before a block was done, and {len(done) - len(hit)} too late"
    yield f"{len(done) - len(wrong)} ended in the same bytes, {len(wrong)} did not"
    yield from (f"  {kill.line()}" for kill in wrong)


if __name__ == "__main__":
    sys.exit(main())
