"""A strip: what one op makes of one photo, draw after draw."""

from __future__ import annotations

import numpy as np
from PIL import Image

from augmill.pipeline.drawing import CELL, GAP, captions, new_sheet, picture, write
from augmill.transforms.base import Sample, Transform, TransformError
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws

RENDITIONS = 8
_LINES = 4


class Photos:
    """The photos that an op which mixes takes its partner from."""

    def __init__(self, images: list[np.ndarray]) -> None:
        self._images = images

    def draw(self, draws: Draws, key: str) -> tuple[str, Sample]:
        """The photo that is not called `key`."""
        if len(self._images) < 2:
            raise TransformError("an op that mixes two images needs two photos: give --preview twice")
        return "1", self.open("1")

    def open(self, key: str) -> Sample:
        """The photo with this number."""
        return Sample(self._images[int(key)])


def draw_strip(op: Transform, images: list[np.ndarray], *, renditions: int = RENDITIONS) -> Image.Image:
    """Draw the first of `images` as it is and then what `op` makes of it, with what was drawn under each.

    Raises:
      TransformError: the op can't do this photo.
    """
    sheet, pen = new_sheet(renditions + 1, 1, _LINES)
    sheet.paste(picture(Sample(images[0])), (GAP, GAP))
    write(pen, ["as it is"], (GAP, GAP + CELL))
    policy = Policy((op,))
    for copy in range(1, renditions + 1):
        sample, steps = policy.run(Sample(images[0]), seed=0, key="0", copy=copy, peers=Photos(images))
        corner = (copy * (CELL + GAP) + GAP, GAP)
        sheet.paste(picture(sample), corner)
        drawn = [f"{name} {_short(value)}" for name, value in steps[0].params.items() if name not in ("seed", "steps")]
        write(pen, [*captions(steps)[:1], *drawn][:_LINES], (corner[0], corner[1] + CELL))
    return sheet


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
