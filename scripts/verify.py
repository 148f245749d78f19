"""`augmill verify`."""

from __future__ import annotations

import click
from tqdm import tqdm

from augmill.pipeline.errors import CheckError
from augmill.pipeline.units import size_text
from augmill.pipeline.version import Version
from augmill.scripts.table import echo_json


@click.command("verify")
@click.argument("version", type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(version: str, as_json: bool) -> None:
    """Check every file of VERSION against its manifest: sizes, SHA-256, indices, nothing missing, nothing added."""
    opened = Version(version)
    checked, wrong = 0, {}
    for file, problem in tqdm(opened.verify(), desc="verifying", unit="file", leave=False, disable=None):
        checked += 1
        if problem:
            wrong[file] = problem
    if as_json:
        echo_json({"path": str(opened.path), "files": checked, "wrong": wrong})
    if wrong:
        lines = "\n".join(f"  {file}: {problem}" for file, problem in wrong.items())
        raise CheckError(f"{opened.path}: {len(wrong)} of {checked} files are not as published:\n{lines}")
    if not as_json:
        click.echo(f"{opened.path}: all {checked} files are as published ({size_text(opened.bytes)})")
