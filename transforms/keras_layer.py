"""Drives any Keras image preprocessing layer without its state.

A Keras layer draws from a `SeedGenerator` whose counter lives in the layer: what it draws then depends on how many
images it saw before, and in a parallel `map` draws are lost or repeated. Here every generator inside the layer,
sub-layers included, is replaced once by one whose n-th draw is `fold_in(seed, n)`; the seed is set for each image. That
makes the layer a pure function of (image, seed), as `jax.random` has it.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.backend import tensorflow, to_uint8
from augmill.transforms.base import Params, PixelTransform, Shape, TransformError, plain_value
from augmill.transforms.randomness import Draws

PREFIX = "keras.layers."

# Layers that cannot do their work on one image, with the reason the reader gets.
REFUSED = {
    "AugMix": "it draws from Python's `random`, so its result cannot be reproduced; write one_of over the ops it mixes",
    "CutMix": "it mixes two images and returns a single one unchanged; apply it per batch in the training loop",
    "MixUp": "it mixes two images and returns a single one unchanged; apply it per batch in the training loop",
    "MaxNumBoundingBoxes": "it acts on boxes alone and changes no pixel",
}

# Layers whose arithmetic is only right on pixels in [0, 1] (Keras 3.15: on [0, 255] it reaches -1701).
ON_UNIT_RANGE = frozenset({"RandomSaturation", "RandomColorJitter"})

_MOST_NUMBERS = 4  # a parameter with more numbers than this is a field or a mask: the seed alone stands for it


@dataclass(frozen=True, repr=False)
class KerasLayer(PixelTransform):
    """Apply one `keras.layers` image layer, with its own arguments and meanings.

    The layer sees a float32 [height, width, 3] image in [0, 255], as in training; its result is rounded and saturated
    to uint8. Parameters: `seed` (two int32, enough to repeat the rendition) and, to be read, the small ones that the
    layer drew.

    Raises:
      TransformError: no such layer, one that cannot work here, or arguments that it does not take.
    """

    layer: str
    given: dict[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "keras.layers"

    def __post_init__(self) -> None:
        choices = tuple(name for name in layer_names() if name not in REFUSED)
        if self.layer not in layer_names():
            near = difflib.get_close_matches(self.layer, choices, n=1)
            guess = f"did you mean {PREFIX}{near[0]}? " if near else ""
            raise TransformError(
                f"{PREFIX}{self.layer} is not an image layer of Keras; {guess}choose from {_listed(choices)}"
            )
        if self.layer in REFUSED:
            raise TransformError(f"{self.spec_name} cannot be used here: {REFUSED[self.layer]}")
        self._check_arguments()
        _ = self._driver  # builds the layer, so that a wrong value is met here

    def _check_arguments(self) -> None:
        allowed = argument_names(self.layer)
        for argument in self.given:
            if argument == "seed":
                raise TransformError(f"{self.spec_name}: leave out seed; the spec's own seed rules every draw")
            if argument not in allowed:
                near = difflib.get_close_matches(str(argument), allowed, n=1)
                guess = f"did you mean {near[0]}? " if near else ""
                raise TransformError(
                    f"{self.spec_name} has no argument {argument!r}; {guess}It takes {_listed(allowed)}"
                )
        value_range = self.given.get("value_range")
        if "value_range" in self.given and value_range not in ([0, 255], (0, 255)):
            raise TransformError(
                f"{self.spec_name}: value_range must be [0, 255], what images are here, got {value_range!r}"
            )

    @cached_property
    def _driver(self) -> _Driver:
        try:
            return _Driver(self.layer, dict(self.given))
        except Exception as error:  # Keras refuses in many ways: ValueError, TypeError, NotImplementedError...
            raise TransformError(f"{self.spec_name}: {_first_line(error)}") from error

    @property
    def spec_name(self) -> str:
        return PREFIX + self.layer

    def arguments(self) -> dict[str, Any]:
        return dict(plain_value(self.given))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        seed = draws.seed_pair()
        return {"seed": list(seed), **self._driver.draw(seed, shape)}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        return to_uint8(self._driver.apply(image, tuple(params["seed"])), self.spec_name)


class _Driver:
    """One Keras layer made stateless. Not for use by two threads at once."""

    def __init__(self, layer: str, given: dict[str, Any]) -> None:
        keras = _keras()
        self._scale = 255.0 if layer in ON_UNIT_RANGE else 1.0
        if layer in ON_UNIT_RANGE:
            given["value_range"] = (0, 1)
        self._generator = _stateless_generator_class()()
        with _keras_settings():
            self._layer = getattr(keras.layers, layer)(**given)
        for part in self._layer._flatten_layers():
            if hasattr(part, "generator"):
                # Keras would track a plain assignment as a new sub-object of a layer that may be built.
                object.__setattr__(part, "generator", self._generator)
        self._last: tuple[Any, Any, int] | None = None  # (seed, shape), its transformation, draws it took

    def draw(self, seed: tuple[int, int], shape: Shape) -> Params:
        return dict(_small_numbers(self._transformation(seed, shape)))

    def apply(self, image: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
        transformation = self._transformation(seed, image.shape)
        pixels = tensorflow().constant(image, "float32") / self._scale
        with _keras_settings():
            changed = self._layer.transform_single_image(pixels, transformation, training=True)
        return np.asarray(changed) * self._scale

    def _transformation(self, seed: tuple[int, int], shape: Shape) -> Any:
        """Draw as the layer draws, and leave the generator where the layer would: some layers draw again to apply."""
        wanted = (tuple(seed), tuple(shape))
        if self._last is None or self._last[0] != wanted:
            self._generator.restart(seed, drawn=0)
            with _keras_settings():
                drawn = self._layer.get_random_transformation(_blank(tuple(shape)), training=True)
            self._last = (wanted, drawn, self._generator.drawn)
        self._generator.restart(seed, drawn=self._last[2])
        return self._last[1]


@lru_cache(maxsize=1)
def _keras() -> Any:
    """Import Keras.

    Raises:
      TransformError: it runs on another backend than TensorFlow, whose draws would differ.
    """
    tensorflow()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise TransformError(f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=tensorflow")
    return keras


@contextlib.contextmanager
def _keras_settings() -> Iterator[None]:
    """Put Keras's global settings at their defaults: a user's keras.json must have no say in the bytes."""
    config = _keras().config
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


@lru_cache(maxsize=1)
def _blank(shape: Shape) -> Any:
    """An image to draw for: layers read its shape and nothing else."""
    return tensorflow().zeros(shape, "float32")


@lru_cache(maxsize=1)
def _stateless_generator_class() -> Any:
    tf, keras = tensorflow(), _keras()

    class StatelessGenerator(keras.random.SeedGenerator):  # type: ignore[name-defined]
        """A seed generator whose n-th seed is fold_in(seed, n), and which holds no variable."""

        def __init__(self) -> None:
            # The base class would make a variable and draw a default seed from Python's `random`.
            self.restart((0, 0), drawn=0)

        def restart(self, seed: tuple[int, int], *, drawn: int) -> None:
            self.base = tf.constant(seed, tf.int32)
            self.drawn = drawn

        def next(self, ordered: bool = True) -> Any:
            seed = tf.random.fold_in(self.base, self.drawn)
            self.drawn += 1
            return seed

    return StatelessGenerator


@lru_cache(maxsize=1)
def layer_names() -> tuple[str, ...]:
    """The image preprocessing layers of the Keras that is installed."""
    keras = _keras()
    base = inspect.getmro(keras.layers.RandomFlip)[1]  # BaseImagePreprocessingLayer, which Keras does not export
    names = (name for name in dir(keras.layers) if inspect.isclass(getattr(keras.layers, name)))
    return tuple(sorted(name for name in names if issubclass(getattr(keras.layers, name), base)))


def argument_names(layer: str) -> list[str]:
    """The arguments that `layer` takes here: its own, less `seed` and what concerns boxes and batches."""
    keras = _keras()
    hidden = {"self", "kwargs", "seed", "name", "dtype", "data_format", "bounding_box_format"}
    return [name for name in inspect.signature(getattr(keras.layers, layer).__init__).parameters if name not in hidden]


def _small_numbers(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Name the small tensors inside a layer's transformation; its plain ints are shapes, not draws."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _small_numbers(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        yield from _small_numbers(dict(enumerate(value)), path)
    elif hasattr(value, "numpy") and int(np.prod(value.shape)) <= _MOST_NUMBERS:
        numbers = np.asarray(value).reshape(-1).tolist()
        yield path or "drawn", numbers[0] if len(numbers) == 1 else numbers


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
