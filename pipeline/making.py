"""Examples to records, a few examples at a time, so that work of one kind follows on work of the same kind.

To go from decoding to drawing to encoding for each image anew would have the processor fetch the code and the tables
of each over and over: with small images that is an eighth of the time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from augmill.pipeline.notes import Noted
from augmill.pipeline.read_ahead import UNREADABLE, Read, read_ahead
from augmill.pipeline.renderer import Renderer
from augmill.pipeline.reuse import BlockReuse, Kept, KeptRecord, ReuseError
from augmill.pipeline.source import Encoded, Reader
from augmill.transforms.ahead import DrawsAhead
from augmill.transforms.base import Sample, TransformError
from augmill.transforms.policy import Peers
from augmill.transforms.together import carry_out_together

T = TypeVar("T")

_PIXELS_AT_ONCE = 1 << 20  # bytes of renditions that are in memory together, but for one that is larger
_RENDITIONS_AT_ONCE = 256  # whose draws are made together, for these cost less the more there are
_FEWEST = 16  # renditions of a group, to begin with
_BRISK = 0.2  # seconds that a group may take: what is done is told between groups


@dataclass
class Making:
    """One example on its way to its records.

    Attributes:
      row: of the plan.
      opened: its image at the size at which the ops work, and its annotations.
      measured: whether it is measured what each op does to it.
      records: of its copies, made or kept.
      noted: what is to be counted if the example can be used.
      error: why it cannot, if so.
      content: names what the source holds of it, by SHA-256; None where that could not be read.
      kept: what of it an earlier version holds already.
      image: names the bytes of its image alone; None where that could not be read.
    """

    row: Mapping[str, Any]
    opened: Sample | None = None
    measured: bool = False
    records: list[bytes | KeptRecord] = field(default_factory=list)
    noted: list[Noted] = field(default_factory=list)
    error: str | None = None
    content: bytes | None = None
    kept: Kept | None = None
    image: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the opened image's pixels."""
        return 0 if self.opened is None else self.opened.image.nbytes

    def to_make(self, copies: Sequence[int]) -> Sequence[int]:
        """Those of the copies that must be made: what is measured is made, even if it is kept."""
        if self.kept is None or self.measured:
            return copies
        return [copy for copy in copies if copy not in self.kept.records]

    def attempt(self, work: Callable[..., T], *arguments: Any) -> T | None:
        """Do a part of the work, or nothing where an earlier part has failed."""
        if self.error is None:
            try:
                return work(*arguments)
            except (*UNREADABLE, TransformError) as error:
                self.error = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return None


def make_records(
    renderer: Renderer,
    reader: Reader,
    rows: Sequence[Mapping[str, Any]],
    *,
    copies: range,
    peers: Peers,
    measured: int,
    source: Any,
    reuse: BlockReuse | None = None,
    ahead: Executor | None = None,
) -> Iterator[Making]:
    """Make the records of a block's examples.

    Args:
      renderer: what makes them, and counts what happened to those that can be used.
      reader, rows: where the examples are.
      copies: to be made of each.
      peers: partners for ops that mix.
      measured: examples of which it is measured what each op does: the first that can be opened.
      source: a digest that is told what has been read.
      reuse: an earlier version's records of these examples.
      ahead: a thread that reads and hashes the next examples meanwhile, where the reader can be used by two.

    Yields:
      Each example in its turn, with its records or with what is wrong with it.

    Raises:
      ReuseError: a record that was made again, since it was to be measured, is not the earlier version's.
    """
    reader.expect(rows)
    measured = measured if max(copies) > 0 else 0
    reads = read_ahead(reader, rows, ahead)
    for group, drawn in _groups(renderer, reads, rows, copies, measured, source, reuse):
        opened = [making for making in group if making.opened is not None]
        largest = max((making.size for making in opened), default=1)
        at_once = max(1, _PIXELS_AT_ONCE // largest)
        for start in range(0, len(copies), at_once):
            _make_copies(renderer, opened, copies[start : start + at_once], peers, drawn)
        for making in group:
            if making.error is None:
                _merge_kept(making, copies)
                renderer.count(making.noted)
            yield making


def _groups(
    renderer: Renderer,
    reads: Iterator[Callable[[], Read]],
    rows: Sequence[Mapping[str, Any]],
    copies: range,
    measured: int,
    source: Any,
    reuse: BlockReuse | None,
) -> Iterator[tuple[list[Making], DrawsAhead | None]]:
    """Read and open examples, as many at once as their copies have room and time for, with their first draws."""
    step = max(1, _RENDITIONS_AT_ONCE // max(1, len(copies)))
    most, began = _FEWEST, time.monotonic()
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        ahead = renderer.draws_ahead(
            (row["key"], copy)
            for place, row in enumerate(some, start)
            if reuse is None or place - start < measured or reuse.failed(place)
            for copy in copies
        )
        group, room = list[Making](), _PIXELS_AT_ONCE
        for place, row in enumerate(some, start):
            making = Making(row)
            found = making.attempt(_take, next(reads), making, source)
            if found is not None and reuse is not None and making.content is not None:
                making.kept = reuse.find(place, row["key"], making.content, copies)
            making.measured = measured > 0
            if found is not None and making.to_make(copies):
                making.opened = making.attempt(_open, renderer, making, found, len(copies))
                making.noted.append(renderer.take())
            measured -= making.measured and making.error is None
            group.append(making)
            room -= making.size * len(copies) if making.opened is not None or making.kept is None else making.kept.size
            if room <= 0 or len(group) * len(copies) >= most:
                yield group, ahead
                brisk = time.monotonic() - began < _BRISK
                most = min(2 * most, _RENDITIONS_AT_ONCE) if brisk else max(most // 2, 1)
                group, room, began = [], _PIXELS_AT_ONCE, time.monotonic()
        if group:
            yield group, ahead
            began = time.monotonic()


def _take(read: Callable[[], Read], making: Making, source: Any) -> Encoded:
    found, making.image, making.content = read()
    source.update(making.content)
    return found


def _open(renderer: Renderer, making: Making, found: Encoded, copies: int) -> Sample:
    opened = renderer.open(found.image, making.row["label"], found.annotations)
    renderer.note_opened(found.annotations, opened, copies)
    return opened


def _merge_kept(making: Making, copies: Sequence[int]) -> None:
    """Put kept records in their places among those that were made, and what is known of them in what is counted.

    What was measured has been made again, and is counted already: its kept records need only be the same.
    """
    if making.kept is None:
        return
    made = dict(zip(making.to_make(copies), making.records, strict=True))
    for copy, record in making.kept.records.items():
        if making.measured and made[copy] != record.payload:
            raise ReuseError(f"copy {copy} of {making.row['key']}, made again, is not that of {record.shard.path}")
    if not making.measured:
        making.noted.append(Noted(making.kept.steps, [], Counter(making.kept.objects)))
    making.records = [making.kept.records.get(copy) or made[copy] for copy in copies]


def _make_copies(
    renderer: Renderer, group: Sequence[Making], copies: Sequence[int], peers: Peers, ahead: DrawsAhead | None
) -> None:
    """Render, encode and put in records some copies of each example of a group."""
    begun = []
    for making in group:
        assert making.opened is not None
        begin = partial(renderer.begin, making.opened, making.row["key"], measured=making.measured)
        for copy in making.to_make(copies):
            one = making.attempt(begin, copy, peers, ahead)
            if one is not None:
                begun.append((making, copy, one))
        making.noted.append(renderer.take())
    carry_out_together(one.by for _, _, one in begun)
    rendered = []
    for making, copy, one in begun:
        sample = making.attempt(renderer.finish, one, copy)
        if sample is not None:
            rendered.append((making, copy, sample, one.steps))
    ahead_lines = renderer.lines_ahead([sample for _, _, sample, _ in rendered])
    images = [
        making.attempt(renderer.encode, sample, lines)
        for (making, _, sample, _), lines in zip(rendered, ahead_lines, strict=True)
    ]
    for (making, copy, sample, steps), image in zip(rendered, images, strict=True):
        record = making.attempt(renderer.record, sample, making.row["key"], copy, steps, image)
        if record is not None:
            making.records.append(record)
