"""`augmill preview`."""

from __future__ import annotations

import click

from augmill.pipeline.errors import OptionError
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.preview import draw_sheet
from augmill.pipeline.spec import Spec
from augmill.scripts.table import user_code_option


@click.command("preview")
@click.argument("spec", type=click.Path(dir_okay=False))
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False), help="The picture, .png or .jpg.")
@click.option(
    "--examples", default=6, show_default=True, type=click.IntRange(1, 100), help="Images to show, a row each."
)
@user_code_option
def command(spec: str, output: str, examples: int, user_code: bool) -> None:
    """Draw what SPEC makes of a few images: each as it is, and its first 12 copies with their ops."""
    if not output.lower().endswith((".png", ".jpg", ".jpeg")):
        raise OptionError(f"--output must end in .png or .jpg, got {output}")
    parsed = Spec.from_yaml(spec, user_code=user_code)
    sheet = draw_sheet(parsed, make_plan(parsed, list_source(parsed)), examples=examples)
    try:
        sheet.save(output)
    except OSError as error:
        raise OptionError(f"cannot write {output}: {error.strerror or error}") from error
    click.echo(f"{output}: {sheet.width} x {sheet.height} pixels")
