"""What is known of a build that says nothing of the bytes: how long it took, on how many machines, at what cost."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from augmill.pipeline.examples_table import read_examples


def work_facts(rows: Iterable[Mapping[str, Any]], started: str) -> dict[str, Any]:
    """Add up what the rows of finished blocks say of the work.

    Args:
      rows: of all blocks.
      started: when this build began, in ISO 8601.

    Returns:
      job_seconds: from the first to the last record that this build wrote, over all workers; nothing for what stood.
      processor_seconds: of the workers, while they made the blocks; those of an interrupted build, which this one went
        on from, count too. To start Python and to import libraries, in the launcher and in each worker, does not.
      hosts: machines that made blocks.
    """
    rows = list(rows)
    since = datetime.datetime.fromisoformat(started).timestamp()
    spans = [row["span"] for row in rows if row["span"][0] >= since]
    # A clock may jump.
    seconds = max(0.0, max(end for _, end in spans) - min(begin for begin, _ in spans)) if spans else 0.0
    return {
        "job_seconds": round(seconds, 3),
        "processor_seconds": round(sum(row.get("processor_seconds", 0.0) for row in rows), 2),
        "hosts": len({row["host"] for row in rows if "host" in row}),
    }


def contents_digest(path: Path) -> str:
    """Name what the source held of the examples, by a version's table of them: whatever block and place they are in."""
    columns = [
        column.to_pylist() for column in read_examples(path, columns=["key", "content"]).sort_by("key").itercolumns()
    ]
    digest = hashlib.sha256()
    for key, content in zip(*columns, strict=True):
        digest.update(key.encode() + b"\0" + (content or bytes(32)))
    return digest.hexdigest()
