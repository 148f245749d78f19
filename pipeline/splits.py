"""Splits: which one each example belongs to, by what the source says or by a hash of its key or its group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augmill.pipeline.errors import SourceError
from augmill.pipeline.spec import Spec
from augmill.pipeline.units import some
from augmill.transforms.randomness import keyed_digest

DEFAULT_SPLITS = {"train": 1.0}


def assign_splits(spec: Spec, addresses: pa.Table) -> np.ndarray:
    """Assign each address its split: an array of names.

    Raises:
      SourceError: the spec and the source both name splits, or examples cannot be grouped as the spec asks.
    """
    given, keys = addresses.column("split"), addresses.column("key").to_pylist()
    groups = _groups(spec, addresses, keys)
    if given.null_count < len(given):
        names = ", ".join(sorted(pc.unique(given.drop_null()).to_pylist()))
        if spec.splits is not None:
            raise SourceError(f"the source has splits of its own ({names}); leave `splits` out of the spec")
        splits = np.array(given.to_pylist())
        if groups is not None:
            _check_apart(groups, splits)
        return splits
    return split_by_key(keys if groups is None else groups, spec.splits if spec.splits is not None else DEFAULT_SPLITS)


def split_by_key(keys: Sequence[str], shares: Mapping[str, float]) -> np.ndarray:
    """Assign each key a split, by a hash of the key alone, in the given shares."""
    names = sorted(shares)  # the order in which a spec writes its splits says nothing
    edges = np.cumsum([shares[name] for name in names])
    points = np.array([int.from_bytes(keyed_digest("split", key, size=7), "big") for key in keys]) / 256**7
    found = np.searchsorted(edges, points, side="right")
    # The shares may add up to a hair less than 1; the last one that is not empty takes what lies there.
    last = max(i for i, name in enumerate(names) if shares[name] > 0)
    return np.array(names)[np.minimum(found, last)]


def _groups(spec: Spec, addresses: pa.Table, keys: list[str]) -> list[str] | None:
    """The group of each example, where the spec groups them."""
    by = spec.group_by
    if by is None:
        return None
    if by.feature is not None:
        groups: list[str] = addresses.column("group").to_pylist()
        return groups
    found = [by.group_of(key) for key in keys]
    unmatched = [key for key, group in zip(keys, found, strict=True) if group is None]
    if unmatched:
        raise SourceError(
            f"group_by.key {by.key!r} finds no group in {len(unmatched)} of {len(keys)} keys ({some(unmatched)}); "
            "it must find one in every key"
        )
    return [group for group in found if group is not None]


def _check_apart(groups: list[str], splits: np.ndarray) -> None:
    """Raise SourceError where a group stands in two of the source's own splits."""
    places = defaultdict[str, set[str]](set)
    for group, split in zip(groups, splits.tolist(), strict=True):
        places[group].add(split)
    torn = {group: sorted(names) for group, names in sorted(places.items()) if len(names) > 1}
    if torn:
        shown = some([f"{group} in {' and '.join(names)}" for group, names in torn.items()])
        raise SourceError(
            f"{len(torn)} of {len(places)} groups stand in more than one of the source's own splits ({shown}); mend "
            "these splits, or leave `group_by` out of the spec"
        )
