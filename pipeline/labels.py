"""Labels of a rendition: whether they stand for something, and the weight of each class where images were mixed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augmill.pipeline.annotation_info import VOID, AnnotationInfo
from augmill.transforms.base import Sample, TransformError


def check_labels(sample: Sample, classes: Sequence[str] | None, annotations: AnnotationInfo) -> None:
    """Raise TransformError where an op returned a label or an id that stands for nothing."""
    labels = [label for label, _ in sample.mixture or ()] + ([] if sample.label is None else [sample.label])
    _check_known("label", labels, classes)
    if sample.objects is not None:
        _check_known("box label", sample.objects.labels.tolist(), annotations.classes)
    if sample.mask is not None:
        ids = np.setdiff1d(sample.mask, VOID).tolist()
        _check_known("mask id", ids, annotations.mask_classes)


def _check_known(what: str, found: Sequence[int], classes: Sequence[str] | None) -> None:
    strange = [number for number in found if classes and not 0 <= number < len(classes)]
    if classes and strange:
        raise TransformError(f"an op returned the {what} {strange[0]}, which is none of the {len(classes)} classes")


def soft_label(sample: Sample, classes: int) -> list[float]:
    """The weight of each of so many classes: those that were mixed, or all on the label."""
    weights = [0.0] * classes
    for label, weight in sample.mixture or ((sample.label or 0, 1.0),):
        weights[label] = float(weight)
    return weights
