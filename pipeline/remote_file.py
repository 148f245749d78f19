"""A file in remote storage, read as one of this machine is, a piece at a time."""

from __future__ import annotations

import io
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from augmill.pipeline.remote import RemoteStorage

PIECE = 1 << 18  # bytes that are asked for at least: a block of a plan, most often


class RemoteFile(io.RawIOBase):
    """Reads ranges of a file as they are asked for; the piece read last is kept, so that its neighbour costs nothing.

    With `ahead` the piece after it is fetched meanwhile: for reading a file once from its beginning to its end.
    """

    def __init__(self, storage: RemoteStorage, name: str, *, piece: int = PIECE, ahead: bool = False) -> None:
        super().__init__()
        self._storage, self._name, self._piece = storage, name, piece
        self.size = storage.size(name)
        self._place = 0
        self._start, self._held = 0, b""
        self._threads = ThreadPoolExecutor(1, "ahead") if ahead else None
        self._next: tuple[int, Future[bytes]] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self.size - self._place)
        if wanted <= 0:
            return 0
        if not self._start <= self._place < self._start + len(self._held):
            self._hold(self._place, max(wanted, self._piece))
        begin = self._place - self._start
        found = self._held[begin : begin + wanted]
        view[: len(found)] = found
        self._place += len(found)
        return len(found)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _hold(self, start: int, length: int) -> None:
        """Have the bytes from `start` on at hand, as many as asked for where the file has them."""
        end = min(start + length, self.size)
        if self._next is not None and self._next[0] == start:
            data = self._next[1].result()
        else:
            data = self._storage.read_range(self._name, start, end)
        self._start, self._held, self._next = start, data, None
        after = start + len(data)
        if self._threads is not None and data and after < self.size:
            reading = self._threads.submit(
                self._storage.read_range, self._name, after, min(after + self._piece, self.size)
            )
            self._next = (after, reading)
