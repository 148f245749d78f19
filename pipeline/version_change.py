"""What kind of version a change asks for: major, minor or patch, by the rules of TFDS.

A major version is one in which what existed is otherwise or gone; a minor one has more than there was, and the same; a
patch has the same data, stored otherwise, or examples that had failed. Source: the TFDS guide "Datasets versioning".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from augmill.pipeline.latest import version_key
from augmill.pipeline.lineage import user_code
from augmill.pipeline.plan import Plan
from augmill.pipeline.spec import Spec
from augmill.pipeline.units import count_text
from augmill.pipeline.version import Version
from augmill.pipeline.version_diff import SourceDifference, examples_of, source_difference, spec_differences

KINDS = ("patch", "minor", "major")  # from the least that is said to the most
_RENDITIONS = "existing renditions change"
_BY_DATA = ("source", "max_bad_fraction", "duplicates")  # fields of a spec of which the examples tell what they change


class Reason(NamedTuple):
    """One thing that changed: what, what kind of version it asks for, and why."""

    what: str
    kind: str
    why: str


def spec_reasons(old: dict[str, Any], new: dict[str, Any], *, mixes: bool) -> Iterator[Reason]:
    """What of two canonical specs differs.

    Args:
      old, new: the specs.
      mixes: whether images are mixed with others of their block, so that blocks have a say in pixels.
    """
    for path, (before, after) in spec_differences(old, new):
        head = path.split(".")[0].split("[")[0]
        if head in _BY_DATA:
            continue
        if path == "copies" or path == "keep_original":
            more = after > before
            yield Reason(path, *(("minor", "renditions are added") if more else ("major", "renditions are gone")))
        elif path == "block_examples" and not mixes:
            yield Reason(path, "patch", "the same records stand in other shards")
        elif path == "image.encoding" and {before, after} == {"png", "raw"}:
            yield Reason(path, "patch", "the same pixels are stored otherwise")
        elif head in ("splits", "group_by"):
            yield Reason(path, "major", "examples may move to another split")
        elif head == "image":
            yield Reason(path, "major", "existing images change")
        else:
            yield Reason(path, "major", _RENDITIONS)


def source_reasons(found: SourceDifference, *, mixes: bool) -> Iterator[Reason]:
    """What of the examples of two versions differs."""
    kinds = {
        "removed": ("gone", "major", "existing examples are gone"),
        "changed": ("changed", "major", "existing examples change"),
        "moved": ("in another split", "major", "existing examples move"),
        "broken": ("failed that had not", "major", "existing examples are gone"),
        "added": ("new", "major" if mixes else "minor", "images are mixed with new ones" if mixes else "data is added"),
        "mended": ("no longer failed", "patch", "failures are mended"),
    }
    for name, (words, kind, why) in kinds.items():
        count = getattr(found, name)
        if count:
            yield Reason(f"{count_text(count, 'example')} {words}", kind, why)


def class_reasons(old: Sequence[str] | None, new: Sequence[str] | None) -> Iterator[Reason]:
    """What of the classes differs: a number that stands in records must go on meaning the same."""
    if list(old or []) != list(new or [])[: len(old or [])] or (old is None) != (new is None):
        yield Reason("classes", "major", "labels are numbered anew")


def planned_change(parent: Version, spec: Spec, plan: Plan) -> list[Reason]:
    """What has changed since a version, as far as it can be told before anything is read.

    Of examples that has their keys, classes and splits; whether their images changed too is known when they are read.
    """
    blocks = [np.full(split.examples, name, object) for name, split in plan.splits.items()]
    table = pa.table(
        {
            "key": plan.table.column("key"),
            "split": pa.array(np.concatenate(blocks), pa.string()),
            "label": plan.table.column("label"),
            "content": pa.nulls(len(plan.table), pa.binary(32)),
            "failed": pa.array(np.zeros(len(plan.table), np.bool_)),
        }
    )
    then = (parent.manifest.classes, examples_of(parent))
    found = source_difference(then, (plan.classes, table), contents=False)
    code = user_code(spec)
    changed = [name for name in code if parent.manifest.code.get(name) != code[name]]
    return [
        *spec_reasons(parent.manifest.spec, spec.canonical(), mixes=spec.mixes),
        *(Reason(f"module {name}", "major", _RENDITIONS) for name in changed),
        *class_reasons(parent.manifest.classes, plan.classes),
        *source_reasons(found, mixes=spec.mixes),
    ]


def published_change(parent: Version, version: Version, *, mixes: bool) -> list[Reason]:
    """What of the examples has changed between two versions, contents and failures included."""
    sides = [(each.manifest.classes, examples_of(each)) for each in (parent, version)]
    return list(source_reasons(source_difference(sides[0], sides[1]), mixes=mixes))


def kind_of(reasons: Sequence[Reason]) -> str:
    """The kind of version that the weightiest of some reasons asks for; a patch where there are none."""
    return max((reason.kind for reason in reasons), key=KINDS.index, default="patch")


def next_number(number: str, kind: str) -> str:
    """The number after another for a kind of version.

    >>> next_number("1.2.3", "major"), next_number("1.2.3", "minor"), next_number("1.2.3", "patch")
    ('2.0.0', '1.3.0', '1.2.4')
    """
    major, minor, patch = version_key(number)
    return {"major": f"{major + 1}.0.0", "minor": f"{major}.{minor + 1}.0", "patch": f"{major}.{minor}.{patch + 1}"}[
        kind
    ]


def change_text(parent: str, number: str, reasons: Sequence[Reason]) -> str:
    """Say in a line what changed since a version and which number that asks for, and warn where another says less.

    >>> change_text("1.0.0", "1.1.0", [Reason("copies", "minor", "renditions are added")])
    'since 1.0.0 changed: copies: renditions are added, so a minor version: 1.1.0 is the next'
    """
    if not reasons:
        return (
            f"since {parent} nothing changed that decides data, so a patch: {next_number(parent, 'patch')} is the next"
        )
    kind = kind_of(reasons)
    weighty = [reason for reason in reasons if reason.kind == kind]
    what = ", ".join(reason.what for reason in weighty)
    why = ", ".join(dict.fromkeys(reason.why for reason in weighty))
    wanted = next_number(parent, kind)
    less = version_key(number) < version_key(wanted)
    of = "a patch" if kind == "patch" else f"a {kind} version"
    line = f"since {parent} changed: {what}: {why}, so {of}: {wanted} is the next"
    return f"warning: {line}; {number} says less" if less else line
