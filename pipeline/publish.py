"""Publication: finished blocks become a version, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from augmill.pipeline.build_facts import contents_digest, work_facts
from augmill.pipeline.duplicates import find_duplicates, summary, write_duplicates
from augmill.pipeline.errors import BuildError
from augmill.pipeline.examples_table import EXAMPLES, block_table, unpack_contents, write_examples
from augmill.pipeline.manifest import DUPLICATES, FAILURES, FORMAT, Manifest, Shard, Split, data_digest
from augmill.pipeline.plan import Plan
from augmill.pipeline.spec import Spec
from augmill.pipeline.target import AnyWorkspace
from augmill.pipeline.tfds_metadata import write_tfds_metadata
from augmill.pipeline.units import printable
from augmill.pipeline.version import Version
from augmill.transforms.audit import Effects

_FAILURES_SHOWN = 10


def publish(
    spec: Spec,
    plan: Plan,
    workspace: AnyWorkspace,
    *,
    build: dict[str, Any],
    libraries: dict[str, str],
    code: dict[str, str],
    parent: dict[str, str] | None = None,
) -> Version:
    """Check the finished blocks against the plan, write the metadata and the manifest, and move it all into place.

    Raises:
      BuildError: a block is missing, the counts do not add up, or too many examples failed.
    """
    rows = workspace.finished(plan.blocks)
    _check_complete(plan, spec, rows)
    failures = _failures(plan, rows.values())
    _check_failures(spec, plan, failures, rows, workspace)
    splits = {name: _split(spec, plan, name, rows) for name in plan.splits}
    _check_indices(workspace, splits)
    shards = {shard.file for split in splits.values() for shard in split.shards}
    workspace.sweep(shards)
    lines = [json.dumps(failure, sort_keys=True) + "\n" for failure in failures]  # in ASCII, whatever is in a name
    (workspace.metadata / FAILURES).write_text("".join(lines), "ascii")
    write_tfds_metadata(spec, plan, splits, workspace.metadata)
    write_examples(workspace.metadata / EXAMPLES, _examples(plan, workspace, rows))
    duplicates = find_duplicates(_images(plan, workspace, rows))
    write_duplicates(workspace.metadata / DUPLICATES, duplicates, plan.dropped)
    effects = Effects(spec.policy.leaves())
    for block in sorted(rows):
        effects.merge_rows(rows[block]["effects"])
    size = spec.image.size
    manifest = Manifest(
        format=FORMAT,
        name=spec.name,
        version=spec.version,
        digest=data_digest(splits),
        spec_digest=spec.digest(),
        spec=spec.canonical(),
        source={
            "kind": spec.source.kind,
            "root": plan.root,
            "base": str(spec.base),
            "examples": plan.examples + len(plan.bad) + len(plan.dropped),
            "failed": len(failures),
            "duplicates": {**summary(duplicates), "dropped": len(plan.dropped)},
            "listing_sha256": plan.source_digest,
            "content_sha256": contents_digest(workspace.metadata / EXAMPLES),
        },
        classes=plan.classes,
        image={
            "height": size and size[0],
            "width": size and size[1],
            "channels": spec.image.channels,
            "encoding": spec.image.encoding,
        },
        annotations=plan.annotations.public(),
        objects=_objects(rows.values()),
        soft_labels=spec.mixes and plan.classes is not None,
        splits=splits,
        files=workspace.files(shards),
        effects=effects.rows(),
        libraries=libraries,
        code=code,
        parent=parent,
        build={**build, **work_facts(rows.values(), build["started"])},
    )
    return workspace.commit(manifest)


def _examples(plan: Plan, workspace: AnyWorkspace, rows: dict[int, dict[str, Any]]) -> Iterator[pa.Table]:
    """The table of examples, a block at a time."""
    reader = workspace.blocks()
    for name, split in plan.splits.items():
        for block in range(split.first_block, split.first_block + split.blocks):
            keys, labels = reader.columns(block, "key", "label")
            yield block_table(block, name, keys, labels, rows[block])


def _images(
    plan: Plan, workspace: AnyWorkspace, rows: dict[int, dict[str, Any]]
) -> Iterator[tuple[str, str, bytes | None]]:
    """The key, the split and the image's digest of each example that is in a shard."""
    reader = workspace.blocks()
    for name, split in plan.splits.items():
        for block in range(split.first_block, split.first_block + split.blocks):
            row = rows[block]
            failed = {failure["key"] for failure in row["failures"]}
            images = unpack_contents(row.get("image_digests") or row["contents"])
            for key, image in zip(*reader.columns(block, "key"), images, strict=True):
                yield key, name, None if key in failed else image


def reused(workspace: AnyWorkspace, plan: Plan) -> dict[str, int]:
    """How much was reused: examples, those of them that were made again and compared, records, and whole shards."""
    rows = [row.get("reused", {}) for row in workspace.finished(plan.blocks).values()]
    names = ("examples", "checked", "records", "shards")
    counts = {name: sum(row.get(name, 0) for row in rows) for name in names}
    return {**counts, "damaged": sum(len(row.get("damaged", ())) for row in rows)}


def _objects(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """The counts of objects of all blocks."""
    total: dict[str, int] = {}
    for row in rows:
        for name, count in row["objects"].items():
            total[name] = total.get(name, 0) + count
    return total


def _check_complete(plan: Plan, spec: Spec, rows: dict[int, dict[str, Any]]) -> None:
    missing = [block for block in range(plan.blocks) if block not in rows]
    if missing:
        raise BuildError(
            f"{len(missing)} of {plan.blocks} blocks are not finished, the first is block {missing[0]}; run it again"
        )
    for name, split in plan.splits.items():
        mine = [rows[block] for block in range(split.first_block, split.first_block + split.blocks)]
        failed = sum(len(row["failures"]) for row in mine)
        expected = (split.examples - failed) * len(spec.copies_of(name))
        written = sum(shard["records"] for row in mine for shard in row["shards"])
        if written != expected:
            raise BuildError(
                f"split {name} has {written} records, not the {expected} that its examples make; report this"
            )


def _failures(plan: Plan, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    listed = [bad._asdict() for bad in plan.bad]
    return sorted(listed + [failure for row in rows for failure in row["failures"]], key=lambda failure: failure["key"])


def _check_failures(
    spec: Spec, plan: Plan, failures: list[dict[str, Any]], rows: dict[int, dict[str, Any]], workspace: AnyWorkspace
) -> None:
    found = plan.examples + len(plan.bad)
    if len(failures) <= spec.max_bad_fraction * found:
        return
    for block, row in rows.items():
        if row["failures"]:
            workspace.forget(block)  # so that the next try reads them again
    raise BuildError(failures_text(spec, failures, found))


def failures_text(spec: Spec, failures: list[dict[str, Any]], found: int) -> str:
    """Say that too many examples failed, with the first of them."""
    shown = [f"  {printable(failure['key'])}: {printable(failure['reason'])}" for failure in failures[:_FAILURES_SHOWN]]
    more = [f"  and {len(failures) - _FAILURES_SHOWN} more"] if len(failures) > _FAILURES_SHOWN else []
    share = f"{len(failures)} of {found} examples failed ({len(failures) / found:.2%})"
    head = f"{share}, more than max_bad_fraction {spec.max_bad_fraction:g} allows:"
    cure = "Mend or remove them and build again; or raise max_bad_fraction, and the build goes on"
    return "\n".join([head, *shown, *more, cure])


def _split(spec: Spec, plan: Plan, name: str, rows: dict[int, dict[str, Any]]) -> Split:
    split, copies = plan.splits[name], spec.copies_of(name)
    mine = [rows[block] for block in range(split.first_block, split.first_block + split.blocks)]
    failed = sum(len(row["failures"]) for row in mine)
    shards = [
        Shard(**{**row["shards"][slot], "copy": copy})  # copy-major: all of copy 0, then all of copy 1, ...
        for slot, copy in enumerate(copies)
        for row in mine
    ]
    return Split(examples=split.examples - failed, failed=failed, shards=shards)


def _check_indices(workspace: AnyWorkspace, splits: dict[str, Split]) -> None:
    """Make sure that every shard's index fits it, before the manifest vouches for both."""
    shards = [shard for split in splits.values() for shard in split.shards]
    for shard, offsets in zip(shards, workspace.read_indices([shard.file for shard in shards]), strict=True):
        if len(offsets) != shard.records + 1 or offsets[-1] != shard.bytes:
            raise BuildError(f"the index of {shard.file} does not fit it; remove {workspace.path} and build again")
