"""Two versions compared: what they were made of, what the source held, what the ops did, and the bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augmill.pipeline.errors import VersionError
from augmill.pipeline.examples_table import EXAMPLES, read_examples
from augmill.pipeline.manifest import Manifest
from augmill.pipeline.record_compare import same_records
from augmill.pipeline.version import Version

_NAMED = 20  # keys of each kind


@dataclass(frozen=True)
class SourceDifference:
    """How the examples of two versions differ.

    Attributes:
      same, added, removed: numbers of examples by key.
      changed: of those in both, whose content or class differs. moved: that are in another split.
      mended, broken: that failed in one version and did not in the other.
      keys: the first of each kind but `same`, by kind.
    """

    same: int
    added: int
    removed: int
    changed: int
    moved: int
    mended: int
    broken: int
    keys: dict[str, list[str]]

    @property
    def differs(self) -> bool:
        return any((self.added, self.removed, self.changed, self.moved, self.mended, self.broken))


@dataclass(frozen=True)
class BytesDifference:
    """How the shards and records of two versions differ.

    Attributes:
      same_shards: pairs of equal bytes in the same split and copy.
      other_shards: how many there are besides in version `a`, and in `b`.
      records: how many are the `same`, `different`, `only_a` and `only_b`, by key and copy; None: not compared.
    """

    same_shards: int = 0
    other_shards: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] | None = None


@dataclass(frozen=True)
class Difference:
    """All that two versions differ in.

    Attributes:
      spec: by path in the spec, (value in a, value in b), None where there is none.
      made_of: the same of libraries and of the user's modules.
      source, bytes: see there.
      effects: the ops whose row of effects differs, with both rows.
    """

    spec: dict[str, tuple[Any, Any]]
    made_of: dict[str, tuple[Any, Any]]
    source: SourceDifference
    effects: list[tuple[dict[str, Any] | None, dict[str, Any] | None]]
    bytes: BytesDifference
    same_data: bool

    @property
    def same(self) -> bool:
        """Whether the versions hold the same data, made the same way from the same examples."""
        return self.same_data and not (self.spec or self.made_of or self.source.differs or self.effects)


def compare(
    a: Version, b: Version, *, records: bool = True, progress: Callable[[int, int], object] = lambda done, total: None
) -> Difference:
    """Compare two versions.

    Args:
      a, b: which ones; of their shards only those that differ are read, and not even these without `records`.
      records: whether to compare the records of shards that differ; versions at URLs are downloaded for it.
      progress: told how many of how many records have been compared.

    Raises:
      VersionError: a version has no table of examples, or it cannot be read.
    """
    tables = [examples_of(version) for version in (a, b)]
    old, new = a.manifest, b.manifest
    differing = _shard_difference(old, new)
    if records:
        differing = replace(differing, records=same_records((a, b), tables, progress=progress))
    made_of = {
        **_by_path(old.libraries, new.libraries, "libraries"),
        **_by_path(old.code, new.code, "code"),
    }
    return Difference(
        spec=dict(spec_differences(old.spec, new.spec)),
        made_of=made_of,
        source=source_difference((old.classes, tables[0]), (new.classes, tables[1])),
        effects=_effects(old.effects, new.effects),
        bytes=differing,
        same_data=old.digest == new.digest or not differing.other_shards,
    )


def spec_differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The places in which two canonical specs differ, with both values; ops of a policy are compared by their places.

    What says nothing of the data, the version's number, is left out.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if path or key != "version":
                yield from spec_differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and path == "augment":
        for place in range(max(len(old), len(new))):
            a, b = (entries[place] if place < len(entries) else None for entries in (old, new))
            yield from spec_differences(a, b, f"{path}[{place}]")
    elif old != new:
        yield path, (old, new)


def _by_path(old: dict[str, Any], new: dict[str, Any], head: str) -> dict[str, tuple[Any, Any]]:
    names = [*old, *(name for name in new if name not in old)]
    return {f"{head}.{name}": (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def examples_of(version: Version) -> pa.Table:
    """The table of a version's examples.

    Raises:
      VersionError: there is none, or it cannot be read.
    """
    with version.open_files() as files, files.held(EXAMPLES) as path:
        try:
            return read_examples(path, columns=["key", "split", "block", "label", "content", "failed"])
        except (OSError, ValueError) as error:
            raise VersionError(f"{version.location}: {error}; `augmill verify` checks it") from error


Side = tuple[Sequence[str] | None, pa.Table]


def source_difference(old: Side, new: Side, *, contents: bool = True) -> SourceDifference:
    """Compare the examples of two versions by their keys; a million of them take some seconds.

    Args:
      old, new: the classes of each version, and its table of examples.
      contents: whether it is known what the source held and what failed, of both.
    """
    sides = [_side(*side, suffix) for side, suffix in ((old, "_a"), (new, "_b"))]
    joined = sides[0].join(sides[1], keys="key", join_type="full outer", use_threads=False)
    there = [joined.column(f"there{suffix}") for suffix in ("_a", "_b")]
    columns = {name: (joined.column(f"{name}_a"), joined.column(f"{name}_b")) for name in ("split", "class", "content")}
    fails = [pc.fill_null(joined.column(f"failed{suffix}"), False) for suffix in ("_a", "_b")]
    both = pc.and_(pc.is_valid(there[0]), pc.is_valid(there[1]))
    sound = pc.and_(both, pc.invert(pc.or_(*fails)))
    known = pa.scalar(contents)
    found = {
        "added": pc.is_null(there[0]),
        "removed": pc.is_null(there[1]),
        "changed": pc.and_(sound, pc.or_(pc.and_(known, _unlike(*columns["content"])), _unlike(*columns["class"]))),
        "moved": pc.and_(both, _unlike(*columns["split"])),
        "mended": pc.and_(pc.and_(known, both), pc.and_(fails[0], pc.invert(fails[1]))),
        "broken": pc.and_(pc.and_(known, both), pc.and_(fails[1], pc.invert(fails[0]))),
    }
    keys = joined.column("key")
    counts = {kind: pc.sum(mask).as_py() or 0 for kind, mask in found.items()}
    other = found["changed"]
    for kind in ("moved", "mended", "broken"):
        other = pc.or_(other, found[kind])
    return SourceDifference(
        same=pc.sum(pc.and_(both, pc.invert(other))).as_py() or 0,
        keys={kind: sorted(keys.filter(mask).to_pylist())[:_NAMED] for kind, mask in found.items() if counts[kind]},
        **counts,
    )


def _unlike(a: Any, b: Any) -> Any:
    """Where two columns differ; two nulls are alike."""
    return pc.or_(pc.fill_null(pc.not_equal(a, b), False), pc.xor(pc.is_null(a), pc.is_null(b)))


def _side(names: Sequence[str] | None, table: pa.Table, suffix: str) -> pa.Table:
    """What is compared of a version's examples; labels by the names of their classes, which may be numbered anew."""
    classes = pa.array([*(names or []), None], pa.string())
    labels = table.column("label").combine_chunks().to_numpy(zero_copy_only=False)
    places = np.where((labels < 0) | (labels >= len(classes)), len(classes) - 1, labels)
    columns = {
        "split": table.column("split"),
        "class": classes.take(pa.array(places)),
        "content": table.column("content").cast(pa.binary()),
        "failed": table.column("failed"),
        "there": pa.array(np.ones(table.num_rows, np.bool_)),
    }
    return pa.table({"key": table.column("key"), **{f"{name}{suffix}": column for name, column in columns.items()}})


def _effects(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> list[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """Pair the ops' rows by their places in the policy; those that differ."""
    sides = [{row["at"]: row for row in rows} for rows in (old, new)]
    places = [*sides[0], *(at for at in sides[1] if at not in sides[0])]
    pairs = [(sides[0].get(at), sides[1].get(at)) for at in places]
    return [pair for pair in pairs if pair[0] != pair[1]]


def _shard_difference(old: Manifest, new: Manifest) -> BytesDifference:
    """Pair shards by split, copy and bytes: what they are called says nothing of what is in them."""
    sides = [
        Counter(
            (name, shard.copy_number, shard.sha256) for name, split in known.splits.items() for shard in split.shards
        )
        for known in (old, new)
    ]
    same = (sides[0] & sides[1]).total()
    others = {name: side.total() - same for side, name in zip(sides, ("a", "b"), strict=True)}
    return BytesDifference(same, {name: count for name, count in others.items() if count})
