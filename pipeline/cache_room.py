"""Room in the cache: what there is, what is needed, and who goes first."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from augmill.pipeline.download import Wanted
from augmill.pipeline.errors import CacheError
from augmill.pipeline.pins import in_use
from augmill.pipeline.units import size_text

_PART = ".part"


class NoRoomError(CacheError):
    """There will be room when some of what is in use is given free."""


class Entry(NamedTuple):
    """A file of the cache, or one that is being downloaded, which counts with the size that it will have.

    Attributes:
      bytes: its size.
      missing: how much of that is not on the disk yet.
      used: when it was last taken into use, in ns.
      fixed: whether it must stay.
    """

    path: Path
    bytes: int
    missing: int
    used: int
    fixed: bool

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Entry:
        if path.suffix == _PART:
            size = int(path.name.split(".")[1])
            return cls(path, size, max(0, size - status.st_size), status.st_mtime_ns, fixed=True)
        return cls(path, status.st_size, 0, status.st_mtime_ns, fixed=in_use(status))


def part_name(wanted: Wanted, unique: str) -> str:
    """Name a file that is being downloaded: its size is in the name, and so is reserved from the start."""
    return f"{wanted.sha256}.{wanted.bytes}.{unique}{_PART}"


def make_room(folder: Path, entries: Sequence[Entry], wanted: Wanted, limit_bytes: int) -> list[int]:
    """Remove the least recently used files until one more fits into the limit and onto the disk.

    Hold the cache's lock meanwhile. Nothing is removed where all that may go would not be enough.

    Returns:
      The sizes of what was removed.

    Raises:
      NoRoomError: what is in use leaves no room.
    """
    held = sum(entry.bytes for entry in entries)
    free = shutil.disk_usage(folder).free - sum(entry.missing for entry in entries)
    short = max(held + wanted.bytes - limit_bytes, wanted.bytes - free)
    if short <= 0:
        return []
    free_to_go = sorted((entry for entry in entries if not entry.fixed), key=lambda entry: (entry.used, entry.path))
    if sum(entry.bytes for entry in free_to_go) < short:
        raise NoRoomError(_no_room(folder, entries, wanted, limit_bytes, free))
    removed: list[int] = []
    for entry in free_to_go:
        if sum(removed) >= short:
            break
        with contextlib.suppress(FileNotFoundError):
            entry.path.unlink()
            removed.append(entry.bytes)
    return removed


def _no_room(folder: Path, entries: Sequence[Entry], wanted: Wanted, limit_bytes: int, free: int) -> str:
    used = sum(entry.bytes for entry in entries if entry.fixed)
    what = f"{wanted.where} has {size_text(wanted.bytes)}, and of the cache {folder} {size_text(used)} are in use"
    if used + wanted.bytes > limit_bytes:
        return f"{what} and it may hold {size_text(limit_bytes)}; raise cache_limit= or AUGMILL_CACHE_LIMIT"
    return f"{what} and its disk has {size_text(max(0, free))} left; make room there or choose another by AUGMILL_CACHE"
