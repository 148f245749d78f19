"""A limit to the number of objects in an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from augmill.transforms.arguments import check_whole
from augmill.transforms.base import KEPT, MOVED, DrawsNothing, Params, Sample, Transform, TransformError


@dataclass(frozen=True, repr=False)
class MaxNumBoundingBoxes(DrawsNothing, Transform):
    """Keep the first objects of the image, up to a number, with their keypoints; pixels and mask stay.

    Equivalent: `keras.layers.MaxNumBoundingBoxes`, which also pads up to the number. Here an image has as many objects
    as it has, and what reads them into batches pads. It draws nothing.
    """

    max_number: int
    fill_value: int = -1

    name: ClassVar[str] = "keras.layers.MaxNumBoundingBoxes"
    takes: ClassVar[Mapping[str, str]] = {
        "max_number": "most objects that an image keeps, at least 1",
        "fill_value": "-1, no other: nothing is padded here",
    }
    in_floats: ClassVar[bool] = True  # it hands pixels on as they come

    def __post_init__(self) -> None:
        check_whole("max_number", self.max_number, low=1)
        if self.fill_value != -1:
            raise TransformError(
                f"fill_value must be left at -1, got {self.fill_value!r}: objects are not padded here, but where they "
                "are read into batches"
            )

    def transform(self, sample: Sample, params: Params) -> Sample:
        objects = sample.objects
        if objects is None:
            raise TransformError(f"{self.name} needs images with objects, and this source has none; take the op out")
        return replace(sample, objects=objects.kept(np.arange(len(objects)) < self.max_number))

    def treatment(self, kind: str) -> str:
        return KEPT if kind == "masks" else MOVED


OPS: tuple[type[Transform], ...] = (MaxNumBoundingBoxes,)
