"""A block to shards: each image read once, decoded once, all its copies made and written."""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import cv2

from augmill.pipeline.object_counts import COUNTS
from augmill.pipeline.peers import BlockPeers
from augmill.pipeline.plan import BlockReader, Plan
from augmill.pipeline.renderer import Renderer, block_peers
from augmill.pipeline.shard import RecordError, ShardWriter
from augmill.pipeline.workspace import Workspace
from augmill.transforms.backend import claim_one_core
from augmill.transforms.base import TransformError

_PROGRESS_SECONDS = 0.5
_FILES_BESIDES = 64  # open files that a worker has beside a block's shards


class BlockError(Exception):
    """A block cannot be written; the message is for the reader, whatever runner carries it."""


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
        self._reader = self._plan.reader()

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
        renderer = Renderer(spec, self._plan.classes, annotations=self._plan.annotations)
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
            rows = self._blocks.read(block)
            peers = block_peers(renderer, self._reader, rows)
            for example in rows:
                try:
                    records = list(self._records(renderer, example, copies, source, peers))
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
            "objects": {name: renderer.objects[name] for name in COUNTS} if self._plan.has_objects else {},
            "source_sha256": source.hexdigest(),
        }
        self._workspace.write_row(block, row)
        return row

    def _records(
        self, renderer: Renderer, example: dict[str, Any], copies: range, source: Any, peers: BlockPeers
    ) -> Iterator[bytes]:
        found = self._reader.read_example(example)
        source.update(found.digest())
        opened = renderer.open(found.image, example["label"], found.annotations)
        renderer.note_opened(found.annotations, opened, len(copies))
        for copy in copies:
            sample, steps = renderer.render(opened, example["key"], copy, peers)
            yield renderer.record(sample, example["key"], copy, steps)
