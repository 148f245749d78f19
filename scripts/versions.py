"""`augmill versions`."""

from __future__ import annotations

import click

from augmill.pipeline.units import size_text
from augmill.pipeline.version import list_versions
from augmill.scripts.table import echo, echo_json, echo_table


@click.command("versions")
@click.argument("root", type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def command(root: str, as_json: bool) -> None:
    """List the published versions in ROOT, a folder or URL ROOT/name, oldest number first."""
    versions = list_versions(root)
    if as_json:
        echo_json(
            [
                {
                    "version": version.number,
                    "path": version.location,
                    "records": version.records,
                    "bytes": version.bytes,
                    "digest": version.manifest.digest,
                    "started": version.manifest.build["started"],
                }
                for version in versions
            ]
        )
    elif versions:
        rows = [
            (v.number, v.records, size_text(v.bytes), v.manifest.build["started"], v.manifest.digest[:12])
            for v in versions
        ]
        echo_table(["version", "records", "size", "built", "digest"], rows)
    else:
        echo(f"no version is published in {root}")
