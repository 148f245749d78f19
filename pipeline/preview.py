"""A contact sheet: what a policy makes of real images, to be looked at before a build."""

from __future__ import annotations

from PIL import Image

from augmill.pipeline.drawing import CELL, GAP, captions, new_sheet, picture, row_height, write
from augmill.pipeline.peers import BlockPeers
from augmill.pipeline.plan import Plan
from augmill.pipeline.renderer import Renderer, block_peers
from augmill.pipeline.shard import RecordError
from augmill.pipeline.spec import Spec
from augmill.transforms.base import TransformError

MOST_COPIES = 12  # shown of each image


def draw_sheet(spec: Spec, plan: Plan, *, examples: int = 6) -> Image.Image:
    """Draw the first training examples of a plan, a row each: the image as it is, then its first augmented copies.

    They are the ones that a build makes; under each stand the ops that it went through. An image that cannot be read
    or an op that fails is told in its cell.
    """
    renderer = Renderer(spec, plan.classes, annotations=plan.annotations)
    reader = plan.reader()
    copies = [0, *range(1, min(spec.copies, MOST_COPIES) + 1)]
    longest = max(sum(1 for _ in spec.policy.leaves()), 1)
    rows = plan.table.slice(0, examples).to_pylist()
    sheet, pen = new_sheet(len(copies), len(rows), longest + 1)
    peers: dict[int, BlockPeers] = {}
    for y, row in enumerate(rows):
        if row["block"] not in peers:
            peers[row["block"]] = block_peers(renderer, reader, plan.rows_of(row["block"]))
        top = y * row_height(longest + 1) + GAP
        try:
            found = reader.read_example(row)
            opened = renderer.open(found.image, row["label"], found.annotations)
        except (OSError, RecordError, ValueError) as error:
            write(pen, [row["key"], str(error)], (GAP, top))
            continue
        for x, copy in enumerate(copies):
            corner = (x * (CELL + GAP) + GAP, top)
            try:
                sample, steps = renderer.render(opened, row["key"], copy, peers[row["block"]])
            except TransformError as error:
                write(pen, [f"copy {copy}", str(error)], corner)
                continue
            sheet.paste(picture(sample), corner)
            write(pen, [row["key"]] if copy == 0 else captions(steps), (corner[0], top + CELL))
    return sheet
