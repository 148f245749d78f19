"""Versions: the manifest, and a directory that is published whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from augmill.pipeline.errors import MissingFileError, VersionError
from augmill.pipeline.storage import LocalStorage, is_url, open_storage, safe_name
from augmill.pipeline.verification import verify_files

if TYPE_CHECKING:
    from augmill.pipeline.cache import Cache
    from augmill.pipeline.version_files import VersionFiles

MANIFEST = "augmill.json"
FAILURES = "failures.jsonl"
FORMAT = 1  # of the manifest and the directory around it
FileName = Annotated[str, AfterValidator(safe_name)]  # is joined to the version's folder
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]  # names files in the cache
_VERSION = re.compile(r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shard(_Model):
    """One shard: its file, its copy number and what is in it."""

    file: FileName
    copy_number: int = Field(alias="copy")
    records: int
    bytes: int
    sha256: Sha256


class Split(_Model):
    """One split: examples written, and its shards in order."""

    examples: int
    failed: int
    shards: list[Shard]

    @property
    def records(self) -> int:
        return sum(shard.records for shard in self.shards)

    @property
    def bytes(self) -> int:
        return sum(shard.bytes for shard in self.shards)


class File(_Model):
    """Another file of the version."""

    bytes: int
    sha256: Sha256


class Manifest(_Model):
    """All there is to know of a version; written last, it is the commit.

    Attributes:
      digest: names the data: a hash of every shard's digest. Equal data, equal digest, whoever built it.
      spec: in canonical form, with its digest.
      source: what was read: kind, root, digest of the listing and of the bytes, examples found and failed.
      classes: names in the order of their labels.
      image: height and width (None where they vary), channels and encoding of the stored images.
      annotations: what is known of boxes, masks and keypoints, as `AnnotationInfo` has it; empty without any.
      soft_labels: whether records hold a weight for each class, because images were mixed.
      objects: over all records, how many objects were seen, written, and left out for what reason.
      splits, files: with sizes and digests.
      effects: what each op did, as `augmill.transforms.audit.Effect` has it.
      libraries: versions of what decides the bytes.
      code: SHA-256 of each file with a function of the user's, by module.
      build: when, how long and on how many workers; says nothing of the bytes.
      checksum: of all the above.
    """

    format: int
    name: str
    version: str
    digest: str
    spec_digest: str
    spec: dict[str, Any]
    source: dict[str, Any]
    classes: list[str] | None
    image: dict[str, Any]
    annotations: dict[str, Any] = {}  # manifests from before there were any have none
    objects: dict[str, int] = {}
    soft_labels: bool = False
    splits: dict[str, Split]
    files: dict[FileName, File]
    effects: list[dict[str, Any]]
    libraries: dict[str, str]
    code: dict[str, str]
    build: dict[str, Any]
    checksum: str = ""

    def every_file(self) -> dict[str, File]:
        """Every file of the version but the manifest itself, by name."""
        shards = [shard for split in self.splits.values() for shard in split.shards]
        return {**self.files, **{shard.file: File(bytes=shard.bytes, sha256=shard.sha256) for shard in shards}}

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON values, with its checksum."""
        value = self.model_dump(mode="json", by_alias=True)
        return {**value, "checksum": _checksum(value)}


def data_digest(splits: dict[str, Split]) -> str:
    """Name a version's data by its shards."""
    lines = [f"{shard.file} {shard.sha256}\n" for name in sorted(splits) for shard in splits[name].shards]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _checksum(value: dict[str, Any]) -> str:
    bare = {key: item for key, item in value.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


class Version:
    """A published version, in a folder of this machine or at a URL.

    Attributes:
      location: its path or URL, for people.
      manifest: all there is to know of it.
    """

    def __init__(self, path: str | Path, *, storage_options: Mapping[str, Any] | None = None) -> None:
        """Open the version at `path`.

        Args:
          path: a folder, or a URL of anything that fsspec reads: gs://, s3://, https://, file://.
          storage_options: for the fsspec file system of a URL, such as credentials.

        Raises:
          VersionError: there is none, it may not be read, or its manifest cannot be read.
          DownloadError: the storage does not answer.
        """
        self._given, self._options = path, storage_options
        self._storage = open_storage(path, storage_options)
        self.location = self._storage.location
        self._stored = self._read_manifest()
        try:
            self.manifest = Manifest(**self._stored)
        except (ValidationError, TypeError) as error:
            raise VersionError(f"{self.location}/{MANIFEST} is not a manifest: {_first_problem(error)}") from error

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

    def _read_manifest(self) -> dict[str, Any]:
        try:
            stored = json.loads(self._storage.read_bytes(MANIFEST))
        except (OSError, MissingFileError) as error:
            inside = ""
            with contextlib.suppress(OSError, VersionError):
                found = list_versions(self._given, storage_options=self._options)
                inside = ", ".join(version.number for version in found)
            hint = f"; the versions in it are {inside}" if inside else self._storage.hint
            raise VersionError(f"{self.location} is not a version: it has no {MANIFEST}{hint}") from error
        except ValueError as error:
            raise VersionError(f"{self.location}/{MANIFEST} is damaged: {error}") from error
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            got = stored.get("format") if isinstance(stored, dict) else None
            raise VersionError(f"{self.location}/{MANIFEST} has format {got!r}; this augmill reads format {FORMAT}")
        return stored

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
        return [json.loads(line) for line in self._storage.read_bytes(FAILURES).decode("utf-8").splitlines()]

    def verify(self) -> Iterator[tuple[str, str | None]]:
        """Check every file's size and digest, every index against its shard, and the manifest against itself.

        Files at a URL are streamed, and not kept. What does not belong to the version is found where the storage can
        list its files, which web servers cannot.

        Yields:
          (file, None) as each is found whole, or (file, what is wrong with it).

        Raises:
          DownloadError: the storage does not answer.
        """
        whole = self._stored.get("checksum") == _checksum(self._stored)
        yield MANIFEST, None if whole else "does not match its own checksum"
        yield from verify_files(self._storage, self.manifest, besides=MANIFEST)


def _first_problem(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def version_key(number: str) -> tuple[int, ...]:
    """Sort key of a version number: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in number.split("."))


def list_versions(root: str | Path, *, storage_options: Mapping[str, Any] | None = None) -> list[Version]:
    """The published versions below `ROOT/name`, oldest number first; what is being built is not among them.

    Raises:
      VersionError: the folder, or one of the manifests, cannot be read.
    """
    storage = open_storage(root, storage_options)
    numbers = [name for name in storage.entries() if _VERSION.match(name) and storage.has(f"{name}/{MANIFEST}")]
    places: list[str | Path] = [
        f"{str(root).rstrip('/')}/{number}" if is_url(root) else Path(root) / number
        for number in sorted(set(numbers), key=version_key)
    ]
    return [Version(place, storage_options=storage_options) for place in places]
