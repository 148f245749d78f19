"""What the benchmarks of loaders share: their arguments, and contenders that take turns as processes of their own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import RunError, option_arguments, run_module
from benchmarks.run import DOCS, LEAST_ROUNDS, WORK, rotated

BATCH = 64


def parser(command: str, description: str | None, *, records: int) -> argparse.ArgumentParser:
    """The arguments that all of these commands have."""
    found = argparse.ArgumentParser(prog=f"python -m benchmarks.{command}", description=description)
    found.add_argument("--records", type=int, help=f"of the version that is read; {records:,} unless given")
    found.add_argument("--rounds", type=int, default=LEAST_ROUNDS)
    found.add_argument("--workers", type=int, default=2, help="cores, and processes of loaders that have such")
    found.add_argument("--work", type=Path, default=WORK, help="for sources and versions")
    found.add_argument("--docs", type=Path, help="for the results; docs/ where the run is whole, else WORK/docs")
    found.add_argument("--quick", action="store_true", help="one round of a few records, to see that all works")
    return found


def docs_for(given: argparse.Namespace, *, whole: bool) -> Path:
    """Where results go: into the docs from a run of all contenders with enough rounds of the usual records alone."""
    kept = whole and not given.quick and given.records is None and given.rounds >= LEAST_ROUNDS
    return given.docs or (DOCS if kept else given.work / "docs")


def take_turns(
    names: list[str], rounds: int, run: Callable[[str], dict[str, Any]], told: Callable[[dict[str, Any]], str]
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Run each name once a round, each round beginning with another.

    Args:
      run: runs a contender by its name. told: says in a line what a run showed.

    Returns:
      The runs of those that did all rounds, and why the others failed.
    """
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for turn in range(rounds):
        for name in rotated(names, turn):
            if name in failed:
                continue
            try:
                runs[name].append(run(name))
            except RunError as error:
                failed[name] = str(error)
                print(f"{name} is left out: {error}", file=sys.stderr)
                continue
            print(f"round {turn + 1}: {name}: {told(runs[name][-1])}", flush=True)
    return {name: mine for name, mine in runs.items() if name not in failed}, failed


def run_loader(
    module: str, data: Path, *, workers: int, options: Mapping[str, str] | None = None, batch: int = BATCH
) -> dict[str, Any]:
    """Run a module of `benchmarks.loaders` as a process of its own.

    Returns:
      What it told, with `peak`, the most memory that all its processes held together, in bytes.

    Raises:
      RunError: it failed.
    """
    arguments = ["--data", str(data.resolve()), "--batch", str(batch), "--workers", str(workers)]
    told = run_module(f"benchmarks.loaders.{module}", [*arguments, *option_arguments(options)])
    return {**told.values, "whole_seconds": told.seconds, "peak": told.peak}
