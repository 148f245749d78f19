"""`augmill gc`."""

from __future__ import annotations

import sys

import click
from tqdm import tqdm

from augmill.pipeline.collection import LEFTOVER_DAYS, Collection, collect, plan_collection
from augmill.pipeline.errors import OptionError
from augmill.pipeline.units import count_text, size_text
from augmill.scripts.table import echo, echo_json, echo_table


@click.command("gc")
@click.argument("root", type=click.Path(file_okay=False))
@click.option("--keep", required=True, type=click.IntRange(1), help="How many of the newest versions stay.")
@click.option(
    "--leftover-days",
    default=LEFTOVER_DAYS,
    show_default=True,
    type=click.FloatRange(0),
    help="After how many days without a change an unfinished build goes.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print what goes as JSON.")
def command(root: str, keep: int, leftover_days: float, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove the versions in ROOT, a folder ROOT/name, beyond the newest, and what dead builds left.

    Never goes what LATEST names, what someone on this machine reads, what a build at work may take records from, and
    what is no version. Versions do not need each other: what is shared between them is shared by hard links.
    """
    if not (dry_run or yes) and (as_json or not sys.stdin.isatty()):
        raise OptionError("nobody can be asked here whether to remove: give --yes, or --dry-run to see what would go")
    found = plan_collection(root, keep, leftover_days=leftover_days)
    if not as_json:
        _tell(found)
    gone = []
    if not dry_run and found.removals:
        if not yes:
            click.confirm("Remove them?", abort=True)
        total = sum(removal.bytes for removal in found.removals)
        with tqdm(total=total, desc="removing", unit="B", unit_scale=True, leave=False, disable=None) as bar:
            gone = collect(found, progress=bar.update)
    if as_json:
        rows = [
            {"path": str(each.path), "kind": each.kind, "why": each.why, "bytes": each.bytes, "removed": each in gone}
            for each in found.removals
        ]
        echo_json({"root": str(found.root), "removals": rows, "kept": found.kept, "frees": found.frees})
    elif found.removals and not dry_run:
        echo(f"removed {len(gone)} of {len(found.removals)}")


def _tell(found: Collection) -> None:
    if not found.removals:
        echo(f"{found.root}: nothing to remove")
    else:
        rows = [(each.path.name, each.kind, size_text(each.bytes), each.why) for each in found.removals]
        echo_table(["goes", "what", "size", "why"], rows)
    echo_table(["stays", "why"], list(found.kept.items()))
    if found.removals:
        echo(f"{count_text(len(found.removals), 'folder')} to remove, which frees {size_text(found.frees)}")
