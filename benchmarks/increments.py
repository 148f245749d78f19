"""What a version over a source that grew takes, beside one from scratch: `python -m benchmarks.increments`.

A version of the first images is built once. Then, in turns, one of all images is built from scratch and one that reuses
what the first holds. Both are whole commands, bound to the same cores; both must give the same data.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.dataset import source
from benchmarks.measure import REPOSITORY, RunError, use_cores
from benchmarks.recipes import RECIPES, Recipe

_SAMPLE_SECONDS = 0.05


def main() -> None:
    """Measure, and print a table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=RECIPES, action="append", help="which; by default photo")
    parser.add_argument("--kernels", choices=("fast", "reference"), default="fast")
    parser.add_argument("--copies", type=int, help="renditions of each image; by default the recipe's")
    parser.add_argument("--images", type=int, default=10_000, help="of the earlier version")
    parser.add_argument("--more", type=float, default=0.05, help="share of new ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build" / "benchmarks")
    given = parser.parse_args()
    use_cores(given.workers)
    print("| recipe | copies | from scratch | increment | time | processor time | at work | reused |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in given.recipe or ["photo"]:
        print(_row(name, _measure(RECIPES[name], given), given.copies or RECIPES[name].copies), flush=True)


def _measure(recipe: Recipe, given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Every round's two builds."""
    folders = [source(recipe, images, given.work) for images in (given.images, round(given.images * (1 + given.more)))]
    work = given.work / f"increments-{os.getpid()}"
    found: dict[str, list[dict[str, Any]]] = {"scratch": [], "increment": []}
    try:
        _build(recipe, folders[0], "1.0.0", work / "increment", given)
        for turn in range(given.rounds):
            for kind in ("scratch", "increment") if turn % 2 == 0 else ("increment", "scratch"):
                found[kind].append(_build(recipe, folders[1], "1.1.0", work / kind, given))
                shutil.rmtree(work / kind / "benchmark" / "1.1.0")
            if found["scratch"][-1]["digest"] != found["increment"][-1]["digest"]:
                raise RunError("the increment is not what a build from scratch makes")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return found


def _build(recipe: Recipe, folder: Path, version: str, output: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Build one version by a command of its own; return its seconds, its processor seconds, and what it says."""
    output.mkdir(parents=True, exist_ok=True)
    spec = {**recipe.spec(folder, kernels=given.kernels), "version": version}
    spec["copies"] = given.copies or recipe.copies
    (output / "spec.yaml").write_text(yaml.safe_dump(spec))
    command = [sys.executable, "-m", "augmill.scripts.cli", "build", str(output / "spec.yaml"), "--output", str(output)]
    started = time.monotonic()
    with subprocess.Popen(
        [*command, "--workers", str(given.workers)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        used = _watch(psutil.Process(process.pid), process)
        seconds = time.monotonic() - started
        assert process.stderr is not None
        if process.returncode:
            raise RunError(process.stderr.read())
    manifest = json.loads((output / "benchmark" / version / "augmill.json").read_text())
    built = manifest["build"]
    job = {"at_work": built["job_seconds"], "reused": built["reused"], "digest": manifest["digest"]}
    return {"seconds": seconds, "processor": used, **job}


def _watch(root: psutil.Process, process: subprocess.Popen[str]) -> float:
    """Wait for a command; return the processor time of all its processes, as it was when each was last seen."""
    used: dict[int, float] = {}
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    times = one.cpu_times()
                    used[one.pid] = max(used.get(one.pid, 0.0), times.user + times.system)
        time.sleep(_SAMPLE_SECONDS)
    return sum(used.values())


def _row(name: str, found: dict[str, list[dict[str, Any]]], copies: int) -> str:
    def ratio(what: str) -> str:
        pairs = zip(found["scratch"], found["increment"], strict=True)
        ratios = sorted(increment[what] / scratch[what] for scratch, increment in pairs)
        return f"**{statistics.median(ratios):.0%}** ({ratios[0]:.0%} to {ratios[-1]:.0%})"

    def of(kind: str) -> str:
        seconds, used = (statistics.median(run[what] for run in found[kind]) for what in ("seconds", "processor"))
        return f"{seconds:.1f} s, {used:.1f} s of processors"

    reused = found["increment"][0]["reused"] or {"examples": 0, "records": 0}
    shares = f"{reused['examples']:,} examples, {reused['records']:,} records"
    ratios = " | ".join(ratio(what) for what in ("seconds", "processor", "at_work"))
    return f"| {name} | {copies} | {of('scratch')} | {of('increment')} | {ratios} | {shares} |"


if __name__ == "__main__":
    main()
