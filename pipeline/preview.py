"""A contact sheet: what a policy makes of real images, to be looked at before a build."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from augmill.pipeline.image import fit_image
from augmill.pipeline.materialize import Renderer
from augmill.pipeline.plan import Plan
from augmill.pipeline.shard import RecordError
from augmill.pipeline.source import Reader
from augmill.pipeline.spec import Spec
from augmill.transforms.base import TransformError
from augmill.transforms.policy import Step

CELL = 160  # pixels a side
MOST_COPIES = 12  # shown of each image
CAPTION = 12  # pixels a line of text
_GAP = 6
_INK, _PAPER, _FAINT = (20, 20, 20), (255, 255, 255), (110, 110, 110)


def draw_sheet(spec: Spec, plan: Plan, *, examples: int = 6) -> Image.Image:
    """Draw the first training examples of a plan, a row each: the image as it is, then its first augmented copies.

    They are the ones that a build makes; under each stand the ops that it went through. An image that cannot be read
    or an op that fails is told in its cell.
    """
    renderer = Renderer(spec, plan.classes)
    reader = Reader(Path(plan.root), plan.container, plan.image_feature)
    copies = [0, *range(1, min(spec.copies, MOST_COPIES) + 1)]
    longest = max(sum(1 for _ in spec.policy.leaves()), 1)
    height = CELL + CAPTION * (longest + 1) + _GAP
    rows = plan.table.slice(0, examples).to_pylist()
    sheet = Image.new("RGB", ((CELL + _GAP) * len(copies) + _GAP, height * len(rows) + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        top = y * height + _GAP
        try:
            opened = renderer.open(reader.read(row["uri"], row["offset"], row["length"]), row["label"])
        except (OSError, RecordError, ValueError) as error:
            _write(pen, [row["key"], str(error)], (_GAP, top))
            continue
        for x, copy in enumerate(copies):
            corner = (x * (CELL + _GAP) + _GAP, top)
            try:
                sample, steps = renderer.render(opened, row["key"], copy)
            except TransformError as error:
                _write(pen, [f"copy {copy}", str(error)], corner)
                continue
            sheet.paste(Image.fromarray(_thumbnail(sample.image)), corner)
            _write(pen, [row["key"]] if copy == 0 else _captions(steps), (corner[0], top + CELL))
    return sheet


def _thumbnail(image: np.ndarray) -> np.ndarray:
    return fit_image(image, (CELL, CELL), "pad")


def _captions(steps: list[Step]) -> list[str]:
    """An op a line, with the first thing that it drew."""
    lines = []
    for step in steps:
        name = step.op.rsplit(".", 1)[-1].rsplit(":", 1)[-1].removeprefix("random_")
        drawn = next((value for key, value in step.params.items() if key != "seed"), None)
        text = f"{drawn:.3g}" if isinstance(drawn, float) else "" if isinstance(drawn, (list, type(None))) else drawn
        lines.append(f"{name} {text}".strip())
    return lines


def _write(pen: ImageDraw.ImageDraw, lines: list[str], corner: tuple[int, int]) -> None:
    most = CELL // 6  # characters of the built-in font
    for i, line in enumerate(lines):
        shown = line if len(line) <= most else "..." + line[3 - most :]
        pen.text((corner[0], corner[1] + i * CAPTION), shown, fill=_INK if i == 0 else _FAINT)
