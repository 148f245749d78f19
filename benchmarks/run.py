"""Every contender on every recipe, side by side: python -m benchmarks.run

The contenders take turns, in another order each round, so that what else the machine does meets all of them alike.
Needs the extra `benchmarks`; a peer that is not installed is left out, and said to be.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks import dataset, machine, results
from benchmarks.contenders import CONTENDERS, Contender, images_of, missing
from benchmarks.measure import REPOSITORY, RunError, run_contender, use_cores
from benchmarks.plot import check_matplotlib, draw_recipes
from benchmarks.recipes import RECIPES
from benchmarks.report import write_report

WORK = REPOSITORY / "benchmarks/.work"
DOCS = REPOSITORY / "docs"
LEAST_ROUNDS = 5  # of a result that is kept in the docs


def main() -> int:
    """Measure, tell of each run, and write the document; 1 where a contender failed."""
    given = _arguments()
    check_matplotlib()
    use_cores(given.workers)
    chosen = {name: CONTENDERS[name] for name in given.contender or CONTENDERS}
    docs = given.docs or (DOCS if _is_whole(given) else given.work / "docs")
    failures = 0
    for recipe in given.recipe or RECIPES:
        measured, failed = _measure(recipe, chosen, given)
        failures += len(failed)
        if measured:
            kept = {
                "rounds": given.rounds,
                "workers": given.workers,
                "machine": machine.facts(given.workers),
                "contenders": measured,
            }
            whole = results.merge(docs, "recipes", recipe, kept)
            draw_recipes(whole["recipes"], docs)
            write_report(docs, template=DOCS)
            print(f"{recipe}: written to {docs}")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, help="all unless given")
    parser.add_argument("--contender", nargs="+", choices=CONTENDERS, help="all unless given")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS)
    parser.add_argument("--share", type=float, default=1.0, help="of the images, for a shorter run")
    parser.add_argument("--workers", type=int, default=2, help="cores, and processes")
    parser.add_argument("--work", type=Path, default=WORK, help="for sources and what is built")
    parser.add_argument(
        "--docs", type=Path, help="for the results; docs/ where all contenders have 5 rounds, else WORK/docs"
    )
    parser.add_argument("--quick", action="store_true", help="one round of a few images, to see that all works")
    given = parser.parse_args()
    if given.quick:
        given.rounds = 1
    return given


def _is_whole(given: argparse.Namespace) -> bool:
    return not given.quick and not given.contender and given.rounds >= LEAST_ROUNDS


def _measure(
    recipe: str, chosen: dict[str, Contender], given: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, str]]:
    """Run the contenders of one recipe in turn; return the runs of those that did all, and why others failed."""
    able = {name: one for name, one in chosen.items() if images_of(one, recipe) and not _tell_missing(name, one)}
    sources = {
        name: dataset.source(RECIPES[recipe], _images(one, recipe, given), given.work) for name, one in able.items()
    }
    runs: dict[str, list[Any]] = {name: [] for name in able}
    failed: dict[str, str] = {}
    for turn in range(given.rounds):
        for name in rotated(list(able), turn):
            if name in failed:
                continue
            try:
                runs[name].append(_run(recipe, able[name], sources[name], given).to_json())
            except RunError as error:
                failed[name] = str(error)
                print(f"{recipe}: {name} is left out: {error}", file=sys.stderr)
                continue
            _tell(recipe, turn, name, runs[name][-1])
    return {name: mine for name, mine in runs.items() if name not in failed}, failed


def _images(contender: Contender, recipe: str, given: argparse.Namespace) -> int:
    return max(16, round(given.share * images_of(contender, recipe, quick=given.quick)))


def rotated(names: list[str], turn: int) -> list[str]:
    """The order of one round: each begins with the next contender."""
    first = turn % len(names) if names else 0
    return names[first:] + names[:first]


def _run(recipe: str, contender: Contender, source: Path, given: argparse.Namespace) -> Any:
    """Run a contender once; what it wrote is counted and thrown away.

    Raises:
      RunError: it failed, or did not write what it was asked for.
    """
    output = given.work / "output"
    shutil.rmtree(output, ignore_errors=True)
    try:
        run = run_contender(
            contender.module, recipe, source, output, workers=given.workers, options=dict(contender.options or {})
        )
    finally:
        shutil.rmtree(output, ignore_errors=True)
    wanted = _images(contender, recipe, given) * RECIPES[recipe].copies
    if run.records != wanted:
        raise RunError(f"it wrote {run.records} records, not {wanted}")
    return run


def _tell_missing(name: str, contender: Contender) -> list[str]:
    lacks = missing(contender)
    if lacks:
        print(f"{name} is left out: {', '.join(lacks)} is not installed (scripts/environment benchmarks)")
    return lacks


def _tell(recipe: str, turn: int, name: str, run: dict[str, Any]) -> None:
    work, whole = run["records"] / run["work_seconds"], run["records"] / run["whole_seconds"]
    told = f"{work:,.0f} records/s at work, {whole:,.0f} in all, {run['peak'] / 1e9:.2f} GB"
    print(f"{recipe}, round {turn + 1}: {name}: {run['records']:,} records, {told}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
