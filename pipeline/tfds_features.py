"""Which features of a TFDS dataset hold the image, its label, its key, boxes and masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from augmill.pipeline.errors import SourceError
from augmill.pipeline.source_spec import FeatureNames

# Features that identify an example, whatever shard it is in; `tfds_id` is a shard position and does not.
KEY_FEATURES = ("key", "id", "image/id", "image_id", "filename", "file_name", "image/filename", "image/file_name")
_CROWD = "is_crowd"


def find_features(builder: Any, given: FeatureNames | None) -> FeatureNames:
    """Find the features as given, or the only ones that there can be.

    A sequence with boxes in it holds the objects, with the one class label in it as theirs. An image of one channel
    beside one of three is its mask.

    Raises:
      SourceError: a feature is not there, or there are several to choose from.
    """
    import tensorflow_datasets as tfds

    top = dict(sorted(builder.info.features.items()))
    within = dict(_within_sequences(builder.info.features))

    def of_kind(features: dict[str, Any], kind: Any) -> list[str]:
        return [name for name, feature in features.items() if isinstance(feature, kind)]

    images, labels = of_kind(top, tfds.features.Image), of_kind(top, tfds.features.ClassLabel)
    boxes = of_kind({**within, **top}, tfds.features.BBoxFeature)
    key = next((name for name in KEY_FEATURES if name in top), None)
    if given is not None:
        everything = sorted({*top, *within})
        choices = {"image": images, "label": labels, "key": sorted(top), "boxes": boxes or everything, "mask": images}
        _check_given(builder, given, choices, everything)
        _check_format(builder, given.boxes)
        return given.model_copy(update={"key": given.key or key})
    masks = [name for name in images if top[name].shape[-1] == 1] if len(images) == 2 else []
    masks = masks if len(masks) == 1 else []
    pictures = [name for name in images if name not in masks]
    boxes = of_kind(within, tfds.features.BBoxFeature)
    folder = boxes[0].rpartition("/")[0] if boxes else ""
    box_labels = [name for name in of_kind(within, tfds.features.ClassLabel) if name.rpartition("/")[0] == folder]
    if len(pictures) != 1 or len(labels) > 1 or len(boxes) > 1 or (boxes and len(box_labels) > 1):
        raise SourceError(
            f"{builder.info.full_name} has the images {_listed(images)}, the labels {_listed(labels)} and the boxes "
            f"{_listed(boxes)} with the labels {_listed(box_labels)}; say which with features: {{image: ..., "
            "label: ..., boxes: ..., box_labels: ...}"
        )
    crowd = f"{folder}/{_CROWD}"
    _check_format(builder, boxes[0] if boxes else None)
    return FeatureNames(
        image=pictures[0],
        label=next(iter(labels), None),
        key=key,
        boxes=next(iter(boxes), None),
        box_labels=next(iter(box_labels), None) if boxes else None,
        crowd=crowd if boxes and crowd in within else None,
        mask=next(iter(masks), None),
    )


def class_names(builder: Any, feature: str | None) -> list[str] | None:
    """The names of the classes that a feature numbers; None where it has none."""
    top = builder.info.features
    found: Any = {**dict(top.items()), **dict(_within_sequences(top))}.get(feature or "")
    return list(found.names) if getattr(found, "num_classes", None) else None


def _within_sequences(features: Any) -> Iterator[tuple[str, Any]]:
    """The features in sequences, by the names that they have in a record."""
    import tensorflow_datasets as tfds

    for name, feature in sorted(features.items()):
        if isinstance(feature, tfds.features.Sequence):
            inner = feature.feature
            if isinstance(inner, tfds.features.FeaturesDict):
                yield from ((f"{name}/{key}", value) for key, value in sorted(inner.items()))
            else:
                yield name, inner


def _check_given(builder: Any, given: FeatureNames, choices: dict[str, list[str]], everything: list[str]) -> None:
    wrong = []
    for role in FeatureNames.model_fields:
        value = getattr(given, role)
        # Boxes in four features are no BBoxFeature, and keypoints have no feature of their own.
        among = choices.get(role, everything) if isinstance(value, str) else everything
        for name in [value] if isinstance(value, str) else value or []:
            if name not in among:
                wrong.append(f"{role} {name!r} (choose from {', '.join(among) or 'none'})")
    if wrong:
        raise SourceError(f"{builder.info.full_name} has no such feature: {'; '.join(wrong)}")


def _check_format(builder: Any, name: Any) -> None:
    """Refuse boxes that say of themselves to be in another form than TFDS's own."""
    top = builder.info.features
    feature = {**dict(top.items()), **dict(_within_sequences(top))}.get(name if isinstance(name, str) else "")
    form = getattr(feature, "bbox_format", None)
    form = getattr(form, "value", form)
    if form not in (None, "REL_YXYX"):
        raise SourceError(
            f"{builder.info.full_name} has boxes in the form {form}; augmill reads [ymin, xmin, ymax, xmax]"
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
