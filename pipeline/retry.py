"""A patch of a version: the same, with the examples that failed and can be used by now."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from augmill.pipeline.errors import OptionError, VersionError
from augmill.pipeline.examples_table import EXAMPLES, read_examples
from augmill.pipeline.latest import version_key
from augmill.pipeline.listing import list_source
from augmill.pipeline.making import make_records
from augmill.pipeline.plan import Plan, make_plan
from augmill.pipeline.renderer import Renderer, block_peers
from augmill.pipeline.spec import Spec
from augmill.pipeline.standing import differences
from augmill.pipeline.units import count_text, some
from augmill.pipeline.version import Version, list_versions


class Patch(NamedTuple):
    """What a retry found.

    Attributes:
      base: the version that is to be patched, the newest patch there is of the spec's.
      spec: that of the patch, whose number is the next; None where there is nothing to build.
    """

    base: Version
    spec: Spec | None


def find_patch(spec: Spec, target: Path | str, say: Callable[[str], None]) -> Patch:
    """Try again what failed in the newest patch of the spec's version, beside `target`, and tell what comes of it.

    Raises:
      OptionError: the target is a URL.
      VersionError: there is no such version, it is of another spec, or the source changed in what did not fail.
    """
    if not isinstance(target, Path):
        raise OptionError(f"a patch takes its records from a version in a folder, and {target} is a URL")
    base = _newest_patch(spec, target.parent)
    if not base.failures:
        say(f"no example of {base.name} {base.number} failed: there is nothing to retry")
        return Patch(base, None)
    plan = make_plan(spec, list_source(spec))
    failed = {failure["key"] for failure in base.failures}
    _check_others_stand(base, plan, failed)
    good, reasons = _retry(spec, plan, failed)
    tried = count_text(len(failed), "example")
    if not good:
        first = next(iter(sorted(reasons.items())), (min(failed), "the source does not have it any more"))
        say(f"none of the {tried} that failed in {base.number} can be used yet; nothing is built")
        say(f"the first, {first[0]}: {first[1]}")
        return Patch(base, None)
    numbers = version_key(base.number)
    number = f"{numbers[0]}.{numbers[1]}.{numbers[2] + 1}"
    say(f"{len(good)} of the {tried} that failed in {base.number} can be used now: building {number}")
    return Patch(base, Spec(**{**spec.canonical(), "version": number}).relative_to(spec.base))


def _newest_patch(spec: Spec, root: Path) -> Version:
    """The newest version with the spec's major and minor number, which must be of the same spec."""
    line = version_key(spec.version)[:2]
    versions = list_versions(root) if root.is_dir() else []
    mine = [version for version in versions if version_key(version.number)[:2] == line]
    if not mine:
        raise VersionError(f"no version {line[0]}.{line[1]}.* of {spec.name} stands in {root}; build it first")
    base = mine[-1]
    now, then = ({**canonical, "version": None} for canonical in (spec.canonical(), base.manifest.spec))
    differing = [line for line in differences(then, now) if not line.startswith("max_bad_fraction:")]
    if differing:
        raise VersionError(
            f"{spec.name} {base.number} is of another spec, and a patch is of the same one:\n"
            + "\n".join(f"  {line}" for line in differing)
            + "\nTo build from this spec, leave --retry-failed out"
        )
    return base


def _check_others_stand(base: Version, plan: Plan, failed: set[str]) -> None:
    """Raise VersionError unless the source has the examples that it had, but for some that failed."""
    then = set(read_examples(base.path / EXAMPLES, columns=["key"]).column("key").to_pylist()) | failed
    now = set(plan.table.column("key").to_pylist()) | {bad.key for bad in plan.bad}
    new, gone = sorted(now - then), sorted(then - now - failed)
    if new or gone:
        changes = [
            f"{count_text(len(keys), 'example')} {word} ({some(keys)})"
            for keys, word in ((new, "came"), (gone, "went"))
            if keys
        ]
        raise VersionError(
            f"the source is not that of {base.number} any more: {', '.join(changes)}. A patch takes in what failed and "
            "changes nothing else; give the spec another version, and build it without --retry-failed"
        )


def _retry(spec: Spec, plan: Plan, failed: set[str]) -> tuple[list[str], dict[str, str]]:
    """Make the records of examples that failed: the keys of those that can be made, and why the others cannot."""
    blocks = defaultdict[int, list[dict[str, object]]](list)
    for row in plan.table.to_pylist():
        if row["key"] in failed:
            blocks[row["block"]].append(row)
    good, reasons = list[str](), {bad.key: bad.reason for bad in plan.bad}
    reader = plan.reader()
    for block, rows in sorted(blocks.items()):
        renderer = Renderer(spec, plan.classes, annotations=plan.annotations)
        peers = block_peers(renderer, reader, plan.rows_of(block) if spec.mixes else rows)
        copies = spec.copies_of(plan.split_of(block))
        for making in make_records(
            renderer, reader, rows, copies=copies, peers=peers, measured=0, source=hashlib.sha256()
        ):
            if making.error is None:
                good.append(making.row["key"])
            else:
                reasons[making.row["key"]] = making.error
    return good, reasons
