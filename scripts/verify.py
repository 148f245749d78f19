"""`augmill verify`."""

from __future__ import annotations

import click
from tqdm import tqdm

from augmill.pipeline.errors import CheckError, DamagedManifestError
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.units import count_text, size_text
from augmill.pipeline.version import Version
from augmill.scripts.table import echo, echo_json


@click.command("verify")
@click.argument("version", type=click.Path(file_okay=False))
@click.option("--full", is_flag=True, help="Decode every image, rather than 256 of them and the first of each shard.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(version: str, full: bool, as_json: bool) -> None:
    """Check every byte of VERSION, a version's directory or URL, against its manifest.

    Sizes, SHA-256, each record's checksums, indexes, counts, TFDS's metadata, a sample of the images, nothing missing,
    nothing added. What is at a URL is streamed, and not kept. Ends with code 1 where something is found.
    """
    wrong: dict[str, str] = {}
    checked, size, place = set[str](), 0, version
    try:
        opened = Version(version)
        place, size = opened.location, sum(file.bytes for file in opened.manifest.every_file().values())
        with tqdm(total=size, desc="verifying", unit="B", unit_scale=True, leave=False, disable=None) as bar:
            for file, problem in opened.verify(full=full, progress=bar.update):
                checked.add(file)
                if problem:
                    wrong[file] = f"{wrong[file]}; {problem}" if file in wrong else problem
    except DamagedManifestError as error:
        checked, wrong = {MANIFEST}, {MANIFEST: str(error)}
    if as_json:
        echo_json({"path": place, "files": len(checked), "bytes": size, "full": full, "wrong": wrong})
    if wrong:
        lines = "\n".join(f"  {file}: {problem}" for file, problem in wrong.items())
        raise CheckError(f"{place}: {len(wrong)} of {count_text(len(checked), 'file')} are not as published:\n{lines}")
    if not as_json:
        echo(f"{place}: all {count_text(len(checked), 'file')} are as published ({size_text(size)})")
