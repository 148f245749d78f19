"""What Flink's JobManager is asked over its REST interface: how many slots there are, and to cancel a job."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from augmill.pipeline.errors import BuildError

_PATIENCE = 10.0  # seconds for an answer
_ENDED = {"FINISHED", "CANCELED", "FAILED", "SUSPENDED"}


@dataclass(frozen=True)
class Slots:
    """The places for work of a cluster: in all, and on each of its TaskManagers."""

    total: int
    each: int


def find_slots(master: str) -> Slots:
    """Ask a JobManager how many slots its TaskManagers have.

    Raises:
      BuildError: nothing answers as one at HOST:PORT, or it has no TaskManager.
    """
    try:
        overview = _ask(master, "overview")
        total, managers = overview["slots-total"], overview["taskmanagers"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = getattr(error, "reason", None) or error
        raise BuildError(
            f"no Flink JobManager answers at {master}: {reason}; start one, or mend --flink-master"
        ) from None
    if not total:
        raise BuildError(f"the Flink cluster at {master} has no slots: start a TaskManager, and see its log")
    return Slots(total, -(-total // managers))


def cancel_jobs(master: str, name: str) -> list[str]:
    """Cancel the jobs of a name that have not ended, and return their ids; nothing where Flink does not answer."""
    cancelled = []
    with contextlib.suppress(OSError, ValueError, LookupError):
        for job in _ask(master, "jobs/overview")["jobs"]:
            if job["name"] == name and job["state"] not in _ENDED:
                _ask(master, f"jobs/{job['jid']}?mode=cancel", method="PATCH")
                cancelled.append(job["jid"])
    return cancelled


def url_of(master: str) -> str:
    """The URL of a JobManager given as HOST:PORT, or as a URL."""
    return master.rstrip("/") if "://" in master else f"http://{master}"


def _ask(master: str, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(f"{url_of(master)}/{path}", method=method)
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
        return json.loads(answer.read() or b"{}")
