"""Fast kernels of the ops where a pixel depends on those around it, and of those that lose a part of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from augmill.transforms.base import Params, Shape, Transform
from augmill.transforms.copying import Fill, with_channels
from augmill.transforms.erase import RandomErasing
from augmill.transforms.fast_adaptive import adaptive_equalization
from augmill.transforms.fast_color import TRUNCATING
from augmill.transforms.jpeg import AdjustJpegQuality, RandomJpegQuality, StatelessRandomJpegQuality
from augmill.transforms.keras_filter import (
    ContrastLimitedAdaptiveHistogramEqualization,
    RandomGaussianBlur,
    RandomSharpness,
)
from augmill.transforms.kernels import AnyKernel, MakeKernels, Pixels
from augmill.transforms.randomness import normal_noise

_THREE = (3, 3)


def sharpen(factor: float) -> AnyKernel:
    """Blend an image with itself smoothed, as `PIL.ImageEnhance.Sharpness`: factor 0 is smooth, 1 the image.

    The outermost pixels stay as they are.
    """

    def sharpened(image: np.ndarray) -> np.ndarray:
        if min(image.shape[:2]) < 3:
            return image
        sums = image.astype(np.int16)
        sums <<= 2  # the pixel itself counts five times among thirteen
        sums += with_channels(cv2.boxFilter(image, cv2.CV_16S, _THREE, normalize=False))
        smooth = cv2.convertScaleAbs(sums, alpha=1 / 13)
        blended = with_channels(cv2.addWeighted(image, factor, smooth, 1 - factor, TRUNCATING))
        for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            blended[edge] = image[edge]
        return blended

    return Pixels(sharpened)


def cutout(box: Sequence[int], fill: int | list[int]) -> AnyKernel:
    """Fill the box (left, top, right, bottom), in pixels, with a level, or one a channel."""
    left, top, right, bottom = box
    return Fill((left, top, right, bottom), fill)


def _sharpness(op: RandomSharpness, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    """A weighted sum with the mean of nine pixels, which OpenCV makes several times as fast as it does a kernel."""
    smooth = 1 - 2 * params["factor"]  # share of the smoothed image: of the mean 9 parts of 13, of the pixel 4

    def sharpened(image: np.ndarray) -> np.ndarray:
        means = cv2.blur(image, _THREE, borderType=cv2.BORDER_CONSTANT)
        return with_channels(cv2.addWeighted(image, 1 - smooth * 9 / 13, means, smooth * 9 / 13, 0))

    return (Pixels(sharpened),) if smooth else ()


def _blur(op: RandomGaussianBlur, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    sides = op.kernel_size
    height, width = sides if isinstance(sides, tuple) else (sides, sides)
    sigma = params["sigma"] + 1e-6  # as Keras keeps it from 0, by which OpenCV means another one

    def blurred(image: np.ndarray) -> np.ndarray:
        return with_channels(cv2.GaussianBlur(image, (width, height), sigma, borderType=cv2.BORDER_CONSTANT))

    return (Pixels(blurred),) if params["blur"] else ()


def _jpeg(image: np.ndarray, quality: int, dct_method: str) -> np.ndarray:
    """Encode as TensorFlow does, byte for byte, and decode; exactly as it does by its accurate method."""
    colour = image.shape[2] == 3
    given = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if colour else image
    encoded = cv2.imencode(".jpg", given, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    if colour and dct_method != "INTEGER_ACCURATE":
        # The fast method, which OpenCV has not, truncates: half a level less of luma and of both chromas takes a level
        # from red and blue, and leaves green.
        decoded = cv2.subtract(decoded, (1, 0, 1, 0))
    return with_channels(decoded)


def _random_jpeg(op: RandomJpegQuality, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    return (Pixels(lambda image: _jpeg(image, params["quality"], "")),)


def _adjusted_jpeg(op: AdjustJpegQuality, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    return (Pixels(lambda image: _jpeg(image, params["jpeg_quality"], op.dct_method)),)


def _erasing(op: RandomErasing, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    if not params["erase"]:
        return ()
    top, left, height, width = params["top"], params["left"], params["height"], params["width"]
    if op.fill_value is not None:
        fill = op.fill_value
        levels = [round(level) for level in fill] if isinstance(fill, tuple) else round(fill)
        return (cutout((left, top, left + width, top + height), levels),)

    def erased(image: np.ndarray) -> np.ndarray:
        noise = normal_noise(params["noise_seed"], (height, width, image.shape[2]), np.float32)
        noise *= 255
        np.clip(noise, 0, 255, out=noise)
        image = image.copy()
        image[top : top + height, left : left + width] = np.rint(noise)
        return image

    return (Pixels(erased),)


def _equalization(
    op: ContrastLimitedAdaptiveHistogramEqualization, params: Params, shape: Shape
) -> tuple[AnyKernel, ...]:
    return (Pixels(lambda image: adaptive_equalization(op, image)),)


FAST_FILTER: Mapping[type[Transform], MakeKernels] = {
    RandomSharpness: _sharpness,
    RandomGaussianBlur: _blur,
    ContrastLimitedAdaptiveHistogramEqualization: _equalization,
    **dict.fromkeys((RandomJpegQuality, StatelessRandomJpegQuality), _random_jpeg),
    AdjustJpegQuality: _adjusted_jpeg,
    RandomErasing: _erasing,
}
