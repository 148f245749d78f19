"""Whether a model without its augmentation answers as it did with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from augmill.pipeline.errors import CheckError
from augmill.pipeline.image import EXTENSIONS, decode_image, fit_image
from augmill.pipeline.model_front import Front
from augmill.transforms.keras_graph import is_graph
from augmill.transforms.keras_layer import keras

Size = tuple[int, int]

_RANDOM_IMAGES = 4
_MOST_PHOTOS = 16
_TOLERANCE = 1e-4  # of the largest output; what was taken out did nothing at inference, so that 0 is to be expected
_SIDE = 64  # the length of what an input leaves open


def sample_images(front: Front, size: Size, photos: Path | None = None) -> np.ndarray:
    """Images to compare models on: noise, slopes of light, and the reader's photos.

    Args:
      front: the front of the model, which knows what pixels it takes.
      size: (height, width) of the images.
      photos: a folder, of which the first photos are taken.

    Returns:
      float32 [images, height, width, channels] in the range that the model takes.
    """
    (height, width), channels = size, front.input.shape[3]
    draws = np.random.default_rng(0)
    noise = draws.uniform(0, 255, (_RANDOM_IMAGES, height, width, channels))
    slope = np.linspace(0, 255, width)[None, :, None] * np.linspace(1, 0.2, channels)
    found = [*noise, np.broadcast_to(slope, noise.shape[1:]), np.broadcast_to(255 - slope, noise.shape[1:])]
    files = sorted(path for path in photos.rglob("*") if path.suffix.lower() in EXTENSIONS) if photos else []
    for path in files[:_MOST_PHOTOS]:
        image = fit_image(decode_image(path.read_bytes()), (height, width)).astype(np.float64)
        found.append(image if channels == 3 else image.mean(axis=2, keepdims=True))
    low, high = front.pixels
    return (np.stack(found) / 255.0 * (high - low) + low).astype(np.float32)


def largest_difference(old: Any, new: Any, front: Front, images: np.ndarray, notes: list[str]) -> float | None:
    """The largest difference between what two models answer at inference, or None where the old one fails.

    Args:
      old, new: the models, with the same inputs; those that are no images get ones.
      front: the front of the old one.
      images: what to ask them about.
      notes: is told where the old one fails.

    Raises:
      CheckError: it is more than rounding.
    """
    inputs = old.input if is_graph(old) else old.inputs[0]
    fed = keras().tree.map_structure(lambda tensor: _fed(tensor, tensor is front.input, images), inputs)
    try:
        before = [np.asarray(part, np.float64) for part in keras().tree.flatten(old(fed, training=False))]
    except Exception as error:  # a crop that Keras 3.15 skips at inference, before a layer that needs its size
        notes.append(f"the model itself fails at inference ({type(error).__name__}), so that nothing was compared")
        return None
    after = [np.asarray(part, np.float64) for part in keras().tree.flatten(new(fed, training=False))]
    difference = max(float(np.abs(a - b).max(initial=0)) for a, b in zip(before, after, strict=True))
    largest = max(float(np.abs(a).max(initial=0)) for a in before)
    if not difference <= _TOLERANCE * max(1.0, largest):
        raise CheckError(
            f"without its augmentation the model answers otherwise at inference: outputs of up to {largest:g} "
            f"differ by {difference:g}; nothing was written"
        )
    return difference


def _fed(tensor: Any, is_image: bool, images: np.ndarray) -> np.ndarray:
    if is_image:
        return images.astype(tensor.dtype)
    shape = (len(images), *(side or _SIDE for side in tensor.shape[1:]))
    return np.ones(shape, tensor.dtype)
