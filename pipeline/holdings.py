"""What an open version has in use of the cache, counted by file: pinned while anyone uses it."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from augmill.pipeline.cache import Cache
from augmill.pipeline.download import Wanted
from augmill.pipeline.remote import RemoteStorage


class Holdings:
    """The files in use; threads may take and give back at once."""

    def __init__(self, storage: RemoteStorage, known: Mapping[str, Wanted], cache: Cache) -> None:
        self.cache, self.known = cache, known
        self.stop = threading.Event()
        self._storage = storage
        self._pins = cache.pins()
        self._uses: Counter[str] = Counter()  # by digest: files of different names may be equal
        self._lock = threading.Lock()
        self._process = os.getpid()

    def take(self, name: str) -> Path:
        """Have one use more of a file; download it where it is not in the cache. Raises what `Cache.fetch` does."""
        wanted = self.known[name]
        with self._lock:  # counted first, so that nobody unpins it meanwhile
            self._uses[wanted.sha256] += 1
        try:
            there = self._pins.path(wanted.sha256)
            return there or self.cache.fetch(wanted, self._stream(name, wanted), self._pins, self.stop)
        except BaseException:
            self.give_back(name)
            raise

    def give_back(self, name: str) -> None:
        """Have one use less; after the last one the cache may remove the file."""
        digest = self.known[name].sha256
        with self._lock:
            self._uses[digest] -= 1
            if self._uses[digest] == 0:
                del self._uses[digest]
                self._pins.remove(digest)

    def path(self, name: str) -> Path:
        """The path of a file in use."""
        there = self._pins.path(self.known[name].sha256)
        assert there is not None, "a file in use is pinned"
        return there

    @property
    def forked(self) -> bool:
        """Whether this process was forked off from the one that holds the files."""
        return self._process != os.getpid()

    def close(self) -> None:
        """Give all back."""
        self._pins.close()

    def _stream(self, name: str, wanted: Wanted) -> Callable[[], Iterator[bytes]]:
        return lambda: self._storage.stream(name, wanted.bytes, stop=self.stop)
