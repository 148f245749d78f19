"""A version that stands already: whether it is this spec's, what differs, and which number to use instead."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from augmill.pipeline.errors import SourceError, VersionError
from augmill.pipeline.lineage import changes_since
from augmill.pipeline.listing import list_source
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.spec import Spec
from augmill.pipeline.target import AnyWorkspace, beside
from augmill.pipeline.version import Version, list_versions, version_key


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
    workspace.remove_if_idle()
    if version.manifest.spec_digest == spec.digest():
        say(f"{spec.name} {spec.version} is already built from this spec ({version.records:,} records); nothing to do")
        for change in _changes_since(version, spec):
            say(f"note: {change} since; set another version in the spec to build with what is there now")
        return version
    number = next_version(beside(target), storage_options=workspace.options)
    differing = differences(version.manifest.spec, spec.canonical())
    raise VersionError(
        f"{spec.name} {spec.version} is already published, from another spec, and a version never changes.\n"
        + "\n".join(f"  {line}" for line in differing)
        + f"\nSet version: {number} in the spec to build this one beside it"
    )


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


def next_version(root: Path | str, *, storage_options: Mapping[str, Any] | None = None) -> str:
    """The version number to use for other data: by TFDS's rule the newest one's next major number."""
    versions = list_versions(root, storage_options=storage_options)
    newest = max((version_key(version.number) for version in versions), default=(0, 0, 0))
    return f"{newest[0] + 1}.0.0"
