"""Training from a version beside augmentation in the input pipeline: python -m benchmarks.training

The recipe photo, in epochs of the same number of images: how fast images come when nothing is done with them, and how
long an epoch takes with a small network on the same cores, and with a wait in place of a GPU's step.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks import machine, results
from benchmarks.forms import FORMS
from benchmarks.loaders import TRAINERS
from benchmarks.loading_plot import draw_training
from benchmarks.loading_report import write_loading_report
from benchmarks.measure import RunError, use_cores
from benchmarks.plot import check_matplotlib
from benchmarks.turns import BATCH, docs_for, parser, run_loader, take_turns

RECORDS = 8_000  # of the version, 4 copies of each photo
STEP_MILLISECONDS = 25  # of a GPU, a batch
_COPIES = 4
_QUICK = 320
UNDER = ("nothing", "network", "wait")


def main() -> int:
    """Measure, tell of each run, and write the document; 1 where one failed."""
    given = _arguments()
    check_matplotlib()
    use_cores(given.workers)
    records = given.records or (_QUICK if given.quick else RECORDS)
    chosen = given.trainer or list(TRAINERS)
    data = {name: FORMS[TRAINERS[name].form](records, given.work) for name in chosen}
    kept: dict[str, Any] = {"images": records // _COPIES, "batch": BATCH, "rounds": given.rounds}
    kept |= {"workers": given.workers, "milliseconds": STEP_MILLISECONDS, "trainers": {name: {} for name in chosen}}
    failures = 0
    for under in UNDER:
        print(f"with {under}:")
        runs, failed = take_turns(
            chosen, given.rounds, lambda name, under=under: measured(name, under, data[name], records, given), _told
        )
        failures += len(failed)
        for name, mine in runs.items():
            kept["trainers"][name][under] = mine
    docs = docs_for(given, whole=not given.trainer and not failures)
    whole = results.merge(docs, "training", "photo", {**kept, "machine": machine.facts(given.workers)})
    draw_training(whole["training"]["photo"], docs)
    write_loading_report(docs)
    print(f"written to {docs}")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    found = parser("training", __doc__, records=RECORDS)
    found.add_argument("--trainer", nargs="+", choices=TRAINERS, help="all unless given")
    given = found.parse_args()
    if given.quick:
        given.rounds = 1
    return given


def measured(name: str, under: str, data: Path, records: int, given: argparse.Namespace) -> dict[str, Any]:
    """Run one way of training.

    Raises:
      RunError: it failed, or an epoch had not as many images as it must have.
    """
    trainer = TRAINERS[name]
    epochs = trainer.epochs if under == "nothing" else 1
    more = {"under": under, "epochs": str(epochs), "milliseconds": str(STEP_MILLISECONDS)}
    run = run_loader("train", data, workers=given.workers, options={**trainer.options, **more})
    wanted = epochs * records // _COPIES
    if run["records"] != wanted:
        raise RunError(f"it read {run['records']} images, not {wanted}")
    return run


def _told(run: dict[str, Any]) -> str:
    seconds, busy = run["seconds"] / run["epochs"], run["cpu_seconds"] / run["epochs"]
    return f"{run['records'] / run['seconds']:,.0f} images/s, an epoch {seconds:.2f} s, of processor {busy:.2f} s"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RunError as error:
        sys.exit(f"benchmarks.training: {error}")
