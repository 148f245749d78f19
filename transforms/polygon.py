"""Polygons in the plane: how large one is, the part of it in a window, and what lies inside.

A polygon is a float64 [corners, 2] array of (x, y), its last corner joined to its first. `Polygons` measures those of
a whole image at once; a single one of a few corners is cut in plain numbers, which NumPy would be slower at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import cv2
import numpy as np


@dataclass(frozen=True)
class Polygons:
    """Several polygons as rows of one array, so that NumPy is called once for all of them.

    Attributes:
      points: float64 [all corners, 2], one polygon after the other.
      counts: how many corners each polygon has, one or more.
    """

    points: np.ndarray
    counts: tuple[int, ...]

    @classmethod
    def of(cls, outlines: Sequence[np.ndarray]) -> Polygons:
        """Join polygons, at least one."""
        return cls(np.concatenate(outlines), tuple(map(len, outlines)))

    def split(self) -> list[np.ndarray]:
        """The polygons one by one, as views."""
        ends = accumulate(self.counts)
        return [self.points[end - count : end] for count, end in zip(self.counts, ends, strict=True)]

    def boxes(self) -> np.ndarray:
        """The tightest box of each polygon, float64 [polygons, 4] of (xmin, ymin, xmax, ymax)."""
        starts, _ = _rows(self.counts)
        low, high = np.minimum.reduceat(self.points, starts), np.maximum.reduceat(self.points, starts)
        return np.concatenate([low, high], axis=1)

    def areas(self) -> np.ndarray:
        """The area inside each polygon, float64 [polygons], by the shoelace formula."""
        starts, ahead = _rows(self.counts)
        x, y = self.points.T
        return np.abs(np.add.reduceat(x * y[ahead] - y * x[ahead], starts)) / 2


@lru_cache(maxsize=256)  # nearly all outlines have four corners, and images few objects
def _rows(counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The row that each of some polygons begins in, and the row of the corner after each corner."""
    ends = np.cumsum(counts)
    starts = ends - counts
    ahead = np.arange(1, ends[-1] + 1)
    ahead[ends - 1] = starts
    return starts, ahead


def polygon_area(outline: np.ndarray) -> float:
    """The area inside a polygon, by the shoelace formula."""
    x, y = outline.T
    return float(abs(x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0])) / 2


def clip_to_side(outline: np.ndarray, normal: tuple[float, float], offset: float) -> np.ndarray:
    """Cut a polygon down to where normal . point >= offset; the result may have no corner."""
    across, down = normal
    corners = outline.tolist()
    depths = [across * x + down * y - offset for x, y in corners]
    if not corners or min(depths) >= 0:
        return outline
    return np.array(_cut(corners, depths), np.float64).reshape(-1, 2)


def clip_to_window(outline: np.ndarray, low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
    """Cut a polygon down to the rectangle from corner `low` to corner `high`, both (x, y)."""
    before = corners = outline.tolist()
    for axis in (0, 1):
        corners = _cut(corners, [corner[axis] - low[axis] for corner in corners])
    for axis in (0, 1):
        corners = _cut(corners, [high[axis] - corner[axis] for corner in corners])
    if corners is before:
        return outline
    # Where an edge is cut is rounded, and might be outside by the last bit.
    return np.clip(np.array(corners, np.float64).reshape(-1, 2), low, high)


def _cut(corners: list[list[float]], depths: list[float]) -> list[list[float]]:
    """Keep the part of a polygon that is not below depth 0; the list itself where that is all of it.

    Sutherland and Hodgman, "Reentrant polygon clipping", CACM 1974.
    """
    if not corners or min(depths) >= 0:
        return corners
    kept = []
    ahead = zip(corners[1:] + corners[:1], depths[1:] + depths[:1], strict=True)
    for (x, y), depth, ((x_ahead, y_ahead), depth_ahead) in zip(corners, depths, ahead, strict=True):
        if depth >= 0:
            kept.append([x, y])
        if (depth >= 0) != (depth_ahead >= 0):
            share = depth / (depth - depth_ahead)
            kept.append([x + share * (x_ahead - x), y + share * (y_ahead - y)])
    return kept


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
