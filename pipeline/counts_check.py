"""Counts: what a version's files say of how much there is, held against each other."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping

from augmill.pipeline.examples_table import EXAMPLES, read_examples
from augmill.pipeline.manifest import FAILURES, MANIFEST, Manifest, Split, data_digest
from augmill.pipeline.shard import shard_name

DATASET_INFO = "dataset_info.json"
READ_WHOLE = (FAILURES, DATASET_INFO, EXAMPLES)  # besides the shards' indexes


def copies_of(split: Split) -> list[int]:
    """The copy numbers of a split, each once, in the order of its shards."""
    return list(dict.fromkeys(shard.copy_number for shard in split.shards))


def keys_by_shard(manifest: Manifest, table: bytes) -> dict[str, list[str]]:
    """The keys of the records of each shard, in order, as the table of examples has them.

    Raises:
      ValueError: it is no table of examples.
    """
    found: dict[tuple[str, int], list[str]] = {}
    rows = read_examples(io.BytesIO(table), columns=["key", "split", "block", "failed"])
    for key, split, block, failed in zip(*(column.to_pylist() for column in rows.itercolumns()), strict=True):
        found.setdefault((split, block), [])
        if not failed:
            found[split, block].append(key)
    blocks = {name: sorted(block for split, block in found if split == name) for name in manifest.splits}
    return {
        shard.file: found[name, blocks[name][number % len(blocks[name])]]
        for name, split in manifest.splits.items()
        for number, shard in enumerate(split.shards)
        if blocks[name]
    }


def wrong_counts(manifest: Manifest, files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Compare the manifest's counts with each other and with those of the other files.

    Args:
      manifest: of the version.
      files: the bytes of those of READ_WHOLE that are as published.

    Yields:
      (file, what is wrong with it).
    """
    yield from ((MANIFEST, wrong) for wrong in _within(manifest))
    for name, check in ((FAILURES, _failures), (DATASET_INFO, _dataset_info), (EXAMPLES, _examples)):
        if name in files:
            try:
                wrong = next(check(manifest, files[name]), None)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                wrong = f"cannot be read: {' '.join(str(error).split())}"
            if wrong:
                yield name, wrong
        elif name not in manifest.files:
            yield MANIFEST, f"does not name {name}"


def _within(manifest: Manifest) -> Iterator[str]:
    if manifest.digest != data_digest(manifest.splits):
        yield "has a digest that is not that of its shards"
    for name, split in manifest.splits.items():
        expected = split.examples * len(copies_of(split))
        if split.records != expected:
            yield f"has {split.records} records in {name}, and its examples make {expected}"
        names = [shard_name(manifest.name, name, number, len(split.shards)) for number in range(len(split.shards))]
        if [shard.file for shard in split.shards] != names:
            yield f"names shards of {name} that are not numbered from 0"
        if any(f"index/{file}.npy" not in manifest.files for file in names):
            yield f"does not name an index for each shard of {name}"
    source, found = manifest.source, sum(split.examples for split in manifest.splits.values())
    dropped = source.get("duplicates", {}).get("dropped", 0)
    if found + source["failed"] + dropped != source["examples"]:
        yield f"has {found} examples, {source['failed']} failed, {dropped} dropped, and found {source['examples']}"


def _failures(manifest: Manifest, data: bytes) -> Iterator[str]:
    failures = [json.loads(line) for line in data.decode("utf-8").splitlines()]
    if len(failures) != manifest.source["failed"]:
        yield f"names {len(failures)} examples, and the manifest says that {manifest.source['failed']} failed"
    # An example that was unusable when it was listed may have been put in no split.
    by_split = Counter(failure["split"] for failure in failures)
    for name, split in manifest.splits.items():
        if by_split[name] < split.failed:
            yield f"names {by_split[name]} examples of {name}, and the manifest says that {split.failed} failed"


def _dataset_info(manifest: Manifest, data: bytes) -> Iterator[str]:
    info = json.loads(data)
    if (info["name"], info["version"]) != (manifest.name, manifest.version):
        yield f"is of {info['name']} {info['version']}"
    told = {split["name"]: split for split in info["splits"]}
    if set(told) != set(manifest.splits):
        yield f"has the splits {', '.join(sorted(told))}"
    for name, split in manifest.splits.items():
        if [int(length) for length in told[name]["shardLengths"]] != [shard.records for shard in split.shards]:
            yield f"has other numbers of records in the shards of {name} than the manifest"
        if int(told[name]["numBytes"]) != split.bytes:
            yield f"has {told[name]['numBytes']} bytes in {name}, and the manifest {split.bytes}"


def _examples(manifest: Manifest, data: bytes) -> Iterator[str]:
    keys = keys_by_shard(manifest, data)
    for split in manifest.splits.values():
        for shard in split.shards:
            if len(keys[shard.file]) != shard.records:
                yield f"has {len(keys[shard.file])} examples for {shard.file}, which has {shard.records} records"
