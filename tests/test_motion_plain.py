"""Motions against plain code, object by object and in homogeneous coordinates: any matrix, any objects, any mask."""

from __future__ import annotations

import numpy as np
import pytest

from augmill.transforms.motion import BEYOND, Motion, about_centre, rotation, scaling, translation
from augmill.transforms.objects import HIDDEN, Objects

SHAPE = (40, 60)
KINDS = ("mirror", "shift", "whole shift", "turn", "resized window", "quarter turn", "homography")


def any_matrix(kind: str, generator: np.random.Generator) -> np.ndarray:
    """A matrix of a kind, for images of `SHAPE`, that takes some objects over the edges."""
    shift, scales = generator.uniform(-25, 25, 2), generator.uniform(0.4, 2.5, 2)
    tilt = generator.normal(0, 1, (3, 3)) * [[0.1, 0.1, 9], [0.1, 0.1, 9], [0.008, 0.008, 0.05]]
    return {
        "mirror": about_centre(scaling(*generator.choice([[-1, 1], [1, -1], [-1, -1]])), SHAPE),
        "shift": translation(*shift),
        "whole shift": translation(*np.round(shift)),
        "turn": about_centre(rotation(generator.uniform(-4, 4)) @ scaling(*scales), SHAPE),
        "resized window": scaling(*scales) @ translation(*-np.abs(np.round(shift))),
        "quarter turn": np.array([[0.0, 1, 0], [-1, 0, 60], [0, 0, 1]]),
        "homography": np.eye(3) + tilt,
    }[kind]


def any_objects(generator: np.random.Generator, count: int = 6) -> Objects:
    """Boxes within `SHAPE`, some along its edges, each with three keypoints."""
    sides = np.array([60, 40])
    low, high = np.sort(generator.uniform(0, 1, (2, count, 2)), axis=0) * sides
    whole = np.arange(count)[:, None] % 2 == 0
    boxes = np.concatenate([np.where(whole, np.floor(low), low), np.where(whole, np.ceil(high), high)], axis=1)
    places = generator.uniform(0, 1, (count, 3, 2)) * sides
    keypoints = np.concatenate([places, generator.integers(0, 3, (count, 3, 1)).astype(float)], axis=-1)
    return Objects.from_boxes(boxes, np.arange(count), keypoints=keypoints, pairs=((0, 2),))


def plainly_cut(outline: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The part of a polygon of homogeneous points, [corners, 3], where side . point >= 0; corner by corner."""
    depth, kept = outline @ side, []
    for i in range(len(outline)):
        j = (i + 1) % len(outline)
        if depth[i] >= 0:
            kept.append(outline[i])
        if (depth[i] >= 0) != (depth[j] >= 0):
            kept.append(outline[i] + depth[i] / (depth[i] - depth[j]) * (outline[j] - outline[i]))
    return np.array(kept).reshape(-1, 3)


def plain_area(outline: np.ndarray) -> float:
    x, y = outline[:, 0], outline[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def plainly_moved(outline: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """What is seen of one outline, and its share of the whole."""
    horizon = matrix[2] - [0, 0, 1e-6]
    ahead = plainly_cut(np.column_stack([outline, np.ones(len(outline))]), horizon) @ matrix.T
    whole = inside = ahead / ahead[:, 2:]
    for side in ([1, 0, 0], [0, 1, 0], [-1, 0, shape[1]], [0, -1, shape[0]]):
        inside = plainly_cut(inside, np.array(side, float))
    return inside[:, :2], plain_area(inside) / plain_area(whole) if len(inside) else 0.0


def without_repeats(outline: np.ndarray) -> np.ndarray:
    """A corner on the very edge may be cut twice, at the same place."""
    return outline[np.abs(outline - np.roll(outline, 1, axis=0)).max(axis=1) > 1e-9]


def plain_mask(mask: np.ndarray, matrix: np.ndarray, shape: tuple[int, int], beyond: str) -> np.ndarray:
    """The id under the centre of each pixel, by homogeneous coordinates; 9 where there is none."""
    ys, xs = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    points = np.stack([xs, ys, np.ones_like(xs)], axis=-1) @ np.linalg.inv(matrix).T
    places = points[..., 1::-1] / np.where(points[..., 2:] > 0, points[..., 2:], np.nan)
    index = np.where(np.isnan(places), -1, np.floor(places + 1e-7)).astype(int)
    inside = ((index >= 0) & (index < mask.shape)).all(axis=-1)
    ways = {"reflect": lambda n: [*range(n), *reversed(range(n))], "wrap": range}
    if beyond in ways:
        rows, columns = (
            np.array(ways[beyond](n))[index[..., i] % len(ways[beyond](n))] for i, n in enumerate(mask.shape)
        )
    else:
        rows, columns = np.moveaxis(np.clip(index, 0, np.array(mask.shape) - 1), -1, 0)
    return np.where(inside | (beyond != "constant"), mask[rows, columns], 9)


@pytest.mark.parametrize("kind", KINDS)
def test_outlines_and_shares(kind: str) -> None:
    generator, cut, gone = np.random.default_rng(KINDS.index(kind)), 0, 0
    for _ in range(30):
        objects, matrix = any_objects(generator), any_matrix(kind, generator)
        shape = SHAPE[::-1] if kind == "quarter turn" else SHAPE
        moved = Motion(shape, matrix).move_objects(objects)
        expected = [plainly_moved(outline, matrix, shape) for outline in objects.outlines]
        seen = [i for i, (part, _) in enumerate(expected) if len(part) and plain_area(part) > 1e-6]
        assert moved.numbers.tolist() == moved.labels.tolist() == seen
        for outline, share, i in zip(moved.outlines, moved.visible, seen, strict=True):
            assert np.allclose(without_repeats(outline), without_repeats(expected[i][0]), rtol=1e-12, atol=1e-9)
            assert share == pytest.approx(expected[i][1], rel=1e-9)
        cut, gone = cut + int((moved.visible < 1).sum()), gone + len(objects) - len(moved)
    stays = kind in ("mirror", "quarter turn")
    assert (cut > 0, gone > 0) == (not stays, not stays)


@pytest.mark.parametrize("kind", KINDS)
def test_keypoints(kind: str) -> None:
    generator = np.random.default_rng(KINDS.index(kind))
    for _ in range(10):
        objects, motion = any_objects(generator), Motion(SHAPE, any_matrix(kind, generator))
        moved = motion.move_objects(objects)
        for points, i in zip(moved.keypoints, moved.numbers, strict=True):  # type: ignore[arg-type]
            before = objects.keypoints[i][[2, 1, 0] if motion.mirrors else [0, 1, 2]]  # type: ignore[index]
            x, y, depth = motion.matrix @ np.column_stack([before[:, :2], np.ones(3)]).T  # type: ignore[operator]
            x, y = x / depth, y / depth
            inside = (depth > 0) & (x >= 0) & (x < 60) & (y >= 0) & (y < 40) & (before[:, 2] != HIDDEN)
            assert np.allclose(points, np.where(inside, [x, y, before[:, 2]], 0).T, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beyond", BEYOND)
@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_masks(kind: str, beyond: str, dtype: str) -> None:
    generator = np.random.default_rng(KINDS.index(kind))
    mask = generator.integers(10, 250, SHAPE, dtype)
    for _ in range(5):
        matrix = any_matrix(kind, generator)
        moved = Motion((50, 70), matrix, beyond=beyond).move_mask(mask, 9)
        assert moved.dtype == mask.dtype
        assert np.array_equal(moved, plain_mask(mask, matrix, (50, 70), beyond))


@pytest.mark.parametrize("kind", ["turn", "homography", "quarter turn"])
def test_masks_that_move_in_several_bands(kind: str, photo: np.ndarray) -> None:
    mask, matrix = photo[..., 0], any_matrix(kind, np.random.default_rng(1))
    expected = plain_mask(mask, matrix, (400, 230), "constant")
    motion = Motion((400, 230), matrix)
    assert np.array_equal(motion.move_mask(mask, 9), expected)
    assert np.array_equal(Motion((400, 230), field=motion.sources()).move_mask(mask, 9), expected)
