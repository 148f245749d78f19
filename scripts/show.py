"""`augmill show`."""

from __future__ import annotations

import click

from augmill.pipeline.units import size_text, time_text
from augmill.pipeline.version import Version
from augmill.scripts.table import echo_effects, echo_json, echo_table


@click.command("show")
@click.argument("version", type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the whole manifest as JSON.")
def command(version: str, as_json: bool) -> None:
    """Show what is in VERSION, a version's directory."""
    opened = Version(version)
    manifest = opened.manifest
    if as_json:
        echo_json(manifest.to_json())
        return
    click.echo(f"{manifest.name} {manifest.version}: {opened.records:,} records, {size_text(opened.bytes)}")
    rows = [
        (name, split.examples, split.failed, split.records, len(split.shards), size_text(split.bytes))
        for name, split in manifest.splits.items()
    ]
    echo_table(["split", "examples", "failed", "records", "shards", "size"], rows)
    image, source, built = manifest.image, manifest.source, manifest.build
    size = f"{image['height']}x{image['width']}" if image["height"] else "as in the source"
    click.echo(f"images: {size}, {image['encoding']}")
    if manifest.classes is not None:
        names = ", ".join(manifest.classes[:12])
        click.echo(f"classes: {len(manifest.classes)} ({names}{', ...' if len(manifest.classes) > 12 else ''})")
    click.echo(
        f"source: {source['root']} ({source['kind']}), {source['examples']:,} examples, {source['failed']} failed"
    )
    click.echo(f"built: {built['started']}, in {time_text(built['seconds'])} with {built['workers']} workers")
    click.echo(f"digest: {manifest.digest}")
    if manifest.effects:
        click.echo("effects:")
        echo_effects(manifest.effects)
