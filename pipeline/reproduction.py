"""Reproduction: blocks of a version made once more from the source, and compared with its shards byte for byte."""

from __future__ import annotations

import filecmp
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augmill.pipeline.example import COPY, KEY, decode_example
from augmill.pipeline.lineage import changes_since
from augmill.pipeline.listing import list_source
from augmill.pipeline.materialize import Materializer
from augmill.pipeline.plan import Plan, SplitPlan, make_plan
from augmill.pipeline.replay import differing_features, published_spec
from augmill.pipeline.shard import RecordError, scan_records
from augmill.pipeline.version import Version
from augmill.pipeline.version_diff import examples_of
from augmill.pipeline.version_files import VersionFiles
from augmill.pipeline.workspace import Workspace

BLOCKS = 3  # unless it is said how many


@dataclass(frozen=True)
class RecordDifference:
    """The first record of a block that is not the same again.

    Attributes:
      shard, number: where it is, the number from 0.
      key, copy: what it is.
      reason: in which features it differs, or what else.
    """

    shard: str
    number: int
    key: str
    copy: int | None
    reason: str

    def __str__(self) -> str:
        copy = "" if self.copy is None else f", copy {self.copy}"
        return f"{self.key}{copy} (record {self.number} of {self.shard}): {self.reason}"


@dataclass(frozen=True)
class BlockOutcome:
    """What became of one block: its number, its records, and the first one that differs."""

    block: int
    records: int
    difference: RecordDifference | None


def choose_blocks(blocks: int, wanted: int, seed: int) -> list[int]:
    """Draw so many different blocks, in ascending order; always the same ones with the same seed.

    >>> choose_blocks(10, 3, seed=0), choose_blocks(2, 3, seed=0)
    ([2, 4, 6], [0, 1])
    """
    drawn = np.random.Generator(np.random.PCG64(seed)).permutation(blocks)[:wanted]
    return sorted(drawn.tolist())


class Reproduction:
    """Makes blocks of one version again, in a temporary folder; the source is listed once.

    Attributes:
      blocks: how many the version has.
      changes: what has changed since the version was built, of what decides its bytes.
    """

    def __init__(self, version: Version) -> None:
        """List the source.

        Raises:
          VersionError: the version has no table of examples, or it cannot be read.
          SourceError: the source is gone, or is not what the version was built from.
        """
        self._version, self._spec = version, published_spec(version)
        self._examples = examples_of(version)
        self.blocks = len(pc.unique(self._examples.column("block")))
        now = make_plan(self._spec, list_source(self._spec))
        self._plan, self._gone = _as_published(now, self._examples)
        self.changes = changes_since(version, self._spec)
        if now.source_digest != version.manifest.source["listing_sha256"]:
            then = version.manifest.source["examples"]
            self.changes.append(f"the source changed ({then:,} examples then, {now.examples + len(now.bad):,} now)")

    def records_of(self, blocks: list[int]) -> int:
        """How many records the blocks have."""
        return sum(shard.records for block in blocks for shard in self._shards(block))

    def run(
        self, blocks: list[int], *, progress: Callable[[int], object] = lambda count: None
    ) -> Iterator[BlockOutcome]:
        """Make blocks again, one after the other.

        Args:
          blocks: their numbers.
          progress: told how many records have been made and compared more.

        Yields:
          What became of each.

        Raises:
          BlockError: the temporary folder cannot be written to.
        """
        with tempfile.TemporaryDirectory(prefix="augmill-") as folder, self._version.open_files() as files:
            workspace = Workspace(folder)
            workspace.prepare(self._spec, self._plan, {})
            materialize = Materializer(workspace)
            for block in blocks:
                gone = self._gone_from(block)
                difference = RecordDifference(*gone) if gone else self._compare(materialize(block), workspace, files)
                records = self.records_of([block])
                progress(records)
                yield BlockOutcome(block, records, difference)
                for shard in self._shards(block):
                    (workspace.version / shard.file).unlink(missing_ok=True)

    def _shards(self, block: int) -> list[Any]:
        copies = self._spec.copies_of(self._plan.split_of(block))
        names = {self._plan.shard_of(self._spec, block, copy) for copy in copies}
        return [
            shard for split in self._version.manifest.splits.values() for shard in split.shards if shard.file in names
        ]

    def _gone_from(self, block: int) -> tuple[str, int, str, None, str] | None:
        keys = self._examples.filter(pc.equal(self._examples.column("block"), block)).column("key").to_pylist()
        shard = self._shards(block)[0].file
        lost = next(((number, key) for number, key in enumerate(keys) if key in self._gone), None)
        return (shard, lost[0], lost[1], None, "the source no longer holds it") if lost else None

    def _compare(self, row: dict[str, Any], workspace: Workspace, files: VersionFiles) -> RecordDifference | None:
        made = {shard["file"]: shard["sha256"] for shard in row["shards"]}
        failed = {failure["key"]: failure["reason"] for failure in row["failures"]}
        for shard in self._shards(row["block"]):
            with files.held(shard.file) as stored:
                again = workspace.version / shard.file
                if made[shard.file] != shard.sha256 or not filecmp.cmp(stored, again, shallow=False):
                    try:
                        return _first_difference(shard.file, stored, again, failed)
                    except RecordError as error:
                        return RecordDifference(shard.file, 0, "the shard", None, f"it is damaged: {error}")
        return None


def _as_published(now: Plan, examples: pa.Table) -> tuple[Plan, set[str]]:
    """The plan that a version was built by, with the addresses that its examples have now; and what is gone.

    Whatever has been added to the source since, and wherever a plan would put things now, each block has the examples
    that it had. One that is gone keeps a row, so that the others keep their places.
    """
    places = {key: place for place, key in enumerate(now.table.column("key").to_pylist())}
    keys = examples.column("key").to_pylist()
    gone = {key for key in keys if key not in places}
    table = now.table.take(pa.array([places.get(key, 0) for key in keys], pa.int64()))
    table = table.set_column(table.schema.get_field_index("block"), "block", examples.column("block"))
    splits: dict[str, SplitPlan] = {}
    blocks = examples.column("block").to_numpy()
    names = np.array(examples.column("split").to_pylist())
    for name in dict.fromkeys(names.tolist()):
        mine = blocks[names == name]
        splits[name] = SplitPlan(len(mine), int(mine[0]), int(mine[-1] - mine[0]) + 1)
    return replace(now, table=table.combine_chunks(), splits=splits), gone


def _first_difference(name: str, stored: Path, again: Path, failed: dict[str, str]) -> RecordDifference:
    pairs = zip_longest(scan_records(stored), scan_records(again))
    for number, (there, made) in enumerate(pairs):
        if there is None or made is None or there[1] != made[1]:
            example = decode_example((there or made)[1])
            key, copy = example[KEY][0].decode("utf-8", "surrogateescape"), example[COPY][0]
            if key in failed:
                reason = f"it can no longer be used: {failed[key]}"
            elif there is None or made is None:
                reason = "it is not in the version" if there is None else "it is not made again"
            else:
                reason = f"it differs in its {' and '.join(differing_features(there[1], made[1]))}"
            return RecordDifference(name, number, key, copy, reason)
    return RecordDifference(name, 0, "the shard", None, "it is not what its digest says")
