"""What every contender is given, and the one line that it prints when it is done."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.recipes import ANNOTATIONS, RECIPES, Recipe


@dataclass(frozen=True)
class Task:
    """One run of one contender.

    Attributes:
      name, recipe: what to make.
      source: the folder of images. output: an empty folder for the result.
      workers: processes, or threads, to work with.
      options: what this contender alone understands, by name.
    """

    name: str
    recipe: Recipe
    source: Path
    output: Path
    workers: int
    options: dict[str, str]


class Photo(NamedTuple):
    """A source image: its file, its key, its class, and its boxes if the recipe has any.

    `boxes` is float [boxes, 4]: xmin, ymin, xmax, ymax in pixels; `box_labels` is int [boxes].
    """

    path: str
    key: str
    label: int
    boxes: np.ndarray
    box_labels: np.ndarray


class Part(NamedTuple):
    """What one worker did, and between which two readings of `time.monotonic`, which all processes share."""

    records: int
    started: float
    ended: float


def photos(task: Task) -> list[Photo]:
    """List the source images, in the order of their names."""
    no_boxes, no_labels = np.zeros((0, 4)), np.zeros(0, np.int64)
    folders = sorted(path for path in task.source.iterdir() if path.is_dir())
    found = [
        Photo(str(path), f"{folder.name}/{path.name}", label, no_boxes, no_labels)
        for label, folder in enumerate(folders)
        for path in sorted(folder.iterdir())
    ]
    if not task.recipe.boxes:
        return found
    boxes = _boxes_by_file(task.source / ANNOTATIONS)
    return [photo._replace(boxes=boxes[photo.key][0], box_labels=boxes[photo.key][1]) for photo in found]


def _boxes_by_file(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Boxes and labels by file name; labels are COCO's categories less one, as these are numbered from one."""
    coco = json.loads(path.read_text())
    by_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in coco["images"]}
    for annotation in coco["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    boxes = {}
    for image in coco["images"]:
        mine = by_image[image["id"]]
        left, top, width, height = np.array([one["bbox"] for one in mine]).T
        corners = np.stack([left, top, left + width, top + height], axis=1)
        boxes[image["file_name"]] = (corners, np.array([one["category_id"] - 1 for one in mine]))
    return boxes


def in_pool(work: Callable[[Task, int], Part], task: Task) -> Part:
    """Run `work(task, k)` for each k below the number of workers, each in a process of its own."""
    with ProcessPoolExecutor(task.workers) as pool:
        parts = list(pool.map(work, [task] * task.workers, range(task.workers)))
    return together(parts)


def together(parts: Iterable[Part]) -> Part:
    """All records, from when the first worker began to when the last one ended."""
    counts, starts, ends = zip(*parts, strict=True)
    return Part(sum(counts), min(starts), max(ends))


def main(work: Callable[[Task], Part]) -> None:
    """Do the task of the command line and print {"records": ..., "seconds": ...} as the last line.

    `seconds` are those at work: from when the first image is taken up to when the last record is written. What comes
    before and after, imports above all, is in the time of the whole command alone.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", required=True, choices=RECIPES)
    parser.add_argument("--source", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--workers", required=True, type=int)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    options = dict(option.split("=", 1) for option in given.option)
    part = work(Task(given.recipe, RECIPES[given.recipe], given.source, given.output, given.workers, options))
    told = json.dumps({"records": part.records, "seconds": part.ended - part.started})
    print(f"\n{told}", flush=True)  # some library may have left a line open


def now() -> float:
    """The clock that all processes of the machine share, in seconds."""
    return time.monotonic()
