"""The random-resized crop: a window of drawn area, proportions and place, as Inception's training had it.

Szegedy et al., "Going deeper with convolutions", CVPR 2015.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from augmill.transforms.arguments import Pair, check_choice, check_whole
from augmill.transforms.backend import TensorKernel
from augmill.transforms.base import (
    GeometricTransform,
    Params,
    Sample,
    Shape,
    Transform,
    TransformError,
    check_number,
)
from augmill.transforms.motion import Motion, scaling, translation
from augmill.transforms.randomness import Draws
from augmill.transforms.window import Frame, check_size, resized

_Box = Sequence[float]  # xmin, ymin, xmax, ymax in pixels

_HEIGHT = (
    "uniform over the whole pixels that area_range allows at the drawn aspect ratio; drawn anew until the window shows "
    "enough of an object, and after max_attempts the image's own"
)


@dataclass(frozen=True, repr=False)
class SampleDistortedBoundingBox(TensorKernel, GeometricTransform):
    """Cut out a window of drawn size, proportions and place that shows enough of an object, and resize it.

    Each attempt draws an aspect ratio, then the height, then the place, as TensorFlow's kernel does; it fails where the
    area can't be had, or where no object has `min_object_covered` of its box in the window. The image itself stands for
    the object where it has none. After `max_attempts` failures the whole image is kept. Like the kernel's, windows
    smaller than the image never reach its last row or column.

    Equivalent: `tf.image.sample_distorted_bounding_box`, then `tf.slice`, then `tf.image.resize` (bilinear) where
    `size` is given. Boxes are measured as they are, while TensorFlow cuts their coordinates to whole pixels.
    Parameters: `top`, `left`, `height` and `width` of the window in pixels.
    """

    min_object_covered: float = 0.1
    aspect_ratio_range: Pair = (0.75, 1.33)
    area_range: Pair = (0.05, 1.0)
    max_attempts: int = 100
    use_image_if_no_bounding_boxes: bool = True
    size: tuple[int, int] | None = None

    name: ClassVar[str] = "tf.image.sample_distorted_bounding_box"
    takes: ClassVar[Mapping[str, str]] = {
        "min_object_covered": "least share of at least one object's box that the window shows, in [0, 1]; without "
        "objects the least share of the image",
        "aspect_ratio_range": "[lowest, highest] width of the window over its height, above 0",
        "area_range": "[lowest, highest] share of the image's area that the window has, in (0, 1]",
        "max_attempts": "attempts before the whole image is kept, at least 1",
        "use_image_if_no_bounding_boxes": "whether the image stands for the object where it has none (true unless you "
        "say so, other than in tf.image); else that is an error",
        "size": "[height, width] in pixels that the window is resized to; without it windows keep their size",
    }
    draws: ClassVar[Mapping[str, str]] = {
        "height": _HEIGHT,
        "width": "the height times an aspect ratio uniform in aspect_ratio_range, rounded",
        "top": "uniform over the whole pixels from 0 to the image's height less the window's, less 1",
        "left": "uniform over the whole pixels from 0 to the image's width less the window's, less 1",
    }

    def __post_init__(self) -> None:
        check_number("min_object_covered", self.min_object_covered, low=0, high=1)
        object.__setattr__(self, "aspect_ratio_range", _range("aspect_ratio_range", self.aspect_ratio_range, None))
        object.__setattr__(self, "area_range", _range("area_range", self.area_range, 1))
        check_whole("max_attempts", self.max_attempts, low=1)
        check_choice("use_image_if_no_bounding_boxes", self.use_image_if_no_bounding_boxes, (True, False))
        if self.size is not None:
            object.__setattr__(self, "size", check_size("size", self.size))
        elif self.area_range[0] == 1:
            raise TransformError("area_range must allow a crop where no size is given: [1, 1] keeps the whole image")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return self._draw(draws, shape, ())

    def draw_for(self, draws: Draws, sample: Sample) -> Params:
        return self._draw(draws, sample.image.shape, () if sample.objects is None else sample.objects.boxes.tolist())

    def frame(self, params: Params, shape: Shape) -> Frame:
        """The window that was drawn."""
        return Frame(params["top"], params["left"], params["height"], params["width"])

    def on_tensor(self, image: Any, params: Params) -> Any:
        top, left, height, width = self.frame(params, tuple(image.shape))
        window = image[top : top + height, left : left + width]
        return window if self.size is None else resized(window, self.size)

    def motion(self, params: Params, shape: Shape) -> Motion:
        frame = self.frame(params, shape)
        height, width = self.size or (frame.height, frame.width)
        matrix = scaling(width / frame.width, height / frame.height) @ translation(-frame.left, -frame.top)
        return Motion((height, width), matrix)

    def _draw(self, draws: Draws, shape: Shape, boxes: Sequence[_Box]) -> Params:
        height, width = shape[:2]
        if not boxes:
            self._check_image_for_box()
            boxes = [(0.0, 0.0, width, height)]
        for _ in range(self.max_attempts):
            frame = self._attempt(draws, height, width)
            if frame is not None and _shows_enough(frame, boxes, self.min_object_covered):
                return frame._asdict()
        return Frame(0, 0, height, width)._asdict()

    def _check_image_for_box(self) -> None:
        """Raise TransformError unless the image may stand for the object, and a window can show enough of it."""
        if not self.use_image_if_no_bounding_boxes:
            raise TransformError(
                f"{self.name}: the image has no boxes; use_image_if_no_bounding_boxes: true lets it stand for one"
            )
        least, most = max(self.area_range[0], self.min_object_covered), self.area_range[1]
        if least > most or (least == 1 and self.size is None):
            raise TransformError(
                f"{self.name}: without objects a window must show min_object_covered, {self.min_object_covered:g}, of "
                f"the image itself, and area_range allows {most:g}: no crop does; lower min_object_covered"
            )

    def _attempt(self, draws: Draws, height: int, width: int) -> Frame | None:
        """Draw a window, or None where no size has the drawn proportions and a right area."""
        ratio = draws.uniform(*self.aspect_ratio_range)
        least, most = (share * height * width for share in self.area_range)
        tallest = round(math.sqrt(most / ratio))
        if round(tallest * ratio) > width:
            tallest = int((width + 0.5) / ratio)
            tallest -= round(tallest * ratio) > width
        tallest = min(tallest, height)
        lowest = min(round(math.sqrt(least / ratio)), tallest)
        rows = lowest if lowest == tallest else draws.integer(lowest, tallest + 1)
        # Rounding may have put the area just outside: a row more or less brings it back.
        rows += rows * round(rows * ratio) < least
        rows -= rows * round(rows * ratio) > most
        columns = round(rows * ratio)
        if not (least <= rows * columns <= most and 0 < columns <= width and 0 < rows <= height):
            return None
        top = draws.integer(0, height - rows) if rows < height else 0
        left = draws.integer(0, width - columns) if columns < width else 0
        return Frame(top, left, rows, columns)


@dataclass(frozen=True, repr=False)
class StatelessSampleDistortedBoundingBox(SampleDistortedBoundingBox):
    """Do what `tf.image.sample_distorted_bounding_box` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_sample_distorted_bounding_box"


def _shows_enough(frame: Frame, boxes: Iterable[_Box], least: float) -> bool:
    """Tell whether the window shows at least this share of some box."""
    # Plain numbers: of a few boxes, arrays take many times as long.
    top, left, bottom, right = frame.top, frame.left, frame.top + frame.height, frame.left + frame.width
    for first_x, first_y, last_x, last_y in boxes:
        area = (last_x - first_x) * (last_y - first_y)
        if area > 0:
            seen_x, seen_y = min(last_x, right) - max(first_x, left), min(last_y, bottom) - max(first_y, top)
            if max(seen_x, 0.0) * max(seen_y, 0.0) / area >= least:
                return True
    return least <= 0


def _range(name: str, value: Any, most: float | None) -> Pair:
    """Read [lowest, highest], both above 0 and at most `most`."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise TransformError(f"{name} must be [lowest, highest], got {value!r}")
    for end in value:
        check_number(name, end, low=0, high=most, open_low=True)
    if value[0] > value[1]:
        raise TransformError(f"{name} must be [lowest, highest], got {list(value)!r}")
    return (float(value[0]), float(value[1]))


OPS: tuple[type[Transform], ...] = (SampleDistortedBoundingBox, StatelessSampleDistortedBoundingBox)
