"""LATEST: which version the dataset's own name means.

`ROOT/name/LATEST` holds the number of a published version. A publication writes it where the new number is the highest:
a patch of an older version does not become what everyone loads. A person may write an older number into it, which then
stands until a higher one is published. Where it is missing, or names what is not published, the highest number that is
published counts; to find that takes a listing, which web servers do not offer.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from augmill.pipeline.errors import MissingFileError, VersionError
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.storage import LocalStorage, Storage

LATEST = "LATEST"
_NUMBER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_MOST_BYTES = 100  # of a file that holds one number


def is_number(text: str) -> bool:
    """Tell whether a text is a version's number.

    >>> is_number("1.10.0"), is_number("1.0"), is_number("1.0.0.building")
    (True, False, False)
    """
    return bool(_NUMBER.fullmatch(text))


def version_key(number: str) -> tuple[int, ...]:
    """Sort key of a version number: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in number.split("."))


def published_numbers(storage: Storage) -> list[str]:
    """The numbers of the versions published in a folder ROOT/name, lowest first; what is being built is not among them.

    Raises:
      VersionError: the folder cannot be read.
    """
    names = {name for name in storage.entries() if is_number(name)}
    return [number for number in sorted(names, key=version_key) if storage.has(f"{number}/{MANIFEST}")]


def named_latest(storage: Storage) -> str | None:
    """The number in LATEST, where there is one and such a version is published."""
    try:
        text = storage.read_bytes(LATEST)[:_MOST_BYTES].decode("ascii", "replace").strip()
    except (OSError, MissingFileError):
        return None
    return text if is_number(text) and storage.has(f"{text}/{MANIFEST}") else None


def latest_number(storage: Storage) -> str | None:
    """The number of the version that a folder ROOT/name stands for; None where it holds none.

    Raises:
      DownloadError: the storage does not answer.
    """
    named = named_latest(storage)
    if named is not None:
        return named
    with contextlib.suppress(OSError, VersionError):
        return max(published_numbers(storage), key=version_key, default=None)
    return None


def update_latest(root: Path | str, published: str, storage_options: Mapping[str, Any] | None = None) -> None:
    """Have LATEST follow a publication: it names the published version if that has the highest number.

    Where LATEST is missing or stale it then names the highest one, whichever that is. Builds that publish at the same
    time each look again after they have written, so that the last to write has seen all.

    Args:
      root: the folder ROOT/name, or its URL.
      published: the number of the version that has just been put there.
      storage_options: for the fsspec file system of a URL.

    Raises:
      OSError, DownloadError, VersionError: it cannot be written.
    """
    write: Callable[[str], object]
    storage: Storage
    if isinstance(root, Path):
        storage, write = LocalStorage(root), functools.partial(_write, root / LATEST)
    else:
        from augmill.pipeline.object_store import ObjectStore  # readers of local versions pay nothing for it

        store = ObjectStore(root, storage_options)
        storage, write = store, lambda number: store.put(LATEST, f"{number}\n".encode())
    while True:
        highest = max(published_numbers(storage), key=version_key, default=None)
        named = named_latest(storage)
        if highest is None or named == highest or (named is not None and highest != published):
            return
        write(highest)
        published = max(published_numbers(storage), key=version_key, default=highest)


def _write(path: Path, number: str) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("w", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
