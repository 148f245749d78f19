"""One file's download: whole and with the right digest, or an error that says what came instead."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from augmill.pipeline.errors import VersionError
from augmill.pipeline.remote import StoppedError
from augmill.pipeline.remote_errors import retried

Stream = Callable[[], Iterator[bytes]]


class Wanted(NamedTuple):
    """A file as the manifest has it.

    Attributes:
      where: its location, for messages.
      sha256, bytes: what must come.
    """

    where: str
    sha256: str
    bytes: int


def download(wanted: Wanted, stream: Stream, file: BinaryIO, stop: threading.Event) -> int:
    """Write what a stream gives to a file, from the file's beginning; check size and digest on the way.

    A lost connection is tried again some times, a wrong digest or a short file once: bytes may be damaged on the way,
    but more often the object is not what it was.

    Args:
      stream: begins the file anew each time it is called.
      stop: when set, breaks the download off.

    Returns:
      The bytes that were received, in all tries.

    Raises:
      VersionError: there is no such file, it may not be read, or its bytes are not those of the manifest.
      DownloadError: the storage did not answer, or not to the end.
      StoppedError: `stop` was set.
    """
    received = 0

    def attempt() -> tuple[int, str]:
        nonlocal received
        file.seek(0)
        file.truncate()
        size, digest = 0, hashlib.sha256()
        for chunk in stream():
            received += len(chunk)
            size += len(chunk)
            digest.update(chunk)
            file.write(chunk)
            file.flush()  # its time tells others that the download goes on
            if stop.is_set():
                raise StoppedError
            if size > wanted.bytes:
                break
        return size, digest.hexdigest()

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise StoppedError

    for _ in range(2):
        size, digest = retried(attempt, pause)
        if (size, digest) == (wanted.bytes, wanted.sha256):
            return received
    found = f"more than {wanted.bytes:,}" if size > wanted.bytes else f"{size:,}"
    raise VersionError(
        f"{wanted.where}: expected {wanted.bytes:,} bytes with sha256 {wanted.sha256[:12]}..., found {found} bytes "
        f"with {digest[:12]}...; it is not what was published, and `augmill verify` tells what else is not"
    )
