"""`augmill verify`."""

from __future__ import annotations

import click
from tqdm import tqdm

from augmill.pipeline.errors import CheckError
from augmill.pipeline.units import size_text
from augmill.pipeline.version import Version
from augmill.scripts.table import echo, echo_json


@click.command("verify")
@click.argument("version", type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(version: str, as_json: bool) -> None:
    """Check every file of VERSION, a version's directory or URL, against its manifest.

    Sizes, SHA-256, indices, nothing missing, nothing added. What is at a URL is streamed, and not kept.
    """
    opened = Version(version)
    checked, wrong = 0, {}
    for file, problem in tqdm(opened.verify(), desc="verifying", unit="file", leave=False, disable=None):
        checked += 1
        if problem:
            wrong[file] = problem
    if as_json:
        echo_json({"path": opened.location, "files": checked, "wrong": wrong})
    if wrong:
        lines = "\n".join(f"  {file}: {problem}" for file, problem in wrong.items())
        raise CheckError(f"{opened.location}: {len(wrong)} of {checked} files are not as published:\n{lines}")
    if not as_json:
        echo(f"{opened.location}: all {checked} files are as published ({size_text(opened.bytes)})")
