"""Objects in an image: their outlines, classes and keypoints, in one form inside whatever the source's is.

Coordinates are continuous pixels, x to the right and y down: the pixel in column 3 spans 3.0 to 4.0 and has its centre
at 3.5. A box as COCO writes it, [x, y, width, height], and as TFDS does, [ymin, xmin, ymax, xmax] as fractions of the
image, both convert without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from augmill.transforms.polygon import Polygons

HIDDEN, OCCLUDED, VISIBLE = 0, 1, 2  # a keypoint's third number, as COCO has it


@dataclass(frozen=True)
class Objects:
    """What is known of the objects in one image; row i of everything is the same object.

    Each object has an outline rather than a box alone: turned by 20 degrees and back, an outline is what it was, while
    a box drawn anew around each result would have grown twice.

    Attributes:
      outlines: of each object, a float64 [corners, 2] polygon of (x, y).
      labels: int64 [objects], the class of each.
      visible: float64 [objects], the share of the object's area that no crop or move has cut off so far.
      numbers: int64 [objects], which object of the source each is.
      keypoints: float64 [objects, keypoints, 3] of (x, y, visibility), or None.
      crowd: bool [objects], whether each stands for a group of objects, or None.
      pairs: keypoints that change places where the image is mirrored, as (left eye, right eye).
    """

    outlines: tuple[np.ndarray, ...]
    labels: np.ndarray
    visible: np.ndarray
    numbers: np.ndarray
    keypoints: np.ndarray | None = None
    crowd: np.ndarray | None = None
    pairs: tuple[tuple[int, int], ...] = ()

    @classmethod
    def from_boxes(
        cls,
        boxes: np.ndarray,
        labels: np.ndarray,
        *,
        keypoints: np.ndarray | None = None,
        crowd: np.ndarray | None = None,
        pairs: tuple[tuple[int, int], ...] = (),
    ) -> Objects:
        """Make objects of boxes, a float [objects, 4] array of (xmin, ymin, xmax, ymax) in pixels."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        count = len(boxes)
        return cls(
            outlines=tuple(corners),
            labels=np.asarray(labels, np.int64),
            visible=np.ones(count),
            numbers=np.arange(count),
            keypoints=keypoints,
            crowd=crowd,
            pairs=tuple(pairs),
        )

    def __len__(self) -> int:
        return len(self.outlines)

    @property
    def boxes(self) -> np.ndarray:
        """The tightest box of each outline: float64 [objects, 4] of (xmin, ymin, xmax, ymax) in pixels."""
        return Polygons.of(self.outlines).boxes() if self.outlines else np.zeros((0, 4))

    @property
    def areas(self) -> np.ndarray:
        """The area of each box in square pixels, float64 [objects]."""
        xmin, ymin, xmax, ymax = self.boxes.T
        return (xmax - xmin) * (ymax - ymin)

    def kept(self, wanted: Sequence[bool] | np.ndarray) -> Objects:
        """These objects less those not `wanted`, every row kept in step; all of them wanted, these themselves."""
        if all(wanted):
            return self
        chosen = np.flatnonzero(np.asarray(wanted, bool))
        return replace(
            self,
            outlines=tuple(self.outlines[i] for i in chosen),
            labels=self.labels[chosen],
            visible=self.visible[chosen],
            numbers=self.numbers[chosen],
            keypoints=None if self.keypoints is None else self.keypoints[chosen],
            crowd=None if self.crowd is None else self.crowd[chosen],
        )

    def joined(self, other: Objects) -> Objects:
        """These objects and then `other`, whose numbers count on from these."""

        def both(mine: np.ndarray | None, theirs: np.ndarray | None) -> np.ndarray | None:
            return None if mine is None or theirs is None else np.concatenate([mine, theirs])

        after = int(self.numbers.max()) + 1 if len(self) else 0
        return replace(
            self,
            outlines=self.outlines + other.outlines,
            labels=np.concatenate([self.labels, other.labels]),
            visible=np.concatenate([self.visible, other.visible]),
            numbers=np.concatenate([self.numbers, other.numbers + after]),
            keypoints=both(self.keypoints, other.keypoints),
            crowd=both(self.crowd, other.crowd),
        )

    def equals(self, other: Objects) -> bool:
        """Tell whether both hold the same objects at the same places."""
        same_outlines = len(self) == len(other) and all(map(np.array_equal, self.outlines, other.outlines))
        mine = np.zeros(0) if self.keypoints is None else self.keypoints
        theirs = np.zeros(0) if other.keypoints is None else other.keypoints
        return same_outlines and np.array_equal(self.labels, other.labels) and np.array_equal(mine, theirs)
