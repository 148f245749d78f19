"""Where an op moves pixels to, and the one place that moves annotations along.

An op that moves pixels says how by a `Motion`: a matrix, or a field. Boxes, masks and keypoints then follow by the code
here, so that they can't disagree with each other or from op to op.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from augmill.transforms.gather import gather, is_affine, keeps_rows, places_under
from augmill.transforms.objects import HIDDEN, Objects
from augmill.transforms.polygon import (
    Polygons,
    clip_to_side,
    clip_to_window,
    lies_inside,
    pixels_outline,
    polygon_area,
)

BEYOND = ("constant", "nearest", "reflect", "wrap")  # what stands where the source does not reach

_HORIZON = 1e-6  # a point closer than this to a homography's horizon is beyond it
_EDGE_STEP = 2.0  # pixels between the points of an edge that a field bends
_INVERSE_STEPS = 60
_CLOSE = 1e-3  # pixels: a place found this well is found
_DAMPING = 0.5  # whole steps run back and forth for ever where a field is steep
_LEAST_AREA = 1e-6  # square pixels: what is left of an object that is less is nothing
_BAND = 2**15  # pixels of a mask that move at a time: their places stay in the processor's cache


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
        moved = points @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        if is_affine(self.matrix):
            return moved
        depth = points @ self.matrix[2, :2] + self.matrix[2, 2]
        return moved / np.where(depth > 0, depth, np.nan)[:, None]

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
        return np.stack(np.broadcast_arrays(*self._places(range(self.shape[0]))), axis=-1)

    def _places(self, rows: range) -> tuple[np.ndarray, np.ndarray]:
        """The x and the y of `sources` in some rows, as `gather` takes them."""
        if self.field is not None:
            band = self.field[rows.start : rows.stop]
            return band[..., 0], band[..., 1]
        assert self.matrix is not None
        return places_under(self.matrix, rows, self.shape[1])

    def move_pixels(self, image: np.ndarray, *, interpolation: str = "bilinear", fill: float = 0.0) -> np.ndarray:
        """Move an image, float32 [height, width, channels], pixel by pixel as `move_mask` moves a mask.

        Equivalent: `scipy.ndimage.map_coordinates` of order 1, or 0 for "nearest", in the modes "grid-constant",
        "nearest", "reflect" and "grid-wrap".

        Args:
          image: what the source shows.
          interpolation: "bilinear" between the four nearest pixels, or "nearest".
          fill: the level of the pixels beyond the source where `beyond` is "constant".
        """
        x, y = self._places(range(self.shape[0]))
        if interpolation == "nearest":
            return gather(image, x, y, beyond=self.beyond, fill=fill)
        left, top = np.floor(x - 0.5), np.floor(y - 0.5)
        along, down = (place[..., None].astype(np.float32) for place in (x - 0.5 - left, y - 0.5 - top))

        def level(column: float, row: float) -> np.ndarray:
            return gather(image, left + column, top + row, beyond=self.beyond, fill=fill)

        upper = level(0.5, 0.5) * (1 - along) + level(1.5, 0.5) * along
        lower = level(0.5, 1.5) * (1 - along) + level(1.5, 1.5) * along
        moved = upper * (1 - down) + lower * down
        return np.where(np.isfinite(moved), moved, np.float32(fill))

    def move_mask(self, mask: np.ndarray, fill: int = 0) -> np.ndarray:
        """Move a mask of ids, integer [height, width], taking the nearest id and making none up.

        `fill` stands where a constant fill of the image does.
        """
        bands = [gather(mask, *self._places(rows), beyond=self.beyond, fill=fill) for rows in self._bands()]
        return np.concatenate(bands)

    def _bands(self) -> list[range]:
        """The rows of the result, as many at a time as have their places in the processor's cache."""
        height, width = self.shape
        step = height if self.matrix is not None and keeps_rows(self.matrix) else max(1, _BAND // width)
        return [range(top, min(top + step, height)) for top in range(0, height, step)]

    def move_objects(self, objects: Objects) -> Objects:
        """Move outlines and keypoints, cut them at the image's edges and leave out what is wholly outside."""
        objects = self._this_side_of_the_horizon(objects)
        if not len(objects):
            return objects
        parts, seen = self._cut_at_edges(self._move_outlines(objects.outlines))
        if self.field is not None:
            for i, outline in enumerate(objects.outlines):
                parts[i], seen[i] = self._cut_through_field(outline, parts[i], seen[i])
        keypoints = None if objects.keypoints is None else self._move_keypoints(objects.keypoints, objects.pairs)
        moved = replace(objects, outlines=tuple(parts), visible=objects.visible * seen, keypoints=keypoints)
        return moved.kept([share > 0 for share in seen])

    def _this_side_of_the_horizon(self, objects: Objects) -> Objects:
        """The objects without what lies behind a homography's horizon: it would come back on the other side."""
        if self.matrix is None or is_affine(self.matrix):
            return objects
        across, down, depth = self.matrix[2].tolist()
        parts = tuple(clip_to_side(outline, (across, down), _HORIZON - depth) for outline in objects.outlines)
        return replace(objects, outlines=parts).kept([len(part) > 0 for part in parts])

    def _move_outlines(self, outlines: Sequence[np.ndarray]) -> Polygons:
        if self.field is not None:
            return Polygons.of([self.move_points(_with_edge_points(outline)) for outline in outlines])
        polygons = Polygons.of(outlines)
        return Polygons(self.move_points(polygons.points), polygons.counts)

    def _cut_at_edges(self, whole: Polygons) -> tuple[list[np.ndarray], list[float]]:
        """The parts of outlines that are inside the result, and the share of each outline that this is."""
        width, height = self.shape[1], self.shape[0]
        parts, areas = whole.split(), whole.areas()
        inside = areas.tolist()
        for i, (left, top, right, bottom) in enumerate(whole.boxes().tolist()):
            if left < 0 or top < 0 or right > width or bottom > height:
                parts[i] = clip_to_window(parts[i], (0, 0), (width, height))
                inside[i] = polygon_area(parts[i]) if len(parts[i]) else 0.0
        shares = [
            min(1.0, part / max(area, _LEAST_AREA)) if part > _LEAST_AREA else 0.0
            for part, area in zip(inside, areas.tolist(), strict=True)
        ]
        return parts, shares

    def _cut_through_field(self, outline: np.ndarray, moved: np.ndarray, share: float) -> tuple[np.ndarray, float]:
        """The outline of the pixels that show what is inside `outline`, and the share that is seen.

        A field that folds shows a place more than once; `moved`, the outline moved along it and cut, is on one of its
        images only.
        """
        assert self.field is not None
        low, high = outline.min(axis=0), outline.max(axis=0)
        rows, columns = np.nonzero(((self.field >= low) & (self.field <= high)).all(axis=-1))
        shown = np.zeros(self.shape, np.uint8)
        shown[rows, columns] = lies_inside(self.field[rows, columns], outline)
        if not shown.any():  # smaller than a pixel, or outside
            return moved, share
        return pixels_outline(shown), share or min(1.0, shown.sum() / polygon_area(outline))

    def _move_keypoints(self, keypoints: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        flat = keypoints.reshape(-1, 3)
        places = self.move_points(flat[:, :2])  # not numbers beyond a horizon, and so not inside
        inside = ((places >= 0) & (places < (self.shape[1], self.shape[0]))).all(axis=1) & (flat[:, 2] != HIDDEN)
        moved = np.concatenate([places, flat[:, 2:]], axis=1)
        moved[~inside] = 0.0
        moved = moved.reshape(keypoints.shape)
        if pairs and self.mirrors:
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
    return np.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def rotation(radians: float) -> np.ndarray:
    """The matrix that turns about the top left corner, counter-clockwise as the viewer sees it (y goes down)."""
    cosine, sine = np.cos(radians), np.sin(radians)
    return np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def about_centre(matrix: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Carry out an affine matrix about the image's centre rather than its top left corner."""
    x, y = shape[1] / 2, shape[0] / 2
    # As translation(x, y) @ matrix @ translation(-x, -y), in plain numbers: NumPy's calls cost five times that.
    (a, b, right), (c, d, down), last = matrix.tolist()
    return np.array([[a, b, right + x - (a * x + b * y)], [c, d, down + y - (c * x + d * y)], last])


def on_pixel_indices(matrix: np.ndarray) -> np.ndarray:
    """Turn a matrix over pixel indices, where a pixel's centre is a whole number, into one over continuous pixels."""
    return translation(0.5, 0.5) @ matrix @ translation(-0.5, -0.5)


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
