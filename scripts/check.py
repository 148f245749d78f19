"""`augmill check`."""

from __future__ import annotations

import click

from augmill.pipeline.builder import problems_text
from augmill.pipeline.check import SAMPLES, run_check
from augmill.pipeline.errors import CheckError
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.spec import Spec
from augmill.scripts.table import echo_effects, echo_json


@click.command("check")
@click.argument("spec", type=click.Path(dir_okay=False))
@click.option("--samples", default=SAMPLES, show_default=True, type=click.IntRange(1, 1_000_000), help="Images to try.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(spec: str, samples: int, as_json: bool) -> None:
    """Prove on real samples that every op of SPEC changes images as intended.

    Ends with code 1 where an op changes nothing, fails, or cannot be reproduced. Nothing is written.
    """
    parsed = Spec.from_yaml(spec)
    report = run_check(parsed, make_plan(parsed, list_source(parsed)), samples=samples)
    rows = report.effects.rows()
    if as_json:
        unreadable = [{"key": key, "reason": reason} for key, reason in report.unreadable]
        echo_json({"samples": report.samples, "effects": rows, "problems": report.problems, "unreadable": unreadable})
    else:
        click.echo(f"one copy of {report.samples} images:")
        echo_effects(rows)
        for key, reason in report.unreadable:
            click.echo(f"unreadable: {key}: {reason}")
    if report.problems:
        raise CheckError(problems_text(report))
    if not as_json:
        click.echo("every op does its work")
