"""A cache of version files on the local disk, shared by processes and limited in size.

CACHE/
  files/<sha256>                        a whole file; its modification time is when it was last taken into use
  files/<sha256>.<bytes>.<unique>.part  a download at work, locked by who does it
  pins/<unique>/<sha256>                files in use: see augmill.pipeline.pins
  lock                                  held for moments, by who makes room, or begins or ends a download

Names are digests alone, so that versions which share a shard share its copy, and nothing that a manifest says leads out
of the cache. Files appear by being renamed, and every lock is one that the system lets go of when a process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from augmill.pipeline.cache_room import Entry, make_room, part_name
from augmill.pipeline.download import Stream, Wanted, download
from augmill.pipeline.errors import CacheError
from augmill.pipeline.pins import Pins, sweep_pins
from augmill.pipeline.remote import StoppedError
from augmill.pipeline.units import parse_size, size_text

DEFAULT_LIMIT = 100_000_000_000  # bytes
STALLED = 150.0  # seconds in which a download that lives writes something: longer than any one answer may take
_POLL = 0.05  # seconds between looks at another's download
_DIGEST = re.compile(r"^[0-9a-f]{64}$")


@dataclass
class CacheStats:
    """What a user of the cache did to it.

    Attributes:
      hits: files taken into use that were there, or that someone else was downloading.
      misses, bytes_downloaded: files that were downloaded, and what came over the network for them, all tries counted.
      evictions, bytes_evicted: files that were removed to make room.
    """

    hits: int = 0
    misses: int = 0
    bytes_downloaded: int = 0
    evictions: int = 0
    bytes_evicted: int = 0


class Cache:
    """A cache folder; any number of threads and processes may use it at once."""

    def __init__(self, folder: str | Path | None = None, *, limit_bytes: int | None = None) -> None:
        """Open a cache, or begin one.

        Args:
          folder: AUGMILL_CACHE by default, or else augmill/ where the system keeps caches.
          limit_bytes: of all files together. AUGMILL_CACHE_LIMIT by default, like 250GB, or else 100 GB. Who has
            a lower limit than others removes their files too.

        Raises:
          CacheError: the folder cannot be written, or the limit is none.
        """
        self.folder = Path(folder) if folder is not None else default_folder()
        self.limit_bytes = _default_limit() if limit_bytes is None else limit_bytes
        if self.limit_bytes <= 0:
            raise CacheError(f"the cache's limit must be above 0 bytes, got {self.limit_bytes}")
        self.files, self._pins = self.folder / "files", self.folder / "pins"
        self.stats = CacheStats()
        self._counting = threading.Lock()
        try:
            self.files.mkdir(parents=True, exist_ok=True)
            with self._locked():
                sweep_pins(self._pins)
        except OSError as error:
            raise CacheError(
                f"cannot write to the cache {self.folder}: {error.strerror}; choose another by cache= or AUGMILL_CACHE"
            ) from error

    def pins(self) -> Pins:
        """Begin to hold files; close it when done."""
        with self._locked():
            return Pins(self._pins)

    def fetch(self, wanted: Wanted, stream: Stream, pins: Pins, stop: threading.Event) -> Path:
        """Give the path of a file with the bytes wanted, downloaded if need be; it stays there until unpinned.

        Raises:
          NoRoomError: what is in use leaves no room for it now.
          CacheError: it will never fit, or the disk is full.
          VersionError, DownloadError, StoppedError: as `download` has them.
        """
        if not _DIGEST.match(wanted.sha256):
            raise CacheError(f"{wanted.where} has no SHA-256 of 64 hex digits in the manifest: {wanted.sha256!r}")
        if wanted.bytes > self.limit_bytes:
            raise CacheError(
                f"{wanted.where} has {size_text(wanted.bytes)}, and the cache {self.folder} may hold no more than "
                f"{size_text(self.limit_bytes)}; raise cache_limit= or AUGMILL_CACHE_LIMIT"
            )
        while True:
            there = self._pin(wanted, pins)
            if there is not None:
                self._count(hits=1)
                return there
            part = self._begin(wanted)
            if part is not None:
                try:
                    return self._fill(wanted, stream, pins, stop, *part)
                except OSError as error:
                    raise CacheError(f"cannot write to the cache {self.folder}: {error.strerror or error}") from error
            if stop.wait(_POLL):
                raise StoppedError

    def usage(self) -> tuple[int, int]:
        """How many files the cache holds and how many bytes, what is being downloaded included."""
        with self._locked():
            entries = list(self._entries())
        return len(entries), sum(entry.bytes for entry in entries)

    def _pin(self, wanted: Wanted, pins: Pins) -> Path | None:
        path = self.files / wanted.sha256
        pin = pins.add(path, wanted.sha256)
        if pin is None:
            return None
        if pin.stat().st_size != wanted.bytes:  # a power cut, or someone's hand
            path.unlink(missing_ok=True)
            pins.remove(wanted.sha256)
            return None
        with contextlib.suppress(PermissionError):
            os.utime(pin)
        return pin

    def _begin(self, wanted: Wanted) -> tuple[BinaryIO, Path] | None:
        """Begin a download, unless another is at work on it or has just ended."""
        with self._locked():
            if self._is_downloaded(wanted.sha256) or (self.files / wanted.sha256).exists():
                return None
            sweep_pins(self._pins)
            evicted = make_room(self.folder, list(self._entries()), wanted, self.limit_bytes)
            self._count(evictions=len(evicted), bytes_evicted=sum(evicted))
            path = self.files / part_name(wanted, uuid.uuid4().hex)
            file = path.open("xb")
            fcntl.flock(file, fcntl.LOCK_EX)
            return file, path

    def _is_downloaded(self, digest: str) -> bool:
        """Tell whether some process is at work on a file; remove the parts of those that have died."""
        parts = [part for part in self.files.glob(f"{digest}.*.part") if _lives(part)]
        return any(_age(part) < STALLED for part in parts)

    def _fill(
        self, wanted: Wanted, stream: Stream, pins: Pins, stop: threading.Event, file: BinaryIO, path: Path
    ) -> Path:
        try:
            with file:
                received = download(wanted, stream, file, stop)
                with self._locked():  # or who looks through the folder sees the file twice, or not at all
                    pin = pins.add(path, wanted.sha256)  # before it has its name, and may be evicted
                    path.replace(self.files / wanted.sha256)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        assert pin is not None, "nobody removes a part whose lock is held"
        self._count(misses=1, bytes_downloaded=received)
        return pin

    def _entries(self) -> Iterator[Entry]:
        """What there is; hold the lock, or a download that begins looks like one that has died."""
        for found in os.scandir(self.files):
            path = Path(found.path)
            if path.suffix == ".part" and not _lives(path):
                continue
            with contextlib.suppress(FileNotFoundError):
                yield Entry.of(path, path.stat())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _count(self, **more: int) -> None:
        with self._counting:
            for name, count in more.items():
                setattr(self.stats, name, getattr(self.stats, name) + count)


def default_folder() -> Path:
    """Where the cache is by default: AUGMILL_CACHE, or augmill/ in XDG_CACHE_HOME, or ~/.cache/augmill."""
    chosen = os.environ.get("AUGMILL_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "augmill"


def _default_limit() -> int:
    text = os.environ.get("AUGMILL_CACHE_LIMIT")
    if not text:
        return DEFAULT_LIMIT
    try:
        return parse_size(text)
    except ValueError as error:
        raise CacheError(f"AUGMILL_CACHE_LIMIT: {error}") from error


def _lives(part: Path) -> bool:
    """Tell whether a part's download goes on; remove it where its process has died."""
    try:
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # finished in this moment
    part.unlink(missing_ok=True)
    return False


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
