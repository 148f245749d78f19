"""How fast datasets are read into training: python -m benchmarks.loading

augmill's loader beside tf.data, TFDS and webdataset, on the same records, in turn. With --tune it tries instead what
the hand-tuned tf.data pipeline may be tuned by, and prints what is fastest. Needs the extra `benchmarks`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks import machine, results
from benchmarks.contenders import not_installed
from benchmarks.forms import FORMS
from benchmarks.loaders import LOADERS, TUNED
from benchmarks.loading_plot import draw_loading
from benchmarks.loading_report import write_loading_report
from benchmarks.measure import RunError, use_cores
from benchmarks.plot import check_matplotlib
from benchmarks.turns import BATCH, docs_for, parser, run_loader, take_turns

RECORDS = 20_000
_QUICK = 320


def main() -> int:
    """Measure, tell of each run, and write the document; 1 where a loader failed."""
    given = _arguments()
    use_cores(given.workers)
    if given.tune:
        return _tune(given)
    check_matplotlib()
    chosen = [name for name in given.loader or LOADERS if not _tell_missing(name)]
    measured, failed = _measure(chosen, given)
    if measured:
        facts = machine.facts(given.workers)
        kept = {"records": _records(given), "batch": BATCH, "rounds": given.rounds, "workers": given.workers}
        docs = docs_for(given, whole=not given.loader)
        whole = results.merge(docs, "loading", "photo", {**kept, "machine": facts, "loaders": measured})
        draw_loading(whole["loading"]["photo"], docs)
        write_loading_report(docs)
        print(f"written to {docs}")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    found = parser("loading", __doc__, records=RECORDS)
    found.add_argument("--loader", nargs="+", choices=LOADERS, help="all unless given")
    found.add_argument("--tune", action="store_true", help="try every way to tune the tf.data pipeline; writes nothing")
    given = found.parse_args()
    if given.quick:
        given.rounds = 1
    return given


def _records(given: argparse.Namespace) -> int:
    return given.records or (_QUICK if given.quick else RECORDS)


def _measure(names: list[str], given: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    data = {name: FORMS[LOADERS[name].form](_records(given), given.work) for name in names}
    return take_turns(names, given.rounds, lambda name: measured(name, data[name], _records(given), given), _told)


def measured(name: str, data: Path, records: int, given: argparse.Namespace) -> dict[str, Any]:
    """Run one loader.

    Raises:
      RunError: it failed, or did not read every record once.
    """
    loader = LOADERS[name]
    run = run_loader(loader.module, data, workers=given.workers, options=loader.options)
    if run["records"] != records:
        raise RunError(f"it read {run['records']} records, not {records}")
    return run


def _told(run: dict[str, Any]) -> str:
    rate, first = run["records"] / run["seconds"], 1e3 * run["first_batch_seconds"]
    cpu = 1e3 * run["cpu_seconds"] / run["records"]
    return f"{rate:,.0f} records/s, first batch after {first:.0f} ms, {cpu:.3f} ms of processor a record"


def _tell_missing(name: str) -> list[str]:
    lacks = not_installed(LOADERS[name].needs)
    if lacks:
        print(f"{name} is left out: {', '.join(lacks)} is not installed (scripts/environment benchmarks)")
    return lacks


def _tune(given: argparse.Namespace) -> int:
    """Try every combination in turn, and print them by their median rate."""
    data = FORMS["jpeg"](_records(given), given.work)
    ways = {", ".join(way): dict(zip(TUNED, way, strict=True)) for way in itertools.product(*TUNED.values())}
    print(f"{', '.join(TUNED)}:")
    runs, failed = take_turns(
        list(ways),
        given.rounds,
        lambda way: run_loader("tfdata_records", data, workers=given.workers, options=ways[way]),
        _told,
    )
    rates = {way: statistics.median(run["records"] / run["seconds"] for run in mine) for way, mine in runs.items()}
    for way in sorted(rates, key=lambda way: -rates[way]):
        print(f"{rates[way]:8,.0f} records/s: {way}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RunError as error:
        sys.exit(f"benchmarks.loading: {error}")
