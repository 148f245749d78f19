"""Transforms that lose what a lossy encoder loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.backend import tensorflow
from augmill.transforms.base import Params, PixelTransform, Shape, TransformError
from augmill.transforms.randomness import Draws


@dataclass(frozen=True, repr=False)
class RandomJpegQuality(PixelTransform):
    """Encode the image as JPEG at a drawn quality and decode it again.

    The quality is a whole number from min_jpeg_quality to max_jpeg_quality - 1, within 0 to 100. Equivalent:
    `tf.image.random_jpeg_quality`, which never draws the maximum either. Parameters: `quality`.
    """

    min_jpeg_quality: int
    max_jpeg_quality: int

    name: ClassVar[str] = "tf.image.random_jpeg_quality"

    def __post_init__(self) -> None:
        low: Any = self.min_jpeg_quality
        high: Any = self.max_jpeg_quality
        if type(low) is not int or type(high) is not int or not 0 <= low < high <= 100:
            raise TransformError(
                "min_jpeg_quality and max_jpeg_quality must be whole numbers with 0 <= min < max <= 100, "
                f"got {low!r} and {high!r}"
            )

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"quality": draws.integer(self.min_jpeg_quality, self.max_jpeg_quality)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return tensorflow().image.adjust_jpeg_quality(image, params["quality"]).numpy()
