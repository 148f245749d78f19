"""Augmentor in its own way: a Pipeline over Pillow images in threads, each rendition read, made and saved as a file.

It has no rotation beyond 25 degrees and fills no border: it cuts the largest window out of the turned image. It saves
JPEGs at Pillow's own quality, 75, and cannot be told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from Augmentor import Pipeline

from benchmarks.contenders.task import Part, Task, main, now


def _photo(pipeline: Pipeline) -> None:
    pipeline.resize(1, 224, 224, "BILINEAR")
    pipeline.flip_left_right(0.5)
    pipeline.random_brightness(1, 0.8, 1.2)
    pipeline.random_contrast(1, 0.7, 1.3)
    pipeline.rotate(1, 25, 25)
    pipeline.zoom(1, 1 / 1.2, 1 / 0.8)


def _imagenet(pipeline: Pipeline) -> None:
    """A crop of random area but of the image's proportions, and no hue, which it has not."""
    pipeline.crop_random(1, 0.99, randomise_percentage_area=True)
    pipeline.resize(1, 224, 224, "BILINEAR")
    pipeline.flip_left_right(0.5)
    pipeline.random_brightness(1, 0.875, 1.125)
    pipeline.random_contrast(1, 0.5, 1.5)
    pipeline.random_color(1, 0.5, 1.5)


PIPELINES: dict[str, Callable[[Pipeline], None]] = {"photo": _photo, "imagenet": _imagenet}


def augment(task: Task) -> Part:
    """Put every photo through the pipeline as many times as there are copies."""
    pipeline = Pipeline(str(task.source), str(task.output.resolve()), save_format="JPEG")
    PIPELINES[task.name](pipeline)
    started = now()
    for _ in range(task.recipe.copies):
        pipeline.process()
    ended = now()
    return Part(sum(1 for _ in task.output.rglob("*.JPEG")), started, ended)


if __name__ == "__main__":
    main(augment)
