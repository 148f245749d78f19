"""Finds the source that a spec names and lists it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc

from augmill.pipeline.coco_source import list_coco
from augmill.pipeline.duplicates import settle_duplicates
from augmill.pipeline.errors import SourceError
from augmill.pipeline.folder_source import list_folder
from augmill.pipeline.image_header import Limits, bytes_problem
from augmill.pipeline.remote_source import check_source_urls, list_remote_folder, list_remote_tfrecord, places
from augmill.pipeline.segmentation_source import list_segmentation
from augmill.pipeline.source import BadExample, Listing, mask_of
from augmill.pipeline.spec import Spec
from augmill.pipeline.storage import is_url
from augmill.pipeline.tfds_source import list_tfds
from augmill.pipeline.tfrecord_source import list_tfrecord
from augmill.pipeline.units import printable


def list_source(spec: Spec) -> Listing:
    """List the examples of the spec's source.

    Files that are larger than `source.max_bytes` are bad examples, and are not read. Where the spec drops or refuses
    duplicates the images are read and hashed.

    Raises:
      SourceError: it is missing, empty or not what the spec says it is, or it has duplicates that the spec refuses.
    """
    return settle_duplicates(spec, _within_limits(_list(spec), spec.source.limits))


def _list(spec: Spec) -> Listing:
    source = spec.source
    group = spec.group_by.feature if spec.group_by is not None else None
    check_source_urls(source)
    try:
        if is_url(str(source.folder)):
            return list_remote_folder(str(source.folder))
        if any(is_url(place) for place in places(source.tfrecord)):
            return list_remote_tfrecord(source, group)
        if source.folder is not None:
            folder = Path(os.path.normpath(spec.base / source.folder))
            return list_folder(folder, links_outside=source.links_outside)
        if source.tfrecord is not None:
            return list_tfrecord(source, spec.base, group)
        if source.coco is not None:
            return list_coco(source, spec.base, group)
        if source.segmentation is not None:
            return list_segmentation(source, spec.base)
        return list_tfds(source, spec.base, group)
    except OSError as error:
        raise SourceError(f"the source cannot be read: {error}") from error


def _within_limits(listing: Listing, limits: Limits) -> Listing:
    """Take files that are too large for bad examples; of records it is known when they are read."""
    if listing.container != "file" or _largest(listing) <= limits.max_bytes:
        return listing
    kept, bad = [], []
    for place, row in enumerate(listing.addresses.to_pylist()):
        mask = mask_of(row["annotations"])
        if row["length"] > limits.max_bytes:
            bad.append(BadExample(row["key"], row["uri"], row["split"], bytes_problem(row["length"], limits)))
        elif mask is not None and mask[1] > limits.max_bytes:
            reason = bytes_problem(mask[1], limits, "its mask")
            bad.append(BadExample(row["key"], row["uri"], row["split"], reason))
        else:
            kept.append(place)
    if not kept:
        first = f"{printable(bad[0].key)}: {bad[0].reason}"
        raise SourceError(f"{listing.root} holds no image that can be used; the first, {first}")
    return replace(listing, addresses=listing.addresses.take(kept), bad=[*listing.bad, *bad])


def _largest(listing: Listing) -> int:
    """The bytes of the largest file, images and masks."""
    masks = [found[1] for found in map(mask_of, listing.addresses.column("annotations").to_pylist()) if found]
    return max([pc.max(listing.addresses.column("length")).as_py(), *masks])
