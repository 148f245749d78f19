"""A lease: which build is at work in an object store, where there is no lock that the system lets go of.

It is an object, `lease/00007`, that says who holds it and is written again every `RENEWED` seconds. One that has not
been for `EXPIRES` seconds, by the store's own clock, is dead and is taken over by the object of the next number, which
must be a new one: of several that want to, one succeeds. Whoever finds a higher number than its own has lost it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from augmill.pipeline.errors import AugmillError, BuildError, MissingFileError
from augmill.pipeline.object_store import ObjectStore

RENEWED = 20.0
EXPIRES = 90.0
_FOLDER = "lease"
_WRITTEN = ("LastModified", "updated", "mtime", "last_modified")  # what stores call the time of the last change


class Lease:
    """The right to build in a folder of an object store. As a context manager it is held within, and given back."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._holder = {"machine": _machine(), "host": socket.gethostname(), "pid": os.getpid(), "id": uuid.uuid4().hex}
        self._number = 0
        self._renewed = 0.0
        self._lost = ""
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="augmill-lease", daemon=True)

    def __enter__(self) -> Lease:
        known = self._numbers()
        if known:
            self._refuse_if_alive(known[-1])
        self._number = known[-1] + 1 if known else 1
        sent = time.monotonic()
        taken = self._store.put(self._name(self._number), self._said(0), new=True)
        if not taken or self._holder_of(self._number).get("id") != self._holder["id"]:
            raise BuildError(f"another build has just begun in {self._store.location}; wait for it")
        self._renewed = sent
        self._store.remove(self._name(number) for number in known)
        self._renewer.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._renewer.join()
        with contextlib.suppress(AugmillError):  # it runs out by itself
            if not self._lost:
                self._store.remove([self._name(self._number)])

    def check(self) -> None:
        """Make sure that it is held still.

        Raises:
          BuildError: it could not be renewed in time, or another build has taken it over.
        """
        silent = time.monotonic() - self._renewed
        if not self._lost and silent > EXPIRES:
            self._lost = f"the store did not answer for {silent:.0f} seconds"
        if self._lost:
            raise BuildError(f"the lease of {self._store.location} is lost: {self._lost}; the same command goes on")

    def _renew(self) -> None:
        beat = 0
        while not self._ended.wait(RENEWED) and not self._lost:
            beat, sent = beat + 1, time.monotonic()
            with contextlib.suppress(AugmillError):  # `check` counts the seconds
                if self._numbers()[-1:] != [self._number]:
                    self._lost = "another build has taken it over"
                    return
                self._store.put(self._name(self._number), self._said(beat))
                self._renewed = sent

    def _refuse_if_alive(self, number: int) -> None:
        holder = self._holder_of(number)
        if holder.get("machine") == self._holder["machine"] and not _runs(holder.get("pid")):
            return
        age = self._age(number)
        if age is not None and age > EXPIRES:
            return
        dead = f"if it is dead, its lease runs out in {EXPIRES - age:.0f} seconds" if age is not None else "or stop it"
        who = f"process {holder.get('pid')} on {holder.get('host')}" if holder else "one that has just ended"
        raise BuildError(f"another build is at work in {self._store.location}, {who}; wait for it, {dead}")

    def _age(self, number: int) -> float | None:
        """Seconds since a lease was written, by the clock of the store; None where it tells no times."""
        now = f"{_FOLDER}/now-{uuid.uuid4().hex}"
        self._store.put(now, b"")
        try:
            written, latest = (_written(self._store.info(name)) for name in (self._name(number), now))
        except MissingFileError:  # given back in this moment
            return None
        finally:
            self._store.remove([now])
        return (latest - written).total_seconds() if latest is not None and written is not None else None

    def _numbers(self) -> list[int]:
        names = (name.removeprefix(f"{_FOLDER}/") for name in self._store.listed(_FOLDER))
        return sorted(int(name) for name in names if name.isdigit())

    def _holder_of(self, number: int) -> dict[str, Any]:
        try:
            value = json.loads(self._store.read_if_there(self._name(number)) or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def _said(self, beat: int) -> bytes:
        return json.dumps({**self._holder, "beat": beat}).encode()

    @staticmethod
    def _name(number: int) -> str:
        return f"{_FOLDER}/{number:05d}"


def _written(info: dict[str, Any]) -> datetime.datetime | None:
    value = next((info[name] for name in _WRITTEN if info.get(name)), None)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, (int, float)):
        value = datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    return value if isinstance(value, datetime.datetime) else None


def _machine() -> str:
    """Name what process numbers are good for: this machine since it was started, or this container of it."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _runs(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError):
        return False
    except PermissionError:
        return True
    return True
