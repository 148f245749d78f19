"""What Keras makes of its image layers' arguments, read back.

A layer keeps its arguments resolved: `RandomRotation(0.1)` has a factor of (-0.1, 0.1), and `get_config` tells that.
Where Keras 3.15 resolves a number otherwise than it documents, the number is read back if nothing else can have been
meant; if a pair might have been, the pair stands, which is what the layer really did, and a note tells of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def read_back(kind: str, arguments: dict[str, Any]) -> list[str]:
    """Change a layer's resolved arguments in place to those of a spec.

    Args:
      kind: the layer's class in `keras.layers`.
      arguments: its config, with lists for tuples.

    Returns:
      What a reader should know of the difference between Keras and its documentation, or the spec's op.
    """
    return _READ[kind](arguments) if kind in _READ else []


def shear_factor(value: Any) -> Any:
    """Give [0, f] for (-f, f), to which Keras resolves a shear's factor f: as its sign is drawn apart, both are one."""
    if isinstance(value, (list, tuple)) and value[0] < 0:
        return [0.0, value[1]]
    return value


def _read_contrast(arguments: dict[str, Any]) -> list[str]:
    low, high = arguments["factor"]
    if low == 0 < high:
        return [f"factor [0, {high:g}], to which Keras turns a number, only raises the contrast; {high:g} does both"]
    return []


def _read_from_zero(arguments: dict[str, Any]) -> list[str]:
    low, high = arguments["factor"]
    if low >= 0:
        return []
    arguments["factor"] = [0.0, high]
    return [f"Keras turned {high:g} into [{low:g}, {high:g}]; the spec has [0, {high:g}], as Keras documents it"]


def _read_bits(arguments: dict[str, Any]) -> list[str]:
    low, high = arguments["factor"]
    if low == high:
        arguments["factor"] = high
    if low != 1 or high == 1:
        return []
    arguments["factor"] = high
    return [f"Keras turned {high} bits into 1 to {high - 1}; the spec keeps {high}, as Keras documents it"]


def _read_chance(arguments: dict[str, Any]) -> list[str]:
    low, high = arguments["factor"]
    if low == 0 < high:
        share = f"{high / 2:.0%}"
        return [
            f"factor [0, {high:g}], to which Keras turns a number, applies it to {share} of the images; "
            f"{high:g} applies it to {high:.0%}"
        ]
    return []


def _read_blur(arguments: dict[str, Any]) -> list[str]:
    sides = arguments["kernel_size"]
    if isinstance(sides, list) and sides[0] == sides[1]:
        arguments["kernel_size"] = sides[0]
    notes = _read_chance(arguments)
    low, high = arguments["sigma"]
    if low == 0 < high:
        notes.append(
            f"sigma [0, {high:g}], to which Keras turns a number, draws the width; {high:g} would be the width"
        )
    return notes


def _read_strength(arguments: dict[str, Any]) -> list[str]:
    arguments["factor"] = arguments["factor"][1]
    return [
        "Keras hands its factor to the layers inside it as it is (0.5 turns by up to 180 degrees), and draws the ops "
        "once for a batch; the spec's op has the published strengths, and ops for each image"
    ]


def _read_jitter(arguments: dict[str, Any]) -> list[str]:
    notes = []
    contrast, saturation = arguments["contrast_factor"], arguments["saturation_factor"]
    if isinstance(contrast, (int, float)):
        notes.append(f"Keras only raised the contrast; the spec's {contrast:g} does both, as Keras documents it")
    if isinstance(saturation, (int, float)):
        notes.append(
            f"Keras read saturation {saturation:g} as [-{saturation:g}, {saturation:g}]; the spec has it from 0"
        )
    return notes


def _read_shear(arguments: dict[str, Any]) -> list[str]:
    for name in ("x_factor", "y_factor"):
        factor = shear_factor(arguments[name])
        arguments[name] = 0.0 if list(np.ravel(factor)) in ([0.0], [0.0, 0.0]) else factor
    return []


def _read_flip(arguments: dict[str, Any]) -> list[str]:
    if arguments["mode"] != "horizontal_and_vertical":
        return []
    return ["Keras flips both ways at once or not at all; the spec's op draws each way by itself"]


def _read_solarization(arguments: dict[str, Any]) -> list[str]:
    factors = ("addition_factor", "threshold_factor")
    scaled = [name for name in factors if arguments[name][0] > 0]
    arguments.update({name: 0.0 for name in factors if arguments[name][1] == 0})
    return [f"Keras scales only the higher end of {' and '.join(scaled)} to 255; the spec's op both"] if scaled else []


def _read_crop(arguments: dict[str, Any]) -> list[str]:
    return ["Keras cuts the same window out of a whole batch; the spec's op draws one for each image"]


def _read_mix(arguments: dict[str, Any]) -> list[str]:
    return ["inside a model Keras mixes images and leaves their labels; the spec's op mixes both"]


_READ: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "AugMix": _read_strength,
    "CutMix": _read_mix,
    "MixUp": _read_mix,
    "RandAugment": _read_strength,
    "RandomColorDegeneration": _read_from_zero,
    "RandomColorJitter": _read_jitter,
    "RandomContrast": _read_contrast,
    "RandomCrop": _read_crop,
    "RandomElasticTransform": _read_chance,
    "RandomErasing": _read_chance,
    "RandomFlip": _read_flip,
    "RandomGaussianBlur": _read_blur,
    "RandomInvert": _read_chance,
    "RandomPerspective": _read_chance,
    "RandomPosterization": _read_bits,
    "RandomSaturation": _read_from_zero,
    "RandomShear": _read_shear,
    "Solarization": _read_solarization,
}
