"""The front of a Keras model: the augmentation layers between its input and its first layer with weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from augmill.pipeline.training import augmentation_layers, is_augmentation
from augmill.transforms.keras_config import PixelRange, is_image_layer
from augmill.transforms.keras_graph import Call, calls_of, is_chain, is_graph
from augmill.transforms.keras_layer import keras

_PREPROCESSING = ("Cropping2D", "Identity", "InputLayer", "Lambda", "Normalization", "Rescaling", "ZeroPadding2D")
_TRIES = 4  # images on which a layer of the user's must change something to be taken for augmentation
_SIDE = 32  # pixels of a side that the model leaves open

Scale = tuple[float, float]  # a and b of a * x + b, which the model makes of a pixel x of its input


class Standing(NamedTuple):
    """An augmentation layer at the front of a model.

    Attributes:
      layer: the layer itself.
      path: its name, behind those of the models that it stands in.
      scale: what the model has made of its input's pixels there, or None where it can't be told.
      size: (height, width) of the images there, None where open.
      takes, gives: dtypes of the pixels.
    """

    layer: Any
    path: str
    scale: Scale | None
    size: tuple[int | None, int | None]
    takes: str
    gives: str


@dataclass
class Front:
    """What was found at the front of a model.

    Attributes:
      standing: the augmentation layers in the order in which images meet them.
      elsewhere: augmentation layers at other places, as (path, why it can't be taken out there).
      resized: (height, width) that a Resizing layer at the front makes, if one does.
      notes: what its reader should know.
      input: the model's input tensor that the images come in by.
    """

    standing: list[Standing] = field(default_factory=list)
    elsewhere: list[tuple[str, str]] = field(default_factory=list)
    resized: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)
    input: Any = None

    @property
    def pixels(self) -> PixelRange:
        """The range of pixels that the model takes: [0, 255], unless its layers' value_range says otherwise."""
        told = set()
        for standing in self.standing:
            value_range = getattr(standing.layer, "value_range", None)
            if value_range is not None and standing.scale is not None:
                a, b = standing.scale
                told.add(tuple(round((float(end) - b) / a, 4) for end in value_range))
        return (0.0, 1.0) if told == {(0.0, 1.0)} else (-1.0, 1.0) if told == {(-1.0, 1.0)} else (0.0, 255.0)

    def pixels_at(self, standing: Standing) -> PixelRange | None:
        """The range of pixels where a layer stands, or None where it can't be told."""
        if standing.scale is None:
            return None
        a, b = standing.scale
        low, high = self.pixels
        return (round(a * low + b, 6), round(a * high + b, 6))


def find_front(model: Any) -> Front:
    """Follow the image from a model's input through augmentation and preprocessing to the first features.

    Args:
      model: a built `keras.Sequential` or functional model.
    """
    fronts = [_Walk(model, number).front for number, like in enumerate(model.inputs) if len(like.shape) == 4]
    found = [front for front in fronts if front.standing]
    front = found[0] if found else fronts[0] if fronts else Front()
    for other in found[1:]:
        front.elsewhere += [(standing.path, "augments another input of the model") for standing in other.standing]
    taken = {id(part) for one in found for standing in one.standing for part in standing.layer._flatten_layers()}
    known = {path for path, _ in front.elsewhere}
    for path, layer in augmentation_layers(model):
        if id(layer) not in taken and path not in known:
            front.elsewhere.append((path, "does not stand between the input and the first layer with weights"))
    return front


class _Walk:
    """One walk along the front, which notes what it meets."""

    def __init__(self, model: Any, number: int) -> None:
        self.front = Front(input=model.inputs[number])
        self._scale: Scale | None = (1.0, 0.0)
        self._through(model, model.inputs[number], number, ())

    def _through(self, model: Any, like: Any, number: int, within: tuple[str, ...]) -> bool:
        """Walk through a model; tell whether the way goes on behind it."""
        inputs, calls, outputs = calls_of(model, like)
        tensor = inputs[number]
        while True:
            users = [call for call in calls if any(used is tensor for used in call.inputs)]
            ends = any(output is tensor for output in outputs)
            if ends and not users:
                return True
            if len(users) != 1 or ends:
                names = ", ".join(call.layer.name for call in users) or "nowhere"
                return self._stop(users, calls, within, f"stands where the image goes several ways ({names})")
            [call] = users
            if len(call.inputs) != 1 or len(call.outputs) != 1:
                return self._stop(users, calls, within, f"stands behind {call.layer.name}, which joins several inputs")
            if sum(other.layer is call.layer for other in calls) > 1:
                return self._stop(users, calls, within, "is called several times")
            if not self._step(call, within):
                why = f"stands behind {call.layer.name}, no longer on the image itself"
                return self._stop(users, calls, within, why)
            tensor = call.outputs[0]

    def _step(self, call: Call, within: tuple[str, ...]) -> bool:
        """Take one call; tell whether the way goes on behind it."""
        layer, path = call.layer, (*within, call.layer.name)
        if is_chain(layer) or is_graph(layer):
            return self._through(layer, call.inputs[0], 0, path)
        if is_augmentation(layer) or self._augments(call):
            return self._take(call, "/".join(path))
        if is_image_layer(layer):
            if type(layer).__name__ == "Resizing":
                self.front.resized = (layer.height, layer.width)
            if type(layer).__name__ == "Equalization":
                self.front.notes.append(f"{'/'.join(path)} stays in the model; in Keras 3.15 it acts in training alone")
            return True
        own = type(layer).__module__.startswith("keras.")
        if (own and _is_layer(layer) and type(layer).__name__ not in _PREPROCESSING) or not _keeps_rank(call):
            return False
        if getattr(layer, "weights", None) and type(layer).__name__ != "Normalization":
            return False
        scale = _scale_of(call)
        mine = self._scale
        self._scale = None if scale is None or mine is None else (scale[0] * mine[0], scale[0] * mine[1] + scale[1])
        return True

    def _take(self, call: Call, path: str) -> bool:
        if type(call.layer).__name__ == "RandomCrop" and self.front.resized is not None:
            why = "cuts what a Resizing layer before it has made, and that one would resize the stored images again"
            self.front.elsewhere.append((path, why))
            return True
        height, width = call.inputs[0].shape[1:3]
        takes, gives = call.inputs[0].dtype, call.outputs[0].dtype
        self.front.standing.append(Standing(call.layer, path, self._scale, (height, width), takes, gives))
        return True

    def _stop(self, at: list[Call], calls: list[Call], within: tuple[str, ...], why: str) -> bool:
        """End the walk: say of the augmentation in these calls and behind them why it can't be taken out."""
        taken = {id(part) for standing in self.front.standing for part in standing.layer._flatten_layers()}
        for call in _and_behind(at, calls):
            for path, layer in _with_self(call.layer):
                whole = "/".join((*within, *path))
                if id(layer) not in taken and whole not in dict(self.front.elsewhere):
                    self.front.elsewhere.append((whole, why))
        return False

    def _augments(self, call: Call) -> bool:
        """Tell whether a layer of the user's own is augmentation: in training, and then alone, it changes images."""
        layer = call.layer
        if not _is_layer(layer) or type(layer).__module__.startswith("keras.") or layer.weights:
            return False
        draws = np.random.default_rng(0)
        images = [draws.uniform(0, 255, _open_shape(call.inputs[0])).astype(np.float32) for _ in range(_TRIES)]
        try:
            quiet = all(np.array_equal(np.asarray(layer(image, training=False)), image) for image in images)
            return quiet and any(not np.array_equal(np.asarray(layer(image, training=True)), image) for image in images)
        except Exception:  # no layer of one image, or none that takes `training`
            return False


def _and_behind(at: list[Call], calls: list[Call]) -> list[Call]:
    """These calls, and all that come to work on what they give."""
    reached = list(at)
    for call in calls:  # in an order in which they can be made
        given = {id(tensor) for earlier in reached for tensor in earlier.outputs}
        if all(call is not other for other in reached) and any(id(tensor) in given for tensor in call.inputs):
            reached.append(call)
    return reached


def _with_self(layer: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The augmentation layers that a layer is or holds, with their paths from there on."""
    if is_augmentation(layer):
        yield (layer.name,), layer
    elif _is_layer(layer):
        for path, inner in augmentation_layers(layer):
            yield (layer.name, path), inner


def _is_layer(layer: Any) -> bool:
    """Tell layers from mere operations, such as a division."""
    return isinstance(layer, keras().layers.Layer)


def _keeps_rank(call: Call) -> bool:
    before, after = call.inputs[0].shape, call.outputs[0].shape
    return len(after) == 4 and after[-1] == before[-1]


def _open_shape(tensor: Any) -> tuple[int, ...]:
    return (1, *(side or _SIDE for side in tensor.shape[1:]))


def _scale_of(call: Call) -> Scale | None:
    """What a call makes of pixels, if it is a * x + b on all of them alike."""
    levels = []
    for level in (0.0, 0.5, 1.0):
        image = np.full(_open_shape(call.inputs[0]), level, np.float32)
        args, kwargs = keras().tree.map_structure(
            lambda item, image=image: image if item is call.inputs[0] else item, (call.args, call.kwargs)
        )
        try:
            result = np.asarray(call.layer(*args, **kwargs), np.float64)
        except Exception:  # it needs more than one image of one colour
            return None
        if not np.isfinite(result).all() or np.ptp(result) > 1e-5 * max(1.0, np.abs(result).max()):
            return None
        levels.append(float(result.mean()))
    slope = levels[2] - levels[0]
    straight = abs(levels[1] - (levels[0] + levels[2]) / 2) <= 1e-5 * max(1.0, abs(slope))
    return (slope, levels[0]) if straight and slope > 0 else None
