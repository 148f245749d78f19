"""`augmill plan`."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from augmill.pipeline.check import run_check
from augmill.pipeline.estimate import Estimate, default_workers, estimate
from augmill.pipeline.judgement import CheckReport
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import Plan, make_plan
from augmill.pipeline.raw_cost import RawSample
from augmill.pipeline.source import Listing
from augmill.pipeline.spec import Spec
from augmill.pipeline.target import target_of
from augmill.pipeline.units import count_text, size_text, time_text
from augmill.scripts.table import echo, echo_json, echo_table, user_code_option
from augmill.transforms.joins import by_reference, joins_of

_ANY_SIZE = (375, 500)  # of an image, where the spec leaves sizes to the images


@click.command("plan")
@click.argument("spec", type=click.Path(dir_okay=False))
@click.option(
    "--output",
    default=".",
    show_default=True,
    type=click.Path(),
    help="ROOT of the build, for the room there; a folder or a URL.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes to reckon with.  [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@user_code_option
def command(spec: str, output: str, workers: int | None, as_json: bool, user_code: bool) -> None:
    """Say what a build of SPEC would make, how long it would take and what room it needs.

    Time and bytes are reckoned from a timed sample of 64 examples, which also tells when raw pixels would pay.
    Nothing is written. What the check finds is told, and doesn't change the exit code.
    """
    parsed = Spec.from_yaml(spec, user_code=user_code)
    listing = list_source(parsed)
    plan = make_plan(parsed, listing)
    renditions = RawSample(parsed.image)
    report = run_check(parsed, plan, watch=renditions.add)
    cost = estimate(parsed, plan, report, workers or default_workers(), target_of(output, parsed.name, parsed.version))
    facts, raw = _facts(parsed, listing, plan, report, cost), renditions.cost()
    epoch = facts["splits"].get("train", facts)["records"]
    if as_json:
        echo_json({**facts, "encodings": raw and raw.to_json(epoch)})
    else:
        _tell(parsed, listing, facts, report, raw.lines(epoch) if raw else [])


def _facts(spec: Spec, listing: Listing, plan: Plan, report: CheckReport, cost: Estimate) -> dict[str, Any]:
    labels = plan.table.column("label").to_numpy()
    records = plan.records(spec)
    size = spec.image.work_size or spec.image.size or _ANY_SIZE
    joins = joins_of(spec.policy, (*size, spec.image.channels)) if spec.copies else []
    names = {at: op.spec_name for at, op in spec.policy.leaves()}
    return {
        "name": spec.name,
        "version": spec.version,
        "source": {"kind": spec.source.kind, "root": str(listing.root)},
        "examples": plan.examples,
        "records": cost.records,
        "blocks": plan.blocks,
        "shards": sum(len(plan.shards(spec, name)) for name in plan.splits),
        "splits": {
            name: {
                "examples": split.examples,
                "copies": len(spec.copies_of(name)),
                "records": records[name],
                "blocks": split.blocks,
                "shards": len(plan.shards(spec, name)),
            }
            for name, split in plan.splits.items()
        },
        "classes": {name: int(np.sum(labels == i)) for i, name in enumerate(plan.classes or [])},
        "unusable": len(plan.bad),
        "ignored_files": dict(listing.ignored),
        "expected_bytes": cost.bytes,
        "expected_seconds": round(cost.seconds, 1),
        "workers": cost.workers,
        "sampled": report.samples,
        "kernels": {
            "name": spec.kernels,
            "joined": [
                {"work": join.work, "places": list(join.places), "ops": [names[at] for at in join.places]}
                | {"share": round(join.share, 2)}
                for join in joins
            ],
            "by_reference": by_reference(spec.policy),
        },
        "free_bytes": cost.free,
        "problems": report.problems,
    }


def _tell_kernels(kernels: dict[str, Any]) -> None:
    """Say what of the policy is done at once, and what takes its time."""
    echo(f"kernels: {kernels['name']}")
    for join in kernels["joined"]:
        often = "" if join["share"] == 1 else f" (in {join['share']:.0%} of the renditions)"
        echo(f"  {join['work']}: {' + '.join(join['ops'])}{often}")
    if kernels["by_reference"]:
        echo(f"  each by itself, by its reference kernel: {', '.join(kernels['by_reference'])}")


def _tell_cost(facts: dict[str, Any]) -> None:
    needed, free = facts["expected_bytes"], facts["free_bytes"]
    echo(
        f"expected: {size_text(needed)} in about {time_text(facts['expected_seconds'])} "
        f"with {count_text(facts['workers'], 'worker')} (timed on {count_text(facts['sampled'], 'example')})"
    )
    if free is not None:  # which nobody knows of an object store
        verdict = "enough" if needed <= free else "NOT ENOUGH"
        echo(f"disk: {size_text(needed)} needed, {size_text(free)} free: {verdict}")


def _tell(spec: Spec, listing: Listing, facts: dict[str, Any], report: CheckReport, encodings: list[str]) -> None:
    echo(f"{spec.name} {spec.version} from {facts['source']['root']} ({facts['source']['kind']})")
    header = ["split", "examples", "renditions", "records", "blocks", "shards"]
    echo_table(header, [(name, *split.values()) for name, split in facts["splits"].items()])
    if facts["classes"]:
        counts = ", ".join(f"{name} {count:,}" for name, count in list(facts["classes"].items())[:12])
        more = f" and {len(facts['classes']) - 12} more" if len(facts["classes"]) > 12 else ""
        echo(f"classes: {counts}{more}")
    if facts["ignored_files"]:
        echo(listing.ignored_text())
    if facts["unusable"]:
        echo(f"unusable records: {facts['unusable']}")
    wanted = [name for name, share in (spec.splits or {}).items() if share > 0 and name not in facts["splits"]]
    if wanted:
        echo(f"no example fell into split {', '.join(wanted)}: the source is small")
    if spec.copies:
        _tell_kernels(facts["kernels"])
    for line in encodings:
        echo(line)
    if facts["sampled"]:
        _tell_cost(facts)
    else:
        echo("expected: not known, no example could be read and timed")
    for problem in report.problems:
        echo(f"a build would refuse this: {problem}")
