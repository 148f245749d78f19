"""Duplicates: images of which the source holds the very same bytes twice, and splits that they leak between.

Images are compared as they are encoded, without their annotations. Those that are kept are counted when a version is
published, from the digests that its blocks noted. To drop some, or to refuse them, all must be known before any is
placed: they are then read once more, before the plan is made.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from tqdm import tqdm

from augmill.pipeline.annotation_info import NO_ANNOTATIONS
from augmill.pipeline.errors import AugmillError, SourceError
from augmill.pipeline.plan import reader_of
from augmill.pipeline.shard import RecordError
from augmill.pipeline.source import Dropped, Listing
from augmill.pipeline.spec import Spec
from augmill.pipeline.splits import assign_splits
from augmill.pipeline.storage import is_url
from augmill.pipeline.units import duplicates_text

_SHOWN = 5
_AT_ONCE = 1024  # addresses that are being read or wait for it


class Copy(NamedTuple):
    """One of several examples with the same image."""

    key: str
    split: str


def find_duplicates(examples: Iterable[tuple[str, str, bytes | None]]) -> list[list[Copy]]:
    """Find the examples whose images are the same.

    Args:
      examples: (key, split, digest of the image) of each; None for what could not be read.

    Returns:
      The groups of two and more, each with the one first that is kept where duplicates are dropped: evaluation stays
      whole, so that train comes last, and then the first key. Groups are in the order of their first keys.
    """
    found = defaultdict[bytes, list[Copy]](list)
    for key, split, digest in examples:
        if digest is not None:
            found[digest].append(Copy(key, split))
    groups = (sorted(group, key=lambda copy: (copy.split == "train", *copy)) for group in found.values())
    return sorted((group for group in groups if len(group) > 1), key=lambda group: group[0].key)


def summary(groups: Sequence[Sequence[Copy]]) -> dict[str, Any]:
    """Count duplicates: groups, examples beyond the first of each, and where they stand.

    Returns:
      `groups`; `within`, by split, the examples that repeat another of it; `across`, by pair of splits, the groups that
      stand in both.
    """
    within, across = Counter[str](), Counter[str]()
    for group in groups:
        counts = Counter(copy.split for copy in group)
        within.update({split: count - 1 for split, count in counts.items() if count > 1})
        across.update("+".join(pair) for pair in combinations(sorted(counts), 2))
    return {"groups": len(groups), "within": dict(sorted(within.items())), "across": dict(sorted(across.items()))}


def write_duplicates(path: Path, groups: Iterable[Sequence[Copy]], dropped: Iterable[Dropped]) -> None:
    """Write a line of JSON for each group of equal images in the version, and for each example that was left out."""
    lines: list[dict[str, Any]] = [{"same": [copy._asdict() for copy in group]} for group in groups]
    for key, split, kept, kept_split in dropped:
        lines.append({"dropped": key, "split": split, "kept": kept, "kept_split": kept_split})
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, "utf-8", errors="backslashreplace")


def settle_duplicates(spec: Spec, listing: Listing) -> Listing:
    """Drop or refuse duplicates before anything is planned, as the spec asks.

    Raises:
      SourceError: there are some, and the spec says that this is an error.
    """
    if spec.duplicates == "keep":
        return listing
    splits = assign_splits(spec, listing.addresses).tolist()
    keys = listing.addresses.column("key").to_pylist()
    groups = find_duplicates(zip(keys, splits, _image_digests(listing), strict=True))
    if not groups:
        return listing
    if spec.duplicates == "error":
        shown = [" and ".join(f"{copy.key} ({copy.split})" for copy in group[:2]) for group in groups[:_SHOWN]]
        more = [f"and {len(groups) - _SHOWN} more"] if len(groups) > _SHOWN else []
        raise SourceError(
            "\n  ".join([f"{duplicates_text(summary(groups))}, and the spec says duplicates: error", *shown, *more])
            + "\nRemove them from the source, or set duplicates: drop, or keep"
        )
    dropped = [Dropped(copy.key, copy.split, group[0].key, group[0].split) for group in groups for copy in group[1:]]
    gone = {one.key for one in dropped}
    kept = listing.addresses.filter(pa.array([key not in gone for key in keys]))
    return replace(listing, addresses=kept, dropped=sorted(dropped))


def _image_digests(listing: Listing) -> Iterator[bytes | None]:
    """Read and hash every image that may be another one's duplicate; None for the others and what cannot be read."""
    rows, alike = listing.addresses, None
    if listing.container == "file":  # files of different sizes are different
        lengths = rows.column("length").to_pylist()
        often = Counter(lengths)
        alike = [often[length] > 1 for length in lengths]
    reader = reader_of(replace(listing, annotations=NO_ANNOTATIONS))

    def digest(row: dict[str, Any]) -> bytes | None:
        try:
            return reader.read_example({**row, "annotations": None}).image_digest()
        except (OSError, AugmillError, RecordError, ValueError):
            return None  # it is named as failed where it is read to be used

    alone = listing.container == "array_record" or is_url(str(listing.root))  # whose readers are for one thread
    threads = 1 if alone else min(8, os.cpu_count() or 1)
    total = tqdm(total=rows.num_rows, desc="looking for duplicates", unit="image", leave=False, disable=None)
    with total as bar, ThreadPoolExecutor(threads) as pool:
        for start in range(0, rows.num_rows, _AT_ONCE):
            some = rows.slice(start, _AT_ONCE).to_pylist()
            wanted = [row for i, row in enumerate(some, start) if alike is None or alike[i]]
            found = iter(pool.map(digest, wanted))
            for i in range(start, start + len(some)):
                yield next(found) if alike is None or alike[i] else None
            bar.update(len(some))
