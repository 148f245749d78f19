"""Fast kernels of the ops that change colours: hue, saturation, greyness, and contrast about the mean grey."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from augmill.transforms.adjust import AdjustHue, AdjustSaturation
from augmill.transforms.base import Params, Shape, Transform
from augmill.transforms.color import (
    RandomHue,
    RandomSaturation,
    StatelessRandomHue,
    StatelessRandomSaturation,
)
from augmill.transforms.curves import Counts, blend_with, keras_brightness, keras_contrast
from augmill.transforms.keras_color import (
    RandomColorDegeneration,
    RandomColorJitter,
    RandomGrayscale,
)
from augmill.transforms.keras_color import RandomHue as KerasRandomHue
from augmill.transforms.keras_color import RandomSaturation as KerasRandomSaturation
from augmill.transforms.kernels import AnyKernel, Hsv, MakeKernels, Pixels, Tone, tone

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601-2, as OpenCV, Pillow, tf.image and Keras have it

# OpenCV rounds weighted sums where Pillow truncates them: so this is added. A whole number must not fall below itself.
TRUNCATING = -0.5 + 1e-4


def blend_with_grey(factor: float) -> AnyKernel:
    """Blend an image with itself in grey, as `PIL.ImageEnhance.Color`: factor 0 is grey, 1 the image.

    A grey image stays as it is.
    """

    def blended(image: np.ndarray) -> np.ndarray:
        if image.shape[2] == 1:
            return image
        return cv2.addWeighted(image, factor, _grey(image), 1 - factor, TRUNCATING)

    return Pixels(blended, pointwise=True)


def contrast(factor: float) -> Tone:
    """Blend an image with its mean grey, as `PIL.ImageEnhance.Contrast`: factor 0 is that grey, 1 the image.

    Pillow rounds each pixel's grey before it takes the mean, which it rounds too; here the mean is that of the levels,
    and hardly ever rounds to another grey.
    """

    def curve(levels: np.ndarray, counts: Counts) -> np.ndarray:
        means = counts.sums(levels)[:, 0] / counts.pixels
        mean = means @ _LUMA if len(means) == 3 else means[0]
        return blend_with(np.floor(mean + 0.5), factor)(levels, counts)

    return tone(curve, whole=True)


def _grey(image: np.ndarray) -> np.ndarray:
    """A colour image in grey, in three channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _hue(turn: float, *, whole: bool) -> tuple[AnyKernel, ...]:
    return (Hsv(turn=turn, whole=whole),) if turn % 1 else ()


def _saturation(factor: float, *, whole: bool) -> tuple[AnyKernel, ...]:
    return (Hsv(factors=(factor,), whole=whole),) if factor != 1 else ()


# What the parts of a Keras jitter do, in their order, and so the layers of their names.
_PARTS: Mapping[str, Callable[[float], tuple[AnyKernel, ...]]] = {
    "brightness": lambda factor: (tone(keras_brightness(factor), whole=False),),
    "contrast": lambda factor: (tone(keras_contrast(factor), whole=False),),
    "saturation": lambda factor: _saturation(factor / (1 - factor + 1e-7), whole=False),
    "hue": lambda factor: _hue(factor / 2, whole=False),
}


def _jitter(op: RandomColorJitter, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    return tuple(kernel for part, make in _PARTS.items() if part in params for kernel in make(params[part]))


def _degeneration(op: RandomColorDegeneration, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    """One matrix of colours, which does not round the grey before it is blended in."""
    share = params["factor"]
    matrix = np.tile(share * _LUMA, (3, 1)) + (1 - share) * np.eye(3)
    return (Pixels(lambda image: cv2.transform(image, matrix), pointwise=True),)


def _grayscale(op: RandomGrayscale, params: Params, shape: Shape) -> tuple[AnyKernel, ...]:
    return (Pixels(_grey, pointwise=True),) if params["grey"] else ()


FAST_COLOR: Mapping[type[Transform], MakeKernels] = {
    **dict.fromkeys(
        (RandomHue, StatelessRandomHue, AdjustHue), lambda op, params, _: _hue(params["delta"], whole=True)
    ),
    **dict.fromkeys(
        (RandomSaturation, StatelessRandomSaturation), lambda op, params, _: _saturation(params["factor"], whole=True)
    ),
    AdjustSaturation: lambda op, params, _: _saturation(params["saturation_factor"], whole=True),
    KerasRandomHue: lambda op, params, _: _PARTS["hue"](params["factor"]),
    KerasRandomSaturation: lambda op, params, _: _PARTS["saturation"](params["factor"]),
    RandomColorJitter: _jitter,
    RandomColorDegeneration: _degeneration,
    RandomGrayscale: _grayscale,
}
