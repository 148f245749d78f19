"""What a build will cost in time and room, reckoned from a timed sample, and whether there is room for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from augmill.pipeline.errors import BuildError
from augmill.pipeline.judgement import CheckReport
from augmill.pipeline.plan import Plan
from augmill.pipeline.spec import Spec
from augmill.pipeline.units import size_text

WORKER_START_SECONDS = 3.5  # Beam in a fresh Python, and again in each worker
TENSORFLOW_SECONDS = 6.0  # more, where workers need TensorFlow


@dataclass(frozen=True)
class Estimate:
    """What a build will cost, from a timed sample.

    Attributes:
      records: to be written. bytes: of all shards. seconds: with `workers` processes.
      free: bytes free where it will stand; None in an object store.
    """

    records: int
    bytes: int
    seconds: float
    workers: int
    free: int | None


def estimate(spec: Spec, plan: Plan, report: CheckReport, workers: int, target: Path | str) -> Estimate:
    """Reckon a build's time and room from the sample that a check has timed."""
    records = plan.records(spec)
    augmented = plan.splits["train"].examples * spec.copies if "train" in plan.splits else 0
    work = report.open_seconds * plan.examples + report.copy_seconds * augmented
    start = WORKER_START_SECONDS + (TENSORFLOW_SECONDS if spec.policy.needs_tensorflow else 0.0)
    return Estimate(
        records=sum(records.values()),
        bytes=round(report.record_bytes * sum(records.values())),
        seconds=work / workers + start,
        workers=workers,
        free=free_beside(target),
    )


def free_beside(target: Path | str) -> int | None:
    """Bytes that are free where a version is to stand; None in an object store."""
    return shutil.disk_usage(_existing(target)).free if isinstance(target, Path) else None


def default_workers() -> int:
    """A worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_room(cost: Estimate, done: int) -> None:
    """Refuse a build that there is no room for.

    Args:
      cost: of the whole version.
      done: bytes of it that stand already.

    Raises:
      BuildError: saying what is needed and what is there.
    """
    needed = cost.bytes - done
    if cost.free is not None and needed > cost.free:
        raise BuildError(
            f"the version needs about {size_text(needed)} more and {size_text(cost.free)} are free; make room, choose "
            "another --output, or write less (fewer copies, a smaller image.size, encoding jpeg)"
        )


def check_temporary_room(cost: Estimate, blocks: int) -> None:
    """Refuse a build in an object store where there is no room here for the shards that workers have in hand.

    Args:
      cost: of the whole version.
      blocks: of which each worker writes one while it puts another into the store.

    Raises:
      BuildError: saying what is needed and what is there.
    """
    folder = Path(tempfile.gettempdir())
    needed, free = cost.bytes * min(2 * cost.workers, blocks) // max(1, blocks), shutil.disk_usage(folder).free
    if needed > free:
        raise BuildError(
            f"the shards in hand need about {size_text(needed)} in {folder}, and {size_text(free)} are free; make "
            "room, set TMPDIR to another folder, or have smaller blocks (block_examples)"
        )


def check_writable(target: Path) -> None:
    """Refuse a target that cannot be written before any work is done for it."""
    parent = _existing(target)
    if not parent.is_dir():
        raise BuildError(f"cannot write to {target}: {parent} is a file; choose another --output")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BuildError(f"cannot write to {parent}: permission denied; choose another --output")


def _existing(path: Path) -> Path:
    return next(parent for parent in [path, *path.parents] if os.path.lexists(parent))
