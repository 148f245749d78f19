"""The earlier version whose records a build reuses: which one fits, and what of the plan it holds already."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from augmill.pipeline.errors import VersionError
from augmill.pipeline.examples_table import EXAMPLES, read_examples
from augmill.pipeline.manifest import Manifest
from augmill.pipeline.plan import Plan
from augmill.pipeline.reuse import REUSE_SCHEMA, ReuseHead
from augmill.pipeline.shard import file_sha256
from augmill.pipeline.spec import Spec
from augmill.pipeline.standing import differences
from augmill.pipeline.version import Version, list_versions
from augmill.pipeline.workspace import Workspace
from augmill.transforms.user_code import UserCode

# Keys of a spec that decide which records there are and where they stand, but not what is in one.
_DECIDES_NO_RECORD = {"name", "version", "source", "splits", "group_by", "copies", "keep_original", "block_examples"}
_DECIDES_NO_RECORD |= {"duplicates", "max_bad_fraction"}
# Keys of its source that say where examples are: what is found there is compared by itself.
_PLACES = {"folder", "tfrecord", "tfds", "coco", "segmentation", "images", "masks", "data_dir"}
_PLACES |= {"features", "classes", "box_classes", "keypoint_names"}


def find_parent(
    spec: Spec, plan: Plan, target: Path, libraries: dict[str, str], code: dict[str, str], say: Callable[[str], None]
) -> Version | None:
    """Find the latest version beside `target` whose records the build can reuse; nothing where there is none."""
    root = target.parent
    try:
        versions = list_versions(root) if root.is_dir() else []
    except VersionError as error:
        say(f"note: no records can be reused: {error}")
        return None
    for version in reversed(versions):
        if version.number != spec.version and not why_not(version, spec, plan, libraries, code):
            return version
    return None


def named_parent(
    name: str, spec: Spec, plan: Plan, target: Path, libraries: dict[str, str], code: dict[str, str]
) -> Version:
    """Open the version that the reader wants to reuse: a folder, or a number beside `target`.

    Raises:
      VersionError: there is none, or none of its records can be what the build makes.
    """
    version = Version(target.with_name(name) if target.with_name(name).is_dir() else name)
    reasons = why_not(version, spec, plan, libraries, code)
    if reasons:
        raise VersionError(
            f"no record of {version.location} can be reused:\n"
            + "\n".join(f"  {reason}" for reason in reasons)
            + "\nName another version, or build with --no-reuse"
        )
    return version


def why_not(version: Version, spec: Spec, plan: Plan, libraries: dict[str, str], code: dict[str, str]) -> list[str]:
    """The reasons why a version's records are not what a build would make; none where they may well be."""
    known = version.manifest
    if EXAMPLES not in known.files:
        return [f"it has no {EXAMPLES}: it is from before there was one"]
    reasons = differences(_recipe(known.spec), _recipe(spec.canonical()))
    reasons += differences(known.libraries, libraries, "libraries") + differences(known.code, code, "code")
    reasons += differences(known.annotations, plan.annotations.public(), "annotations")
    if spec.mixes or any(isinstance(op, UserCode) for _, op in spec.policy.leaves()):
        reasons += differences(known.classes, plan.classes, "classes")  # their number decides what is right
    if file_sha256(version.path / EXAMPLES) != known.files[EXAMPLES].sha256:
        reasons.append(f"its {EXAMPLES} is damaged")
    return reasons


def _recipe(canonical: dict[str, Any]) -> dict[str, Any]:
    """What decides the bytes of a record, of all that a spec says."""
    recipe = {name: value for name, value in canonical.items() if name not in _DECIDES_NO_RECORD}
    source = {name: value for name, value in canonical["source"].items() if name not in _PLACES}
    return {**recipe, "source": source}


def write_reuse(path: Path, version: Version, spec: Spec, plan: Plan, *, patch: bool = False) -> None:
    """Write what a version holds of a plan's examples, for workers.

    Args:
      path: the file.
      version: whose records may be reused.
      spec, plan: what is built; the plan with its rows.
      patch: whether only what failed in the version may be other than it was.
    """
    examples = read_examples(version.path / EXAMPLES)
    names = list(version.manifest.splits)
    table, at = _located(examples, names), pc.index_in(plan.table.column("key"), examples.column("key"))
    at = at.combine_chunks() if isinstance(at, pa.ChunkedArray) else at
    rows = table.take(at)
    same = pc.fill_null(pc.equal(plan.table.column("label"), rows.column("label")), False)
    rows = rows.set_column(0, "content", pc.if_else(same, rows.column("content"), pa.scalar(None, pa.binary(32))))
    rows = rows.drop_columns(["label"]).cast(REUSE_SCHEMA)
    blocks = plan.table.column("block").to_numpy()
    first = np.searchsorted(blocks, np.arange(plan.blocks + 1))
    parts = pc.fill_null(at, -1).to_numpy(zero_copy_only=False)
    there = examples.column("block").to_numpy()
    alone = [not spec.mixes or _is_a_block(parts[a:b], there) for a, b in pairwise(first)]
    head = ReuseHead(
        str(version.path), version.number, _shards(version.manifest, names), alone, plan.has_objects, patch
    )
    with pq.ParquetWriter(path, REUSE_SCHEMA.with_metadata({b"augmill": head.to_json()})) as writer:
        for start, end in pairwise(first.tolist()):
            writer.write_table(rows.slice(start, end - start), row_group_size=end - start)


def forget_reused(workspace: Workspace, plan: Plan) -> None:
    """Have the finished blocks written again that hold records of an earlier version."""
    for block, row in workspace.finished(plan.blocks).items():
        if row.get("reused", {}).get("records"):
            workspace.forget(block)


def _located(examples: pa.Table, names: list[str]) -> pa.Table:
    """A version's examples with the place of each one's record: split, block in it, and number in its shards."""
    blocks = examples.column("block").to_numpy()
    splits = pc.index_in(examples.column("split"), pa.array(names)).to_numpy()
    first = np.array([blocks[splits == place].min() for place in range(len(names))], np.int32)
    good = ~examples.column("failed").to_numpy()
    before = np.cumsum(good) - good  # records of all blocks that come before it
    start = np.searchsorted(blocks, blocks)  # of its block
    records = np.where(good, before - before[start], -1)
    columns = {
        "content": examples.column("content"),
        "split": pa.array(splits.astype(np.int16)),
        "block": pa.array((blocks - first[splits]).astype(np.int32)),
        "record": pa.array(records.astype(np.int64)),
        "objects": examples.column("objects"),
        "label": examples.column("label"),
    }
    return pa.table(columns)


def _is_a_block(parts: np.ndarray, blocks: np.ndarray) -> bool:
    """Tell whether these are all the rows of one block, in their order."""
    start, end = np.searchsorted(blocks, blocks[parts[0]], "left"), np.searchsorted(blocks, blocks[parts[0]], "right")
    return bool(np.array_equal(parts, np.arange(start, end)))


def _shards(known: Manifest, names: list[str]) -> list[tuple[list[int], int, list[tuple[Any, ...]]]]:
    found = []
    for name in names:
        shards = known.splits[name].shards
        copies = list(dict.fromkeys(shard.copy_number for shard in shards))
        facts: list[tuple[Any, ...]] = [(shard.file, shard.records, shard.bytes, shard.sha256) for shard in shards]
        found.append((copies, len(shards) // len(copies), facts))
    return found
