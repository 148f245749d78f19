"""Versions: directories that are published whole or not at all, opened and listed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augmill.pipeline.errors import MissingFileError, VersionError
from augmill.pipeline.latest import latest_number, published_numbers
from augmill.pipeline.manifest import FAILURES, MANIFEST, parse_manifest
from augmill.pipeline.storage import LocalStorage, Storage, is_url, open_storage

if TYPE_CHECKING:
    from augmill.pipeline.cache import Cache
    from augmill.pipeline.version_files import VersionFiles


class Version:
    """A published version, in a folder of this machine or at a URL.

    Attributes:
      location: its path or URL, for people.
      manifest: all there is to know of it.
    """

    def __init__(self, path: str | Path, *, storage_options: Mapping[str, Any] | None = None) -> None:
        """Open the version at `path`, or the latest of the dataset at `path`.

        Args:
          path: a folder, or a URL of anything that fsspec reads: gs://, s3://, https://, file://. It is a version's, or
            ROOT/name, which stands for the version that LATEST names.
          storage_options: for the fsspec file system of a URL, such as credentials.

        Raises:
          VersionError: there is none, it may not be read, or its manifest cannot be read.
          DownloadError: the storage does not answer.
        """
        self._storage, data = _find_manifest(path, storage_options)
        self.location = self._storage.location
        self.manifest, self._manifest_fault = parse_manifest(data, f"{self.location}/{MANIFEST}")

    @property
    def path(self) -> Path:
        """The folder of a version on this machine.

        Raises:
          VersionError: it is at a URL.
        """
        if not isinstance(self._storage, LocalStorage):
            raise VersionError(f"{self.location} is not on this machine: Version.open_files() gives paths of its files")
        return self._storage.root

    def open_files(
        self, *, cache: str | Path | Cache | None = None, cache_limit: int | None = None, ahead: int = 4
    ) -> VersionFiles:
        """Open the version's files: as they are where it is on this machine, through a cache where it is at a URL.

        Args:
          cache: a cache, or its folder; by default AUGMILL_CACHE, or augmill/ where the system keeps caches.
          cache_limit: bytes that the cache may hold; by default AUGMILL_CACHE_LIMIT, or 100 GB.
          ahead: how many prefetched files there may be that have not been asked for.

        Raises:
          CacheError: the cache cannot be used.
        """
        from augmill.pipeline.download import Wanted
        from augmill.pipeline.version_files import CachedFiles, VersionFiles

        known = self.manifest.every_file()
        if isinstance(self._storage, LocalStorage):
            return VersionFiles(self._storage.root, known)
        from augmill.pipeline.cache import Cache
        from augmill.pipeline.remote import RemoteStorage

        assert isinstance(self._storage, RemoteStorage)
        opened = cache if isinstance(cache, Cache) else Cache(cache, limit_bytes=cache_limit)
        wanted = {name: Wanted(f"{self.location}/{name}", file.sha256, file.bytes) for name, file in known.items()}
        return CachedFiles(self._storage, wanted, opened, ahead=ahead)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def number(self) -> str:
        return self.manifest.version

    @property
    def records(self) -> int:
        """Records of all splits and copies."""
        return sum(split.records for split in self.manifest.splits.values())

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return sum(split.bytes for split in self.manifest.splits.values())

    @cached_property
    def failures(self) -> list[dict[str, Any]]:
        """The examples that could not be used: key, uri, split and reason."""
        lines = self._storage.read_bytes(FAILURES).split(b"\n")  # where text in Unicode has other ends of lines too
        return [json.loads(line) for line in lines if line]

    def verify(
        self, *, full: bool = False, progress: Callable[[int], object] = lambda count: None
    ) -> Iterator[tuple[str, str | None]]:
        """Check every file's size and digest, every record, every index, all counts, and the manifest against itself.

        A sample of the images is decoded, always the same one. Files at a URL are streamed, and not kept. What does not
        belong to the version is found where the storage can list its files, which web servers cannot.

        Args:
          full: whether all images are decoded.
          progress: told, from several threads, how many bytes have been read more.

        Yields:
          (file, None) as each is found whole, or (file, what is wrong with it); it is told of
          twice where it is whole by itself and then does not fit another.

        Raises:
          DownloadError: the storage does not answer.
        """
        from augmill.pipeline.verification import verify_files

        yield MANIFEST, self._manifest_fault
        yield from verify_files(self._storage, self.manifest, besides=MANIFEST, full=full, progress=progress)


def _find_manifest(path: str | Path, options: Mapping[str, Any] | None) -> tuple[Storage, bytes]:
    """The storage of the version that a path or URL stands for, and its manifest."""
    storage = open_storage(path, options)
    try:
        return storage, storage.read_bytes(MANIFEST)
    except (OSError, MissingFileError) as error:
        number = latest_number(storage)
        if number is None:
            told = f"{storage.location} is not a version: it has no {MANIFEST}, and no versions in it{storage.hint}"
            raise VersionError(told) from error
    storage = open_storage(inside(path, number), options)
    try:
        return storage, storage.read_bytes(MANIFEST)
    except (OSError, MissingFileError) as error:  # removed in this moment
        raise VersionError(f"{storage.location} is not a version: it has no {MANIFEST}") from error


def list_versions(root: str | Path, *, storage_options: Mapping[str, Any] | None = None) -> list[Version]:
    """The published versions below `ROOT/name`, oldest number first; what is being built is not among them.

    Raises:
      VersionError: the folder, or one of the manifests, cannot be read.
    """
    numbers = published_numbers(open_storage(root, storage_options))
    return [Version(inside(root, number), storage_options=storage_options) for number in numbers]


def inside(root: str | Path, number: str) -> str | Path:
    """The place of a version in a folder ROOT/name."""
    return f"{str(root).rstrip('/')}/{number}" if is_url(root) else Path(root) / number
