"""The manifest: all there is to know of a version, and a text that no byte can be changed of unseen."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from augmill.pipeline.errors import DamagedManifestError
from augmill.pipeline.storage import safe_name

MANIFEST = "augmill.json"
FAILURES = "failures.jsonl"
DUPLICATES = "duplicates.jsonl"
FORMAT = 2  # of the manifest and the directory around it
FileName = Annotated[str, AfterValidator(safe_name)]  # is joined to the version's folder
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]  # names files in the cache


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
      parent: the version with the highest number below this one's when this was built, and its `digest`; None without.
      build: when, how long, on how many workers and machines, at what cost; says nothing of the bytes.
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
    parent: dict[str, str] | None = None
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

    def to_text(self) -> str:
        """The manifest as it stands in its file."""
        return canonical_text(self.to_json())


def data_digest(splits: dict[str, Split]) -> str:
    """Name a version's data by its shards."""
    lines = [f"{shard.file} {shard.sha256}\n" for name in sorted(splits) for shard in splits[name].shards]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def canonical_text(value: dict[str, Any]) -> str:
    """The one text that a manifest of these values has: another text, even of equal values, is not whole."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def parse_manifest(data: bytes, location: str) -> tuple[Manifest, str | None]:
    """Read the bytes of a manifest's file.

    Args:
      data: the file's bytes.
      location: of the file, for messages.

    Returns:
      The manifest, and what shows that it is not as it was published, or None.

    Raises:
      DamagedManifestError: it cannot be read.
    """
    try:
        stored = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedManifestError(f"{location} is damaged: {error}") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        got = stored.get("format") if isinstance(stored, dict) else None
        old = "; it is from before augmill was released: build the version again" if got == 1 else ""
        raise DamagedManifestError(f"{location} has format {got!r}; this augmill reads format {FORMAT}{old}")
    try:
        manifest = Manifest(**stored)
    except (ValidationError, TypeError) as error:
        raise DamagedManifestError(f"{location} is not a manifest: {_first_problem(error)}") from error
    if stored.get("checksum") != _checksum(stored):
        return manifest, "does not match its own checksum"
    return manifest, None if canonical_text(stored).encode() == data else "is not written as a manifest is"


def _checksum(value: dict[str, Any]) -> str:
    bare = {key: item for key, item in value.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


def _first_problem(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
