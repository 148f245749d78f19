"""Versions: the manifest, and a directory that is published whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from augmill.pipeline.errors import VersionError
from augmill.pipeline.shard import file_sha256, read_index

MANIFEST = "augmill.json"
FAILURES = "failures.jsonl"
FORMAT = 1  # of the manifest and the directory around it
_VERSION = re.compile(r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shard(_Model):
    """One shard: its file, its copy number and what is in it."""

    file: str
    copy_number: int = Field(alias="copy")
    records: int
    bytes: int
    sha256: str


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
    sha256: str


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
    files: dict[str, File]
    effects: list[dict[str, Any]]
    libraries: dict[str, str]
    code: dict[str, str]
    build: dict[str, Any]
    checksum: str = ""

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
    """A published version."""

    def __init__(self, path: str | Path) -> None:
        """Open the version at `path`.

        Raises:
          VersionError: there is none, or its manifest cannot be read.
        """
        self.path = Path(path)
        self._stored = self._read_manifest()
        try:
            self.manifest = Manifest(**self._stored)
        except (ValidationError, TypeError) as error:
            raise VersionError(f"{self.path / MANIFEST} is not a manifest: {str(error).splitlines()[0]}") from error

    def _read_manifest(self) -> dict[str, Any]:
        path = self.path / MANIFEST
        try:
            stored = json.loads(path.read_text("utf-8"))
        except OSError as error:
            inside = ""
            with contextlib.suppress(OSError, VersionError):
                inside = ", ".join(version.number for version in list_versions(self.path))
            hint = f"; the versions in it are {inside}" if inside else ""
            raise VersionError(f"{self.path} is not a version: it has no {MANIFEST}{hint}") from error
        except ValueError as error:
            raise VersionError(f"{path} is damaged: {error}") from error
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            got = stored.get("format") if isinstance(stored, dict) else None
            raise VersionError(f"{path} has format {got!r}; this augmill reads format {FORMAT}")
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

    def locate(self, file: str) -> Path:
        """Where a file of the version, named as in the manifest, lies on this machine."""
        return self.path / file

    @cached_property
    def failures(self) -> list[dict[str, Any]]:
        """The examples that could not be used: key, uri, split and reason."""
        return [json.loads(line) for line in (self.path / FAILURES).read_text("utf-8").splitlines()]

    def verify(self) -> Iterator[tuple[str, str | None]]:
        """Check every file's size and digest, every index against its shard, and the manifest against itself.

        Yields:
          (file, None) as each is found whole, or (file, what is wrong with it).
        """
        whole = self._stored.get("checksum") == _checksum(self._stored)
        yield MANIFEST, None if whole else "does not match its own checksum"
        expected = dict(self.manifest.files)
        for split in self.manifest.splits.values():
            expected |= {shard.file: File(bytes=shard.bytes, sha256=shard.sha256) for shard in split.shards}
        for file, known in sorted(expected.items()):
            yield file, self._wrong_with(file, known)
        for split in self.manifest.splits.values():
            for shard in split.shards:
                wrong = self._wrong_with_index(shard)
                if wrong:
                    yield f"index/{shard.file}.npy", wrong
        found = {path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()}
        for stray in sorted(found - set(expected) - {MANIFEST}):
            yield stray, "does not belong to this version"

    def _wrong_with(self, file: str, known: File) -> str | None:
        path = self.path / file
        try:
            size = path.stat().st_size
            if size != known.bytes:
                return f"has {size} bytes, not {known.bytes}"
            digest = file_sha256(path)
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        return None if digest == known.sha256 else f"has sha256 {digest[:12]}..., not {known.sha256[:12]}..."

    def _wrong_with_index(self, shard: Shard) -> str | None:
        try:
            offsets = read_index(self.path, shard.file)
        except (OSError, ValueError):
            return None  # told as a file already
        sound = offsets.dtype == np.int64 and len(offsets) == shard.records + 1 and offsets[-1] == shard.bytes
        return None if sound else f"does not fit its shard of {shard.records} records and {shard.bytes} bytes"


def version_key(number: str) -> tuple[int, ...]:
    """Sort key of a version number: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in number.split("."))


def list_versions(root: str | Path) -> list[Version]:
    """The published versions below `ROOT/name`, oldest number first; what is being built is not among them."""
    root = Path(root)
    try:
        numbers = [path.name for path in root.iterdir() if _VERSION.match(path.name) and (path / MANIFEST).is_file()]
    except OSError as error:
        raise VersionError(f"{root} cannot be read: {error.strerror}") from error
    return [Version(root / number) for number in sorted(numbers, key=version_key)]
