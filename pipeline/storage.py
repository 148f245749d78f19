"""Where a version's files are: a folder of this machine here, or anything else that `augmill.pipeline.remote` reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from augmill.pipeline.errors import VersionError

_URL = re.compile(r"^[a-z][a-z0-9+.-]*(::[a-z0-9+.-]+)*://", re.IGNORECASE)
_COLLAPSED_URL = re.compile(r"^[a-z][a-z0-9+.-]+:/[^/]", re.IGNORECASE)  # what pathlib makes of one
_CHUNK = 1 << 20


class Storage(Protocol):
    """The files of one folder, by names relative to it; all reading."""

    location: str  # the folder, for messages

    @property
    def hint(self) -> str:
        """What may be wrong where the folder has not the file that it should: a clause, or nothing."""

    def read_bytes(self, name: str) -> bytes:
        """Read a file whole."""

    def stream(self, name: str, size: int) -> Iterator[bytes]:
        """Read a file in pieces; `size` is how many bytes are expected. A longer file yields at least one byte more."""

    def has(self, name: str) -> bool:
        """Tell whether there is such a file."""

    def entries(self) -> list[str]:
        """The names of what is directly in the folder."""

    def names(self) -> set[str] | None:
        """The names of all files at any depth; None where that cannot be known."""


def is_url(location: str | Path) -> bool:
    """Tell a URL from a path.

    >>> is_url("gs://bucket/flowers/1.0.0"), is_url("data/flowers/1.0.0"), is_url("C:/data")
    (True, False, False)
    """
    return isinstance(location, str) and bool(_URL.match(location))


def open_storage(location: str | Path, storage_options: Mapping[str, Any] | None = None) -> Storage:
    """The storage at a path or a URL; nothing is read yet.

    Raises:
      VersionError: there is nothing that reads such a URL, or options are given for a path, which takes none.
    """
    if is_url(location):
        from augmill.pipeline.remote import RemoteStorage

        return RemoteStorage(str(location), storage_options)
    if storage_options:
        raise VersionError(f"storage_options are for URLs, and {location} is a path")
    return LocalStorage(Path(location))


def safe_name(name: str) -> str:
    """Return the name of a file of a version, if it stays within the version's folder whatever it is joined to.

    Raises:
      ValueError: it is absolute, or climbs out of the folder, or says otherwise than the files do where it leads.
    """
    parts = PurePosixPath(name).parts
    plain = "/".join(parts) == name and not name.startswith("/") and ".." not in parts
    if not plain or not parts or any(sign in name for sign in "\\:\0"):
        raise ValueError(
            f"{name!r} is no name within a version: it must be like a/b, without .., \\ and :, and not absolute"
        )
    return name


class LocalStorage:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)

    @property
    def hint(self) -> str:
        collapsed = _COLLAPSED_URL.match(self.location) and not self.root.exists()
        return "; give a URL as a str: a Path loses one of its slashes" if collapsed else ""

    def read_bytes(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def stream(self, name: str, size: int) -> Iterator[bytes]:
        with (self.root / name).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def has(self, name: str) -> bool:
        return (self.root / name).is_file()

    def entries(self) -> list[str]:
        try:
            return [path.name for path in self.root.iterdir()]
        except OSError as error:
            raise VersionError(f"{self.root} cannot be read: {error.strerror}") from error

    def names(self) -> set[str] | None:
        return {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
