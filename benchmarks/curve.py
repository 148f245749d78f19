"""augmill as the dataset grows: python -m benchmarks.curve

The recipe photo by fast kernels, with 1 worker and with 2, and the same with a function of one's own at its end, for
which every worker must import TensorFlow.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import dataset, machine, results
from benchmarks.measure import Run, RunError, run_contender, use_cores
from benchmarks.plot import check_matplotlib, draw_curve
from benchmarks.recipes import RECIPES
from benchmarks.report import write_report
from benchmarks.run import DOCS, WORK

RECIPE = RECIPES["photo"]
RECORDS = (1_000, 10_000, 100_000)
_QUICK = (64, 128)
_OWN_OP = "benchmarks.own_op:darken"


class Point(NamedTuple):
    """One place on the curve."""

    records: int
    workers: int
    tensorflow: bool

    @property
    def name(self) -> str:
        return f"{self.records} records, {self.workers} workers{', TensorFlow' * self.tensorflow}"


def main() -> None:
    """Measure every point in turn, as many times as there are rounds, and write the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curve", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", help=f"{', '.join(map(str, RECORDS))} unless given")
    parser.add_argument("--kernels", default="fast")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--docs", type=Path, help="for the results; docs/ unless --quick, then WORK/docs")
    parser.add_argument("--quick", action="store_true", help="one round of a few images, to see that all works")
    given = parser.parse_args()
    check_matplotlib()
    rounds = 1 if given.quick else given.rounds
    docs = given.docs or (given.work / "docs" if given.quick else DOCS)
    chosen = list(points(given.records or (_QUICK if given.quick else RECORDS)))
    use_cores(max(point.workers for point in chosen))
    runs: dict[Point, list[dict[str, Any]]] = {point: [] for point in chosen}
    for turn in range(rounds):
        for point in chosen if turn % 2 == 0 else reversed(chosen):
            run = _run(point, given.kernels, given.work)
            runs[point].append(run.to_json())
            print(
                f"round {turn + 1}: {point.name}: {run.records / run.whole_seconds:,.0f} records/s in all", flush=True
            )
    facts = machine.facts(max(point.workers for point in chosen))
    whole: dict[str, Any] = {}
    for point, mine in runs.items():
        kept = {**point._asdict(), "kernels": given.kernels, "machine": facts, "runs": mine}
        whole = results.merge(docs, "curve", point.name, kept)
    draw_curve(whole["curve"], docs)
    write_report(docs, template=DOCS)
    print(f"written to {docs}")


def points(records: tuple[int, ...]) -> Iterator[Point]:
    """Every combination, the small ones first."""
    for count in sorted(records):
        for workers in (1, 2):
            for tensorflow in (False, True):
                yield Point(count, workers, tensorflow)


def _run(point: Point, kernels: str, work: Path) -> Run:
    source = dataset.source(RECIPE, point.records // RECIPE.copies, work)
    options = {"kernels": kernels, **({"more": _OWN_OP} if point.tensorflow else {})}
    output = work / "output"
    shutil.rmtree(output, ignore_errors=True)
    try:
        return run_contender("augmill_build", "photo", source, output, workers=point.workers, options=options)
    finally:
        shutil.rmtree(output, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except RunError as error:
        sys.exit(f"benchmarks.curve: {error}")
