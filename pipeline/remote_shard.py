"""A shard that is written here, to a file without a name, and then put into an object store."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from augmill.pipeline.errors import VersionError
from augmill.pipeline.object_store import ObjectStore
from augmill.pipeline.remote_errors import retried
from augmill.pipeline.shard import RecordWriter

_OPEN_FILES = Path("/proc/self/fd")  # names for files without one, where the system has such


class RemoteShardWriter(RecordWriter):
    """Writes one shard and its index to an object store, each with one put of a new object at its final name.

    What stands already is left where it has the same bytes: another worker was given the same block, or the answer to
    a put was lost. Where it has other bytes, a worker of a build that has been given up put them there, and they make
    way; but nothing is ever written over what a build that took over from this one has put.
    """

    def __init__(self, store: ObjectStore, name: str, is_current: Callable[[], bool]) -> None:
        """Begin a shard.

        Args:
          store: the folder of the version.
          name: of the shard.
          is_current: tells whether this build has not been given up.
        """
        self._store, self._is_current = store, is_current
        unnamed = _OPEN_FILES.is_dir()  # so that nothing is left of it, however this process ends
        self._temporary = tempfile.TemporaryFile() if unnamed else tempfile.NamedTemporaryFile()  # noqa: SIM115
        self._path = str(_OPEN_FILES / str(self._temporary.fileno())) if unnamed else str(self._temporary.name)
        super().__init__(name, self._temporary)  # type: ignore[arg-type]

    def _place(self, index: bytes) -> None:
        self._file.flush()
        index_name = f"index/{self.name}.npy"
        if not self._store.put(index_name, index, new=True):
            self._settle(
                index_name,
                hashlib.sha256(index).hexdigest(),
                len(index),
                lambda: self._store.put(index_name, index),
            )
        size = self._offsets[-1]
        if not self._store.put_file(self.name, self._path, size, new=True):
            self._settle(
                self.name,
                self._digest.hexdigest(),
                size,
                lambda: self._store.put_file(self.name, self._path, size),
            )
        self._file.close()

    def _settle(self, name: str, sha256: str, size: int, put: Callable[[], object]) -> None:
        """Decide between what stands at a name and what was to be put there."""

        def standing() -> str:
            digest = hashlib.sha256()
            for piece in self._store.stream(name, size):
                digest.update(piece)
            return digest.hexdigest()

        if retried(standing) != sha256:
            if not self._is_current():
                raise VersionError(f"{self._store.location}/{name} is another build's, which took over from this one")
            put()
