"""The memory of augmill's loader over many epochs: python -m benchmarks.memory"""

from __future__ import annotations

import argparse
import sys

from benchmarks import machine, results
from benchmarks.forms import FORMS
from benchmarks.loading_plot import draw_memory
from benchmarks.loading_report import write_loading_report
from benchmarks.measure import RunError, use_cores
from benchmarks.plot import check_matplotlib
from benchmarks.turns import docs_for, parser, run_loader, take_turns

RECORDS = 20_000
EPOCHS = 20
_QUICK = 320


def main() -> int:
    """Measure, tell of each run, and write the document; 1 where it failed."""
    given = _arguments()
    check_matplotlib()
    use_cores(given.workers)
    data = FORMS["jpeg"](given.records or (_QUICK if given.quick else RECORDS), given.work)
    options = {"epochs": str(EPOCHS), "copies": "rotate"}
    runs, failed = take_turns(
        ["augmill"],
        given.rounds,
        lambda name: run_loader("many_epochs", data, workers=given.workers, options=options),
        lambda run: ", ".join(f"{held / 1e6:.0f}" for held in run["held"]) + " MB",
    )
    if runs:
        docs = docs_for(given, whole=True)
        kept = {"epochs": EPOCHS, "rounds": given.rounds, "machine": machine.facts(given.workers)}
        whole = results.merge(docs, "memory", "photo", {**kept, "runs": runs["augmill"]})
        draw_memory(whole["memory"]["photo"], docs)
        write_loading_report(docs)
        print(f"written to {docs}")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    given = parser("memory", __doc__, records=RECORDS).parse_args()
    if given.quick:
        given.rounds = 1
    return given


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RunError as error:
        sys.exit(f"benchmarks.memory: {error}")
