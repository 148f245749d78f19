"""A version that stands already: whether it is this spec's, what differs, and which number to use instead."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from augmill.pipeline.errors import SourceError, VersionError
from augmill.pipeline.latest import published_numbers, update_latest, version_key
from augmill.pipeline.lineage import changes_since
from augmill.pipeline.listing import list_source
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.spec import Spec
from augmill.pipeline.storage import open_storage
from augmill.pipeline.target import AnyWorkspace, beside
from augmill.pipeline.version import Version, inside
from augmill.pipeline.version_change import kind_of, next_number, spec_reasons


def find_standing(
    spec: Spec, target: Path | str, workspace: AnyWorkspace, say: Callable[[str], None]
) -> Version | None:
    """Find the version at `target` if it is this spec's, and tell what has changed since beside the spec.

    Raises:
      VersionError: another spec's version stands there, or something else does.
    """
    version = workspace.published()
    if version is None:
        if workspace.in_the_way():
            raise VersionError(f"{target} is in the way: it is no version, it has no {MANIFEST}; move it")
        return None
    # Where there is one left, a build ended between publication and tidying up.
    workspace.remove_if_idle(lambda: update_latest(beside(target), spec.version, workspace.options))
    if version.manifest.spec_digest == spec.digest():
        say(f"{spec.name} {spec.version} is already built from this spec ({version.records:,} records); nothing to do")
        for change in _changes_since(version, spec):
            say(f"note: {change} since; set another version in the spec to build with what is there now")
        return version
    differing = differences(version.manifest.spec, spec.canonical())
    kind = kind_of(list(spec_reasons(version.manifest.spec, spec.canonical(), mixes=spec.mixes)))
    number = next_version(beside(target), kind, storage_options=workspace.options)
    raise VersionError(
        f"{spec.name} {spec.version} is already published, from another spec, and a version never changes.\n"
        + "\n".join(f"  {line}" for line in differing)
        + f"\nSet version: {number} in the spec to build this one beside it"
    )


def version_before(target: Path | str, workspace: AnyWorkspace) -> Version | None:
    """The version with the highest number below that of `target`, which need not be published."""
    root, number = beside(target), str(target).rpartition("/")[2]
    try:
        published = published_numbers(open_storage(root, workspace.options))
    except VersionError:  # there is no such folder yet
        return None
    below = [other for other in published if version_key(other) < version_key(number)]
    return Version(inside(root, below[-1]), storage_options=workspace.options) if below else None


def _changes_since(version: Version, spec: Spec) -> list[str]:
    """What has changed, besides the spec, since a version was built; record files are not read again for it."""
    changed = changes_since(version, spec)
    if spec.source.kind in ("folder", "coco", "segmentation"):
        with contextlib.suppress(SourceError):
            listing = list_source(spec)
            if listing.digest() != version.manifest.source["listing_sha256"]:
                then, now = version.manifest.source["examples"], listing.addresses.num_rows
                changed.append(f"the source changed ({then:,} examples then, {now:,} now)")
    return changed


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Name the places in which two canonical specs differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line for key in keys for line in differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        ]
    if isinstance(old, list) and isinstance(new, list) and path == "augment" and len(old) == len(new):
        return [
            line for i, pair in enumerate(zip(old, new, strict=True)) for line in differences(*pair, f"{path}[{i}]")
        ]
    return [] if old == new else [f"{path}: {old!r} is published, {new!r} is in the spec"]


def next_version(root: Path | str, kind: str = "major", *, storage_options: Mapping[str, Any] | None = None) -> str:
    """The number of the next version of a kind, by TFDS's rules, after the newest one."""
    numbers = published_numbers(open_storage(root, storage_options))
    return next_number(max(numbers, key=version_key, default="0.0.0"), kind)
