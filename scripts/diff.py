"""`augmill diff`."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
from tqdm import tqdm

from augmill.pipeline.errors import CheckError
from augmill.pipeline.storage import is_url
from augmill.pipeline.units import count_text
from augmill.pipeline.version import Version
from augmill.pipeline.version_diff import Difference, compare
from augmill.scripts.table import echo, echo_json, echo_table

_SHOWN = 5  # keys of each kind


@click.command("diff")
@click.argument("a", type=click.Path(file_okay=False))
@click.argument("b", type=click.Path(file_okay=False))
@click.option(
    "--records/--no-records",
    default=None,
    help="Compare the records of shards that differ.  [default: unless one version is at a URL]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(a: str, b: str, records: bool | None, as_json: bool) -> None:
    """Say in what versions A and B differ: spec, libraries, source, effects and bytes.

    A and B are versions' directories or URLs. Ends with code 0 where they are the same, with 1 where they differ.
    """
    versions = Version(a), Version(b)
    wanted = records if records is not None else not (is_url(a) or is_url(b))
    with tqdm(total=versions[0].records, desc="comparing", unit="record", leave=False, disable=None) as bar:
        found = compare(*versions, records=wanted, progress=lambda done, total: bar.update(done - bar.n))
    if as_json:
        echo_json(_json(versions, found))
    else:
        _tell(versions, found)
    if not found.same:
        raise CheckError(f"{versions[0].location} and {versions[1].location} differ")


def _json(versions: tuple[Version, Version], found: Difference) -> dict[str, Any]:
    def pairs(differing: dict[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
        return {path: {"a": a, "b": b} for path, (a, b) in differing.items()}

    return {
        "a": versions[0].location,
        "b": versions[1].location,
        "same": found.same,
        "spec": pairs(found.spec),
        "made_of": pairs(found.made_of),
        "source": dataclasses.asdict(found.source),
        "effects": [{"a": a, "b": b} for a, b in found.effects],
        "bytes": {"same_data": found.same_data, **dataclasses.asdict(found.bytes)},
    }


def _tell(versions: tuple[Version, Version], found: Difference) -> None:
    a, b = (version.location for version in versions)
    if found.same:
        echo(f"{a} and {b} are the same")
        return
    echo(f"a: {a}\nb: {b}")
    for title, differing in (("spec", found.spec), ("made of", found.made_of)):
        if differing:
            echo(f"{title}:")
            echo_table(["", "a", "b"], [(path, repr(old), repr(new)) for path, (old, new) in differing.items()])
    _tell_source(found)
    if found.effects:
        echo("effects:")
        rows = []
        for old, new in found.effects:
            row = old or new or {}
            rows.append((row["at"], row["op"], old and old["applied"], new and new["applied"]))
        echo_table(["at", "op", "applied in a", "in b"], rows)
    _tell_bytes(found)


def _tell_source(found: Difference) -> None:
    source = found.source
    if not source.differs:
        echo(f"source: the same {count_text(source.same, 'example')}")
        return
    echo(f"source: {count_text(source.same, 'example')} are the same")
    for kind, keys in source.keys.items():
        more = ", ..." if getattr(source, kind) > _SHOWN else ""
        echo(f"  {getattr(source, kind):,} {kind}: {', '.join(keys[:_SHOWN])}{more}")


def _tell_bytes(found: Difference) -> None:
    told = found.bytes
    others = ", ".join(f"{count:,} others in {name}" for name, count in told.other_shards.items())
    echo(f"shards: {told.same_shards:,} are the same{', ' if others else ''}{others}")
    if told.records is not None:
        counts = ", ".join(f"{count:,} {kind.replace('_', ' in ')}" for kind, count in told.records.items())
        echo(f"records: {counts}")
    elif told.other_shards:
        echo("records: not compared; --records does")
