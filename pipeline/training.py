"""For the training loop: what goes wrong where a model augments images that are augmented already.

Imports Keras only when it is asked to, and no transforms.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any


def loader_callback() -> Any:
    """Make a Keras callback that warns at the start of training where the model still augments images itself.

    What `load` streams is augmented already. Layers such as `keras.layers.RandomFlip` in the model would augment it a
    second time, at every step.

    Returns:
      A `keras.callbacks.Callback` for `model.fit(..., callbacks=[loader_callback()])`.
    """
    import keras

    class LoaderCallback(keras.callbacks.Callback):
        """Warns of augmentation layers in the model."""

        def on_train_begin(self, logs: Any = None) -> None:
            paths = [path for path, _ in augmentation_layers(self.model)]
            if paths:
                warnings.warn(
                    f"model {self.model.name!r} augments images at every step ({', '.join(paths)}), and what augmill "
                    "loads is augmented already: take these layers out, as `augmill adopt` does",
                    stacklevel=2,
                )

    return LoaderCallback()


def augmentation_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Every random image layer that a model or layer holds, at any depth, with the path of names to it."""
    for layer in model._flatten_layers(include_self=False, recursive=False):
        if is_augmentation(layer):
            yield layer.name, layer
        else:
            for path, inner in augmentation_layers(layer):
                yield f"{layer.name}/{path}", inner


def is_augmentation(layer: Any) -> bool:
    """Tell whether a layer is one of Keras's random image layers, or derived from one; they act in training alone."""
    import keras

    base = inspect.getmro(keras.layers.RandomFlip)[1]  # BaseImagePreprocessingLayer, which Keras does not export
    return isinstance(layer, base) and hasattr(layer, "generator")
