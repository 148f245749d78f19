"""`augmill show`."""

from __future__ import annotations

import click

from augmill.pipeline.manifest import DUPLICATES, Manifest
from augmill.pipeline.units import count_text, duplicates_text, size_text, time_text
from augmill.pipeline.version import Version
from augmill.scripts.table import echo, echo_effects, echo_json, echo_table, reused_text


@click.command("show")
@click.argument("version", type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the whole manifest as JSON.")
def command(version: str, as_json: bool) -> None:
    """Show what is in VERSION, a version's directory or URL."""
    opened = Version(version)
    manifest = opened.manifest
    if as_json:
        echo_json(manifest.to_json())
        return
    echo(f"{manifest.name} {manifest.version}: {opened.records:,} records, {size_text(opened.bytes)}")
    rows = [
        (name, split.examples, split.failed, split.records, len(split.shards), size_text(split.bytes))
        for name, split in manifest.splits.items()
    ]
    echo_table(["split", "examples", "failed", "records", "shards", "size"], rows)
    image, source = manifest.image, manifest.source
    size = f"{image['height']}x{image['width']}" if image["height"] else "as in the source"
    echo(f"images: {size}, {image['encoding']}")
    if manifest.classes is not None:
        soft = ", with a weight for each" if manifest.soft_labels else ""
        echo(f"classes: {_names(manifest.classes)}{soft}")
    _echo_annotations(manifest)
    echo(f"source: {source['root']} ({source['kind']}), {source['examples']:,} examples, {source['failed']} failed")
    duplicates = source.get("duplicates", {"groups": 0})
    if duplicates["groups"]:
        echo(f"duplicates: {duplicates_text(duplicates)}; {DUPLICATES} names them")
    if duplicates.get("dropped"):
        echo(f"duplicates left out: {duplicates['dropped']:,}; {DUPLICATES} names them")
    _echo_lineage(manifest, reused_text(opened))
    if manifest.effects:
        echo("effects:")
        echo_effects(manifest.effects)


def _echo_lineage(manifest: Manifest, reused: str) -> None:
    built, source = manifest.build, manifest.source
    hosts = f" on {count_text(built['hosts'], 'host')}" if built.get("hosts") else ""
    took = f"in {time_text(built['seconds'])} with {count_text(built['workers'], 'worker')}{hosts}"
    echo(f"built: {built['started']}, {took}")
    if built.get("processor_seconds"):
        echo(f"cost: {built['processor_seconds'] / 3600:.3g} core-hours of workers making records")
    if reused:
        echo(reused)
    if manifest.parent:
        echo(f"parent: {manifest.parent['version']}, digest {manifest.parent['digest']}")
    made_of = ", ".join(f"{name} {number}" for name, number in manifest.libraries.items())
    echo(f"libraries: {made_of}")
    if manifest.code:
        echo(f"modules: {', '.join(f'{name} {digest[:12]}' for name, digest in manifest.code.items())}")
    echo(f"source digests: listing {source['listing_sha256'][:12]}, contents {source['content_sha256'][:12]}")
    echo(f"spec digest: {manifest.spec_digest}")
    echo(f"digest: {manifest.digest}")


def _echo_annotations(manifest: Manifest) -> None:
    known = manifest.annotations
    if not known:
        return
    echo(f"annotations: {', '.join(known['kinds'])}")
    for key, what in (("classes", "objects"), ("keypoint_names", "keypoints"), ("mask_classes", "mask ids")):
        if known.get(key):
            echo(f"{what}: {_names(known[key])}")
    if manifest.objects:
        counts = (f"{count:,} {name.replace('_', ' ')}" for name, count in manifest.objects.items() if count)
        echo(f"objects in all records: {', '.join(counts)}")


def _names(names: list[str]) -> str:
    return f"{len(names)} ({', '.join(names[:12])}{', ...' if len(names) > 12 else ''})"
