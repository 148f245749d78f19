"""What the transforms made of Keras layers share: the layer itself, driven by drawn parameters and without its state.

A Keras layer draws from a `SeedGenerator` whose counter lives in the layer: what it draws depends on how many images it
saw before, and in a parallel `map` draws are lost or repeated. Here the draws are augmill's; the layer is handed the
transformation that it would have drawn, and does the pixels alone.
"""

from __future__ import annotations

import contextlib
import inspect
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from augmill.transforms.arguments import VALUE_RANGE, check_value_range
from augmill.transforms.backend import TensorKernel, tensorflow
from augmill.transforms.base import DrawsNothing, Params, PixelTransform, Shape, TransformError

PREFIX = "keras.layers."


@dataclass(frozen=True, repr=False)
class KerasTransform(TensorKernel, PixelTransform):
    """A transform whose pixels are a Keras layer's.

    The layer sees float32 [0, 255], as in training. A subclass names the layer, draws its parameters as the layer's
    documentation has them, and puts them into the form in which the layer hands them to itself.

    Attributes:
      layer: the class in `keras.layers`.
    """

    layer: ClassVar[str] = ""
    in_floats: ClassVar[bool] = True

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The arguments that the layer is made with, for all that is not drawn."""

    @abstractmethod
    def transformation(self, params: Params, shape: Shape) -> Any:
        """What the layer's `get_random_transformation` would return for a batch of one image of `shape`."""

    @cached_property
    def _layer(self) -> Any:
        return make_layer(self.layer, self.settings())

    def on_tensor(self, image: Any, params: Params) -> Any:
        with keras_settings():
            transformation = self.transformation(params, tuple(image.shape))
            return self._layer.transform_images(image[None], transformation, training=True)[0]


@dataclass(frozen=True, repr=False)
class OnLevels(DrawsNothing, PixelTransform):
    """What Keras layers share that have a `value_range`, and that draw nothing unless they say so."""

    value_range: tuple[int, int] = field(default=VALUE_RANGE, kw_only=True)

    in_floats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_range", check_value_range(self.value_range))


def make_layer(layer: str, settings: dict[str, Any]) -> Any:
    """Make a layer of `keras.layers`.

    Raises:
      TransformError: the Keras that is installed has no such layer, or refuses the arguments.
    """
    keras_module = keras()
    if not hasattr(keras_module.layers, layer):
        raise TransformError(f"{PREFIX}{layer} is not in Keras {keras_module.__version__}; install a newer Keras")
    try:
        with keras_settings():
            return getattr(keras_module.layers, layer)(**settings)
    except Exception as error:  # Keras refuses in many ways: ValueError, TypeError, NotImplementedError...
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TransformError(f"{PREFIX}{layer}: {reason}") from error


@lru_cache(maxsize=1)
def keras() -> Any:
    """Import Keras.

    Raises:
      TransformError: it runs on another backend than TensorFlow, whose pixels would differ.
    """
    tensorflow()
    import keras as keras_module

    if keras_module.backend.backend() != "tensorflow":
        raise TransformError(f"Keras runs on {keras_module.backend.backend()} here; set KERAS_BACKEND=tensorflow")
    return keras_module


@contextlib.contextmanager
def keras_settings() -> Iterator[None]:
    """Put Keras's global settings at their defaults: a user's keras.json must have no say in the bytes."""
    config = keras().config
    kept = config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy()
    config.set_floatx("float32")
    config.set_epsilon(1e-7)
    config.set_image_data_format("channels_last")
    config.set_dtype_policy("float32")  # of the layers inside a layer too
    try:
        yield
    finally:
        config.set_floatx(kept[0])
        config.set_epsilon(kept[1])
        config.set_image_data_format(kept[2])
        config.set_dtype_policy(kept[3])


def image_layer_class() -> type:
    """The class that all image layers of Keras derive from, which it does not export."""
    base: type = inspect.getmro(keras().layers.RandomFlip)[1]
    return base
