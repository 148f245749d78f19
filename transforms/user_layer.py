"""The user's own Keras layer, `module:Class`, driven without its state.

A layer draws from a `keras.random.SeedGenerator` whose counter lives in the layer. Here every generator inside the
layer, sub-layers included, is replaced by one whose n-th seed is `fold_in(seed, n)`, and the seed is set anew for each
image: that makes the layer a pure function of (image, seed), as `jax.random` has it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.backend import TensorKernel, tensorflow, to_floats
from augmill.transforms.base import Params, PixelTransform, Sample, Shape, TransformError
from augmill.transforms.keras_layer import keras, keras_settings
from augmill.transforms.randomness import Draws
from augmill.transforms.returned import check_size_kept
from augmill.transforms.user_code import UserCode, kind_text

_MOST_NUMBERS = 4  # a parameter with more numbers than this is a field: the seed alone stands for it


@dataclass(frozen=True, repr=False)
class UserLayer(TensorKernel, UserCode, PixelTransform):
    """Apply a Keras layer of the user's, as it works in training.

    The layer is made with `given` and sees a batch of one image, float32 [1, height, width, channels] in [0, 255],
    with `training=True`. Its random numbers must come from `keras.random.SeedGenerator`s that it holds, as those of
    Keras's own layers do. Parameters: `seed` and, to be read, the small ones that its `get_random_transformation`
    draws, if it has one.

    Raises:
      TransformError: the layer can't be made so, has weights, or gives something else than an image.
    """

    name: ClassVar[str] = "layer"
    in_floats: ClassVar[bool] = True
    cure: ClassVar[str] = "let it hold a keras.random.SeedGenerator, made in __init__, and draw from it alone"

    def __post_init__(self) -> None:
        if "seed" in self.given:
            raise TransformError(f"{self.target}: leave out seed; the spec's own seed rules every draw")
        _ = self._layer  # built now, so that a wrong argument is met here

    @cached_property
    def _layer(self) -> Any:
        kind = self.code
        parameters = inspect.signature(kind).parameters
        required = "seed" in parameters and parameters["seed"].default is inspect.Parameter.empty
        try:
            with keras_settings():
                layer = kind(**self.given, **({"seed": 0} if required else {}))
        except (Exception, SystemExit) as error:  # whatever the user's class does, or Keras with its arguments
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise TransformError(f"{self.target}: {reason}") from error
        replace_generators(layer, self._generator)
        return layer

    @cached_property
    def _generator(self) -> Any:
        return _stateless_generator_class()()

    def remedy(self, kind: str) -> str:
        return (
            f"if it leaves every pixel in its place, say so by moves_pixels = False in class "
            f"{self.target.partition(':')[2]}, and else write a function that takes them too"
        )

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"seed": list(draws.seed_pair())}

    def draw_for(self, draws: Draws, sample: Sample) -> Params:
        params = self.draw(draws, sample.image.shape)
        return {**params, **self._numbers_drawn(sample.image, params)}

    def _numbers_drawn(self, image: np.ndarray, params: Params) -> Params:
        if not hasattr(self._layer, "get_random_transformation"):
            return {}
        self._generator.restart(params["seed"])
        batch = tensorflow().constant(to_floats(image, self.target)[None])
        try:
            with keras_settings():
                drawn = self._layer.get_random_transformation(batch, training=True)
        except Exception:  # it is not the method of that name that Keras has
            return {}
        return {name: value for name, value in _small_numbers(drawn) if name != "seed"}

    def on_tensor(self, image: Any, params: Params) -> Any:
        tf = tensorflow()
        batch = tf.cast(image, tf.float32)[None]
        with keras_settings():
            if not self._layer.built:
                # Keras builds a layer by running it once without data, which draws; that must not count.
                self._layer(batch, **self._training)
            self._generator.restart(params["seed"])
            result = self._layer(batch, **self._training)
        if self._layer.weights:
            raise TransformError(f"{self.target} has weights, which every worker would make anew; it must have none")
        return tf.cast(self._checked(result, image), tf.float32)[0]

    def _checked(self, result: Any, image: Any) -> Any:
        shape = getattr(result, "shape", None)
        whole = shape is not None and len(shape) == 4 and shape[0] == 1 and shape[3] == image.shape[2]
        if not whole:
            raise TransformError(
                f"{self.target} must return a batch of one image [1, height, width, {image.shape[2]}], "
                f"got {kind_text(result)}"
            )
        return result

    def transform(self, sample: Sample, params: Params) -> Sample:
        after = super().transform(sample, params)
        check_size_kept(self.target, sample, after)
        return after

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        result = super().apply(image, params)
        if image.max(initial=0) > 2 and 0 < result.max(initial=0) <= 1:
            raise TransformError(
                f"{self.target} gave pixels in [0, 1] for an image in [0, 255]; rescaling belongs into the model"
            )
        return result

    @cached_property
    def _training(self) -> dict[str, bool]:
        parameters = inspect.signature(self._layer.call).parameters.values()
        takes = any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
        return {"training": True} if takes else {}


def replace_generators(layer: Any, generator: Any) -> None:
    """Put one generator in place of every `SeedGenerator` that a layer and the layers inside it hold."""
    kind = keras().random.SeedGenerator
    for part in layer._flatten_layers():
        for name, value in list(vars(part).items()):
            if isinstance(value, kind):
                # Keras would track a plain assignment as a new sub-object of a layer that may be built.
                object.__setattr__(part, name, generator)


@lru_cache(maxsize=1)
def _stateless_generator_class() -> Any:
    tf = tensorflow()

    class StatelessGenerator(keras().random.SeedGenerator):  # type: ignore[misc]
        """A seed generator whose n-th seed is fold_in(seed, n), and which holds no variable."""

        def __init__(self) -> None:
            # The base class would make a variable and draw a default seed from Python's `random`.
            self.restart((0, 0))

        def restart(self, seed: Any) -> None:
            self.base, self.drawn = tuple(seed), 0

        def next(self, ordered: bool = True) -> Any:
            seed = tf.random.fold_in(tf.constant(self.base, tf.int32), self.drawn)
            self.drawn += 1
            return seed

    return StatelessGenerator


def _small_numbers(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Name the small tensors of numbers in a layer's transformation; its plain ints are shapes, not draws."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _small_numbers(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        yield from _small_numbers(dict(enumerate(value)), path)
    elif hasattr(value, "numpy") and int(np.prod(value.shape)) <= _MOST_NUMBERS:
        numbers = [n for n in np.asarray(value).reshape(-1).tolist() if isinstance(n, (bool, int, float))]
        if not numbers or not all(map(math.isfinite, numbers)):
            return  # no number that JSON has
        yield path or "drawn", numbers[0] if len(numbers) == 1 else numbers
