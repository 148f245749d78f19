"""A block to shards: each image read once, decoded once, all its copies made and written."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import cv2

from augmill.pipeline.errors import AugmillError
from augmill.pipeline.examples_table import pack_contents
from augmill.pipeline.lineage import check_same
from augmill.pipeline.linking import LinkingWriter
from augmill.pipeline.making import Making, make_records
from augmill.pipeline.memory import keep_freed_memory
from augmill.pipeline.object_counts import COUNTS
from augmill.pipeline.plan import Plan
from augmill.pipeline.renderer import Renderer, block_peers
from augmill.pipeline.reuse import BlockReuse, Reuse, ReuseError
from augmill.pipeline.shard import RecordError, RecordWriter, ShardWriter
from augmill.pipeline.storage import is_url
from augmill.pipeline.target import AnyWorkspace
from augmill.pipeline.workspace import Workspace
from augmill.transforms.backend import claim_one_core, tensorflow

MEASURED = 64  # examples of a split, at least, for which it is measured what each op does
MEASURED_ONE_IN = 100  # and of each block at least one in so many
_PROGRESS_SECONDS = 0.5
_FILES_BESIDES = 64  # open files that a worker has beside the shards of two blocks
_FLUSHERS = 8  # threads that wait for the disk at the end of a block


Writer = RecordWriter | LinkingWriter


class BlockError(Exception):
    """A block cannot be written; the message is for the reader, whatever runner carries it."""


@contextlib.contextmanager
def _as_block_error(block: int, workspace: AnyWorkspace) -> Iterator[None]:
    """Tell what the system says of a block's files, or what is wrong with what it reuses, as an error of the block."""
    try:
        yield
    except ReuseError as error:
        raise BlockError(f"{error}; build with --no-reuse") from error
    except OSError as error:
        raise BlockError(f"block {block} cannot be written: {error.strerror or error} ({workspace.path})") from error
    except AugmillError as error:  # an object store's, which names the object
        raise BlockError(f"block {block}: {error}") from error


def measured_examples(examples: int, blocks: int) -> int:
    """How many examples of a block of `examples`, one of its split's `blocks`, have their ops' effects measured.

    They are the block's first, which a hash has put there.
    """
    return min(examples, max(-(-MEASURED // blocks), -(-examples // MEASURED_ONE_IN)))


def _allow_open_files(wanted: int) -> None:
    """Raise this process's limit of open files where it is too low for a shard a copy."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


@dataclass
class _Done:
    """What is known of a block's examples as they are done.

    Attributes:
      records: written. source: the digest of what was read. failures: the examples that could not be used.
      contents: the digest of what was read of each, None where it could not be.
      images: the digest of each image alone.
      object_rows: the counts of objects of each, where there are boxes.
      reused, checked: examples of which records are an earlier version's, and those of them that were made again.
      kept: records that are an earlier version's.
    """

    records: int = 0
    source: Any = field(default_factory=hashlib.sha256)
    failures: list[dict[str, Any]] = field(default_factory=list)
    contents: list[bytes | None] = field(default_factory=list)
    images: list[bytes | None] = field(default_factory=list)
    object_rows: list[list[int] | None] = field(default_factory=list)
    reused: int = 0
    checked: int = 0
    kept: int = 0

    def note_kept(self, making: Making) -> None:
        """Count what of an example is reused."""
        if making.kept is not None:
            self.reused += 1
            self.checked += making.measured
            self.kept += len(making.kept.records)


class Materializer:
    """Writes blocks; made once in each worker."""

    def __init__(self, workspace: AnyWorkspace) -> None:
        claim_one_core()
        keep_freed_memory()
        cv2.setNumThreads(1)
        self._workspace = workspace
        self._at_work = workspace.enter()
        self._spec = workspace.spec()
        check_same(workspace.begun(), self._spec)
        if self._spec.policy.needs_tensorflow:
            tensorflow()  # now, not within the first image
        self._plan: Plan = workspace.plan()
        self._blocks = workspace.blocks()
        self._reuse: Reuse | None = None
        if isinstance(workspace, Workspace) and workspace.reuse_path.exists():
            self._reuse = Reuse(workspace.reuse_path)
        reused = 2 * self._reuse.open_files if self._reuse is not None else 0
        _allow_open_files(2 * len(self._spec.train_copies) + reused + _FILES_BESIDES)
        self._reader = self._plan.reader()
        self._sealer = ThreadPoolExecutor(1, "sealer")
        self._pen = ThreadPoolExecutor(1, "pen")
        self._ahead: ThreadPoolExecutor | None = None
        if self._reuse is not None and self._plan.container == "file" and not is_url(self._plan.root):
            self._ahead = ThreadPoolExecutor(1, "reader")  # other readers are for one thread
        self._sealing: Future[dict[str, Any]] | None = None
        self._processor = time.process_time()  # seconds of this process's that are in a block's row already

    def __call__(self, block: int) -> dict[str, Any]:
        """Write one shard a copy of `block` and note its row; a block already written whole is left as it is.

        Raises:
          BlockError: the shards cannot be written.
        """
        self.begin(block)
        return self.wait()

    def begin(self, block: int) -> int:
        """Write a block and leave it to another thread to make it durable, while the next one is worked on.

        Returns:
          The number of images in it; they stand for certain after `wait`, or when the next block has been begun.

        Raises:
          BlockError: the shards cannot be written, or those of the block before could not.
        """
        row = self._workspace.row(block)
        if row is not None:
            self.wait()
            self._sealing = Future()
            self._sealing.set_result(row)
            return int(row["images"])
        with _as_block_error(block, self._workspace), ExitStack() as stack:
            writers = list(self._open_shards(block, stack))
            row = self._write(block, writers)
            self.wait()
            stack.pop_all()  # they are the other thread's now
        self._sealing = self._sealer.submit(self._seal, row, writers)
        return int(row["images"])

    def wait(self) -> dict[str, Any]:
        """Wait until the block begun last stands for certain; give its row, or nothing where none has been begun.

        Raises:
          BlockError: its shards cannot be written.
        """
        sealing, self._sealing = self._sealing, None
        return sealing.result() if sealing is not None else {}

    def _open_shards(self, block: int, stack: ExitStack) -> Iterator[Writer]:
        for copy in self._spec.copies_of(self._plan.split_of(block)):
            shard = self._plan.shard_of(self._spec, block, copy)
            writer = stack.enter_context(self._workspace.open_shard(shard))
            if self._reuse is not None and isinstance(writer, ShardWriter):
                yield LinkingWriter(writer, self._pen)
            else:
                yield writer

    def _write(self, block: int, writers: Sequence[Writer]) -> dict[str, Any]:
        """Write the records of a block and say what is in them: its row, less its shards."""
        began = time.time()
        split = self._plan.split_of(block)
        renderer = Renderer(self._spec, self._plan.classes, annotations=self._plan.annotations)
        reuse = self._reuse.block(block) if self._reuse is not None else None
        done = self._write_examples(block, split, renderer, writers, reuse)
        row = {
            "block": block,
            "split": split,
            "images": done.records,
            "failures": done.failures,
            "effects": renderer.effects.rows(),
            "objects": {name: renderer.objects[name] for name in COUNTS} if self._plan.has_objects else {},
            "source_sha256": done.source.hexdigest(),
            "contents": pack_contents(done.contents),
            "span": [began, time.time()],  # seconds since 1970
            "processor_seconds": self._processor_seconds(),
            "host": socket.gethostname(),
        }
        if self._plan.annotations.kinds:  # else they are the contents
            row["image_digests"] = pack_contents(done.images)
        if self._plan.has_objects:
            row["object_rows"] = done.object_rows
        if reuse is not None:
            counts = {"examples": done.reused, "records": done.kept, "checked": done.checked}
            row["reused"] = {**counts, "damaged": reuse.damaged}
        return row

    def _processor_seconds(self) -> float:
        """This process's processor time, all its threads', since it was last asked for."""
        before, self._processor = self._processor, time.process_time()
        return self._processor - before

    def _seal(self, row: dict[str, Any], writers: Sequence[Writer]) -> dict[str, Any]:
        """Make the shards durable, and then the row that vouches for them."""
        with _as_block_error(row["block"], self._workspace), ExitStack() as stack:
            for writer in writers:
                stack.push(writer)
            standing = self._workspace.row(row["block"])
            if standing is not None:  # a twin was faster: what its row vouches for is not replaced
                return standing
            with ThreadPoolExecutor(_FLUSHERS) as flushers:  # a disk does many at once in little more than one's time
                row["shards"] = [shard._asdict() for shard in flushers.map(lambda writer: writer.finish(), writers)]
            if "reused" in row:
                row["reused"]["shards"] = sum(isinstance(one, LinkingWriter) and one.linked for one in writers)
            self._workspace.write_row(row["block"], row)
        return row

    def _write_examples(
        self, block: int, split: str, renderer: Renderer, writers: Sequence[Writer], reuse: BlockReuse | None
    ) -> _Done:
        """Write the records of a block's examples, each to its copy's shard."""
        rows = self._blocks.read(block)
        done, told = _Done(), time.monotonic()
        if reuse is not None and self._spec.mixes and not reuse.unchanged([self._content(row) for row in rows]):
            reuse.keep_unaugmented_alone()
        self._workspace.note_progress(block, 0, 0)  # what hangs from the start on is seen, too
        makings = make_records(
            renderer,
            self._reader,
            rows,
            copies=self._spec.copies_of(split),
            peers=block_peers(renderer, self._reader, rows),
            measured=measured_examples(len(rows), self._plan.splits[split].blocks),
            source=done.source,
            reuse=reuse,
            ahead=self._ahead,
        )
        for number, making in enumerate(makings, start=1):
            done.contents.append(making.content)
            done.images.append(making.image)
            if self._plan.has_objects:
                done.object_rows.append(_object_row(making))
            if making.error is not None:
                self._check_patch(reuse, len(done.contents) - 1, making)
                names = {name: making.row[name] for name in ("key", "uri")}
                done.failures.append({**names, "split": split, "reason": making.error})
                continue
            done.note_kept(making)
            for writer, record in zip(writers, making.records, strict=True):
                writer.write(record)  # type: ignore[arg-type]  # only a LinkingWriter is given what is kept
            done.records += len(making.records)
            if time.monotonic() - told > _PROGRESS_SECONDS:
                self._workspace.note_progress(block, done.records, number)
                told = time.monotonic()
        return done

    def _content(self, row: dict[str, Any]) -> bytes | None:
        """Name what the source holds of an example; nothing where it cannot be read."""
        try:
            return self._reader.read_example(row).digest()
        except (OSError, RecordError, ValueError):
            return None

    def _check_patch(self, reuse: BlockReuse | None, place: int, making: Making) -> None:
        """Raise ReuseError where an example fails that did not fail in the version that a patch is for."""
        if reuse is not None and self._reuse is not None and self._reuse.head.patch and not reuse.failed(place):
            raise ReuseError(f"{making.row['key']} was good in {self._reuse.head.number}, and now: {making.error}")


def _object_row(making: Making) -> list[int] | None:
    """The counts of an example's objects over its copies, as the table of examples has them."""
    if making.error is not None:
        return None
    counted = sum((noted.objects for noted in making.noted), Counter[str]())
    return [counted[name] for name in COUNTS]
