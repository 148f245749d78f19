"""An opened example to the records of its copies: the worker's inner loop, without files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from augmill.pipeline.annotation_info import NO_ANNOTATIONS, AnnotationInfo
from augmill.pipeline.annotations import Annotations, record_features
from augmill.pipeline.example import AUGMENTATION, COPY, IMAGE, KEY, LABEL, SOFT_LABEL, encode_example
from augmill.pipeline.image import decode_image, encode_image, fit_image, fit_motion
from augmill.pipeline.image_header import check_limits
from augmill.pipeline.labels import check_labels, soft_label
from augmill.pipeline.notes import Notes
from augmill.pipeline.object_counts import left_out, net, storable
from augmill.pipeline.opening import open_image
from augmill.pipeline.peers import BlockPeers
from augmill.pipeline.png import filtered_lines
from augmill.pipeline.source import NO_LABEL, Reader
from augmill.pipeline.spec import Spec
from augmill.pipeline.steps import steps_to_json
from augmill.transforms.ahead import DrawsAhead
from augmill.transforms.audit import Effect, Effects
from augmill.transforms.base import Params, Sample, Transform, TransformError
from augmill.transforms.policy import Observer, Peers, Step
from augmill.transforms.rendering import PlainRendering, Rendering, finished
from augmill.transforms.user_code import UserCode

_ATTEMPTS = 10  # draws of a rendition that loses every object before the image is kept as it is


class Begun(NamedTuple):
    """A copy in the making: its rendering, its steps, and what it is made of, or None where it is made already."""

    by: Rendering
    steps: list[Step]
    opened: Sample | None


class Renderer(Notes):
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
        self._spec, self._image, self._policy = spec, spec.image, spec.policy
        self._classes = classes
        self._annotations = annotations
        self._may_relabel = any(isinstance(op, UserCode) for _, op in self._policy.leaves())
        self._weighs_classes = spec.mixes and classes is not None
        self._observer = observer
        super().__init__(effects if effects is not None else Effects(self._policy.leaves()))

    def open(self, encoded: bytes, label: int, annotations: Annotations | None = None) -> Sample:
        """Decode an image, attach its annotations, and bring both to the size at which the ops work.

        Raises:
          ImageError, AnnotationError: they cannot be right.
        """
        image, limits = self._image, self._spec.source.limits
        size = image.work_size or image.size
        known = None if label == NO_LABEL else label
        if annotations is None and size is not None and self.joins:
            return Sample(open_image(encoded, size, image.fit, image.channels, limits), known)
        pixels = decode_image(encoded, image.channels, limits)
        if annotations is None:
            return self._fitted(Sample(pixels, known, mask_fill=self._spec.annotations.mask_fill), size)
        if annotations.mask is not None:
            check_limits(annotations.mask, limits, "its mask")
        sample = annotations.attach(pixels, known, self._annotations, mask_fill=self._spec.annotations.mask_fill)
        return self._fitted(sample, size)

    def _fitted(self, sample: Sample, size: tuple[int, int] | None) -> Sample:
        """Bring a sample to a size, its annotations with it."""
        shape, fit = sample.image.shape, self._image.fit
        if size is None or shape[:2] == size:
            whole = sample.image.flags.c_contiguous
            return sample if whole else replace(sample, image=np.ascontiguousarray(sample.image))
        fitted = fit_image(sample.image, size, fit, fast=self._spec.kernels == "fast")
        return sample.moved(fitted, fit_motion(shape, size, fit))

    def draws_ahead(self, renditions: Iterable[tuple[str, int]]) -> DrawsAhead | None:
        """Make the draws of renditions, (key, copy) each, at once; `render` is faster with them, and does the same."""
        drawn = [rendition for rendition in renditions if rendition[1] > 0]
        return self._policy.draws_ahead(self._spec.seed, drawn) if drawn else None

    def render(
        self,
        opened: Sample,
        key: str,
        copy: int,
        peers: Peers | None = None,
        ahead: DrawsAhead | None = None,
        *,
        measured: bool = False,
    ) -> tuple[Sample, list[Step]]:
        """Make one copy; copy 0 is the image as it is, with every object that it shows.

        Where the spec rejects renditions that lose every object, such a one is drawn anew, a few times; if none keeps
        an object the copy is the image as it is, and is counted.

        Args:
          opened: what to make it of.
          key, copy: its name.
          peers: where ops that mix find partners.
          ahead: what `draws_ahead` made for it, if it did.
          measured: whether to note what each op does to the image.

        Raises:
          TransformError: an op cannot do this image, or a user's function failed.
        """
        observed = measured and not self.joins
        for attempt in range(_ATTEMPTS if copy > 0 else 0):
            effects: list[Effect] = []
            sample, steps = self._policy.run(
                opened,
                seed=self._spec.seed,
                key=key,
                copy=copy,
                attempt=attempt,
                peers=peers,
                ahead=ahead,
                observe=self._measuring(effects) if observed else None,
            )
            finished, counts = self._finished(sample, opened, copy)
            if not self._rejected(finished, opened):
                self._noted.steps.extend(steps)
                self._noted.effects.extend(effects)
                self._count_objects(**counts, redrawn=attempt)
                if measured and not observed:
                    self.measure(opened, steps, peers)
                return finished, steps
        finished, counts = self._unaugmented(opened, copy)
        self._count_objects(**counts, given_up=1 if copy > 0 else 0)
        return finished, []

    def begin(
        self,
        opened: Sample,
        key: str,
        copy: int,
        peers: Peers | None = None,
        ahead: DrawsAhead | None = None,
        *,
        measured: bool = False,
    ) -> Begun:
        """Begin to make one copy, as `render` does, and leave work on pixels to be done for many copies at once.

        What has annotations, by which a rendition may be rejected, is made at once.
        """
        if copy == 0 or opened.has_annotations or not self.joins:
            sample, steps = self.render(opened, key, copy, peers, ahead, measured=measured)
            return Begun(PlainRendering(sample), steps, None)
        by, steps = self._policy.begin(opened, seed=self._spec.seed, key=key, copy=copy, peers=peers, ahead=ahead)
        self._noted.steps.extend(steps)
        if measured:
            self.measure(opened, steps, peers)
        return Begun(by, steps, opened)

    def finish(self, begun: Begun, copy: int) -> Sample:
        """Finish what `begin` began; `carry_out_together` may have done most of it.

        Raises:
          TransformError: an op cannot do this image.
        """
        sample = finished(begun.by.sample())
        return sample if begun.opened is None else self._finished(sample, begun.opened, copy)[0]

    @property
    def joins(self) -> bool:
        """Whether kernels are joined, so that what an op does cannot be seen as it is done."""
        return self._spec.kernels == "fast"

    def measure(self, opened: Sample, steps: list[Step], peers: Peers | None = None) -> None:
        """Carry out a rendition's steps once more, op by op, and note what each of them does.

        To compare images takes longer than to make them: this is for a sample of the renditions. One in which an op by
        itself fails is left out of it.
        """
        effects: list[Effect] = []
        with contextlib.suppress(TransformError):
            self._policy.replay(opened, steps, peers, observe=self._measuring(effects))
            self._noted.effects.extend(effects)

    def trace(self, opened: Sample, key: str, copy: int, peers: Peers | None = None) -> None:
        """Draw and carry out a rendition that fails, op by op, to see what the ops did before one failed."""
        with contextlib.suppress(TransformError):
            observe = self._measuring(self._noted.effects)
            self._policy.run(opened, seed=self._spec.seed, key=key, copy=copy, peers=peers, observe=observe)

    def _measuring(self, effects: list[Effect]) -> Observer:
        def observe(at: str, op: Transform, params: Params, before: Sample, after: Sample) -> None:
            effect = Effect(op.spec_name, at)
            effect.measure(before, after)
            effects.append(effect)
            if self._observer is not None:
                self._observer(at, op, params, before, after)

        return observe

    def _unaugmented(self, opened: Sample, copy: int) -> tuple[Sample, dict[str, int]]:
        """The image as it is, by the limits of its copy; with every object where none would be left by these."""
        finished, counts = self._finished(opened, opened, copy)
        return self._finished(opened, opened, 0) if self._rejected(finished, opened) else (finished, counts)

    def replay(self, opened: Sample, copy: int, steps: list[Step], peers: Peers | None = None) -> Sample:
        """Make a copy again from what its record says it went through."""
        if not steps:  # nothing was applied, or the rendition was given up: both are stored alike
            return self._unaugmented(opened, copy)[0]
        return self._finished(self._policy.replay(opened, steps, peers), opened, copy)[0]

    def _rejected(self, sample: Sample, opened: Sample) -> bool:
        rejects = self._spec.annotations.reject_empty and opened.objects is not None and len(opened.objects) > 0
        return rejects and not len(sample.objects or ())

    def _finished(self, sample: Sample, opened: Sample, copy: int) -> tuple[Sample, dict[str, int]]:
        """Bring a rendition to the stored size, with the objects that are left and their counts."""
        if self._may_relabel:
            check_labels(sample, self._classes, self._annotations)
        sample = self._fitted(sample, self._image.size)
        if sample.objects is None or opened.objects is None:
            return sample, {}
        objects = storable(sample.objects, sample.image.shape)
        counts = {"seen": len(opened.objects), **net(len(opened.objects), len(objects))}
        if copy > 0:
            objects, few = left_out(objects, self._spec.annotations)
            counts |= few
        return replace(sample, objects=objects), {**counts, "written": len(objects)}

    def note_opened(self, annotations: Annotations | None, opened: Sample, copies: int) -> None:
        """Count the objects that `fit: crop` cut off as the image was opened, once for each of its copies."""
        if annotations is not None and opened.objects is not None:
            lost = (annotations.count - len(opened.objects)) * copies
            self._count_objects(seen=lost, cut_off=lost)

    def lines_ahead(self, samples: Sequence[Sample]) -> list[np.ndarray | None]:
        """Filter the lines of renditions that are to be PNGs, all at once; `encode` is faster with them."""
        if self._image.encoding != "png":
            return [None] * len(samples)
        return list(filtered_lines([sample.image for sample in samples]))

    def encode(self, sample: Sample, lines: np.ndarray | None = None) -> bytes:
        """Encode the pixels of a rendition as they are stored; `lines` are what `lines_ahead` made of them.

        Raises:
          ImageError: they cannot be, in this encoding.
        """
        return encode_image(sample.image, self._image.encoding, self._image.quality, lines)

    def record(self, sample: Sample, key: str, copy: int, steps: list[Step], encoded: bytes | None = None) -> bytes:
        """Put one copy in a record; its image may be `encoded` already."""
        features: dict[str, Any] = {
            IMAGE: self.encode(sample) if encoded is None else encoded,
            KEY: key.encode("utf-8", "surrogateescape"),
            COPY: copy,
            AUGMENTATION: steps_to_json(steps).encode(),
        }
        if sample.label is not None:
            features[LABEL] = sample.label
        if self._weighs_classes and self._classes is not None:
            features[SOFT_LABEL] = soft_label(sample, len(self._classes))
        if sample.has_annotations:
            features |= record_features(sample, self._annotations)
        return encode_example(features)


def block_peers(renderer: Renderer, reader: Reader, rows: Iterable[Mapping[str, Any]]) -> BlockPeers:
    """The examples of a block, from their rows in the plan, as each other's partners."""
    by_key = {row["key"]: row for row in rows}

    def open_example(key: str) -> Sample:
        found = reader.read_example(by_key[key])
        return renderer.open(found.image, by_key[key]["label"], found.annotations)

    return BlockPeers(by_key, open_example)
