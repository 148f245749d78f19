"""The job's log: what its processes print, kept as far as the disk takes it."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 16


class JobLog:
    """A pipe for processes to print to, and a thread that writes what comes to a file.

    Processes that printed to the file themselves would fail at it where the disk is full, within whatever they were
    doing: Beam's workers then never say that their bundle failed, and the job waits for ever.
    """

    def __init__(self) -> None:
        reads, self.writes = os.pipe()  # the end for the processes
        self._printed: BinaryIO = os.fdopen(reads, "rb", buffering=0)
        self._thread: threading.Thread | None = None

    def write_to(self, path: Path) -> None:
        """Begin to write what has been printed, and what will be.

        Raises:
          OSError: the file cannot be opened.
        """
        self._thread = threading.Thread(target=self._copy, args=(path.open("ab", buffering=0),), daemon=True)
        self._thread.start()

    def _copy(self, file: BinaryIO) -> None:
        with file:
            while chunk := self._printed.read(_CHUNK):
                with contextlib.suppress(OSError):  # full: the rest is read all the same
                    file.write(chunk)

    def started(self) -> None:
        """Let go of the processes' end, once there is one that has it."""
        os.close(self.writes)

    def close(self) -> None:
        """Wait for the rest, once all processes have ended."""
        if self._thread is not None:
            self._thread.join(timeout=5)
        else:
            self._printed.close()
