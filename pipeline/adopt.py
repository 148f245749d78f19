"""Adopting a Keras model: its augmentation becomes a spec, and a model without it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from augmill.pipeline.adopted_spec import image_keys, last_crop, spec_text
from augmill.pipeline.errors import CheckError, OptionError
from augmill.pipeline.model_compare import largest_difference, sample_images
from augmill.pipeline.model_front import Front, find_front
from augmill.pipeline.model_rewrite import NONE, compile_like, without
from augmill.pipeline.spec import Spec, add_import_paths
from augmill.pipeline.training import augmentation_layers, is_augmentation
from augmill.transforms.base import TransformError
from augmill.transforms.grammar import parse_policy
from augmill.transforms.keras_config import LEVELS, LayerEntry, layer_entry, layers_of
from augmill.transforms.keras_graph import is_chain, is_graph, load_model
from augmill.transforms.keras_layer import keras
from augmill.transforms.user_code import import_object

_SIDE = 64  # pixels, where the model takes images of any size
_NOTHING_LEFT = "the model is augmentation and nothing else: there is none to be written without it"


@dataclass
class Adoption:
    """What became of a model.

    Attributes:
      model: its name and what kind of model it is.
      layers: (path in the model, entry in the spec) of each layer that was taken over.
      left: (path, why) of augmentation layers that stay in the model.
      notes: what the reader should know.
      spec: the spec's file.
      plain: the file of the model without the layers, or None where there is none.
      difference: largest difference of its outputs at inference, over `images` images, or None where not compared.
      optimizer: "kept", "left out" or "none": what became of the optimizer's state.
      undone: what is left to the reader, where the model could not be rewritten.
    """

    model: str
    layers: list[tuple[str, Any]]
    left: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    spec: str = ""
    plain: str | None = None
    difference: float | None = None
    images: int = 0
    optimizer: str = NONE
    undone: str = ""

    def facts(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def adopt(target: str, *, output: Path, plain: Path, force: bool = False, photos: Path | None = None) -> Adoption:
    """Write a spec of the augmentation in a model, and the model without it.

    Args:
      target: a saved model, or `module:name` of a model or of a function that returns one.
      output: the spec's file.
      plain: the other model's file, ending in .keras.
      force: whether to write over files that are there.
      photos: a folder with images on which to compare the models too.

    Raises:
      AugmillError: the model can't be read, has no augmentation at its front, or would answer otherwise without it.
    """
    _check_files(output, plain, force)
    add_import_paths([str(output.resolve().parent), str(Path.cwd())])
    keras()  # before code of the user's imports it, and lets TensorFlow say what it has to say
    model = open_model(target)
    if not is_graph(model) and not (is_chain(model) and getattr(model, "inputs", None)):
        return _adopt_without_input(model, target, output)
    front = find_front(model)
    if not front.standing:
        raise CheckError(_nothing(model, front))
    entries = _entries([(standing.layer, front.pixels_at(standing)) for standing in front.standing], target)
    paths = [standing.path for standing in front.standing]
    adoption = Adoption(
        model=f"{model.name} ({type(model).__name__}, {len(model.layers)} layers)",
        layers=[(path, made.entry) for path, made in zip(paths, entries, strict=True)],
        left=front.elsewhere,
        notes=_notes(entries, front),
    )
    image = image_keys(front, adoption.notes)
    rewritten = model_without(model, front)
    with tempfile.TemporaryDirectory(dir=plain.resolve().parent, prefix=".augmill-") as folder:
        draft = Path(folder) / plain.name
        if rewritten is None:
            adoption.notes.append(_NOTHING_LEFT)
        else:
            _save_checked(model, rewritten, front, draft, photos, adoption)
            adoption.plain = str(plain)
        _write_spec(output, target, image, adoption)  # which is read back: a model never stands without its spec
        if rewritten is not None:
            draft.replace(plain)
    return adoption


def open_model(target: str) -> Any:
    """Open a saved model, or `module:name`.

    Raises:
      OptionError: there is no such model.
    """
    try:
        if ":" not in target or Path(target).exists():
            return _load(target)
        found = import_object(target)
    except TransformError as error:
        raise OptionError(str(error)) from error
    if isinstance(found, keras().layers.Layer):
        return found
    try:
        made = found()
    except Exception as error:  # whatever the user's function does
        raise OptionError(f"{target} failed with {type(error).__name__}: {str(error).strip()[:300]}") from error
    if not isinstance(made, keras().layers.Layer):
        raise OptionError(f"{target} must be a Keras model or return one, got {type(made).__name__}")
    return made


def _load(path: str) -> Any:
    try:
        return load_model(path, compiled=True)
    except TransformError:
        return load_model(path)  # a loss of the user's own, perhaps: the layers can be had without it


def _check_files(output: Path, plain: Path, force: bool) -> None:
    if plain.suffix != ".keras":
        raise OptionError(f"--model-output must end in .keras, got {plain}")
    for path in (output, plain):
        if path.exists() and not force:
            raise OptionError(f"{path} is there already; --force writes over it")
        if not path.resolve().parent.is_dir():
            raise OptionError(f"there is no folder {path.resolve().parent}")


def _nothing(model: Any, front: Front) -> str:
    if not front.elsewhere:
        return f"model {model.name} has no augmentation layers: there is nothing to adopt"
    lines = "\n".join(f"  {path} {why}" for path, why in front.elsewhere)
    return f"model {model.name} has augmentation, but none at its front, where it could be done beforehand:\n{lines}"


def _entries(layers: Sequence[tuple[Any, Any]], target: str) -> list[LayerEntry]:
    """The spec's entries, each of which must be an op that a spec can have."""
    try:
        entries = [layer_entry(layer, pixels) for layer, pixels in layers]
    except TransformError as error:
        raise OptionError(f"{target}: {error}") from error
    problems = [(where, why) for where, why in parse_policy([made.entry for made in entries])[1]]
    if problems:
        lines = "\n".join(f"  {layers[int(where[1])][0].name}: {why}" for where, why in problems)
        raise OptionError(f"{target} has layers that no spec can have; take them out of the model:\n{lines}")
    return entries


def _notes(entries: Sequence[LayerEntry], front: Front) -> list[str]:
    notes = [note for made in entries for note in made.notes] + front.notes
    if front.pixels != (0.0, 255.0):
        low, high = front.pixels
        notes.append(
            f"the model takes pixels in [{low:g}, {high:g}]: train it on load(..., output=({low:g}, {high:g}))"
        )
    return list(dict.fromkeys(notes))


def model_without(model: Any, front: Front) -> Any:
    """Make the model anew without the augmentation at its front; None where nothing is left."""
    layers, crop = [standing.layer for standing in front.standing], last_crop(front)
    if crop is None:
        return without(model, layers, front.input)
    try:
        return without(model, layers, front.input, size=(None, None))
    except Exception:  # a layer behind it needs to know the size
        return without(model, layers, front.input, size=(crop.layer.height, crop.layer.width))


def _save_checked(model: Any, new: Any, front: Front, draft: Path, photos: Path | None, adoption: Adoption) -> None:
    """Save the new model, once it has been read back and answers like the old one."""
    adoption.optimizer, why = compile_like(model, new)
    if why:
        adoption.notes.append(why)
    if type(new) is not type(model):
        adoption.notes.append(f"the new model is no {type(model).__name__} but a plain {type(new).__name__}")
    images = sample_images(front, _size(front), photos)
    new.save(draft)
    read = keras().saving.load_model(draft, custom_objects=_own_classes(model), compile=False, safe_mode=False)
    adoption.difference = largest_difference(model, read, front, images, adoption.notes)
    adoption.images = len(images)


def _size(front: Front) -> tuple[int, int]:
    """The size of images on which the old model and the new one are compared."""
    crop = last_crop(front)
    cropped = (crop.layer.height, crop.layer.width) if crop else (_SIDE, _SIDE)
    _, height, width, _ = front.input.shape
    return (height or cropped[0], width or cropped[1])


def _own_classes(model: Any) -> dict[str, Any]:
    """Layers of the user's own in the model, by class name, with which it can be read back."""
    kinds = {type(layer) for layer in model._flatten_layers()}
    return {kind.__name__: kind for kind in kinds if not kind.__module__.startswith("keras.")}


def _adopt_without_input(model: Any, target: str, output: Path) -> Adoption:
    """An augmenter, or a model of a class of the user's own: write the spec, and say what is left to do."""
    own = isinstance(model, keras().Model) and not is_chain(model)
    found = list(augmentation_layers(model)) if own else [(layer.name, layer) for layer in layers_of(model, target)]
    if not own and not all(is_augmentation(layer) for _, layer in found):
        raise OptionError(
            f"{target} holds more than augmentation of Keras's own and has no input shape yet; begin it with "
            "keras.Input(shape=(height, width, 3))"
        )
    if not found:
        raise CheckError(f"model {model.name} has no augmentation layers: there is nothing to adopt")
    entries = _entries([(layer, LEVELS) for _, layer in found], target)
    adoption = Adoption(
        model=f"{model.name} ({type(model).__name__})",
        layers=[(path, made.entry) for (path, _), made in zip(found, entries, strict=True)],
        notes=[note for made in entries for note in made.notes],
    )
    if own:
        adoption.notes.append("these layers are in the order in which the class makes them, not that of its calls")
        adoption.undone = (
            f"the model was not rewritten: what it does stands in {type(model).__name__}.call, which augmill can't "
            "change; take the calls of these layers out of it, and train it on what the spec builds"
        )
    else:
        adoption.notes.append(_NOTHING_LEFT)
    _write_spec(output, target, {}, adoption)
    return adoption


def _write_spec(output: Path, target: str, image: dict[str, Any], adoption: Adoption) -> None:
    """Write the spec, once it has been read back."""
    text = spec_text(target, image, [entry for _, entry in adoption.layers], adoption.notes)
    with tempfile.TemporaryDirectory(dir=output.resolve().parent, prefix=".augmill-") as folder:
        draft = Path(folder) / output.name
        draft.write_text(text, "utf-8")
        Spec.from_yaml(draft)
        draft.replace(output)
    adoption.spec = str(output)
