"""`augmill replay`."""

from __future__ import annotations

import click

from augmill.pipeline.drawing import picture
from augmill.pipeline.errors import CheckError, OptionError
from augmill.pipeline.replay import Replayed, replay
from augmill.pipeline.units import drawn_words, printable
from augmill.pipeline.version import Version
from augmill.scripts.table import echo, echo_json, echo_table
from augmill.transforms.base import TransformError


@click.command("replay")
@click.argument("version", type=click.Path(file_okay=False))
@click.argument("key")
@click.argument("copy", type=click.IntRange(0))
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    help="Draw a thumbnail of it, .png or .jpg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the steps and the outcome as JSON.")
def command(version: str, key: str, copy: int, output: str | None, as_json: bool) -> None:
    """Make copy COPY of example KEY of VERSION, a directory or URL, again from the source, and compare bytes.

    Nothing is drawn: each op is handed the parameters that the record holds. Ends with code 1 where the bytes differ.
    """
    if output and not output.lower().endswith((".png", ".jpg", ".jpeg")):
        raise OptionError(f"--output must end in .png or .jpg, got {output}")
    try:
        replayed = replay(Version(version), key, copy)
    except TransformError as error:
        raise CheckError(f"{printable(key)}, copy {copy} cannot be made again: {error}") from error
    if output:
        picture(replayed.sample).save(output)
    if as_json:
        steps = [step._asdict() for step in replayed.steps]
        outcome = {"same": replayed.same, "bytes": len(replayed.stored), "differing": replayed.differing()}
        since = {"changed_since": replayed.changes}
        echo_json({"key": key, "copy": copy, "split": replayed.split, **outcome, "steps": steps, **since})
    else:
        _tell(replayed)
    if not replayed.same:
        raise CheckError(_difference(replayed))


def _tell(replayed: Replayed) -> None:
    rows = [(step.at, step.op, ", ".join(drawn_words(step.params))) for step in replayed.steps]
    echo(f"{printable(replayed.key)}, copy {replayed.copy}, in {replayed.split}:")
    if rows:
        echo_table(["at", "op", "drawn"], rows)
    else:
        echo("  no op: the image as it is")
    for change in replayed.changes:
        echo(f"note: since the version was built, {change}")
    if replayed.same:
        echo(f"made again: the same {len(replayed.made):,} bytes")


def _difference(replayed: Replayed) -> str:
    differing = " and ".join(replayed.differing())
    cause = "; ".join(replayed.changes) or "nothing that is recorded has changed: has the source image?"
    return f"{printable(replayed.key)}, copy {replayed.copy} is not the same again in its {differing} ({cause})"
