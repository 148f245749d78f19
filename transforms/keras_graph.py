"""Keras models: reading them from a file, and seeing which layer is called on what."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from augmill.transforms.base import TransformError
from augmill.transforms.keras_layer import keras, keras_settings
from augmill.transforms.keras_resolved import shear_factor


class Call(NamedTuple):
    """One call of a layer, or of an operation such as a division, in a functional model.

    Attributes:
      layer: what is called.
      inputs, outputs: the symbolic tensors that go in and come out.
      args, kwargs: how it is called.
    """

    layer: Any
    inputs: list[Any]
    outputs: list[Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def calls_of(model: Any, like: Any = None) -> tuple[list[Any], list[Call], list[Any]]:
    """The calls in a model in an order in which they can be made.

    Args:
      model: a functional model, or a `keras.Sequential` or `keras.layers.Pipeline`, whose layers are called in turn.
      like: a symbolic tensor like that which goes into a chain of layers; by default its own input.

    Returns:
      The tensors that go in, the calls, and the tensors that come out.
    """
    made: list[Call] = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        result = layer(*args, **kwargs)
        made.append(Call(layer, _tensors([args, kwargs]), _tensors(result), args, kwargs))
        return result

    if is_chain(model):
        like = model.inputs[0] if like is None else like
        first = result = keras().Input(batch_shape=like.shape, dtype=like.dtype)
        for layer in model.layers:
            result = call(layer, result)
        return [first], made, _tensors(result)
    copy = copied(model, lambda layer: layer, call)
    return list(copy.inputs), made, list(copy.outputs)


def is_chain(layer: Any) -> bool:
    """Tell whether a layer only calls others in turn."""
    return isinstance(layer, (keras().Sequential, keras().layers.Pipeline))


def is_graph(layer: Any) -> bool:
    """Tell whether a layer is a functional model, whose calls can be seen; that of a subclass of Model can't."""
    return isinstance(layer, keras().Model) and not is_chain(layer) and getattr(layer, "inputs", None) is not None


def copied(model: Any, replace: Callable[[Any], Any], call: Callable[..., Any], inputs: Any = None) -> Any:
    """Make a functional model anew, uncompiled, of layers that `replace` gives for its own and `call` calls."""
    compiled = model.compiled
    model.compiled = False  # clone_model would compile the copy, which may fail for reasons that don't matter here
    try:
        return keras().models.clone_model(model, input_tensors=inputs, clone_function=replace, call_function=call)
    finally:
        model.compiled = compiled


def _tensors(structure: Any) -> list[Any]:
    return [item for item in keras().tree.flatten(structure) if isinstance(item, keras().KerasTensor)]


def load_model(path: str | Path, *, compiled: bool = False) -> Any:
    """Read a saved model.

    Raises:
      TransformError: there is no such file, or Keras can't read it.
    """
    if not Path(path).is_file():
        raise TransformError(f"there is no model at {path}")
    try:
        with keras_settings(), _shear_can_be_read():
            return keras().saving.load_model(path, compile=compiled)
    except Exception as error:  # a file that is none, a class that is not there, a Lambda: Keras raises many kinds
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise TransformError(
            f"Keras can't read {path}: {reason[:300]}; where it holds code of yours, give <module>:<name> instead, "
            "the model or a function that returns it"
        ) from error


@contextlib.contextmanager
def _shear_can_be_read() -> Iterator[None]:
    """Let saved RandomShear layers be read: Keras 3.15 writes 0.2 as (-0.2, 0.2) and then refuses that."""
    kind = keras().layers.RandomShear
    own = kind.__dict__.get("from_config")

    def from_config(cls: Any, config: dict[str, Any]) -> Any:
        return cls(**{name: shear_factor(v) if name in ("x_factor", "y_factor") else v for name, v in config.items()})

    kind.from_config = classmethod(from_config)
    try:
        yield
    finally:
        if own is None:
            del kind.from_config
        else:
            kind.from_config = own
