"""The spec of an adopted model, as a file to read and go on from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from augmill.pipeline.errors import OptionError
from augmill.pipeline.model_front import Front, Standing

_COPIES = 4


def image_keys(front: Front, notes: list[str]) -> dict[str, Any]:
    """The spec's `image`: the size that the model trains on.

    Args:
      front: what stands at the front of the model.
      notes: gets what the reader must set.

    Raises:
      OptionError: the model takes no RGB and no grey images.
    """
    _, height, width, channels = front.input.shape
    fixed = (height, width) if height and width else front.resized
    size: dict[str, Any] = {"size": list(fixed)} if fixed else {}
    crop = last_crop(front)
    if crop is not None:
        larger = [round(side * 8 / 7) for side in (crop.layer.height, crop.layer.width)]
        if not fixed:
            notes.append(f"the model does not say how large images are before {crop.path}: image.work_size is a guess")
        notes.append(
            f"{crop.path}: Keras 3.15 lets whole images through at inference, where it documents a crop of the middle; "
            f"the new model takes them too, and trains on {crop.layer.height}x{crop.layer.width}"
        )
        size = {"size": [crop.layer.height, crop.layer.width], "work_size": list(fixed) if fixed else larger}
    elif not fixed:
        notes.append("the model takes images of any size: set image.size to that of your training")
    if channels not in (1, 3):
        raise OptionError(f"the model takes images of {channels} channels; augmill makes images of 3 or 1")
    return size if channels == 3 else {**size, "channels": 1}


def last_crop(front: Front) -> Standing | None:
    """The last random crop, which decides the size that the rest of the model sees."""
    crops = [standing for standing in front.standing if type(standing.layer).__name__ == "RandomCrop"]
    return crops[-1] if crops else None


def spec_text(target: str, image: dict[str, Any], entries: Sequence[Any], notes: Sequence[str]) -> str:
    """Write a spec with `entries` for its `augment` list, as YAML with what the reader should know in comments.

    Args:
      target: where the model came from.
      image: the spec's `image`.
      entries: names of ops, or {name: arguments}.
      notes: sentences.
    """
    stem = Path(target.rpartition(":")[2]).stem.lower()
    name = re.sub(r"[^a-z0-9_]+", "_", stem).lstrip("_0123456789").rstrip("_") or "adopted"
    lines = [
        f"# What the augmentation in {target} does, adopted by augmill.",
        *(f"# {note}" for note in notes),
        f"name: {name}",
        "version: 1.0.0",
        "source: {folder: photos}  # set it to yours: photos/<class>/x.jpg, TFRecord files or a TFDS dataset",
        *([f"image: {_flow(image)}"] if image else []),
        f"copies: {_COPIES}  # renditions of each training image, besides the image itself",
        "augment:",
        *(f"  - {_entry(entry)}" for entry in entries),
    ]
    return "\n".join(lines) + "\n"


def _entry(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    [(name, arguments)] = entry.items()
    return f"{name}: {_flow(arguments)}"


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).strip()
