"""A block to shards: each image read once, decoded once, all its copies made and written."""

from __future__ import annotations

import hashlib
import json
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from augmill.pipeline.example import AUGMENTATION, COPY, IMAGE, KEY, LABEL, encode_example
from augmill.pipeline.image import decode_image, encode_image, fit_image
from augmill.pipeline.plan import BlockReader, Plan
from augmill.pipeline.shard import RecordError, ShardWriter
from augmill.pipeline.source import NO_LABEL, Reader
from augmill.pipeline.spec import Spec
from augmill.pipeline.workspace import Workspace
from augmill.transforms.audit import Effect, Effects
from augmill.transforms.backend import claim_one_core
from augmill.transforms.base import Params, Sample, Transform, TransformError
from augmill.transforms.policy import Step

_PROGRESS_SECONDS = 0.5
_FILES_BESIDES = 64  # open files that a worker has beside a block's shards


class BlockError(Exception):
    """A block cannot be written; the message is for the reader, whatever runner carries it."""


class Renderer:
    """Turns encoded images into the records of all their copies; the worker's inner loop, without files."""

    def __init__(self, spec: Spec, classes: list[str] | None, effects: Effects | None = None) -> None:
        self._spec = spec
        self._classes = classes
        self.effects = effects if effects is not None else Effects(spec.policy.leaves())
        self._pending: list[Effect] = []

    def open(self, encoded: bytes, label: int) -> Sample:
        """Decode an image and bring it to the size at which the ops work."""
        image = decode_image(encoded)
        size = self._spec.image.work_size or self._spec.image.size
        if size is not None:
            image = fit_image(image, size, self._spec.image.fit)
        return Sample(np.ascontiguousarray(image), None if label == NO_LABEL else label)

    def render(self, opened: Sample, key: str, copy: int) -> tuple[Sample, list[Step]]:
        """Make one copy; copy 0 is the image as it is.

        Raises:
          TransformError: an op cannot do this image, or a user's function failed.
        """
        sample, steps = opened, list[Step]()
        if copy > 0:
            sample, steps = self._spec.policy.run(
                opened, seed=self._spec.seed, key=key, copy=copy, observe=self._observe
            )
        if sample.label is not None and self._classes is not None and not 0 <= sample.label < len(self._classes):
            raise TransformError(
                f"an op returned label {sample.label}, which is none of the {len(self._classes)} classes"
            )
        if self._spec.image.size is not None:
            sample = Sample(fit_image(sample.image, self._spec.image.size, self._spec.image.fit), sample.label)
        return sample, steps

    def _observe(self, at: str, op: Transform, params: Params, before: Sample, after: Sample) -> None:
        effect = Effect(op.spec_name, at)
        effect.add(params, before, after)
        self._pending.append(effect)

    def count(self, *, written: bool) -> None:
        """Count the effects since the last call, or forget them where their example failed and was not written."""
        if written:
            self.effects.merge(self._pending)
        self._pending.clear()

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
        return encode_example(features)


def steps_to_json(steps: list[Step]) -> str:
    """The compact JSON of a record's `augmentation`: each op with its position and drawn parameters."""
    return json.dumps([step._asdict() for step in steps], separators=(",", ":"))


def steps_from_json(text: str) -> list[Step]:
    """Read what `steps_to_json` wrote."""
    return [Step(**step) for step in json.loads(text)]


def _allow_open_files(wanted: int) -> None:
    """Raise this process's limit of open files where it is too low for a shard a copy."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


class Materializer:
    """Writes blocks; made once in each worker."""

    def __init__(self, workspace: Workspace) -> None:
        claim_one_core()
        cv2.setNumThreads(1)
        self._workspace = workspace
        self._spec = workspace.spec()
        self._plan: Plan = workspace.plan()
        self._blocks = BlockReader(workspace.plan_path)
        _allow_open_files(len(self._spec.train_copies) + _FILES_BESIDES)
        self._reader = Reader(Path(self._plan.root), self._plan.container, self._plan.image_feature)

    def __call__(self, block: int) -> dict[str, Any]:
        """Write one shard a copy of `block` and note its row; a block already written whole is left as it is.

        Raises:
          BlockError: the shards cannot be written.
        """
        row = self._workspace.row(block)
        if row is not None:
            return row
        try:
            return self._write(block)
        except OSError as error:
            raise BlockError(
                f"block {block} cannot be written: {error.strerror or error} ({self._workspace.path})"
            ) from error

    def _write(self, block: int) -> dict[str, Any]:
        spec, split = self._spec, self._plan.split_of(block)
        copies = spec.copies_of(split)
        renderer = Renderer(spec, self._plan.classes)
        source = hashlib.sha256()
        failures: list[dict[str, Any]] = []
        written, told = 0, time.monotonic()
        with ExitStack() as stack:
            writers = [
                stack.enter_context(
                    ShardWriter(self._workspace.version, self._workspace.index, self._plan.shard_of(spec, block, copy))
                )
                for copy in copies
            ]
            for example in self._blocks.read(block):
                try:
                    records = list(self._records(renderer, example, copies, source))
                except (OSError, RecordError, TransformError, ValueError) as error:
                    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                    failures.append({"key": example["key"], "uri": example["uri"], "split": split, "reason": reason})
                    renderer.count(written=False)
                    continue
                renderer.count(written=True)
                for writer, record in zip(writers, records, strict=True):
                    writer.write(record)
                written += len(records)
                if time.monotonic() - told > _PROGRESS_SECONDS:
                    self._workspace.note_progress(block, written)
                    told = time.monotonic()
            shards = [writer.finish()._asdict() for writer in writers]
        row = {
            "block": block,
            "split": split,
            "images": written,
            "shards": shards,
            "failures": failures,
            "effects": renderer.effects.rows(),
            "source_sha256": source.hexdigest(),
        }
        self._workspace.write_row(block, row)
        return row

    def _records(self, renderer: Renderer, example: dict[str, Any], copies: range, source: Any) -> Iterator[bytes]:
        encoded = self._reader.read(example["uri"], example["offset"], example["length"])
        source.update(hashlib.sha256(encoded).digest())
        opened = renderer.open(encoded, example["label"])
        for copy in copies:
            sample, steps = renderer.render(opened, example["key"], copy)
            yield renderer.record(sample, example["key"], copy, steps)
