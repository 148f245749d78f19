"""A build from end to end: plan, check, job, publication."""

from __future__ import annotations

import contextlib
import datetime
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from augmill.pipeline.beam_options import check_beam_options
from augmill.pipeline.check import run_check
from augmill.pipeline.engines import JOB_SERVER_FLAGS, Engine, shared_text
from augmill.pipeline.errors import BuildError, CheckError, DownloadError, VersionError
from augmill.pipeline.estimate import Estimate, estimate
from augmill.pipeline.increment import Increment, find_increment
from augmill.pipeline.judgement import CheckReport
from augmill.pipeline.latest import update_latest
from augmill.pipeline.lineage import library_changes, library_versions, user_code
from augmill.pipeline.listing import list_source
from augmill.pipeline.manifest import DUPLICATES
from augmill.pipeline.parent import forget_reused, write_reuse
from augmill.pipeline.plan import Plan, make_plan
from augmill.pipeline.publish import failures_text, publish, reused
from augmill.pipeline.retry import find_patch
from augmill.pipeline.runner import LOCAL, Driver
from augmill.pipeline.source import Listing
from augmill.pipeline.spec import Spec
from augmill.pipeline.stall import STALL_TIMEOUT
from augmill.pipeline.standing import find_standing, version_before
from augmill.pipeline.target import (
    AnyWorkspace,
    beside,
    check_room_for,
    check_target,
    overlaps,
    target_of,
    workspace_of,
)
from augmill.pipeline.tfds_metadata import import_tfds
from augmill.pipeline.units import count_text, duplicates_text, printable
from augmill.pipeline.version import Version
from augmill.pipeline.version_change import change_text, planned_change, published_change
from augmill.pipeline.workspace import Workspace

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Build:
    """What the stages of one build share: what to build, where, and whom to tell."""

    spec: Spec
    target: Path | str
    listing: Listing
    plan: Plan
    engine: Engine
    workers: int
    asked: bool
    beam_options: Sequence[str]
    stall_timeout: float
    say: Say
    started: datetime.datetime
    clock: float
    driver: Driver
    reuse: bool | str
    patch: bool


def build(
    spec: Spec,
    output: str | Path,
    *,
    engine: Engine = LOCAL,
    workers: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
    beam_options: Sequence[str] = (),
    stall_timeout: float = STALL_TIMEOUT,
    reuse: bool | str = True,
    retry_failed: bool = False,
    say: Say = lambda line: None,
) -> Version:
    """Build one version of a dataset, or return it if it is already there.

    Args:
      spec: what to build.
      output: ROOT, a folder or a URL; the version will stand at ROOT/name/version.
      engine: where the job runs; on this machine unless given.
      workers: processes, unless given one a core of this machine, or one a slot of Flink; on this machine fewer where
        an earlier version leaves little to do.
      storage_options: for the fsspec file system of a URL, such as credentials; JSON values.
      beam_options: Beam's own flags.
      stall_timeout: seconds after which a block in which nothing has been done ends the build; 0 for never.
      reuse: whether to take records that an earlier version of this name holds already, or which version's: its number
        or folder. The result is the same.
      retry_failed: whether to build a patch of the spec's version instead, with the examples that failed in it and can
        be used by now; where there are none, that version is returned.
      say: told each stage in a line.

    Returns:
      The published version.

    Raises:
      AugmillError: the source, an op, the target or the job is at fault; the message says which and what to do.
    """
    started, clock = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
    if retry_failed:
        base, patch = find_patch(spec, target_of(output, spec.name, spec.version), say)
        if patch is None:
            return base
        spec, reuse = patch, base.number
    target = target_of(output, spec.name, spec.version)
    workspace = workspace_of(target, storage_options)
    standing = find_standing(spec, target, workspace, say)
    if standing is not None:
        return standing
    check_target(workspace, say)
    engine.check(beam_options)
    check_beam_options(beam_options, JOB_SERVER_FLAGS[engine.runner])
    places = engine.reach(workers)
    if not engine.local:
        say(shared_text(workspace.path))
    with Driver() as driver:  # it imports Beam while the source is listed and the policy checked
        listing, plan = _plan(spec, target, say)
        _say_change(spec, version_before(target, workspace), plan, say)
        asked, workers = workers is not None, min(places, plan.blocks)
        how = (beam_options, stall_timeout, say, started, clock, driver, reuse, retry_failed)
        job = _Build(spec, target, listing, plan, engine, workers, asked, *how)
        increment = find_increment(reuse, spec, plan, workspace, say)
        if increment is not None and engine.local:
            job = replace(job, workers=increment.workers(workers))
        check_room_for(workspace, _prove(job, increment), plan.blocks)
        with workspace.lock():
            # Another build may have published meanwhile.
            version = find_standing(spec, target, workspace, say) or _materialize(job, workspace, increment)
            workspace.remove()
    return version


def _plan(spec: Spec, target: Path | str, say: Say) -> tuple[Listing, Plan]:
    """List the source and plan the build; nothing is written yet."""
    listing = list_source(spec)
    if overlaps(target, listing.root) and spec.source.kind in ("folder", "segmentation"):
        raise BuildError(f"{target} lies inside the source folder {listing.root}; choose another --output")
    plan = make_plan(spec, listing)
    if listing.ignored:
        say(listing.ignored_text())
    if listing.dropped:
        say(f"{count_text(len(listing.dropped), 'example')} left out: others have the same image")
    examples, blocks = count_text(plan.examples, "example"), count_text(plan.blocks, "block")
    say(f"{examples} in {blocks}, {count_text(sum(plan.records(spec).values()), 'record')} to write")
    found = plan.examples + len(plan.bad)
    if len(plan.bad) > spec.max_bad_fraction * found:
        raise BuildError(failures_text(spec, [example._asdict() for example in plan.bad], found))
    return listing, plan


def _say_change(spec: Spec, before: Version | None, plan: Plan, say: Say) -> None:
    """Say what has changed since the version before this one, and what number that asks for."""
    if before is None:
        return
    try:
        say(change_text(before.number, spec.version, planned_change(before, spec, plan)))
    except VersionError as error:
        say(f"note: what changed since {before.number} cannot be told: {error}")
    for change in library_changes(before):
        say(f"since {before.number} {change}; `augmill reproduce` of it tells whether that changes renditions")


def _say_read(job: _Build, before: Version, version: Version) -> None:
    """Say what was found changed when the source was read, where it asks for more than the version's number says."""
    with contextlib.suppress(VersionError):  # it has been told
        told = change_text(before.number, version.number, published_change(before, version, mixes=job.spec.mixes))
        if told.startswith("warning"):
            job.say(told)


def _prove(job: _Build, increment: Increment | None) -> Estimate:
    """Prove that every op does its work, by a check or an earlier version; say what the build takes."""
    if increment is not None and increment.proven:
        job.say(f"every op is proven by {increment.parent.number}: same recipe and code, and most samples are the same")
        return increment.estimate(job.workers, job.target)
    report = run_check(job.spec, job.plan)
    if report.problems:
        raise CheckError(problems_text(report))
    if report.unreadable:
        key, reason = report.unreadable[0]
        sampled = report.samples + len(report.unreadable)
        first = f"{printable(key)}: {reason}"
        job.say(f"{len(report.unreadable)} of the {sampled} images sampled cannot be read; the first, {first}")
    return estimate(job.spec, job.plan, report, job.workers, job.target)


def _materialize(job: _Build, workspace: AnyWorkspace, increment: Increment | None) -> Version:
    """Write what is not written yet, and publish the whole."""
    spec, plan = job.spec, job.plan
    libraries, code = library_versions(), user_code(spec)
    parent = None if increment is None else increment.parent
    lineage = {"libraries": libraries, "code": code, "files": job.listing.files_digest()}
    try:
        done = _begin(job, workspace, lineage)
        if isinstance(workspace, Workspace):
            _reuse(job, workspace, parent)
        _run(job, workspace)
        facts = {
            "started": job.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - job.clock, 1),
            "runner": job.engine.runner,
            "workers": job.workers,
            "resumed_records": done,
            "reused": parent and {"from": parent.number, **reused(workspace, plan)},
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
        before = version_before(job.target, workspace)
        named = {"version": before.number, "digest": before.manifest.digest} if before else None
        made_of: dict[str, Any] = {"libraries": libraries, "code": code, "parent": named}
        version = publish(spec, plan, workspace, build=facts, **made_of)
        update_latest(beside(job.target), spec.version, workspace.options)
        if before:
            _say_read(job, before, version)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BuildError(f"cannot write to {workspace.path}: {reason}; the same command goes on") from error
    except DownloadError as error:
        raise BuildError(f"{error}; the same command goes on") from error
    _warn_of_leaks(job, version)
    return version


def _warn_of_leaks(job: _Build, version: Version) -> None:
    """Tell of images that stand in two splits."""
    counts = version.manifest.source["duplicates"]
    if counts["across"]:
        cure = "duplicates: drop in the spec leaves them out of train"
        job.say(f"warning: {duplicates_text(counts)}; {DUPLICATES} names them; {cure}")


def _begin(job: _Build, workspace: AnyWorkspace, lineage: dict[str, Any]) -> int:
    """Prepare the workspace; return how many records an interrupted build of the same left."""
    # Two builds with equal fingerprints write equal bytes, and so may share blocks.
    fingerprint = {"spec": job.spec.digest(), "source": job.plan.digest(), **lineage}
    differs = workspace.prepare(job.spec, job.plan, fingerprint)
    if differs:
        job.say(f"an interrupted build was of something else ({', '.join(differs)} differ): starting anew")
    done = workspace.images_done()
    if done:
        job.say(f"resuming: {done:,} records stand already")
    return done


def _reuse(job: _Build, workspace: Workspace, parent: Version | None) -> None:
    """Tell the workers of the version whose records can be reused."""
    workspace.reuse_path.unlink(missing_ok=True)
    if job.reuse is False:
        forget_reused(workspace, job.plan)
    if parent is not None:
        write_reuse(workspace.reuse_path, parent, job.spec, job.plan, patch=job.patch)
        job.say(f"reusing what {parent.number} holds of it already")


def _run(job: _Build, workspace: AnyWorkspace) -> None:
    total, before = sum(job.plan.records(job.spec).values()), workspace.images_done()
    with tqdm(total=total, initial=before, desc="augmenting", unit="image", smoothing=0.1, disable=None) as bar:

        def progress(done: int) -> None:
            # An image of a block that is begun again counts once.
            bar.update(max(0, done - bar.n))
            bar.refresh()

        threading.Thread(target=import_tfds, daemon=True).start()  # for the publication, while the workers start
        job.driver.run(
            workspace,
            workers=job.workers,
            engine=job.engine,
            asked=job.asked,
            beam_options=job.beam_options,
            stall_timeout=job.stall_timeout,
            progress=progress,
        )


def problems_text(report: CheckReport) -> str:
    """A failed check in words."""
    lines = "\n".join(f"  {problem}" for problem in report.problems)
    return f"the check on {report.samples} images found:\n{lines}"
