"""Prefetching: a few files at a time are made ready in the background, in the order in which they will be asked for."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from augmill.pipeline.cache_room import NoRoomError
from augmill.pipeline.remote import StoppedError

_THREADS = 4
_PATIENCE = 1.0  # seconds until a file that found no room is tried again, if nothing is given free before


class Prefetcher:
    """Makes files ready ahead of who asks for them.

    At most `ahead` files are ready, or being made so, that nobody has asked for yet: however many names it is told,
    neither the network nor the disk is filled with what is needed much later. The threads are daemons, so that an
    interpreter that ends waits for none of them.
    """

    def __init__(self, make_ready: Callable[[str], object], *, ahead: int) -> None:
        """Prepare; threads begin with the first names.

        Args:
          make_ready: called for one name at a time, by several threads.
          ahead: files.
        """
        self._make_ready = make_ready
        self._ahead = ahead
        self._queue: deque[str] = deque()
        self._at_work: set[str] = set()
        self._ready: dict[str, None] = {}  # in the order in which they became so
        self._failed: dict[str, Exception] = {}
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._pauses = 0
        self._closed = False

    def want(self, names: Iterable[str]) -> None:
        """Add names to those that will be asked for, in this order, after those that were added before."""
        with self._changed:
            known = {*self._queue, *self._at_work, *self._ready, *self._failed}
            self._queue.extend(name for name in dict.fromkeys(names) if name not in known)
            if self._queue and not self._threads and self._ahead and not self._closed:
                for number in range(min(_THREADS, self._ahead)):
                    thread = threading.Thread(target=self._work, name=f"augmill-prefetch-{number}", daemon=True)
                    self._threads.append(thread)
                    thread.start()
            self._changed.notify_all()

    def take(self, name: str) -> bool:
        """Take a file over, which waits for it if it is being made ready.

        Returns:
          Whether it is ready; if not, it is the caller's to get.

        Raises:
          Whatever making it ready raised; the next time it is tried anew.
        """
        with self._changed:
            while name in self._at_work and not self._closed:
                self._changed.wait()
            if name in self._queue:
                self._queue.remove(name)
            ready = name in self._ready
            self._ready.pop(name, None)
            error = self._failed.pop(name, None)
            self._changed.notify_all()
        if error is not None:
            raise error
        return ready

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Begin nothing new meanwhile: somebody waits for the room."""
        with self._changed:
            self._pauses += 1
        try:
            yield
        finally:
            with self._changed:
                self._pauses -= 1
                self._changed.notify_all()

    def give_up_last(self) -> str | None:
        """Put the file that became ready last back in the queue, to make room; return its name."""
        with self._changed:
            if not self._ready:
                return None
            name, _ = self._ready.popitem()
            self._queue.appendleft(name)
            return name

    @property
    def busy(self) -> bool:
        """Whether a file is being made ready."""
        return bool(self._at_work)

    def close(self, timeout: float | None = None) -> None:
        """End the threads; what they were at is to be broken off by who made it."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():  # where the garbage collector closes what nobody did
                thread.join(timeout)

    def _next(self) -> str | None:
        """Wait until there is something to do, and say what; None at the end."""
        with self._changed:
            while not self._closed:
                if self._queue and not self._pauses and len(self._at_work) + len(self._ready) < self._ahead:
                    name = self._queue.popleft()
                    self._at_work.add(name)
                    return name
                self._changed.wait()
            return None

    def _work(self) -> None:
        while (name := self._next()) is not None:
            error: Exception | None = None
            try:
                self._make_ready(name)
            except StoppedError:
                continue
            except Exception as caught:
                error = caught
            with self._changed:
                self._at_work.discard(name)
                if isinstance(error, NoRoomError):
                    self._queue.appendleft(name)
                    self._changed.notify_all()
                    self._changed.wait(_PATIENCE)
                    continue
                if error is None:
                    self._ready[name] = None
                else:
                    self._failed[name] = error
                self._changed.notify_all()
