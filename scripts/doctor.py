"""`augmill doctor`."""

from __future__ import annotations

from typing import Any

import click
from tqdm import tqdm

from augmill.pipeline.diagnosis import HOLDS_UP, remedies, verdict
from augmill.pipeline.doctor import Examination, Stage, examine
from augmill.pipeline.errors import CheckError, OptionError
from augmill.pipeline.units import size_text
from augmill.pipeline.version import Version
from augmill.scripts.table import echo_json, echo_table


@click.command("doctor")
@click.argument("version", type=click.Path(file_okay=False))
@click.option("--split", default="train", show_default=True, help="What is read.")
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(1), help="Records a batch.")
@click.option("--step-ms", type=click.FloatRange(0, min_open=True), help="How long a training step takes.")
@click.option("--size", nargs=2, type=click.IntRange(1), metavar="H W", help="Resize to this, as the training does.")
@click.option("--float", "floats", is_flag=True, help="Make floats in [0, 1] on the processor, as the training does.")
@click.option("--cold", is_flag=True, help="Read from the disk, not from the system's memory.")
@click.option("--seconds", default=2.0, show_default=True, type=click.FloatRange(0.1), help="For each part.")
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as JSON.")
def command(
    version: str,
    split: str,
    batch_size: int,
    step_ms: float | None,
    size: tuple[int, int] | None,
    floats: bool,
    cold: bool,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure what each part of loading VERSION can do, and say what holds a training up and what to change.

    Reading, parsing and decoding are measured by themselves, and then all together, as `load` does it; where there is a
    GPU, the copy to it too. With --step-ms it ends with code 1 where the input is too slow for the step.
    """
    opened = Version(version)
    options: dict[str, Any] = {"size": size, "output": (0.0, 1.0) if floats else "uint8"}
    with tqdm(desc="measuring", unit="part", leave=False, disable=None) as bar:

        def tell(stage: str) -> None:
            bar.set_description(f"measuring: {stage}")
            bar.update()

        try:
            found = examine(
                opened, seconds=seconds, cold=cold, tell=tell, split=split, batch_size=batch_size, **options
            )
        except ValueError as error:
            raise OptionError(str(error)) from error
    step = None if step_ms is None else step_ms / 1e3
    said, advice = verdict(found, step), remedies(found, opened.manifest, options)
    holds_up = step is not None and found.waits(step) > HOLDS_UP
    if as_json:
        echo_json(_json(found, said, advice, step))
    else:
        _tell(opened, found)
    if holds_up:
        raise CheckError("\n".join([said, *(f"  - {line}" for line in advice)]))
    if not as_json:
        click.echo(said)
        click.echo(f"the slowest part is to {found.slowest.name}; to make it faster:")
        for line in advice:
            click.echo(f"  - {line}")


def _tell(version: Version, found: Examination) -> None:
    memory = "from the disk" if found.cold else "from the system's memory, if it holds it"
    click.echo(f"{version.location}: records of {size_text(found.record_bytes)}, read {memory}; {found.cores} cores")
    rows = [
        (stage.name, round(stage.rate), "" if stage.core_seconds is None else f"{stage.core_seconds * 1e3:.3f}")
        for stage in (*found.stages, found.together)
    ]
    echo_table(["part", "records/s", "ms of a core a record"], rows)
    click.echo(f"first batch: {found.first_seconds * 1e3:.0f} ms")
    if found.device is None:
        click.echo("no GPU here: the copy to it is not measured")


def _json(found: Examination, said: str, advice: list[str], step: float | None) -> dict[str, Any]:
    def stage_json(stage: Stage) -> dict[str, Any]:
        return {"records_per_second": stage.rate, "core_seconds": stage.core_seconds}

    return {
        "batch_size": found.batch_size,
        "record_bytes": found.record_bytes,
        "cores": found.cores,
        "cold": found.cold,
        "device": found.device,
        "first_batch_seconds": found.first_seconds,
        "stages": {stage.name: stage_json(stage) for stage in found.stages},
        "together": stage_json(found.together),
        "slowest": found.slowest.name,
        "step_seconds": step,
        "waits": None if step is None else found.waits(step),
        "verdict": said,
        "remedies": advice,
    }
