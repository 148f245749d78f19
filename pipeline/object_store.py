"""Remote storage that is written to: whole objects at their final names, each of which appears whole or not at all."""

from __future__ import annotations

import contextlib
import inspect
import uuid
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from augmill.pipeline.errors import FileStandsError, MissingFileError, VersionError
from augmill.pipeline.remote import RemoteStorage
from augmill.pipeline.remote_errors import retried

AT_ONCE = 16  # requests for small objects, at the same time
_SLOWEST = 1 << 20  # bytes a second: an upload that is slower is given up, and tried again
_PART = 16 << 20  # bytes of an object that are in memory at once, and sent with one request
_PARTS_AT_ONCE = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


class ObjectStore(RemoteStorage):
    """A folder behind a URL, to be written to. A lost connection or a busy server is borne as in reading."""

    def put(self, name: str, data: bytes, *, new: bool = False) -> bool:
        """Write a small object.

        Args:
          name: of the object.
          data: all of it.
          new: leave an object of this name as it is; its precondition goes with the request, where the store has one.

        Returns:
          Whether it was written, which without `new` it always is.
        """
        return self._put(
            name,
            lambda fs, path, mode: fs._pipe_file(path, data, **mode),
            lambda fs, path, mode: fs.pipe_file(path, data, **mode),
            new=new,
        )

    def put_file(self, name: str, path: str, size: int, *, new: bool = False) -> bool:
        """Write a file of this machine to an object, by parts where it is large; otherwise as `put`."""
        return self._put(
            name,
            lambda fs, to, mode: fs._put_file(path, to, **mode, **_parts(fs)),
            lambda fs, to, mode: fs.put_file(path, to, **mode),
            new=new,
            size=size,
        )

    def _put(
        self,
        name: str,
        put: Callable[[Any, str, dict[str, str]], Coroutine[Any, Any, Any]],
        put_plainly: Callable[[Any, str, dict[str, str]], Any],
        *,
        new: bool,
        size: int = 0,
    ) -> bool:
        mode = self._mode(new)
        if new and not mode and self.has(name):
            return False
        try:
            retried(
                lambda: self._asked(
                    name,
                    lambda fs, path: put(fs, path, mode),
                    lambda fs, path: put_plainly(_made(fs, path), path, mode),
                    doing="written",
                    timeout=self._timeout + size / _SLOWEST,
                )
            )
        except FileStandsError:
            return False
        return True

    def _mode(self, new: bool) -> dict[str, str]:
        """How the file system is told that an object must be a new one: by the `mode` that most of them know."""
        try:
            fs, _ = self._file("")
        except ImportError:  # which is told of by what is asked next
            return {}
        put = fs._pipe_file if getattr(fs, "async_impl", False) else fs.pipe_file
        return {"mode": "create"} if new and "mode" in inspect.signature(put).parameters else {}

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no matter."""

        def remove(name: str) -> None:
            with contextlib.suppress(MissingFileError):
                retried(
                    lambda: self._asked(
                        name, lambda fs, path: fs._rm_file(path), lambda fs, path: fs.rm_file(path), doing="removed"
                    )
                )

        at_once(remove, names)

    def read_if_there(self, name: str) -> bytes | None:
        """Read an object whole; None where there is none."""
        try:
            return self.read_bytes(name)
        except MissingFileError:
            return None

    def check_writable(self) -> bool:
        """Write an object, and remove it.

        Returns:
          Whether the store keeps to the condition that there be no object of the name yet.

        Raises:
          VersionError: the package is missing, there is no such bucket, or it may not be written to.
          DownloadError: the storage does not answer.
        """
        name = f"probe-{uuid.uuid4().hex}"
        try:
            self.put(name, b"probe")
        except MissingFileError as error:
            raise VersionError(f"{self.location} cannot be written{self.hint or ': there is no such place'}") from error
        kept = not self.put(name, b"probe again", new=True)
        self.remove([name])
        return kept


def at_once(act: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do some requests at the same time; give their results in order, or raise what the first that fails does."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(act, items))


def _parts(fs: Any) -> dict[str, int]:
    """Have large objects sent by parts of which few are in memory, where the file system can be told."""
    known = inspect.signature(fs._put_file).parameters
    wanted = {"chunksize": _PART, "max_concurrency": _PARTS_AT_ONCE}
    return {name: value for name, value in wanted.items() if name in known}


def _made(fs: Any, path: str) -> Any:
    """A file system that has folders, with the one that a path needs."""
    fs.makedirs(fs._parent(path), exist_ok=True)
    return fs
