"""A TFDS dataset builder whose Beam pipeline augments; a module of its own, since TFDS wants builders in a package."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_datasets as tfds

from benchmarks.contenders.task import Photo, Task, now, photos

_BEGUN = "begun-"  # files beside the dataset, one of each process, with the time at which it took its first photo


class Augmented(tfds.core.GeneratorBasedBuilder):
    """The renditions of a recipe."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, task: Task, **more: Any) -> None:
        self._task = task
        super().__init__(**more)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(encoding_format=self._task.recipe.encoding),
            "label": tfds.features.ClassLabel(num_classes=8),
            "key": tfds.features.Text(),
            "copy": tfds.features.Scalar(np.int64),
        }
        if self._task.recipe.boxes:
            one = {"bbox": tfds.features.BBoxFeature(), "label": tfds.features.ClassLabel(num_classes=4)}
            features["objects"] = tfds.features.Sequence(one)
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples(self._task)}

    def _generate_examples(self, task: Task) -> beam.PTransform:
        return beam.Create(photos(task)) | "Augment" >> beam.FlatMap(renditions, task)


def renditions(photo: Photo, task: Task) -> Iterator[tuple[str, dict[str, Any]]]:
    """Augment one photo eagerly, each copy in turn."""
    from benchmarks.contenders.tensorflow_ops import AUGMENT, decode, encode, opened_boxes

    _note_begin(task)
    image = decode(Path(photo.path).read_bytes(), task.recipe)
    for copy in range(1, task.recipe.copies + 1):
        pixels, boxes = AUGMENT[task.name](image, opened_boxes(photo.boxes, photo.box_labels, task.recipe))
        encoded = io.BytesIO(encode(pixels, task.recipe).numpy())
        record: dict[str, Any] = {"image": encoded, "label": photo.label, "key": photo.key, "copy": copy}
        if boxes:
            record["objects"] = _objects(boxes, task.recipe.size)
        yield f"{photo.key}#{copy}", record


def _note_begin(task: Task) -> None:
    path = task.output / f"{_BEGUN}{os.getpid()}"
    if not path.exists():
        path.write_text(str(now()))


def when_begun(task: Task) -> float:
    """When the first photo was taken, in whichever process."""
    return min(float(path.read_text()) for path in task.output.glob(f"{_BEGUN}*"))


def _objects(boxes: dict[str, Any], size: tuple[int, int]) -> list[dict[str, Any]]:
    """Boxes as TFDS has them: fractions of the image."""
    shares = (boxes["boxes"].numpy() / [size[1], size[0], size[1], size[0]]).clip(0, 1).tolist()
    return [
        {"bbox": tfds.features.BBox(ymin=top, xmin=left, ymax=bottom, xmax=right), "label": int(label)}
        for (left, top, right, bottom), label in zip(shares, boxes["labels"], strict=True)
    ]
