"""Replay: a record of a version made once more from the source image, and compared byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from augmill.pipeline.errors import SourceError, VersionError
from augmill.pipeline.example import AUGMENTATION, COPY, KEY, decode_example
from augmill.pipeline.lineage import changes_since
from augmill.pipeline.listing import list_source
from augmill.pipeline.peers import BlockPeers
from augmill.pipeline.plan import Plan, make_plan
from augmill.pipeline.renderer import Renderer
from augmill.pipeline.shard import scan_records
from augmill.pipeline.spec import Spec, import_for
from augmill.pipeline.steps import steps_from_json
from augmill.pipeline.units import printable
from augmill.pipeline.version import Version
from augmill.transforms.base import Sample, TransformError
from augmill.transforms.policy import Step


@dataclass(frozen=True)
class Replayed:
    """One record, as it is stored and as it is made again.

    Attributes:
      key, copy, split: which record.
      stored, made: the serialised examples.
      sample: what the replay made, with its annotations.
      steps: the ops that the record says it went through.
      changes: what has changed since the version was built, of what decides bytes.
    """

    key: str
    copy: int
    split: str
    stored: bytes
    made: bytes
    sample: Sample
    steps: list[Step]
    changes: list[str]

    @property
    def same(self) -> bool:
        return self.stored == self.made

    def differing(self) -> list[str]:
        """The features whose bytes differ."""
        return differing_features(self.stored, self.made)


def differing_features(stored: bytes, made: bytes) -> list[str]:
    """The features in which two serialised examples differ."""
    first, second = decode_example(stored), decode_example(made)
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))


def replay(version: Version, key: str, copy: int) -> Replayed:
    """Make a record again from its source image and the parameters that it recorded; nothing is drawn.

    Raises:
      VersionError: the version has no such record.
      SourceError: the source is gone or no longer holds the example.
      TransformError: an op cannot do what is recorded.
    """
    return Replayer(version)(key, copy)


class Replayer:
    """Replays records of one version; its source is listed once."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self._spec = published_spec(version)
        self._plan: Plan = make_plan(self._spec, list_source(self._spec))
        self._reader = self._plan.reader()
        self._renderer = Renderer(self._spec, self._plan.classes, annotations=self._plan.annotations)
        table = self._plan.table
        self._places = {key: place for place, key in enumerate(table.column("key").to_pylist())}

    def __call__(self, key: str, copy: int) -> Replayed:
        """Replay one record."""
        split, stored = find_record(self._version, key, copy)
        steps = steps_from_json(decode_example(stored)[AUGMENTATION][0].decode())
        opened = self._open(key)
        sample = self._renderer.replay(opened, copy, steps, BlockPeers([], self._open))
        made = self._renderer.record(sample, key, copy, steps)
        return Replayed(key, copy, split, stored, made, sample, steps, changes_since(self._version, self._spec))

    def _open(self, key: str) -> Sample:
        if key not in self._places:
            raise SourceError(f"the source {self._plan.root} no longer holds {key!r}")
        row = self._plan.table.slice(self._places[key], 1).to_pylist()[0]
        try:
            found = self._reader.read_example(row)
            return self._renderer.open(found.image, row["label"], found.annotations)
        except (OSError, ValueError) as error:
            if isinstance(error, TransformError):
                raise
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise SourceError(f"{printable(key)} can no longer be read: {reason}") from error


def published_spec(version: Version) -> Spec:
    """The spec that a version was built from, its relative paths where they were."""
    base = version.manifest.source.get("base", ".")
    import_for(version.manifest.spec.get("augment"), Path(base))  # where the user's own `module:function` stood
    return Spec(**version.manifest.spec).relative_to(base)


def find_record(version: Version, key: str, copy: int) -> tuple[str, bytes]:
    """Find a record in the shards of its copy: its split and its bytes.

    Raises:
      VersionError: there is none.
    """
    wanted = key.encode("utf-8", "surrogateescape")
    shards = [
        (name, shard.file)
        for name, split in version.manifest.splits.items()
        for shard in split.shards
        if shard.copy_number == copy
    ]
    with version.open_files() as files:
        files.prefetch(file for _, file in shards)
        for split, file in tqdm(shards, desc="searching", unit="shard", leave=False, disable=None):
            with files.held(file) as path:
                for _, record in scan_records(path):
                    # The key stands in the record as it is; only one that has it is worth parsing.
                    if wanted in record:
                        example = decode_example(record)
                        if example[KEY] == [wanted] and example[COPY] == [copy]:
                            return split, record
    copies = sorted({shard.copy_number for split in version.manifest.splits.values() for shard in split.shards})
    failed = [failure["reason"] for failure in version.failures if failure["key"] == key]
    if failed:
        reason = f"it failed: {failed[0]}"
    elif copies[0] <= copy <= copies[-1]:
        reason = "no example of a split with this copy has this key"
    else:
        reason = f"its copies are {copies[0]} to {copies[-1]}"
    raise VersionError(f"{version.location} has no record of {key!r}, copy {copy}; {reason}")
