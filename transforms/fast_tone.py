"""Fast kernels of the ops that give each level another: brightness, contrast, gamma, inverting, equalizing..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augmill.transforms import adjust, color, curves, keras_color, keras_tone
from augmill.transforms.base import Params, Shape, Transform
from augmill.transforms.curves import Curve
from augmill.transforms.kernels import MakeKernels, Tone, tone

_Tones = tuple[Tone, ...]


# tf.image rounds after each op.


def _whole(curve: Curve) -> _Tones:
    return (tone(curve, whole=True),)


def _brightness(op: Any, params: Params, shape: Shape) -> _Tones:
    return _whole(curves.tf_brightness(params["delta"]))


def _contrast(op: Any, params: Params, shape: Shape) -> _Tones:
    return _whole(curves.tf_contrast(params["factor"]))


def _adjust_contrast(op: Any, params: Params, shape: Shape) -> _Tones:
    return _whole(curves.tf_contrast(params["contrast_factor"]))


def _gamma(op: Any, params: Params, shape: Shape) -> _Tones:
    return _whole(curves.tf_gamma(params["gamma"], params["gain"]))


# Keras layers hand fractions on.


def _layer(curve: Curve) -> _Tones:
    return (tone(curve, whole=False),)


def _keras_brightness(op: Any, params: Params, shape: Shape) -> _Tones:
    return _layer(curves.keras_brightness(params["factor"]))


def _keras_contrast(op: Any, params: Params, shape: Shape) -> _Tones:
    return _layer(curves.keras_contrast(params["factor"]))


def _invert(op: Any, params: Params, shape: Shape) -> _Tones:
    return _layer(curves.invert) if params["invert"] else ()


def _posterize(op: Any, params: Params, shape: Shape) -> _Tones:
    return _layer(curves.posterize(params["bits"]))


def _solarize(op: Any, params: Params, shape: Shape) -> _Tones:
    return _layer(curves.keras_solarize(params["addition"], params["threshold"]))


def _autocontrast(op: Any, params: Params, shape: Shape) -> _Tones:
    return _layer(curves.keras_autocontrast)


def _equalize(op: keras_tone.Equalization, params: Params, shape: Shape) -> _Tones:
    return _layer(curves.keras_equalize(op.bins))


FAST_TONE: Mapping[type[Transform], MakeKernels] = {
    color.RandomBrightness: _brightness,
    color.StatelessRandomBrightness: _brightness,
    adjust.AdjustBrightness: _brightness,
    color.RandomContrast: _contrast,
    color.StatelessRandomContrast: _contrast,
    adjust.AdjustContrast: _adjust_contrast,
    adjust.AdjustGamma: _gamma,
    keras_color.RandomBrightness: _keras_brightness,
    keras_color.RandomContrast: _keras_contrast,
    keras_tone.RandomInvert: _invert,
    keras_tone.RandomPosterization: _posterize,
    keras_tone.Solarization: _solarize,
    keras_tone.AutoContrast: _autocontrast,
    keras_tone.Equalization: _equalize,
}
