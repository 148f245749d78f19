"""The locks of a build's folder: one launcher builds, and no worker of a build that was killed still writes."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from augmill.pipeline.errors import BuildError

_PATIENT = 0.1  # seconds between two looks at whether the workers of a killed build are gone
_PATIENCE = 100  # looks


class BuildLock:
    """Two files that processes lock, of which the system lets go however a process ends.

    Args:
      folder: of the build; it holds `lock`, the launcher's, and `at-work`, shared by all processes that write blocks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock, self._at_work = folder / "lock", folder / "at-work"
        self.files = (self._lock, self._at_work)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the build.

        Raises:
          BuildError: another build of the same version holds it, or the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._lock.open("a")
        except OSError as error:
            raise BuildError(
                f"cannot write to {self._folder.parent}: {error.strerror}; choose another --output"
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BuildError(f"another build is at work in {self._folder}; wait for it, or stop it first") from None
            self._wait_for_workers()
            yield

    def enter(self) -> BinaryIO:
        """Say that this process may write here, until it ends or the file that it is given is closed.

        Where the file system has no locks, nothing is said.
        """
        file = self._at_work.open("ab")
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)
        return file

    def _wait_for_workers(self) -> None:
        with self._at_work.open("a") as file:
            for _ in range(_PATIENCE):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(_PATIENT)
                except OSError:
                    return  # no locks here
                else:
                    return
        raise BuildError(
            f"the launcher of the build in {self._folder} is gone, and a worker of it still writes there: end it "
            f"(`fuser {self._at_work}` tells its number), and run the same command again"
        )
