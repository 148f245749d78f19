"""Transforms that lose what a lossy encoder loses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from augmill.transforms.arguments import check_choice, check_whole
from augmill.transforms.backend import TensorKernel, tensorflow
from augmill.transforms.base import Params, PixelTransform, Shape, Transform, TransformError
from augmill.transforms.randomness import Draws


@dataclass(frozen=True, repr=False)
class RandomJpegQuality(TensorKernel, PixelTransform):
    """Encode the image as JPEG at a drawn quality and decode it again.

    The quality is a whole number from min_jpeg_quality to max_jpeg_quality - 1, within 0 to 100. Equivalent:
    `tf.image.random_jpeg_quality`, which never draws the maximum either. Parameters: `quality`.
    """

    min_jpeg_quality: int
    max_jpeg_quality: int

    name: ClassVar[str] = "tf.image.random_jpeg_quality"
    takes: ClassVar[Mapping[str, str]] = {
        "min_jpeg_quality": "lowest quality, a whole number from 0 to 99",
        "max_jpeg_quality": "whole number that the quality stays below, up to 100",
    }
    draws: ClassVar[Mapping[str, str]] = {
        "quality": "uniform over the whole numbers from min_jpeg_quality to max_jpeg_quality - 1"
    }

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

    def on_tensor(self, image: Any, params: Params) -> Any:
        return tensorflow().image.adjust_jpeg_quality(image, params["quality"])


@dataclass(frozen=True, repr=False)
class StatelessRandomJpegQuality(RandomJpegQuality):
    """Do what `tf.image.random_jpeg_quality` does, under the name of its stateless form."""

    name: ClassVar[str] = "tf.image.stateless_random_jpeg_quality"


@dataclass(frozen=True, repr=False)
class AdjustJpegQuality(TensorKernel, PixelTransform):
    """Encode the image as JPEG at a quality, or one drawn from a range, and decode it again.

    Quality 100 loses a little too. Equivalent: `tf.image.adjust_jpeg_quality`, which draws nothing. Parameters:
    `jpeg_quality`.
    """

    jpeg_quality: int | tuple[int, int]
    dct_method: str = ""

    name: ClassVar[str] = "tf.image.adjust_jpeg_quality"
    takes: ClassVar[Mapping[str, str]] = {
        "jpeg_quality": "a whole number from 0 to 100, or [lowest, highest]",
        "dct_method": "how it is decoded: INTEGER_FAST, which '' means too, or INTEGER_ACCURATE",
    }
    draws: ClassVar[Mapping[str, str]] = {
        "jpeg_quality": "uniform over the whole numbers from lowest to highest, both included, or the number given"
    }

    def __post_init__(self) -> None:
        given: Any = self.jpeg_quality
        check_choice("dct_method", self.dct_method, ("", "INTEGER_FAST", "INTEGER_ACCURATE"))
        if not isinstance(given, (list, tuple)):
            check_whole("jpeg_quality", given, low=0, high=100)
            return
        if len(given) != 2:
            raise TransformError(f"jpeg_quality must be a whole number or [lowest, highest], got {given!r}")
        for end in given:
            check_whole("jpeg_quality", end, low=0, high=100)
        if given[0] > given[1]:
            raise TransformError(f"jpeg_quality must be [lowest, highest], got {list(given)!r}")
        object.__setattr__(self, "jpeg_quality", (given[0], given[1]))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        given = self.jpeg_quality
        return {"jpeg_quality": draws.integer(given[0], given[1] + 1) if isinstance(given, tuple) else given}

    def on_tensor(self, image: Any, params: Params) -> Any:
        adjust = tensorflow().image.adjust_jpeg_quality
        return adjust(image, params["jpeg_quality"], dct_method=self.dct_method)


OPS: tuple[type[Transform], ...] = (RandomJpegQuality, StatelessRandomJpegQuality, AdjustJpegQuality)
