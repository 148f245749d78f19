"""A build from end to end: plan, check, job, publication."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from augmill.pipeline.check import CheckReport, run_check
from augmill.pipeline.errors import BuildError, CheckError, SourceError, VersionError
from augmill.pipeline.lineage import library_versions, user_code
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import Plan, make_plan
from augmill.pipeline.publish import failures_text, publish
from augmill.pipeline.runner import check_beam_options, run_local
from augmill.pipeline.spec import Spec
from augmill.pipeline.units import size_text
from augmill.pipeline.version import MANIFEST, Version, list_versions, version_key
from augmill.pipeline.workspace import Workspace

Say = Callable[[str], None]
WORKER_START_SECONDS = 8.0  # a fresh Python with TensorFlow in it


@dataclass(frozen=True)
class Estimate:
    """What a build will cost, from a timed sample.

    Attributes:
      records: to be written. bytes: of all shards. seconds: with `workers` processes.
      free: bytes free where it will stand.
    """

    records: int
    bytes: int
    seconds: float
    workers: int
    free: int


def build(
    spec: Spec,
    output: str | Path,
    *,
    workers: int | None = None,
    beam_options: Sequence[str] = (),
    say: Say = lambda line: None,
) -> Version:
    """Build one version of a dataset, or return it if it is already there.

    Args:
      spec: what to build.
      output: ROOT; the version will stand at ROOT/name/version.
      workers: processes on this machine, one a core unless given.
      beam_options: Beam's own flags.
      say: told each stage in a line.

    Returns:
      The published version.

    Raises:
      AugmillError: the source, an op, the target or the job is at fault; the message says which and what to do.
    """
    target = Path(output).resolve() / spec.name / spec.version
    standing = _standing(spec, target, say)
    if standing is not None:
        return standing
    _check_writable(target)
    check_beam_options(beam_options)
    started, clock = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
    listing = list_source(spec)
    if target.is_relative_to(listing.root.resolve()) and listing.container == "file":
        raise BuildError(f"{target} lies inside the source folder {listing.root}; choose another --output")
    plan = make_plan(spec, listing)
    if listing.ignored:
        say(listing.ignored_text())
    say(f"{plan.examples:,} examples in {plan.blocks} blocks, {sum(plan.records(spec).values()):,} records to write")
    if len(plan.bad) > spec.max_bad_fraction * (plan.examples + len(plan.bad)):
        bad = [example._asdict() for example in plan.bad]
        raise BuildError(failures_text(spec, bad, plan.examples + len(bad)))
    report = run_check(spec, plan)
    if report.problems:
        raise CheckError(problems_text(report))
    if report.unreadable:
        key, reason = report.unreadable[0]
        sampled = report.samples + len(report.unreadable)
        say(f"{len(report.unreadable)} of the {sampled} images sampled cannot be read; the first, {key}: {reason}")
    workers = min(workers or default_workers(), plan.blocks)
    cost = estimate(spec, plan, report, workers, target)
    libraries, code = library_versions(), user_code(spec)
    lineage = {"libraries": libraries, "code": code, "files": listing.files_digest()}
    workspace = Workspace.beside(target)
    _check_room(cost, workspace.bytes_done(plan.blocks))
    with workspace.lock():
        standing = _standing(spec, target, say)  # another build may have published meanwhile
        if standing is not None:
            workspace.remove()
            return standing
        try:
            done = _begin(spec, plan, workspace, lineage, say)
            _run(spec, plan, workspace, workers, beam_options)
            facts = {
                "started": started.isoformat(timespec="seconds"),
                "seconds": round(time.monotonic() - clock, 1),
                "workers": workers,
                "resumed_records": done,
                "python": platform.python_version(),
                "machine": platform.machine(),
            }
            version = publish(spec, plan, workspace, target, build=facts, libraries=libraries, code=code)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BuildError(f"cannot write to {workspace.path}: {reason}; the same command goes on") from error
        workspace.remove()
    return version


def _begin(spec: Spec, plan: Plan, workspace: Workspace, lineage: dict[str, Any], say: Say) -> int:
    """Prepare the workspace; return how many records an interrupted build of the same left."""
    # Two builds with equal fingerprints write equal bytes, and so may share blocks.
    differs = workspace.prepare(spec, plan, {"spec": spec.digest(), "source": plan.digest(), **lineage})
    if differs:
        say(f"an interrupted build was of something else ({', '.join(differs)} differ): starting anew")
    done = workspace.images_done()
    if done:
        say(f"resuming: {done:,} records stand already")
    return done


def _run(spec: Spec, plan: Plan, workspace: Workspace, workers: int, beam_options: Sequence[str]) -> None:
    total = sum(plan.records(spec).values())
    done = workspace.images_done()
    with tqdm(total=total, initial=done, desc="augmenting", unit="image", smoothing=0.1, disable=None) as bar:

        def progress(done: int) -> None:
            # An image of a block that is begun again counts once.
            bar.update(max(0, done - bar.n))
            bar.refresh()

        run_local(workspace, workers=workers, beam_options=beam_options, progress=progress)


def _standing(spec: Spec, target: Path, say: Say) -> Version | None:
    """The version that stands at `target` if it is this spec's."""
    if not (target / MANIFEST).exists():
        if target.exists():
            raise VersionError(f"{target} is in the way: it is no version, it has no {MANIFEST}; move it")
        return None
    version = Version(target)
    Workspace.beside(target).remove_if_idle()
    if version.manifest.spec_digest == spec.digest():
        say(f"{spec.name} {spec.version} is already built from this spec ({version.records:,} records); nothing to do")
        for change in _changes_since(version, spec):
            say(f"note: {change} since; set another version in the spec to build with what is there now")
        return version
    differing = differences(version.manifest.spec, spec.canonical())
    raise VersionError(
        f"{spec.name} {spec.version} is already published, from another spec, and a version never changes.\n"
        + "\n".join(f"  {line}" for line in differing)
        + f"\nSet version: {next_version(target.parent)} in the spec to build this one beside it"
    )


def _changes_since(version: Version, spec: Spec) -> list[str]:
    """What has changed, besides the spec, since a version was built; record files are not read again for it."""
    code, libraries = user_code(spec), library_versions()
    changed = [f"module {name} changed" for name in code if version.manifest.code.get(name) != code[name]]
    for name, number in libraries.items():
        before = version.manifest.libraries.get(name, number)
        if before != number:
            changed.append(f"{name} went from {before} to {number}")
    if spec.source.folder is not None:
        with contextlib.suppress(SourceError):
            listing = list_source(spec)
            if listing.digest() != version.manifest.source["listing_sha256"]:
                then, now = version.manifest.source["examples"], listing.addresses.num_rows
                changed.append(f"the source changed ({then:,} examples then, {now:,} now)")
    return changed


def default_workers() -> int:
    """A worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def next_version(root: Path) -> str:
    """The version number to use for other data: by TFDS's rule the newest one's next major number."""
    newest = max((version_key(version.number) for version in list_versions(root)), default=(0, 0, 0))
    return f"{newest[0] + 1}.0.0"


def estimate(spec: Spec, plan: Plan, report: CheckReport, workers: int, target: Path) -> Estimate:
    """Reckon a build's time and room from the sample that a check has timed."""
    records = plan.records(spec)
    copies = sum(records.values()) - (plan.examples if spec.keep_original else plan.examples - records.get("train", 0))
    seconds = report.open_seconds * plan.examples + report.copy_seconds * max(copies, 0)
    return Estimate(
        records=sum(records.values()),
        bytes=round(report.record_bytes * sum(records.values())),
        seconds=seconds / workers + WORKER_START_SECONDS,
        workers=workers,
        free=shutil.disk_usage(_existing(target)).free,
    )


def _check_room(cost: Estimate, done: int) -> None:
    needed = cost.bytes - done
    if needed > cost.free:
        raise BuildError(
            f"the version needs about {size_text(needed)} more and {size_text(cost.free)} are free; make room, choose "
            "another --output, or write less (fewer copies, a smaller image.size, encoding jpeg)"
        )


def _check_writable(target: Path) -> None:
    """Refuse a target that cannot be written before any work is done for it."""
    parent = _existing(target)
    if not parent.is_dir():
        raise BuildError(f"cannot write to {target}: {parent} is a file; choose another --output")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BuildError(f"cannot write to {parent}: permission denied; choose another --output")


def _existing(path: Path) -> Path:
    return next(parent for parent in [path, *path.parents] if os.path.lexists(parent))


def problems_text(report: CheckReport) -> str:
    """A failed check in words."""
    lines = "\n".join(f"  {problem}" for problem in report.problems)
    return f"the check on {report.samples} images found:\n{lines}"
