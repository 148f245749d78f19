"""Verification: every file of a version, read through where it is, compared with the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from augmill.pipeline.errors import DownloadError, VersionError
from augmill.pipeline.remote_errors import retried
from augmill.pipeline.shard import index_offsets
from augmill.pipeline.storage import Storage

if TYPE_CHECKING:
    from augmill.pipeline.manifest import File, Manifest, Shard


def verify_files(storage: Storage, manifest: Manifest, *, besides: str) -> Iterator[tuple[str, str | None]]:
    """Check every file's size and digest, every index against its shard, and that there are no others.

    Args:
      storage: the version's files.
      manifest: what they should be.
      besides: the file that the manifest does not speak of: itself.

    Yields:
      (file, None) as each is found whole, or (file, what is wrong with it).

    Raises:
      DownloadError: the storage does not answer.
    """
    expected = manifest.every_file()
    for file, known in sorted(expected.items()):
        yield file, _wrong_with(storage, file, known)
    for split in manifest.splits.values():
        for shard in split.shards:
            wrong = _wrong_with_index(storage, shard)
            if wrong:
                yield f"index/{shard.file}.npy", wrong
    for stray in sorted((storage.names() or set()) - set(expected) - {besides}):
        yield stray, "does not belong to this version"


def _wrong_with(storage: Storage, file: str, known: File) -> str | None:
    try:
        size, digest = retried(lambda: _read_through(storage, file, known.bytes))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except VersionError as error:
        return f"cannot be read: {error}"
    if size != known.bytes:
        return f"has {size} bytes, not {known.bytes}"
    return None if digest == known.sha256 else f"has sha256 {digest[:12]}..., not {known.sha256[:12]}..."


def _read_through(storage: Storage, file: str, expected: int) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for chunk in storage.stream(file, expected):
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


def _wrong_with_index(storage: Storage, shard: Shard) -> str | None:
    try:
        offsets = index_offsets(storage.read_bytes(f"index/{shard.file}.npy"))
    except DownloadError:
        raise
    except (OSError, ValueError, VersionError):
        return None  # told as a file already
    sound = len(offsets) == shard.records + 1 and offsets[-1] == shard.bytes
    return None if sound else f"does not fit its shard of {shard.records} records and {shard.bytes} bytes"
