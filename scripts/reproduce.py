"""`augmill reproduce`."""

from __future__ import annotations

import dataclasses

import click
from tqdm import tqdm

from augmill.pipeline.errors import CheckError
from augmill.pipeline.reproduction import BLOCKS, BlockOutcome, Reproduction, choose_blocks
from augmill.pipeline.units import count_text
from augmill.pipeline.version import Version
from augmill.scripts.table import echo, echo_json


@click.command("reproduce")
@click.argument("version", type=click.Path(file_okay=False))
@click.option("--blocks", default=BLOCKS, show_default=True, type=click.IntRange(1), help="How many blocks to make.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Chooses the blocks.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(version: str, blocks: int, seed: int, as_json: bool) -> None:
    """Make some blocks of VERSION, a directory or URL, again from the source, and compare bytes.

    Everything is drawn anew, in a temporary folder, on one core. Ends with code 1 where a record differs, and says what
    has changed since the version was built.
    """
    opened = Version(version)
    reproduction = Reproduction(opened)
    chosen = choose_blocks(reproduction.blocks, blocks, seed)
    with tqdm(
        total=reproduction.records_of(chosen), desc="reproducing", unit="image", leave=False, disable=None
    ) as bar:
        outcomes = list(reproduction.run(chosen, progress=bar.update))
    different = [outcome for outcome in outcomes if outcome.difference is not None]
    if as_json:
        echo_json(
            {
                "path": opened.location,
                "same": not different,
                "blocks": [dataclasses.asdict(outcome) for outcome in outcomes],
                "of": reproduction.blocks,
                "changed_since": reproduction.changes,
            }
        )
    else:
        for change in reproduction.changes:
            echo(f"note: since the version was built, {change}")
    if different:
        raise CheckError(_told(opened, different, outcomes, reproduction.changes))
    if not as_json:
        records = sum(outcome.records for outcome in outcomes)
        made = f"{len(outcomes)} of {count_text(reproduction.blocks, 'block')}"
        echo(f"{opened.location}: {made} made again, the same {count_text(records, 'record')}")


def _told(version: Version, different: list[BlockOutcome], outcomes: list[BlockOutcome], changes: list[str]) -> str:
    lines = "\n".join(f"  block {outcome.block}: {outcome.difference}" for outcome in different)
    cause = "; ".join(changes) or "nothing that is recorded has changed: has the source?"
    head = f"{version.location}: {len(different)} of {count_text(len(outcomes), 'block')} made again are not the same"
    return f"{head} ({cause}); the first record of each that differs:\n{lines}"
