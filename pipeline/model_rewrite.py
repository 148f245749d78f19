"""A Keras model without some of its layers: the same layers otherwise, with their weights, names and optimizer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from augmill.transforms.keras_graph import copied, is_chain, is_graph
from augmill.transforms.keras_layer import keras

Size = tuple[int | None, int | None]

KEPT, LEFT_OUT, NONE = "kept", "left out", "none"  # what became of the optimizer's state


def without(model: Any, layers: Collection[Any], image_input: Any, *, size: Size | None = None) -> Any:
    """Make a model that is `model` without `layers`; all others are shared with it, not copied.

    Args:
      model: a built `keras.Sequential` or functional model.
      layers: the layers to leave out, each of which gives the shape that it takes, or another size, told by `size`.
      image_input: the input tensor of `model` that leads to them.
      size: (height, width) of the images that the new model takes, None for any, where that is not the old one's.

    Returns:
      The new model, not compiled, or None where nothing is left.
    """
    takes = None
    if not keras().backend.is_float_dtype(image_input.dtype):
        # The first layer taken out made floats of the image; the next one may not.
        takes = "float32"
    return _Rewrite({id(layer) for layer in layers}, image_input, takes, size).block(model)


class _Rewrite:
    """One rewriting, which knows each model inside the model by what it became."""

    def __init__(self, gone: set[int], image_input: Any, takes: str | None, size: Size | None) -> None:
        self._gone = gone
        self._image_input = image_input
        self._takes = takes
        self._size = size
        self._blocks: dict[int, Any] = {}

    def block(self, layer: Any) -> Any:
        """What becomes of a layer: itself, a model inside the model made anew, or None."""
        if id(layer) in self._gone:
            return None
        if id(layer) not in self._blocks:
            self._blocks[id(layer)] = self._made_anew(layer)
        return self._blocks[id(layer)]

    def _made_anew(self, layer: Any) -> Any:
        if not hasattr(layer, "_flatten_layers"):  # a mere operation
            return layer
        if not any(id(part) in self._gone for part in layer._flatten_layers(include_self=False)):
            return layer
        block = self._chain(layer) if is_chain(layer) else self._graph(layer) if is_graph(layer) else layer
        if block is not None:
            _copy_trainable(layer, block)
        return block

    def _chain(self, chain: Any) -> Any:
        layers = [kept for kept in map(self.block, chain.layers) if kept is not None]
        if not layers:
            return None
        if isinstance(chain, keras().layers.Pipeline):
            return keras().layers.Pipeline(layers, name=chain.name)
        inputs = getattr(chain, "inputs", None)
        first = [self._input(tensor) for tensor in inputs or []]
        return keras().Sequential([*first, *layers], name=chain.name)

    def _graph(self, graph: Any) -> Any:
        passed = 0

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal passed
            if id(layer) in self._gone or id(layer) in emptied:
                return args[0]
            passed += 1
            return layer(*args, **kwargs)

        emptied = {id(layer) for layer in graph.operations if self.block(layer) is None}
        if all(isinstance(layer, keras().layers.InputLayer) or id(layer) in emptied for layer in graph.operations):
            return None
        inputs = keras().tree.map_structure(self._input, graph.input)
        return copied(graph, lambda layer: layer if self.block(layer) is None else self.block(layer), call, inputs)

    def _input(self, tensor: Any) -> Any:
        shape = tuple(tensor.shape)
        if self._size is not None and len(shape) == 4:
            shape = (shape[0], *self._size, shape[3])
        mine = tensor is self._image_input
        return keras().Input(
            batch_shape=shape, dtype=self._takes if mine and self._takes else tensor.dtype, name=_input_name(tensor)
        )


def _input_name(tensor: Any) -> str:
    """The name of the InputLayer behind a tensor: feeding a model by name goes by it."""
    return str(tensor._keras_history.operation.name)


def _copy_trainable(old: Any, new: Any) -> None:
    """Set `trainable` of a model as it was: setting it sets that of every layer inside, which must stay as they are."""
    if new.trainable == old.trainable:
        return
    flags = [(layer, layer.trainable) for layer in new._flatten_layers(include_self=False)]
    new.trainable = old.trainable
    for layer, flag in flags:
        if layer.trainable != flag:
            layer.trainable = flag


def compile_like(old: Any, new: Any) -> tuple[str, str]:
    """Compile a rewritten model as the old one was, with the state of its optimizer.

    Returns:
      What became of the optimizer's state, and why where it is left out.
    """
    if not old.compiled:
        return NONE, ""
    try:
        new.compile_from_config(old.get_compile_config())
    except Exception as error:  # a loss or metric of the user's own that Keras can't find again
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return LEFT_OUT, f"its compile() can't be repeated ({reason}); compile it anew"
    if not getattr(old.optimizer, "built", False):
        return KEPT, ""
    new.optimizer.build(new.trainable_variables)
    before = {variable.path: variable for variable in old.optimizer.variables}
    after = {variable.path: variable for variable in new.optimizer.variables}
    if before.keys() != after.keys() or len(before) != len(old.optimizer.variables):
        return LEFT_OUT, "the optimizer's variables can't be told apart by name; training begins with a fresh one"
    for path, variable in after.items():
        variable.assign(before[path])
    return KEPT, ""
