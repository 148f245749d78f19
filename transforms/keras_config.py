"""Keras layers that somebody has made already, as the entries of a spec that do the same."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np

from augmill.transforms.base import TransformError
from augmill.transforms.keras_graph import calls_of, is_chain, is_graph
from augmill.transforms.keras_layer import PREFIX, image_layer_class, keras
from augmill.transforms.keras_resolved import read_back
from augmill.transforms.user_code import import_object

PixelRange = tuple[float, float]  # what 0 and 255 have become where a layer stands
LEVELS: PixelRange = (0.0, 255.0)

# What a layer's config holds and no entry: names and numbers of Keras's own, and what augmill decides.
_LEFT_OUT = {"name", "trainable", "dtype", "seed", "data_format", "bounding_box_format", "value_range"}


class LayerEntry(NamedTuple):
    """A layer as a spec has it, and what its reader should know."""

    entry: str | dict[str, Any]
    notes: tuple[str, ...] = ()


def layer_entry(layer: Any, pixels: PixelRange | None = LEVELS) -> LayerEntry:
    """Write a layer as the entry of a spec that does the same on images in [0, 255].

    Args:
      layer: an image layer of Keras, or a layer of another's that `module:Class` finds.
      pixels: the range of pixels where the layer stands in its model, or None where it is not known.

    Raises:
      TransformError: it is no augmentation, its config can't be read, or it can't be imported.
    """
    name = spec_name(layer)
    config = _config(layer, name)
    arguments = {key: _plain(value, name) for key, value in config.items() if key not in _LEFT_OUT}
    notes = []
    if config.get("data_format") == "channels_first":
        raise TransformError(f"{name} works on channels first; images are [height, width, channels] here")
    if name.startswith(PREFIX):
        notes += [f"{name}: {note}" for note in read_back(type(layer).__name__, arguments)]
    if not name.startswith(PREFIX) and "value_range" in config:
        arguments["value_range"] = list(LEVELS)
    notes += _range_notes(name, config, pixels)
    _scale_fill(arguments, pixels)
    for key, parameter in inspect.signature(type(layer)).parameters.items():
        if key in arguments and _same(arguments[key], parameter.default):
            del arguments[key]
    return LayerEntry({name: arguments} if arguments else name, tuple(notes))


def spec_name(layer: Any) -> str:
    """The name that a layer has in a spec: that of Keras, or `module:Class`.

    Raises:
      TransformError: it has none.
    """
    kind = type(layer)
    if getattr(keras().layers, kind.__name__, None) is kind:
        if not is_image_layer(layer):
            raise TransformError(
                f"{PREFIX}{kind.__name__} is no augmentation of images; leave it in the model that trains on them"
            )
        return PREFIX + kind.__name__
    target = f"{kind.__module__}:{kind.__qualname__}"
    if "." in kind.__qualname__ or import_object(target) is not kind:
        raise TransformError(f"layer {kind.__qualname__} can't be imported; put its class at the top of a module")
    return target


def is_image_layer(layer: Any) -> bool:
    """Tell whether a layer is one of Keras's image preprocessing layers, or derived from one."""
    return isinstance(layer, image_layer_class())


def layers_of(augmenter: Any, who: str) -> list[Any]:
    """The layers of an augmenter in the order in which they are applied.

    Args:
      augmenter: a `keras.Sequential`, `keras.layers.Pipeline`, a functional model that is a chain, or one layer.
      who: what to call it in an error.

    Raises:
      TransformError: it is a model of another form, or it has no layers.
    """
    inner = _inner(augmenter, who)
    if inner is None:
        return [augmenter]
    found = [layer for part in inner for layer in layers_of(part, who)]
    kept = [layer for layer in found if not isinstance(layer, (keras().layers.InputLayer, keras().layers.Identity))]
    if not kept:
        raise TransformError(f"{who} has no layers")
    return kept


def _inner(augmenter: Any, who: str) -> list[Any] | None:
    if is_chain(augmenter):
        return list(augmenter.layers)
    if not isinstance(augmenter, keras().Model):
        return None
    if is_graph(augmenter):
        inputs, calls, outputs = calls_of(augmenter)
        way = [id(tensor) for tensor in inputs]
        for call in calls:
            chained = len(way) == 1 and [id(tensor) for tensor in call.inputs] == way
            way = [id(tensor) for tensor in call.outputs] if chained else []
        if way == [id(tensor) for tensor in outputs]:
            return [call.layer for call in calls]
    raise TransformError(f"{who} is a model that is no chain of layers; give a keras.Sequential of augmentations")


def augmenter_entries(augmenter: Any, who: str) -> list[LayerEntry]:
    """Write an augmenter as entries of a spec, one a layer.

    Raises:
      TransformError: a layer in it has no entry.
    """
    layers = layers_of(augmenter, who)
    ranges = {tuple(map(float, layer.value_range)) for layer in layers if hasattr(layer, "value_range")}
    pixels: Any = ranges.pop() if len(ranges) == 1 else LEVELS
    try:
        return [layer_entry(layer, pixels) for layer in layers]
    except TransformError as error:
        raise TransformError(f"{who}: {error}") from error


def _config(layer: Any, name: str) -> dict[str, Any]:
    try:
        config: dict[str, Any] = layer.get_config()
        return config
    except Exception as error:  # NotImplementedError of Keras, or anything of the user's own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TransformError(f"{name} does not tell its arguments by get_config: {reason}") from error


def _plain(value: Any, name: str) -> Any:
    """Turn a value of a config into what JSON has."""
    if isinstance(value, (list, tuple)):
        return [_plain(item, name) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist(), name)
    if isinstance(value, dict) and "class_name" in value:
        raise TransformError(f"{name} is made with other objects of Keras; write a class that makes them itself")
    if isinstance(value, dict):
        return {str(key): _plain(item, name) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TransformError(f"{name} has an argument that no spec can hold: {value!r}")


def _same(value: Any, default: Any) -> bool:
    return default is not inspect.Parameter.empty and value == (
        list(default) if isinstance(default, tuple) else default
    )


def _range_notes(name: str, config: dict[str, Any], pixels: PixelRange | None) -> list[str]:
    """Tell where a layer was set to another range of pixels than it was given."""
    if pixels is None:
        return [f"{name}: the model does not say what range its pixels have there; in the spec they are in [0, 255]"]
    here = f"[{pixels[0]:g}, {pixels[1]:g}]"
    if "value_range" in config and not np.allclose(config["value_range"], pixels):
        low, high = config["value_range"]
        return [
            f"{name}: the model gave it pixels in {here} with a value_range of [{low:g}, {high:g}], so that it did not "
            "do what its factor says; in the spec it does"
        ]
    if not name.startswith(PREFIX) and "value_range" not in config and not np.allclose(pixels, LEVELS):
        return [f"{name}: it saw pixels in {here} in the model, and sees [0, 255] in the spec"]
    return []


def _scale_fill(arguments: dict[str, Any], pixels: PixelRange | None) -> None:
    """Bring the level that fills what is empty to [0, 255], and leave it out where nothing is filled."""
    if "fill_value" not in arguments or arguments["fill_value"] is None:
        return
    if arguments.get("fill_mode", "constant") != "constant":
        del arguments["fill_value"]
        return
    low, high = pixels or LEVELS
    levels = (np.asarray(arguments["fill_value"], np.float64) - low) / (high - low) * 255.0
    arguments["fill_value"] = np.clip(np.round(levels, 4), 0, 255).tolist()
