"""`augmill check`."""

from __future__ import annotations

from typing import Any

import click

from augmill.pipeline.builder import problems_text
from augmill.pipeline.check import SAMPLES, run_check
from augmill.pipeline.errors import CheckError
from augmill.pipeline.judgement import MOST_SATURATED, CheckReport
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.spec import Spec
from augmill.pipeline.units import printable
from augmill.scripts.table import echo, echo_json, echo_table, user_code_option
from augmill.transforms.findings import intended_rates

_BARS = "▁▂▃▄▅▆▇█"


@click.command("check")
@click.argument("spec", type=click.Path(dir_okay=False))
@click.option("--samples", default=SAMPLES, show_default=True, type=click.IntRange(1, 1_000_000), help="Images to try.")
@click.option(
    "--most-saturated",
    default=MOST_SATURATED,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the pixels that an op may drive to 0 or 255 without being told.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@user_code_option
def command(spec: str, samples: int, most_saturated: float, as_json: bool, user_code: bool) -> None:
    """Prove on real samples that every op of SPEC changes images as intended.

    Tells how often each op was applied and was meant to be, what it changed, and how its draws are spread. Ends with
    code 1 where an op changes nothing, fails, cannot be reproduced, or moves boxes otherwise than pixels. Nothing is
    written.
    """
    parsed = Spec.from_yaml(spec, user_code=user_code)
    plan = make_plan(parsed, list_source(parsed))
    report = run_check(parsed, plan, samples=samples, most_saturated=most_saturated)
    ops = _ops(parsed, report)
    if as_json:
        unreadable = [{"key": key, "reason": reason} for key, reason in report.unreadable]
        told = {"problems": report.problems, "advice": report.advice, "unreadable": unreadable}
        echo_json({"samples": report.samples, "effects": report.effects.rows(), "ops": ops, **told})
    else:
        _echo(report, ops)
    if report.problems:
        raise CheckError(problems_text(report))
    if not as_json:
        echo("every op does its work")


def _ops(spec: Spec, report: CheckReport) -> list[dict[str, Any]]:
    """What was meant and drawn, an op an entry, as JSON values."""
    rates = intended_rates(spec.policy)
    return [
        {
            "at": at,
            "op": op.spec_name,
            "applied": report.effects.by_place[at].applied,
            "intended": rates[at] * report.samples,
            "draws": report.findings.histograms(at, op.chances()),
        }
        for at, op in spec.policy.leaves()
    ]


def _echo(report: CheckReport, ops: list[dict[str, Any]]) -> None:
    echo(f"one copy of {report.samples} images:")
    rows = []
    for op in ops:
        effect = report.effects.by_place[op["at"]]
        changed = f"{effect.changed_fraction:.1%}" if effect.measured else "-"
        change = "-" if effect.mean_change is None else f"{effect.mean_change:.1f}"
        saturated = f"{effect.saturated_fraction:.1%}" if effect.compared else "-"
        rows.append((op["at"], op["op"], effect.applied, f"{op['intended']:.1f}", changed, change, saturated))
    echo_table(["at", "op", "applied", "intended", "changed", "mean change", "saturated"], rows)
    draws = [(op["at"], name, *_spread(drawn)) for op in ops for name, drawn in op["draws"].items()]
    if draws:
        echo("what they drew:")
        echo_table(["at", "parameter", "range", "spread"], draws)
    for key, reason in report.unreadable:
        echo(f"unreadable: {printable(key)}: {printable(reason)}")
    for line in report.advice:
        echo(f"advice: {line}")


def _spread(drawn: dict[str, Any]) -> tuple[str, str]:
    """A histogram as a range and a row of bars."""
    if "meant" in drawn:
        total = drawn["yes"] + drawn["no"]
        return "yes or no", f"yes {drawn['yes'] / total:.0%}, meant {drawn['meant']:.0%}"
    highest = max(drawn["counts"])
    bars = "".join(_BARS[(len(_BARS) - 1) * count // highest] if count else " " for count in drawn["counts"])
    if drawn["low"] == drawn["high"]:
        return f"{drawn['low']:.4g}", ""
    return f"{drawn['low']:.4g} to {drawn['high']:.4g}", f"|{bars}|"
