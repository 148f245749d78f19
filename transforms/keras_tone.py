"""Keras layers that give each level another: invert, posterize, solarize, stretch and equalize.

All see float32 [0, 255] and treat a level alike wherever it is in the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.arguments import (
    Pair,
    as_floats,
    check_pair,
    check_probability,
    check_whole,
    happens,
    mean_chance,
    with_value_range,
)
from augmill.transforms.backend import tensorflow
from augmill.transforms.base import Params, Shape, Transform, TransformError
from augmill.transforms.keras_layer import KerasTransform, OnLevels
from augmill.transforms.randomness import Draws

_MOST_BINS = 65536


@dataclass(frozen=True, repr=False)
class _ToneLayer(OnLevels, KerasTransform):
    """Those of them whose pixels are the layer's."""

    def settings(self) -> dict[str, Any]:
        return {"value_range": self.value_range}


@dataclass(frozen=True, repr=False)
class RandomInvert(_ToneLayer):
    """Turn every level v into 255 - v, with a probability.

    Equivalent: `keras.layers.RandomInvert`, which reads a number p as a probability between 0 and p; here it is p.
    Parameters: `invert`, a bool.
    """

    factor: float | Pair = 1.0

    name: ClassVar[str] = "keras.layers.RandomInvert"
    layer: ClassVar[str] = "RandomInvert"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="probability to invert, in (0, 1]; [lowest, highest] draws it uniformly for each image"
    )
    draws: ClassVar[Mapping[str, str]] = {"invert": "true with the probability factor"}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_probability("factor", self.factor)
        object.__setattr__(self, "factor", as_floats(self.factor))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"invert": happens(draws, self.factor)}

    def chances(self) -> dict[str, float]:
        return {"invert": mean_chance(self.factor)}

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"apply_inversion": tensorflow().constant([params["invert"]])}


@dataclass(frozen=True, repr=False)
class RandomPosterization(_ToneLayer):
    """Keep the highest bits of each level and clear the others.

    Equivalent: `keras.layers.RandomPosterization` as documented; Keras 3.15 reads 4 as 1 to 3, and never draws the
    higher end of a pair. Parameters: `bits`.
    """

    factor: int | tuple[int, int]

    name: ClassVar[str] = "keras.layers.RandomPosterization"
    layer: ClassVar[str] = "RandomPosterization"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        factor="bits to keep, a whole number from 1 to 7; [least, most], up to 8, draws it for each image"
    )
    draws: ClassVar[Mapping[str, str]] = {"bits": "factor, or least to most, both included, equally likely"}

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = self._ends
        for end in (least, most):
            check_whole("factor", end, low=1, high=8)
        if least > most:
            raise TransformError(f"factor must be [least, most], got {self.factor!r}")
        if least == 8:
            raise TransformError(f"factor must be below 8, which keeps every bit, got {self.factor!r}")
        object.__setattr__(self, "factor", least if self.factor == least else (least, most))

    @property
    def _ends(self) -> tuple[int, int]:
        ends: Any = self.factor if isinstance(self.factor, (list, tuple)) else (self.factor, self.factor)
        if len(ends) != 2:
            raise TransformError(f"factor must be a whole number or [least, most], got {self.factor!r}")
        return ends[0], ends[1]

    def draw(self, draws: Draws, shape: Shape) -> Params:
        least, most = self._ends
        return {"bits": draws.integer(least, most + 1)}

    def settings(self) -> dict[str, Any]:
        return {"factor": 8, **super().settings()}

    def transformation(self, params: Params, shape: Shape) -> Any:
        return {"shift_factor": tensorflow().constant([8 - params["bits"]], "uint8")}


@dataclass(frozen=True, repr=False)
class Solarization(_ToneLayer):
    """Add a value to all levels, clip them, and invert those that reach a threshold.

    Without arguments it inverts every level. Equivalent: `keras.layers.Solarization` as documented; Keras 3.15 scales
    only the higher end of both ranges to 255, and draws from [0.5, 127.5] for [0.5, 0.5]. Parameters: `addition` and
    `threshold`, fractions of 255.
    """

    addition_factor: float | Pair = 0.0
    threshold_factor: float | Pair = 0.0

    name: ClassVar[str] = "keras.layers.Solarization"
    layer: ClassVar[str] = "Solarization"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        addition_factor="fraction of 255 that is added, [lowest, highest] within [0, 1]; f means [0, f]",
        threshold_factor="fraction of 255 where inverting starts, [lowest, highest] within [0, 1]; f means [0, f]",
    )
    draws: ClassVar[Mapping[str, str]] = {
        "addition": "uniform in [lowest, highest) of addition_factor",
        "threshold": "uniform in [lowest, highest) of threshold_factor",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in ("addition_factor", "threshold_factor"):
            self._range(part)
            object.__setattr__(self, part, as_floats(getattr(self, part)))

    def _range(self, part: str) -> Pair:
        return check_pair(part, getattr(self, part), low=0, high=1, scalar="from zero")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        addition, threshold = self._range("addition_factor"), self._range("threshold_factor")
        return {"addition": draws.uniform(*addition), "threshold": draws.uniform(*threshold)}

    def transformation(self, params: Params, shape: Shape) -> Any:
        drawn = {"additions": params["addition"], "thresholds": params["threshold"]}
        return {name: tensorflow().fill([1, 1, 1, 1], fraction * 255.0) for name, fraction in drawn.items()}


@dataclass(frozen=True, repr=False)
class AutoContrast(_ToneLayer):
    """Stretch the levels of each channel over all of [0, 255]; a channel of one level stays.

    Equivalent: `keras.layers.AutoContrast`. It draws nothing.
    """

    name: ClassVar[str] = "keras.layers.AutoContrast"
    layer: ClassVar[str] = "AutoContrast"
    takes: ClassVar[Mapping[str, str]] = with_value_range()

    def transformation(self, params: Params, shape: Shape) -> Any:
        return None


@dataclass(frozen=True, repr=False)
class Equalization(OnLevels):
    """Spread the levels of each channel so that their histogram is about flat.

    A channel stays whose levels share one bin. Equivalent: `keras.layers.Equalization` on this image alone; in Keras
    3.15 all images of a batch share a histogram, and above 8.4 million pixels its sums overflow. It draws nothing.
    """

    bins: int = 256

    name: ClassVar[str] = "keras.layers.Equalization"
    takes: ClassVar[Mapping[str, str]] = with_value_range(
        bins=f"of the histogram, a whole number from 2 to {_MOST_BINS}: levels that share a bin come out as one"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("bins", self.bins, low=2, high=_MOST_BINS)

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return np.stack([self._equalized(image[..., channel]) for channel in range(image.shape[2])], axis=-1)

    def _equalized(self, channel: np.ndarray) -> np.ndarray:
        places = (channel.astype(np.float64) * (self.bins - 1) / 255).astype(np.int64)
        up_to = np.cumsum(np.bincount(places.ravel(), minlength=self.bins))
        lowest = up_to[up_to > 0][0]
        if up_to[-1] == lowest:
            return channel
        table = np.rint((up_to - lowest).clip(0) * 255 / (up_to[-1] - lowest))
        return table.astype(np.float32)[places]


OPS: tuple[type[Transform], ...] = (RandomInvert, RandomPosterization, Solarization, AutoContrast, Equalization)
