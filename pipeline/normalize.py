"""Normalisation as a Keras layer: a model's first, so that bytes travel to the device and floats are made there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# The mean and standard deviation of each channel, of pixels scaled to [0, 1].
PRESETS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # torchvision's, and Keras's mode "torch"
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "zero_one": ((0.0,), (1.0,)),
    "minus_one_one": ((0.5,), (0.5,)),  # Keras's mode "tf"
}


@keras.saving.register_keras_serializable(package="augmill")
class Normalize(keras.layers.Layer):
    """Scale pixels to [0, 1], then take the mean off and divide by the standard deviation, channel by channel.

    Pixels go in as `load` gives them, uint8 [batch, height, width, channels] with channels last, and come out in the
    layer's compute dtype, reckoned in float32. Equivalent: torchvision's `ToTensor` and `Normalize`, and
    `keras.layers.Normalization` with `mean` and `variance`, once pixels are in [0, 1].

    Args:
      mean: of each channel, or of all as one number, of pixels scaled to [0, 1]; or a preset: "imagenet", "cifar10",
        "clip", "zero_one" for [0, 1] and "minus_one_one" for [-1, 1].
      std: the standard deviation, likewise; none with a preset.
      value_range: (what stands for black, what for white); (0, 1) for floats from `load(output=(0, 1))`.

    Raises:
      ValueError: an argument is out of its range, or images have another number of channels.
    """

    def __init__(
        self,
        mean: str | float | Sequence[float] = "imagenet",
        std: float | Sequence[float] | None = None,
        *,
        value_range: tuple[float, float] = (0.0, 255.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # pixels are not rounded to float16 on the way in
        self.mean, self.std = _mean_and_std(mean, std)
        self.value_range = _checked_range(value_range)
        low, high = self.value_range
        spread, shift = np.array(self.std), np.array(self.mean)
        self._scale = (1.0 / ((high - low) * spread)).astype(np.float32)
        self._offset = (-(low / (high - low) + shift) / spread).astype(np.float32)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that there is a mean for each channel."""
        channels = input_shape[-1]
        if len(self.mean) > 1 and channels is not None and channels != len(self.mean):
            raise ValueError(f"mean has {len(self.mean)} channels, and the images {channels}: {tuple(input_shape)}")

    def call(self, images: Any) -> Any:
        """Normalise [batch, height, width, channels]."""
        pixels = keras.ops.cast(images, "float32")
        return keras.ops.cast(pixels * self._scale + self._offset, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer again."""
        own = {"mean": self.mean, "std": self.std, "value_range": self.value_range}
        return {**super().get_config(), **{name: list(value) for name, value in own.items()}}


def _mean_and_std(mean: Any, std: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if isinstance(mean, str):
        if mean not in PRESETS:
            raise ValueError(f"there is no preset {mean!r}; choose from {', '.join(PRESETS)}, or give mean and std")
        if std is not None:
            raise ValueError(f"the preset {mean!r} has its std, give none; got std={std!r}")
        return PRESETS[mean]
    if std is None:
        raise ValueError("give std beside mean, or a preset as mean: " + ", ".join(PRESETS))
    means, stds = (tuple(float(one) for one in np.atleast_1d(value)) for value in (mean, std))
    if len(stds) not in (1, len(means)) and len(means) != 1:
        raise ValueError(f"mean and std must be of as many channels, got {len(means)} and {len(stds)}")
    if not np.all(np.isfinite(means)) or not all(0 < one < float("inf") for one in stds):
        raise ValueError(f"mean must be finite and std above 0, got mean={mean!r}, std={std!r}")
    channels = max(len(means), len(stds))
    return (means * channels if len(means) == 1 else means), (stds * channels if len(stds) == 1 else stds)


def _checked_range(value_range: Any) -> tuple[float, float]:
    low, high = (float(one) for one in value_range)
    if not low < high:
        raise ValueError(f"value_range must be (black, white) with black < white, got {value_range!r}")
    return low, high
