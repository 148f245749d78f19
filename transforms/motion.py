"""Where an op moves pixels to, and the one place that moves annotations along.

An op that moves pixels says how by a `Motion`: a matrix, or a field. Boxes, masks and keypoints then follow by the code
here, so that they can't disagree with each other or from op to op.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from augmill.transforms.objects import (
    HIDDEN,
    Objects,
    clip_to_side,
    clip_to_window,
    lies_inside,
    pixels_outline,
    polygon_area,
)

BEYOND = ("constant", "nearest", "reflect", "wrap")  # what stands where the source does not reach

_NUDGE = 1e-7  # pixels: a place on the line between two is in the second, whatever the last bit of a cosine is
_HORIZON = 1e-6  # a point closer than this to a homography's horizon is beyond it
_EDGE_STEP = 2.0  # pixels between the points of an edge that a field bends
_INVERSE_STEPS = 60
_CLOSE = 1e-3  # pixels: a place found this well is found
_DAMPING = 0.5  # whole steps run back and forth for ever where a field is steep
_LEAST_AREA = 1e-6  # square pixels: what is left of an object that is less is nothing


@dataclass(frozen=True)
class Motion:
    """How one op moves the pixels of one image, in continuous pixel coordinates (x, y).

    Attributes:
      shape: (height, width) of the result.
      matrix: float64 [3, 3], takes a point of the source to its place in the result.
      field: float64 [height, width, 2], for each pixel of the result the point of the source that its centre shows;
        given instead of `matrix`.
      beyond: what a pixel of the result shows whose place in the source lies outside: "constant" for a fill value, or
        the "nearest" pixel, or the image repeated by "reflect" (d c b a | a b c d | d c b a) or "wrap".
    """

    shape: tuple[int, int]
    matrix: np.ndarray | None = None
    field: np.ndarray | None = None
    beyond: str = "constant"

    def __post_init__(self) -> None:
        assert (self.matrix is None) != (self.field is None), "a motion has a matrix or a field"
        assert self.beyond in BEYOND, self.beyond

    def move_points(self, points: np.ndarray) -> np.ndarray:
        """Take points of the source, float64 [points, 2], to their places in the result.

        Not numbers where they lie beyond the horizon of a homography: behind the viewer.
        """
        if self.field is not None:
            return self._against_field(points)
        assert self.matrix is not None
        return _flattened(np.column_stack([points, np.ones(len(points))]) @ self.matrix.T)

    def _against_field(self, points: np.ndarray) -> np.ndarray:
        """Solve field(place) = point: each step goes half of the way that is still missing at the last guess."""
        assert self.field is not None
        places = np.array(points, np.float64)
        for _ in range(_INVERSE_STEPS):
            missing = points - _bilinear(self.field, places)
            places += _DAMPING * missing
            if (np.abs(missing) < _CLOSE).all():
                break
        return places

    def sources(self) -> np.ndarray:
        """The point of the source that the centre of each pixel of the result shows: float64 [height, width, 2].

        Not a number beyond the horizon, where nothing is seen.
        """
        if self.field is not None:
            return self.field
        assert self.matrix is not None
        inverse = np.linalg.inv(self.matrix)
        ys, xs = np.mgrid[0 : self.shape[0], 0 : self.shape[1]] + 0.5
        return _flattened(np.stack([xs, ys, np.ones_like(xs)], axis=-1) @ inverse.T)

    def move_pixels(self, image: np.ndarray, *, interpolation: str = "bilinear", fill: float = 0.0) -> np.ndarray:
        """Move an image, float32 [height, width, channels], pixel by pixel as `move_mask` moves a mask.

        Equivalent: `scipy.ndimage.map_coordinates` of order 1, or 0 for "nearest", in the modes "grid-constant",
        "nearest", "reflect" and "grid-wrap".

        Args:
          image: what the source shows.
          interpolation: "bilinear" between the four nearest pixels, or "nearest".
          fill: the level of the pixels beyond the source where `beyond` is "constant".
        """
        places = self.sources()
        if interpolation == "nearest":
            return self._read(image, places, fill)
        first = np.floor(places - 0.5)
        x, y = np.moveaxis(places - 0.5 - first, -1, 0)[..., None].astype(np.float32)
        rows = []
        for below in (0.5, 1.5):
            left, right = (self._read(image, first + np.array([column, below]), fill) for column in (0.5, 1.5))
            rows.append(left * (1 - x) + right * x)
        moved = rows[0] * (1 - y) + rows[1] * y
        return np.where(np.isfinite(moved), moved, np.float32(fill))

    def move_mask(self, mask: np.ndarray, fill: int = 0) -> np.ndarray:
        """Move a mask of ids, integer [height, width], taking the nearest id and making none up.

        `fill` stands where a constant fill of the image does.
        """
        return self._read(mask, self.sources(), fill)

    def _read(self, pixels: np.ndarray, places: np.ndarray, fill: float) -> np.ndarray:
        """The pixels, [height, width] or [height, width, channels], that the points `places` lie in."""
        columns, in_width = _indices(places[..., 0], pixels.shape[1], self.beyond)
        rows, in_height = _indices(places[..., 1], pixels.shape[0], self.beyond)
        found = pixels[rows, columns]
        if self.beyond == "constant":
            found[~(in_width & in_height)] = fill
        return found

    def move_objects(self, objects: Objects) -> Objects:
        """Move outlines and keypoints, cut them at the image's edges and leave out what is wholly outside."""
        cut = self._cut_at_edges if self.field is None else self._cut_through_field
        parts = [cut(outline) for outline in objects.outlines]
        seen = np.array([share for _, share in parts], np.float64)
        keypoints = None if objects.keypoints is None else self._move_keypoints(objects.keypoints, objects.pairs)
        outlines = tuple(inside for inside, _ in parts)
        everything = replace(objects, outlines=outlines, visible=objects.visible * seen, keypoints=keypoints)
        return everything.kept(seen > 0)

    def _cut_at_edges(self, outline: np.ndarray) -> tuple[np.ndarray, float]:
        """The part of an outline that is inside the result, and its share of the whole."""
        whole = self._move_outline(outline)
        inside = clip_to_window(whole, (0, 0), (self.shape[1], self.shape[0]))
        area = polygon_area(inside) if len(inside) else 0.0
        return inside, min(1.0, area / max(polygon_area(whole), _LEAST_AREA)) if area > _LEAST_AREA else 0.0

    def _cut_through_field(self, outline: np.ndarray) -> tuple[np.ndarray, float]:
        """The outline of the pixels that show what is inside `outline`, and the share that is seen.

        A field that folds shows a place more than once; an outline moved along it is on one of its images only.
        """
        assert self.field is not None
        moved, share = self._cut_at_edges(outline)
        low, high = outline.min(axis=0), outline.max(axis=0)
        rows, columns = np.nonzero(((self.field >= low) & (self.field <= high)).all(axis=-1))
        shown = np.zeros(self.shape, np.uint8)
        shown[rows, columns] = lies_inside(self.field[rows, columns], outline)
        if not shown.any():  # smaller than a pixel, or outside
            return moved, share
        return pixels_outline(shown), share or min(1.0, shown.sum() / polygon_area(outline))

    def _move_outline(self, outline: np.ndarray) -> np.ndarray:
        if self.field is not None:
            return self.move_points(_with_edge_points(outline))
        assert self.matrix is not None
        # What lies behind a homography's horizon would come back on the other side.
        outline = clip_to_side(outline, tuple(self.matrix[2, :2]), _HORIZON - self.matrix[2, 2])
        return self.move_points(outline) if len(outline) else np.zeros((1, 2))

    def _move_keypoints(self, keypoints: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        flat = keypoints.reshape(-1, 3)
        places = self.move_points(flat[:, :2])  # not numbers beyond a horizon, and so not inside
        inside = ((places >= 0) & (places < (self.shape[1], self.shape[0]))).all(axis=1) & (flat[:, 2] != HIDDEN)
        moved = np.where(inside[:, None], np.column_stack([places, flat[:, 2]]), 0.0).reshape(keypoints.shape)
        if self.mirrors:
            for left, right in pairs:
                moved[:, [left, right]] = moved[:, [right, left]]
        return moved

    @property
    def mirrors(self) -> bool:
        """Whether the image is seen as in a mirror, so that left and right change names."""
        return self.matrix is not None and bool(np.linalg.det(self.matrix) < 0)


def still(shape: Sequence[int]) -> Motion:
    """The motion of an op that leaves this image as it is."""
    return Motion((shape[0], shape[1]), np.eye(3))


def translation(x: float, y: float) -> np.ndarray:
    """The matrix that moves by (x, y) pixels."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: float, y: float) -> np.ndarray:
    """The matrix that scales by the factors x and y from the top left corner."""
    return np.diag([float(x), float(y), 1.0])


def rotation(radians: float) -> np.ndarray:
    """The matrix that turns about the top left corner, counter-clockwise as the viewer sees it (y goes down)."""
    cosine, sine = np.cos(radians), np.sin(radians)
    return np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def about_centre(matrix: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Carry out a matrix about the image's centre rather than its top left corner."""
    x, y = shape[1] / 2, shape[0] / 2
    return translation(x, y) @ matrix @ translation(-x, -y)


def on_pixel_indices(matrix: np.ndarray) -> np.ndarray:
    """Turn a matrix over pixel indices, where a pixel's centre is a whole number, into one over continuous pixels."""
    return translation(0.5, 0.5) @ matrix @ translation(-0.5, -0.5)


def _flattened(homogeneous: np.ndarray) -> np.ndarray:
    """Points in the plane of homogeneous ones, [..., 3]; not numbers where they lie beyond the horizon."""
    depth = homogeneous[..., 2:]
    return homogeneous[..., :2] / np.where(depth > 0, depth, np.nan)


def _with_edge_points(outline: np.ndarray) -> np.ndarray:
    """The outline with points along its edges, so that it can bend."""
    edges = np.roll(outline, -1, axis=0) - outline
    counts = np.maximum(1, np.ceil(np.linalg.norm(edges, axis=1) / _EDGE_STEP)).astype(int)
    along = [np.linspace(0, 1, count, endpoint=False)[:, None] for count in counts]
    return np.concatenate([start + share * edge for start, edge, share in zip(outline, edges, along, strict=True)])


def _bilinear(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Read a field between its pixels' centres; beyond them it goes on with the displacement of the nearest."""
    height, width = field.shape[:2]
    within = np.clip(points - 0.5, 0, (width - 1, height - 1))
    column, row = np.floor(within).astype(int).T
    right, below = np.minimum(column + 1, width - 1), np.minimum(row + 1, height - 1)
    x, y = (within - np.floor(within)).T[..., None]
    top = field[row, column] * (1 - x) + field[row, right] * x
    bottom = field[below, column] * (1 - x) + field[below, right] * x
    return top * (1 - y) + bottom * y + (points - 0.5 - within)


def _indices(places: np.ndarray, length: int, beyond: str) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that continuous coordinates lie in, brought inside, and whether each was inside."""
    finite = np.nan_to_num(np.floor(places + _NUDGE), nan=-1.0, posinf=-1.0, neginf=-1.0)
    index = np.clip(finite, -(2**40), 2**40).astype(np.int64)
    inside = (index >= 0) & (index < length)
    if beyond == "reflect":
        turn = index % (2 * length)
        return np.where(turn < length, turn, 2 * length - 1 - turn), inside
    if beyond == "wrap":
        return index % length, inside
    return np.clip(index, 0, length - 1), inside
