"""Pins: cached files in use, which no process removes.

A pin is a hard link to the cached file, in a folder of the user's own within the cache, and that link is what is handed
out. Whatever happens to the cached file's name, the link keeps the bytes; and a file with more links than one is in
use, so that eviction passes over it, which would free no room anyway. There is no moment in between to lose: to link is
one step, and it fails where the file is gone. A lock on the folder, which the system lets go of when the process ends,
tells a folder in use from one that a crash left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from pathlib import Path

from augmill.pipeline.errors import CacheError

_ALIVE = "alive"


class Pins:
    """The files that one user, of which a process may have several, holds."""

    def __init__(self, folder: Path) -> None:
        """Make a folder for the pins in `folder`; hold the cache's lock meanwhile."""
        self._folder = folder / uuid.uuid4().hex
        self._folder.mkdir(parents=True)
        self._alive = (self._folder / _ALIVE).open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)

    def add(self, file: Path, digest: str) -> Path | None:
        """Pin a file and return the path to read it by; None where it is gone.

        Raises:
          CacheError: the file system has no hard links.
        """
        pin = self._folder / digest
        try:
            pin.hardlink_to(file)
        except FileExistsError:
            return pin
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CacheError(
                f"{file} cannot be linked to: {error.strerror}; a cache needs a file system with hard links and files "
                "that are all of one user: choose another folder by cache= or AUGMILL_CACHE"
            ) from error
        return pin

    def path(self, digest: str) -> Path | None:
        """The path of a file that is pinned already."""
        pin = self._folder / digest
        return pin if pin.exists() else None

    def remove(self, digest: str) -> None:
        """Give a file free; who has it open can go on reading."""
        (self._folder / digest).unlink(missing_ok=True)

    def bytes(self) -> int:
        """How much is pinned."""
        return sum(path.stat().st_size for path in self._folder.iterdir() if path.name != _ALIVE)

    def close(self) -> None:
        """Give all free."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._alive.close()


def sweep_pins(folder: Path) -> None:
    """Remove the pins of processes that have ended without doing so; hold the cache's lock meanwhile."""
    for left in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError), (left / _ALIVE).open() as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)


def in_use(status: os.stat_result) -> bool:
    """Tell whether anyone has pinned the file of this status."""
    return status.st_nlink > 1
