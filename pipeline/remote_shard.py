"""Objects of a version that are put into a store once, and never written over; and shards, which are such objects."""

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


def put_once(
    store: ObjectStore, name: str, sha256: str, size: int, put: Callable[[bool], bool], is_current: Callable[[], bool]
) -> None:
    """Put an object that belongs to a version at its final name.

    What stands there already is left where it has the same bytes: another worker was given the same block, or the
    answer to a put was lost. Where it has other bytes, a worker of a build that has been given up put them there, and
    they make way; but nothing is ever written over what a build that took over from this one has put.

    Args:
      store, name: where it goes.
      sha256, size: of its bytes.
      put: puts it, if given True only as a new object; tells whether it did.
      is_current: tells whether this build has not been given up.

    Raises:
      VersionError: it is another build's place by now.
    """
    if put(True):
        return

    def standing() -> str:
        digest = hashlib.sha256()
        for piece in store.stream(name, size):
            digest.update(piece)
        return digest.hexdigest()

    if retried(standing) != sha256:
        if not is_current():
            raise VersionError(f"{store.location}/{name} is another build's, which took over from this one")
        put(False)


class RemoteShardWriter(RecordWriter):
    """Writes one shard to a file without a name here, and then puts its index and it into an object store."""

    def __init__(self, store: ObjectStore, name: str, is_current: Callable[[], bool]) -> None:
        """Begin a shard of the version in `store`; the rest is as `put_once` has it."""
        self._store, self._is_current = store, is_current
        unnamed = _OPEN_FILES.is_dir()  # so that nothing is left of it, however this process ends
        self._temporary = tempfile.TemporaryFile() if unnamed else tempfile.NamedTemporaryFile()  # noqa: SIM115
        self._path = str(_OPEN_FILES / str(self._temporary.fileno())) if unnamed else str(self._temporary.name)
        super().__init__(name, self._temporary)  # type: ignore[arg-type]

    def _place(self, index: bytes) -> None:
        self._file.flush()
        store, index_name, size = self._store, f"index/{self.name}.npy", self._offsets[-1]
        put_once(
            store,
            index_name,
            hashlib.sha256(index).hexdigest(),
            len(index),
            lambda new: store.put(index_name, index, new=new),
            self._is_current,
        )
        put_once(
            store,
            self.name,
            self._digest.hexdigest(),
            size,
            lambda new: store.put_file(self.name, self._path, size, new=new),
            self._is_current,
        )
        self._file.close()
