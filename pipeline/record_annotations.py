"""Annotations in records: the features of a `tf.train.Example` that hold boxes, keypoints and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from augmill.pipeline.annotation_info import AnnotationInfo
from augmill.pipeline.annotations import AnnotationError, Annotations, box_problem, keypoint_array
from augmill.pipeline.errors import SourceError
from augmill.pipeline.mask import mask_bits
from augmill.pipeline.source_spec import FeatureNames

ROLES = ("boxes", "box_labels", "crowd", "keypoints", "mask")
ONLY_CLASS = "object"  # what objects are called where the source does not say
_MOST_CLASSES = 1_000_000  # without names for them

Example = Mapping[str, list[Any]]


def read_annotations(example: Example, info: AnnotationInfo) -> Annotations:
    """Read what `info.features` names in a record.

    Raises:
      AnnotationError: a feature is missing, or they do not go together.
    """
    features = info.features
    mask = None
    if "mask" in features:
        values = example.get(features["mask"][0], [])
        if len(values) != 1 or not isinstance(values[0], bytes):
            raise AnnotationError(f"the record has no feature {features['mask'][0]!r} with one encoded mask")
        mask = values[0]
    if "boxes" not in features:
        return Annotations(mask=mask)
    boxes = _table(example, features["boxes"], 4)[:, [1, 0, 3, 2]]
    count = len(boxes)
    labels = _labels(example, features, count, info.classes)
    crowd = np.array(_each(example, features["crowd"][0], count), bool) if "crowd" in features else None
    keypoints = None
    if "keypoints" in features:
        flat = _table(example, features["keypoints"], 3).ravel().tolist()
        keypoints = keypoint_array(flat, count, info.keypoint_names)[..., [1, 0, 2]]
    return Annotations(boxes, labels, keypoints, crowd, relative=True, mask=mask)


def _labels(example: Example, features: Mapping[str, list[str]], count: int, classes: tuple[str, ...]) -> np.ndarray:
    if "box_labels" not in features:
        return np.zeros(count, np.int64)
    found = _each(example, features["box_labels"][0], count)
    return np.array([_index(label, classes) for label in found], np.int64)


def _index(label: Any, classes: Sequence[str]) -> int:
    """The place of a label, a number or a name, among the classes."""
    label = _text(label)
    if isinstance(label, str) and label in classes:
        return classes.index(label)
    if isinstance(label, int) and 0 <= label < len(classes):
        return label
    raise AnnotationError(f"label {label!r} of a box is none of the {len(classes)} classes")


def _table(example: Example, names: list[str], columns: int) -> np.ndarray:
    """Values that stand in one feature row after row, or in a feature a column: float64 [rows, columns]."""
    found = [_numbers(example, name) for name in names]
    if len(found) == 1:
        if len(found[0]) % columns:
            raise AnnotationError(f"feature {names[0]!r} has {len(found[0])} values, which is no multiple of {columns}")
        return np.array(found[0], np.float64).reshape(-1, columns)
    if len({len(column) for column in found}) > 1:
        counts = ", ".join(f"{name} {len(column)}" for name, column in zip(names, found, strict=True))
        raise AnnotationError(f"features that go together must have as many values as each other, got {counts}")
    return np.array(found, np.float64).T.reshape(-1, columns)


def _numbers(example: Example, name: str) -> list[Any]:
    values = example.get(name, [])  # no object at all may be written as no feature
    if any(isinstance(value, bytes) for value in values):
        raise AnnotationError(f"feature {name!r} must hold numbers")
    return values


def _each(example: Example, name: str, count: int) -> list[Any]:
    values = example.get(name, [])
    if len(values) != count:
        raise AnnotationError(f"feature {name!r} has {len(values)} values for {count} boxes")
    return values


def _text(value: Any) -> Any:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


class AnnotationScan:
    """Reads the annotations of each record as it is scanned, and gathers what is known of them all."""

    def __init__(
        self,
        names: FeatureNames,
        *,
        box_classes: list[str] | None = None,
        keypoint_names: list[str] | None = None,
        mask_classes: list[str] | None = None,
    ) -> None:
        self._features = {
            role: [value] if isinstance(value, str) else list(value)
            for role in ROLES
            if (value := getattr(names, role)) is not None
        }
        self._box_classes, self._mask_classes = box_classes, tuple(mask_classes or ())
        self._keypoint_names = tuple(keypoint_names or ())
        self._labels_met: set[Any] = set()
        self._features_met: set[str] = set()
        self._bits = 8

    def add(self, example: Example) -> None:
        """Look at one record.

        Raises:
          AnnotationError, ImageError: what is wrong with it.
        """
        if not self._features:
            return
        self._features_met |= self._wanted & set(example)
        unlabelled = {role: names for role, names in self._features.items() if role != "box_labels"}
        found = read_annotations(example, replace(self._info([ONLY_CLASS]), features=unlabelled))
        for number, box in enumerate(np.zeros((0, 4)) if found.boxes is None else found.boxes):
            problem = box_problem(box, 1, 1)
            if problem:
                raise AnnotationError(f"box {number}, in fractions of the image, {problem}")
        labels = {_text(label) for label in self._labels_of(example, found.count)}
        for label in labels:
            if self._box_classes is not None:
                _index(label, self._box_classes)
            elif isinstance(label, float) or (isinstance(label, int) and label < 0):
                raise AnnotationError(f"label {label!r} of a box is neither a whole number from 0 nor a name")
        if found.mask is not None:
            self._bits = max(self._bits, mask_bits(found.mask))
        self._labels_met |= labels

    def _labels_of(self, example: Example, count: int) -> list[Any]:
        return _each(example, self._features["box_labels"][0], count) if "box_labels" in self._features else []

    def info(self) -> AnnotationInfo:
        """Close the scan.

        Raises:
          SourceError: a feature is in no record, or the labels of boxes are partly numbers and partly names.
        """
        never = sorted(self._wanted - self._features_met)
        if never:
            raise SourceError(f"no record has a feature {' or '.join(map(repr, never))}")
        return self._info(self._box_classes if self._box_classes is not None else self._names_of(self._labels_met))

    @property
    def _wanted(self) -> set[str]:
        return {name for names in self._features.values() for name in names}

    def _names_of(self, labels: set[Any]) -> list[str]:
        """Names for the classes of boxes, where the source has none."""
        if not labels:
            return [ONLY_CLASS]
        if all(isinstance(label, str) for label in labels):
            return sorted(labels)
        if not all(isinstance(label, int) for label in labels):
            kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
            raise SourceError(f"labels of boxes must all be whole numbers or all be names, got {kinds}")
        highest = max([0, *labels])
        if highest > _MOST_CLASSES:
            raise SourceError(f"label {highest} of a box is too high to count classes by; name them in box_classes")
        return [str(number) for number in range(highest + 1)]

    def _info(self, classes: list[str]) -> AnnotationInfo:
        has = {"boxes": "boxes", "masks": "mask", "keypoints": "keypoints"}
        kinds = tuple(kind for kind, role in has.items() if role in self._features)
        boxes = "boxes" in kinds
        return AnnotationInfo(
            kinds=kinds,
            classes=tuple(classes) if boxes else (),
            keypoint_names=self._keypoint_names if "keypoints" in kinds else (),
            crowd="crowd" in self._features,
            mask_bits=self._bits,
            mask_classes=self._mask_classes if "masks" in kinds else (),
            features=self._features,
        )
