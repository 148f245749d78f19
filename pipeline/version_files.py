"""The files of an open version by name: where they are on this machine, or through the cache."""

from __future__ import annotations

import contextlib
import fcntl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from augmill.pipeline.cache import Cache, CacheStats
from augmill.pipeline.cache_room import NoRoomError
from augmill.pipeline.download import Wanted
from augmill.pipeline.errors import VersionError
from augmill.pipeline.holdings import Holdings
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.prefetch import Prefetcher
from augmill.pipeline.remote import RemoteStorage

AHEAD = 4  # files
_PATIENCE = 60.0  # seconds to wait for others to give files back, where those leave no room
_LOOK = 0.05  # seconds between looks at that
_LAST_WAIT = 2.0  # seconds for a thread at the interpreter's end


class VersionFiles:
    """The files of a version on this machine; the base of both kinds, and all of it for a local version.

    Threads may share one, and a process that is forked off may go on using it.
    """

    stats: CacheStats | None = None  # None where there is no cache

    def __init__(self, root: Path, known: Iterable[str]) -> None:
        self._root = root
        self._names = frozenset(known)
        self._reading: BinaryIO | None = None
        with contextlib.suppress(OSError):  # a version elsewhere, or a file system without locks
            self._reading = (root / MANIFEST).open("rb")
            fcntl.flock(self._reading, fcntl.LOCK_SH | fcntl.LOCK_NB)  # whoever collects versions leaves this one

    def local_path(self, name: str) -> Path:
        """Give the path of a file, which stays there until `release` or `close`.

        Args:
          name: as in the manifest: a shard, an index/....npy, or another of its files.

        Raises:
          VersionError: the version has no such file, or it is not what the manifest says.
          DownloadError: it could not be downloaded, though it was tried some times.
          CacheError: the cache has no room for it.
        """
        return self._root / self._checked(name)

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[Path]:
        """Give the path of a file for as long as the block takes; what is opened in it may be read on after it."""
        yield self.local_path(name)

    def prefetch(self, names: Iterable[str]) -> None:
        """Have files made ready in the background, a few at a time, in the order in which they will be asked for.

        Errors are raised where the file is asked for.
        """
        for name in names:
            self._checked(name)

    def release(self, name: str) -> None:
        """Say that a path from `local_path` is no longer needed; a file that is open can be read on."""
        self._checked(name)

    def close(self) -> None:
        """End what goes on in the background, and release all."""
        if self._reading is not None:
            self._reading.close()

    def _checked(self, name: str) -> str:
        if name not in self._names:
            raise VersionError(f"the manifest has no file {name!r}")
        return name

    def __enter__(self) -> VersionFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class CachedFiles(VersionFiles):
    """The files of a remote version, each downloaded when it is first asked for, or before, and then kept."""

    def __init__(
        self, storage: RemoteStorage, known: Mapping[str, Wanted], cache: Cache, *, ahead: int = AHEAD
    ) -> None:
        """Open them; nothing is downloaded yet.

        Args:
          storage: where they are.
          known: each of them, as the manifest has it.
          cache: where they are kept.
          ahead: how many prefetched files there may be that have not been asked for.
        """
        super().__init__(Path(storage.location), known)
        self._storage, self._known, self._cache, self._ahead = storage, known, cache, ahead
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._kept: set[str] = set()
        self._keeping = threading.Lock()
        self._holdings = Holdings(self._storage, self._known, self._cache)
        self._prefetcher = Prefetcher(self._holdings.take, ahead=self._ahead)
        self.stats = self._cache.stats
        self._end = weakref.finalize(self, _end, self._holdings, self._prefetcher, _LAST_WAIT)

    def local_path(self, name: str) -> Path:
        self._check(name)
        with self._keeping:
            if name in self._kept:
                return self._holdings.path(name)
        path = self._take(name)
        with self._keeping:
            if name in self._kept:  # by another thread meanwhile
                self._holdings.give_back(name)
            self._kept.add(name)
        return path

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[Path]:
        self._check(name)
        path = self._take(name)
        try:
            yield path
        finally:
            self._holdings.give_back(name)

    def prefetch(self, names: Iterable[str]) -> None:
        names = list(names)
        for name in names:
            self._check(name)
        with self._keeping:
            wanted = [name for name in names if name not in self._kept]
        self._prefetcher.want(wanted)

    def release(self, name: str) -> None:
        self._check(name)
        with self._keeping:
            if name in self._kept:
                self._kept.remove(name)
                self._holdings.give_back(name)

    def close(self) -> None:
        self._closed = True
        self._end.detach()
        _end(self._holdings, self._prefetcher, None)

    def _check(self, name: str) -> None:
        if self._closed:
            raise ValueError("the files of this version are closed")
        if self._holdings.forked:
            self._start()
        self._checked(name)

    def _take(self, name: str) -> Path:
        if self._prefetcher.take(name):
            return self._holdings.path(name)
        try:
            return self._holdings.take(name)
        except NoRoomError:
            with self._prefetcher.paused():
                return self._take_when_there_is_room(name)

    def _take_when_there_is_room(self, name: str) -> Path:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._holdings.take(name)
            except NoRoomError:
                given_up = self._prefetcher.give_up_last()
                if given_up is not None:
                    self._holdings.give_back(given_up)
                elif time.monotonic() > deadline or self._is_hopeless(name):
                    raise
                else:
                    time.sleep(_LOOK)

    def _is_hopeless(self, name: str) -> bool:
        """Whether the paths that were asked for and not released leave no room, whatever others do."""
        if self._prefetcher.busy:
            return False
        with self._keeping:
            kept = {self._known[one].sha256: self._known[one].bytes for one in self._kept}
        return sum(kept.values()) + self._known[name].bytes > self._cache.limit_bytes


def _end(holdings: Holdings, prefetcher: Prefetcher, wait: float | None) -> None:
    if holdings.forked:  # its threads are the parent's
        return
    holdings.stop.set()
    prefetcher.close(wait)
    holdings.close()
