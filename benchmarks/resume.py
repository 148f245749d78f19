"""The first batch of an epoch, and of one that is taken up in its middle: python -m benchmarks.resume"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks import machine, results
from benchmarks.forms import FORMS
from benchmarks.loading_report import write_loading_report
from benchmarks.measure import RunError, use_cores
from benchmarks.turns import docs_for, parser, run_loader, take_turns

RECORDS = 100_000
STARTS = ("first", "middle")
_QUICK = 800


def main() -> int:
    """Measure, tell of each run, and write the document; 1 where it failed."""
    given = _arguments()
    use_cores(given.workers)
    records = given.records or (_QUICK if given.quick else RECORDS)
    data = FORMS["small"](records, given.work)
    runs, failed = take_turns(
        list(STARTS),
        given.rounds,
        lambda start: run_loader("first_batch", data, workers=given.workers, options={"start": start}),
        _told,
    )
    if not failed:
        docs = docs_for(given, whole=True)
        kept = {"records": records, "rounds": given.rounds, "machine": machine.facts(given.workers), "starts": runs}
        results.merge(docs, "resume", "small", kept)
        write_loading_report(docs)
        print(f"written to {docs}")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    given = parser("resume", __doc__, records=RECORDS).parse_args()
    if given.quick:
        given.rounds = 1
    return given


def _told(run: dict[str, Any]) -> str:
    again = ", ".join(f"{1e3 * seconds:.0f}" for seconds in run["again_seconds"])
    return f"step {run['step']:,}: first batch after {1e3 * run['seconds']:.0f} ms, in later epochs {again} ms"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RunError as error:
        sys.exit(f"benchmarks.resume: {error}")
