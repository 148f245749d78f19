"""Objects in an image: their outlines, classes and keypoints, in one form inside whatever the source's is.

Coordinates are continuous pixels, x to the right and y down: the pixel in column 3 spans 3.0 to 4.0 and has its centre
at 3.5. A box as COCO writes it, [x, y, width, height], and as TFDS does, [ymin, xmin, ymax, xmax] as fractions of the
image, both convert without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

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
        found = [np.concatenate([outline.min(axis=0), outline.max(axis=0)]) for outline in self.outlines]
        return np.array(found, np.float64).reshape(-1, 4)

    @property
    def areas(self) -> np.ndarray:
        """The area of each box in square pixels, float64 [objects]."""
        boxes = self.boxes
        return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)

    def kept(self, wanted: Sequence[bool] | np.ndarray) -> Objects:
        """These objects less those not `wanted`, every row kept in step."""
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


def polygon_area(outline: np.ndarray) -> float:
    """The area inside a polygon, float64 [corners, 2] of (x, y), by the shoelace formula."""
    x, y = outline[:, 0], outline[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def clip_to_side(outline: np.ndarray, normal: tuple[float, float], offset: float) -> np.ndarray:
    """Cut a polygon down to where normal . point >= offset.

    Sutherland and Hodgman, "Reentrant polygon clipping", CACM 1974. The result may have no corner.
    """
    if not len(outline):
        return outline
    depth = outline @ np.asarray(normal, np.float64) - offset
    if (depth >= 0).all():
        return outline
    kept = []
    for i in range(len(outline)):
        j = (i + 1) % len(outline)
        if depth[i] >= 0:
            kept.append(outline[i])
        if (depth[i] >= 0) != (depth[j] >= 0):
            share = depth[i] / (depth[i] - depth[j])
            kept.append(outline[i] + share * (outline[j] - outline[i]))
    return np.array(kept, np.float64).reshape(-1, 2)


def clip_to_window(outline: np.ndarray, low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
    """Cut a polygon down to the rectangle from corner `low` to corner `high`, both (x, y)."""
    outline = clip_to_side(clip_to_side(outline, (1, 0), low[0]), (0, 1), low[1])
    return clip_to_side(clip_to_side(outline, (-1, 0), -high[0]), (0, -1), -high[1])


def lies_inside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Tell of each point, float64 [points, 2], whether it lies inside a polygon.

    It does where a ray from it to the right crosses the outline an odd number of times.
    """
    odd = np.zeros(len(points), bool)
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        between = (start[1] > points[:, 1]) != (end[1] > points[:, 1])
        if between.any():
            crossing = start[0] + (points[:, 1] - start[1]) / (end[1] - start[1]) * (end[0] - start[0])
            odd ^= between & (points[:, 0] < crossing)
    return odd


def pixels_outline(shown: np.ndarray) -> np.ndarray:
    """One polygon round all pixels that are not 0, uint8 [height, width]; it goes from part to part and back."""
    # OpenCV's contours run through pixel centres. Of twice the size, they tell a pixel's left side from its right.
    doubled = shown.repeat(2, axis=0).repeat(2, axis=1)
    parts, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners = [(part[:, 0] + 1.0) // 2 for part in parts]
    return np.concatenate([np.concatenate([part, part[:1], corners[0][:1]]) for part in corners])
