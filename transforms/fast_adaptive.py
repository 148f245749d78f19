"""The fast kernel of adaptive equalization: all channels at once, and OpenCV's resampling for the blend of tiles."""

from __future__ import annotations

import cv2
import numpy as np

from augmill.transforms.keras_filter import ContrastLimitedAdaptiveHistogramEqualization

_LONGEST = 32767  # the most that OpenCV takes as a side where it resamples


def adaptive_equalization(op: ContrastLimitedAdaptiveHistogramEqualization, image: np.ndarray) -> np.ndarray:
    """Equalize each channel of a uint8 image within tiles, and blend between tiles.

    The curves of all tiles form a picture: a row for each level and row of tiles, a column for each channel and column
    of tiles. A pixel's level, and where it lies among the tiles, are a place in that picture, and bilinear resampling
    there is the blend of the four curves.
    """
    height, width, channels = image.shape
    rows, columns = op.tile_grid_size
    tall, wide = -(-height // rows), -(-width // columns)  # a tile's sides, in pixels
    if max(256 * rows, channels * columns, channels * width, height) >= _LONGEST:
        return np.rint(op.apply(image, {})).astype(np.uint8)
    curves = _curves(_counts(image, rows, columns, tall, wide), op.clip_limit)
    picture = np.ascontiguousarray(curves.transpose(3, 0, 2, 1)).reshape(256 * rows, channels * columns)
    down = (np.arange(height, dtype=np.float32) / tall - 0.5).clip(0, rows - 1)
    across = (np.arange(width, dtype=np.float32) / wide - 0.5).clip(0, columns - 1)
    places = np.empty((height, width, channels, 2), np.float32)
    places[..., 0] = across[:, None] + np.arange(channels) * columns
    np.multiply(image, np.float32(rows), out=places[..., 1])
    places[..., 1] += down[:, None, None]
    blended = cv2.remap(picture, places.reshape(height, -1, 2), None, cv2.INTER_LINEAR)
    return cv2.convertScaleAbs(blended).reshape(image.shape)


def _counts(image: np.ndarray, rows: int, columns: int, tall: int, wide: int) -> np.ndarray:
    """How many pixels of each tile have each level: int64 [rows, columns, channels, 256]."""
    height, width, channels = image.shape
    below, beside = rows * tall - height, columns * wide - width
    if below or beside:
        image = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_REFLECT)
    tiles = np.arange(rows * columns * channels).reshape(rows, 1, columns, 1, channels)
    places = image.reshape(rows, tall, columns, wide, channels) + 256 * tiles
    return np.bincount(places.ravel(), minlength=256 * tiles.size).reshape(rows, columns, channels, 256)


def _curves(counts: np.ndarray, clip_limit: float) -> np.ndarray:
    """The new level that each tile has for every level: float32 of the shape of `counts`."""
    pixels = int(counts[0, 0, 0].sum())
    if clip_limit > 0:
        clipped = np.minimum(counts, clip_limit * pixels / 256)
        clipped += (pixels - clipped.sum(axis=-1, keepdims=True)) / 256
        counts = clipped
    up_to = np.cumsum(counts, axis=-1)
    lowest = up_to[..., :1]
    above = pixels - lowest
    curves = (up_to - lowest) * (255 / np.where(above > 0, above, 1))
    return np.clip(curves, 0, 255).astype(np.float32)
