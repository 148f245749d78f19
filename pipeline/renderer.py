"""An opened example to the records of its copies: the worker's inner loop, without files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from augmill.pipeline.annotation_info import NO_ANNOTATIONS, VOID, AnnotationInfo
from augmill.pipeline.annotations import Annotations, record_features
from augmill.pipeline.example import AUGMENTATION, COPY, IMAGE, KEY, LABEL, SOFT_LABEL, encode_example
from augmill.pipeline.image import decode_image, encode_image, fit_image, fit_motion
from augmill.pipeline.object_counts import left_out, net, storable
from augmill.pipeline.peers import BlockPeers
from augmill.pipeline.source import NO_LABEL, Reader
from augmill.pipeline.spec import Spec
from augmill.transforms.audit import Effect, Effects
from augmill.transforms.base import Params, Sample, Transform, TransformError
from augmill.transforms.policy import Observer, Peers, Step

_ATTEMPTS = 10  # draws of a rendition that loses every object before the image is kept as it is


class Renderer:
    """Turns encoded images into the records of all their copies."""

    def __init__(
        self,
        spec: Spec,
        classes: list[str] | None,
        effects: Effects | None = None,
        *,
        annotations: AnnotationInfo = NO_ANNOTATIONS,
        observer: Observer | None = None,
    ) -> None:
        self._spec = spec
        self._classes = classes
        self._annotations = annotations
        self.effects = effects if effects is not None else Effects(spec.policy.leaves())
        self.objects = Counter[str]()
        self._observer = observer
        self._pending: list[Effect] = []
        self._pending_objects = Counter[str]()

    def open(self, encoded: bytes, label: int, annotations: Annotations | None = None) -> Sample:
        """Decode an image, attach its annotations, and bring both to the size at which the ops work.

        Raises:
          ImageError, AnnotationError: they cannot be right.
        """
        image = decode_image(encoded, self._spec.image.channels)
        said = Annotations() if annotations is None else annotations
        known = None if label == NO_LABEL else label
        sample = said.attach(image, known, self._annotations, mask_fill=self._spec.annotations.mask_fill)
        return self._fitted(sample, self._spec.image.work_size or self._spec.image.size)

    def _fitted(self, sample: Sample, size: tuple[int, int] | None) -> Sample:
        """Bring a sample to a size, its annotations with it."""
        shape, fit = sample.image.shape, self._spec.image.fit
        if size is None or shape[:2] == tuple(size):
            return replace(sample, image=np.ascontiguousarray(sample.image))
        return sample.moved(np.ascontiguousarray(fit_image(sample.image, size, fit)), fit_motion(shape, size, fit))

    def render(self, opened: Sample, key: str, copy: int, peers: Peers | None = None) -> tuple[Sample, list[Step]]:
        """Make one copy; copy 0 is the image as it is, with every object that it shows.

        Where the spec rejects renditions that lose every object, such a one is drawn anew, a few times; if none keeps
        an object the copy is the image as it is, and is counted.

        Raises:
          TransformError: an op cannot do this image, or a user's function failed.
        """
        kept = len(self._pending)
        for attempt in range(_ATTEMPTS if copy > 0 else 0):
            sample, steps = self._spec.policy.run(
                opened, seed=self._spec.seed, key=key, copy=copy, attempt=attempt, peers=peers, observe=self._observe
            )
            finished, counts = self._finished(sample, opened, copy)
            if not self._rejected(finished, opened):
                self._pending_objects += counts + Counter(redrawn=attempt)
                return finished, steps
            del self._pending[kept:]  # a rejected rendition is not written: its ops did nothing
        finished, counts = self._unaugmented(opened, copy)
        self._pending_objects += counts + Counter(given_up=1 if copy > 0 else 0)
        return finished, []

    def _unaugmented(self, opened: Sample, copy: int) -> tuple[Sample, Counter[str]]:
        """The image as it is, by the limits of its copy; with every object where none would be left by these."""
        finished, counts = self._finished(opened, opened, copy)
        return self._finished(opened, opened, 0) if self._rejected(finished, opened) else (finished, counts)

    def replay(self, opened: Sample, copy: int, steps: list[Step], peers: Peers | None = None) -> Sample:
        """Make a copy again from what its record says it went through."""
        if not steps:  # nothing was applied, or the rendition was given up: both are stored alike
            return self._unaugmented(opened, copy)[0]
        return self._finished(self._spec.policy.replay(opened, steps, peers), opened, copy)[0]

    def _rejected(self, sample: Sample, opened: Sample) -> bool:
        rejects = self._spec.annotations.reject_empty and opened.objects is not None and len(opened.objects) > 0
        return rejects and not len(sample.objects or ())

    def _finished(self, sample: Sample, opened: Sample, copy: int) -> tuple[Sample, Counter[str]]:
        """Bring a rendition to the stored size, with the objects that are left and their counts."""
        self._check_classes(sample)
        sample = self._fitted(sample, self._spec.image.size)
        if sample.objects is None or opened.objects is None:
            return sample, Counter()
        objects = storable(sample.objects, sample.image.shape)
        counts = net(len(opened.objects), len(objects)) + Counter(seen=len(opened.objects))
        if copy > 0:
            objects, few = left_out(objects, self._spec.annotations)
            counts += few
        return replace(sample, objects=objects), counts + Counter(written=len(objects))

    def _check_classes(self, sample: Sample) -> None:
        """Raise TransformError where an op returned a label or an id that stands for nothing."""
        labels = [label for label, _ in sample.mixture or ()] + ([] if sample.label is None else [sample.label])
        _check_known("label", labels, self._classes)
        if sample.objects is not None:
            _check_known("box label", sample.objects.labels.tolist(), self._annotations.classes)
        if sample.mask is not None:
            ids = np.setdiff1d(sample.mask, VOID).tolist()
            _check_known("mask id", ids, self._annotations.mask_classes)

    def note_opened(self, annotations: Annotations | None, opened: Sample, copies: int) -> None:
        """Count the objects that `fit: crop` cut off as the image was opened, once for each of its copies."""
        if annotations is not None and opened.objects is not None:
            lost = (annotations.count - len(opened.objects)) * copies
            self._pending_objects += Counter(seen=lost, cut_off=lost)

    def _observe(self, at: str, op: Transform, params: Params, before: Sample, after: Sample) -> None:
        effect = Effect(op.spec_name, at)
        effect.add(params, before, after)
        self._pending.append(effect)
        if self._observer is not None:
            self._observer(at, op, params, before, after)

    def count(self, *, written: bool) -> None:
        """Count the effects since the last call, or forget them where their example failed and was not written."""
        if written:
            self.effects.merge(self._pending)
            self.objects += self._pending_objects
        self._pending.clear()
        self._pending_objects.clear()

    def record(self, sample: Sample, key: str, copy: int, steps: list[Step]) -> bytes:
        """Encode one copy as a record."""
        image = self._spec.image
        features: dict[str, Any] = {
            IMAGE: encode_image(sample.image, image.encoding, image.quality),
            KEY: key.encode("utf-8", "surrogateescape"),
            COPY: copy,
            AUGMENTATION: steps_to_json(steps).encode(),
        }
        if sample.label is not None:
            features[LABEL] = sample.label
        if self._spec.mixes and self._classes is not None:
            features[SOFT_LABEL] = _soft_label(sample, len(self._classes))
        features |= record_features(sample, self._annotations)
        return encode_example(features)


def _check_known(what: str, found: Sequence[int], classes: Sequence[str] | None) -> None:
    strange = [number for number in found if classes and not 0 <= number < len(classes)]
    if classes and strange:
        raise TransformError(f"an op returned the {what} {strange[0]}, which is none of the {len(classes)} classes")


def block_peers(renderer: Renderer, reader: Reader, rows: Iterable[Mapping[str, Any]]) -> BlockPeers:
    """The examples of a block, from their rows in the plan, as each other's partners."""
    by_key = {row["key"]: row for row in rows}

    def open_example(key: str) -> Sample:
        found = reader.read_example(by_key[key])
        return renderer.open(found.image, by_key[key]["label"], found.annotations)

    return BlockPeers(by_key, open_example)


def steps_to_json(steps: list[Step]) -> str:
    """The compact JSON of a record's `augmentation`: each op with its position and drawn parameters."""
    return json.dumps([step._asdict() for step in steps], separators=(",", ":"))


def steps_from_json(text: str) -> list[Step]:
    """Read what `steps_to_json` wrote."""
    return [Step(**step) for step in json.loads(text)]


def _soft_label(sample: Sample, classes: int) -> list[float]:
    """The weight of each class: those that were mixed, or all on the label."""
    weights = [0.0] * classes
    for label, weight in sample.mixture or ((sample.label or 0, 1.0),):
        weights[label] = float(weight)
    return weights
