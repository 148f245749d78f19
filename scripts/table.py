"""What the commands share: how they print tables, and the same as JSON, and an option of those that read a spec."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from augmill.pipeline.units import count_text, printable
from augmill.pipeline.version import Version
from augmill.transforms.audit import Effect

_MOST_RANGES = 6  # of one op in a table; the rest is in the JSON


user_code_option = click.option(
    "--user-code/--no-user-code",
    default=True,
    help="Import what the spec names as <module>:<name> or as a saved model; refused otherwise.  [default: imported]",
)


def echo_json(value: Any) -> None:
    """Print a value as JSON, for programs."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    # JSON has an escape of its own for each sign that a terminal would act on.
    click.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def echo(text: str) -> None:
    """Print lines that may hold names of other people's: what a terminal would act on is written out."""
    click.echo(printable(text, lines=True))


def echo_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows in aligned columns: numbers to the right, the rest to the left."""
    cells = [[_text(value) for value in row] for row in rows]
    widths = [max(len(column[0]), *map(len, column[1:]), 0) for column in zip(header, *cells, strict=True)]
    right = [
        bool(rows) and all(isinstance(row[i], (int, float)) or row[i] is None for row in rows)
        for i in range(len(header))
    ]
    for line in [list(header), *cells]:
        pads = (text.rjust(w) if r else text.ljust(w) for text, w, r in zip(line, widths, right, strict=True))
        click.echo("  " + "  ".join(pads).rstrip())


def echo_effects(effects: Sequence[dict[str, Any]]) -> None:
    """Print what each op did: how often, and what that changed in the applications that were measured."""
    rows = []
    for effect in (Effect(**row) for row in effects):
        changed = f"{effect.changed_fraction:.1%}" if effect.measured else "-"
        change = "-" if effect.mean_change is None else f"{effect.mean_change:.1f}"
        drawn = ", ".join(_range(name, *ends) for name, ends in sorted(effect.ranges.items())[:_MOST_RANGES])
        drawn += f", and {len(effect.ranges) - _MOST_RANGES} more" if len(effect.ranges) > _MOST_RANGES else ""
        rows.append((effect.at, effect.op, effect.applied, effect.measured, changed, change, drawn))
    echo_table(["at", "op", "applied", "measured", "changed", "mean change", "drawn"], rows)


def _range(name: str, low: float, high: float) -> str:
    return f"{name} {low:.4g}" if low == high else f"{name} {low:.4g} to {high:.4g}"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else printable(str(value))


def reused_text(version: Version) -> str:
    """Say how much of a version an earlier one held already; nothing where none was reused."""
    reused = version.manifest.build.get("reused")
    if not reused:
        return ""
    examples = sum(split.examples for split in version.manifest.splits.values())
    text = (
        f"reused from {reused['from']}: {reused['examples']:,} of {examples:,} examples, {reused['records']:,} of "
        f"{version.records:,} records, {count_text(reused['shards'], 'shard')} as a whole"
    )
    checked = f"; {reused['checked']:,} of the examples were made again, and were the same" if reused["checked"] else ""
    damaged = count_text(reused["damaged"], "example")
    wrong = f"; {damaged} of it cannot be read: augmill verify names the shards" if reused["damaged"] else ""
    return text + checked + wrong
