"""`augmill ops`."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
import yaml

from augmill.pipeline.errors import OptionError
from augmill.pipeline.image import decode_image
from augmill.pipeline.image_header import ImageError
from augmill.pipeline.strip import draw_strip
from augmill.scripts.table import echo_json, echo_table
from augmill.transforms.base import KINDS, Transform, TransformError
from augmill.transforms.catalog import COMPOSITIONS, OPS
from augmill.transforms.examples import ARGUMENTS, example_of
from augmill.transforms.fast import kernels_of
from augmill.transforms.grammar import parse_policy


@click.command("ops")
@click.argument("name", required=False)
@click.option("--preview", "photos", multiple=True, type=click.Path(), help="A photo to draw NAME's renditions of.")
@click.option("--arguments", help="NAME's arguments for the preview, as in a spec: '{factor: 0.2}'.")
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="The preview's file, .png or .jpg.")
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
@click.option("--markdown", is_flag=True, help="Print the catalogue as a page: docs/ops.md.")
def command(
    name: str | None,
    photos: tuple[str, ...],
    arguments: str | None,
    output: str | None,
    as_json: bool,
    markdown: bool,
) -> None:
    """List the ops that a spec knows, or explain the one called NAME.

    With --preview PHOTO -o STRIP.png, draws a strip of renditions; an op that mixes two images takes --preview twice.
    """
    names = [_known(name)] if name else list(OPS)
    if photos or arguments or output:
        if not name or not photos or not output:
            raise OptionError("a preview needs all of NAME, --preview PHOTO and --output STRIP.png")
        return _preview(names[0], photos, arguments, output)
    if as_json:
        echo_json([describe(OPS[known]) for known in names])
    elif markdown:
        click.echo(_page([describe(OPS[known]) for known in names]))
    elif name:
        _explain(describe(OPS[names[0]]))
    else:
        _list()
    return None


def describe(op: type[Transform]) -> dict[str, Any]:
    """All that there is to know of an op, as JSON values."""
    example = example_of(op.name)
    defaults = {field.name: field.default for field in fields(op) if field.default is not MISSING}
    return {
        "name": op.name,
        "about": inspect.cleandoc(op.__doc__ or ""),
        "arguments": [
            {"name": field.name, "about": op.takes.get(field.name, "")}
            | ({"default": defaults[field.name]} if field.name in defaults else {})
            for field in fields(op)
        ],
        "draws": dict(op.draws),
        **{kind: example.treatment(kind) for kind in KINDS},
        "kernels": list(kernels_of(op)),
        "example": {op.name: dict(ARGUMENTS[op.name])} if op.name in ARGUMENTS else op.name,
    }


def _known(name: str) -> str:
    if name in OPS:
        return name
    near = difflib.get_close_matches(name, OPS, n=1, cutoff=0.4)
    guess = f"did you mean {near[0]}? " if near else ""
    raise OptionError(f"there is no op {name!r}; {guess}`augmill ops` lists them")


def _list() -> None:
    rows = []
    for op in OPS.values():
        known = describe(op)
        arguments = ", ".join(_argument(argument) for argument in known["arguments"])
        rows.append((op.name, *(known[kind] for kind in KINDS), ", ".join(known["kernels"]), arguments))
    echo_table(["op", *KINDS, "kernels", "arguments"], rows)
    click.echo()
    echo_table(["composed by", "does"], list(COMPOSITIONS.items()))


def _argument(argument: dict[str, Any]) -> str:
    return f"{argument['name']}={argument['default']}" if "default" in argument else str(argument["name"])


def _explain(known: dict[str, Any]) -> None:
    click.echo(f"{known['name']}\n\n{known['about']}\n")
    arguments = [(a["name"], str(a.get("default", "must be given")), a["about"]) for a in known["arguments"]]
    if arguments:
        echo_table(["argument", "default", "what it is"], arguments)
        click.echo()
    if known["draws"]:
        echo_table(["drawn", "how"], list(known["draws"].items()))
        click.echo()
    for kind in KINDS:
        click.echo(f"  {kind}: {known[kind]}")
    click.echo(f"  kernels: {', '.join(known['kernels'])}")
    example = yaml.safe_dump([known["example"]], default_flow_style=None, width=100).strip()
    click.echo(f"\nin a spec:\n  augment:\n    {example}")


def _page(ops: list[dict[str, Any]]) -> str:
    lines = [
        "# The ops",
        "",
        "What `augmill ops` knows, as `augmill ops --markdown` prints it; a test holds this page to it.",
        "",
        "| op | boxes | masks | keypoints |",
        "|---|---|---|---|",
    ]
    for known in ops:
        anchor = "".join(letter for letter in known["name"].lower() if letter.isalnum() or letter in "_-")
        lines.append(f"| [`{known['name']}`](#{anchor}) | {' | '.join(known[kind] for kind in KINDS)} |")
    for known in ops:
        lines += ["", f"## {known['name']}", known["about"]]
        rows = [(a["name"], str(a.get("default", "")), a["about"]) for a in known["arguments"]]
        for header, body in (
            (("argument", "default", "what it is"), rows),
            (("drawn", "how"), list(known["draws"].items())),
        ):
            if body:
                lines += ["", f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
                cells = ([first, *(cell.replace("|", "\\|") for cell in rest)] for first, *rest in body)
                lines += [f"| `{first}` | {' | '.join(rest)} |" for first, *rest in cells]
    return "\n".join(lines)


def _preview(name: str, photos: tuple[str, ...], arguments: str | None, output: str) -> None:
    if not output.lower().endswith((".png", ".jpg", ".jpeg")):
        raise OptionError(f"--output must end in .png or .jpg, got {output}")
    try:
        given = yaml.safe_load(arguments) if arguments else dict(ARGUMENTS.get(name, {}))
        if not isinstance(given, dict):
            raise OptionError(f"--arguments must be a mapping such as '{{factor: 0.2}}', got {arguments}")
        policy, problems = parse_policy([{name: given}])
        if problems:
            raise OptionError("; ".join(f"{name}: {problem.message}" for problem in problems))
        ((_, op),) = policy.leaves()
    except yaml.YAMLError as error:
        raise OptionError(f"--arguments is no valid YAML: {' '.join(str(error).split())}") from error
    try:
        images = [decode_image(Path(photo).read_bytes()) for photo in photos]
        strip = draw_strip(op, images)
        strip.save(output)
    except ImageError as error:
        raise OptionError(f"--preview {', '.join(photos)}: {error}") from error
    except TransformError as error:
        raise OptionError(str(error)) from error
    except OSError as error:
        raise OptionError(f"{error.filename or output}: {error.strerror or error}") from error
    click.echo(f"{output}: {strip.width} x {strip.height} pixels")
