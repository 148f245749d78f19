"""A strip: what one op makes of one photo, draw after draw."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from PIL import Image

from augmill.pipeline.drawing import CELL, GAP, new_sheet, picture, write
from augmill.pipeline.image import fit_image
from augmill.pipeline.units import drawn_words
from augmill.transforms.base import Sample, Transform, TransformError
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws

RENDITIONS = 8
_LINES = 6


class Photos:
    """The photos that an op which mixes takes its partner from."""

    def __init__(self, images: list[np.ndarray]) -> None:
        # Photos are of any size; those that are mixed are of one.
        self._images = [fit_image(image, images[0].shape[:2], "crop") for image in images]

    def draw(self, draws: Draws, key: str, tried: Collection[str] = ()) -> tuple[str, Sample]:
        """The photo that is not called `key`."""
        if len(self._images) < 2 or tried:
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
        drawn = list(drawn_words(steps[0].params))
        lines = [op.spec_name.rsplit(".", 1)[-1], *(word for word in drawn if not word.startswith("partner"))]
        write(pen, lines[:_LINES], (corner[0], corner[1] + CELL))
    return sheet
