"""Pictures for people: a rendition with its annotations drawn over it, and the words under it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from augmill.pipeline.image import fit_image
from augmill.pipeline.units import drawn_words
from augmill.transforms.base import Sample
from augmill.transforms.objects import HIDDEN
from augmill.transforms.policy import Step

CELL = 160  # pixels a side
CAPTION = 12  # pixels a line of text
GAP = 6
INK, PAPER, FAINT = (20, 20, 20), (255, 255, 255), (110, 110, 110)
# Colours told apart by most eyes (Okabe and Ito), for classes in turn.
_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
_MASK_SHARE = 0.45
_IGNORED_ID = 0


def new_sheet(columns: int, rows: int, lines: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Make an empty sheet of cells, with room for `lines` of words under each."""
    sheet = Image.new("RGB", ((CELL + GAP) * columns + GAP, row_height(lines) * rows + GAP), PAPER)
    return sheet, ImageDraw.Draw(sheet)


def row_height(lines: int) -> int:
    """The height of a row of cells with `lines` of words under them, in pixels."""
    return CELL + CAPTION * lines + GAP


def picture(sample: Sample) -> Image.Image:
    """Draw a sample in a cell: its image, its mask laid over, its outlines and keypoints."""
    image = np.repeat(sample.image, 3, axis=2) if sample.image.shape[2] == 1 else sample.image
    if sample.mask is not None:
        colours = np.array(_COLOURS, np.float32)[sample.mask.astype(int) % len(_COLOURS)]
        blended = image * (1 - _MASK_SHARE) + colours * _MASK_SHARE
        image = np.where((sample.mask == _IGNORED_ID)[..., None], image, blended).astype(np.uint8)
    scale = min(CELL / image.shape[0], CELL / image.shape[1])
    inner = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
    offset = ((CELL - inner[1]) // 2, (CELL - inner[0]) // 2)
    cell = Image.fromarray(fit_image(image, (CELL, CELL), "pad"))
    if sample.objects is not None:
        pen = ImageDraw.Draw(cell)
        for outline, label in zip(sample.objects.outlines, sample.objects.labels, strict=True):
            corners = [(x * scale + offset[0], y * scale + offset[1]) for x, y in outline]
            pen.line([*corners, corners[0]], fill=_COLOURS[int(label) % len(_COLOURS)], width=2)
        points: Any = [] if sample.objects.keypoints is None else sample.objects.keypoints.reshape(-1, 3)
        for x, y, visibility in points:
            if visibility != HIDDEN:
                pen.circle((x * scale + offset[0], y * scale + offset[1]), 2, fill=PAPER, outline=INK)
    return cell


def captions(steps: list[Step]) -> list[str]:
    """An op a line, with what it drew."""
    lines = []
    for step in steps:
        name = step.op.rsplit(".", 1)[-1].rsplit(":", 1)[-1].removeprefix("random_").removeprefix("Random")
        lines.append(" ".join([name, ", ".join(drawn_words(step.params))]).strip())
    return lines


def write(pen: ImageDraw.ImageDraw, lines: list[str], corner: tuple[int, int]) -> None:
    """Write lines from a corner down; one that is too long is cut at its end."""
    most = CELL // 6  # characters of the built-in font
    for i, line in enumerate(lines):
        shown = line if len(line) <= most else line[: most - 3] + "..."
        pen.text((corner[0], corner[1] + i * CAPTION), shown, fill=INK if i == 0 else FAINT)
