"""`augmill adopt`."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from augmill.pipeline.adopt import Adoption, adopt
from augmill.pipeline.errors import CheckError
from augmill.scripts.table import echo_json, echo_table


@click.command("adopt")
@click.argument("model")
@click.option("--output", "-o", default="adopted.yaml", show_default=True, type=click.Path(), help="The spec's file.")
@click.option(
    "--model-output", default="model-plain.keras", show_default=True, type=click.Path(), help="The new model's file."
)
@click.option("--images", type=click.Path(file_okay=False, exists=True), help="A folder of photos to compare on too.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(model: str, output: str, model_output: str, images: str | None, force: bool, as_json: bool) -> None:
    """Take the augmentation layers out of a Keras MODEL and write them as a spec.

    MODEL is a saved .keras file, or module:name of a model or of a function that returns one. Writes the spec, and the
    model without these layers, once it answers at inference as the old one does.
    """
    photos = Path(images) if images else None
    adoption = adopt(model, output=Path(output), plain=Path(model_output), force=force, photos=photos)
    if as_json:
        echo_json(adoption.facts())
    else:
        _tell(adoption)
    if adoption.undone:
        raise CheckError(adoption.undone)


def _tell(adoption: Adoption) -> None:
    click.echo(f"model {adoption.model}:")
    echo_table(["layer", "in the spec"], [(path, _flow(entry)) for path, entry in adoption.layers])
    for path, why in adoption.left:
        click.echo(f"left in the model: {path} {why}")
    for note in adoption.notes:
        click.echo(f"note: {note}")
    click.echo(f"{adoption.spec}: the spec; set its source, then `augmill check {adoption.spec}`")
    if adoption.plain is None:
        return
    told = "not compared" if adoption.difference is None else f"differ by at most {adoption.difference:g}"
    click.echo(f"{adoption.plain}: the model without them; optimizer's state {adoption.optimizer}")
    click.echo(f"outputs at inference on {adoption.images} images: {told}")


def _flow(entry: object) -> str:
    return yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10**6).removesuffix("...\n").strip()
