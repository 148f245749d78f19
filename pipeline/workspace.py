"""The `.building` directory: what a build has so far, and what a resume starts from.

1.0.0.building/
  spec.json  build.json  plan.parquet     what is being built
  rows/00007.json                         a finished block: its shards, effects and failures
  progress/00007                          images and examples done in a running block
  version/                                what will be published: shards, index/, and the metadata last
  job.log                                 what the job said
  lock, at-work                           held by the launcher, and by each process that writes blocks
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from augmill.pipeline.build_lock import BuildLock
from augmill.pipeline.errors import BuildError
from augmill.pipeline.manifest import MANIFEST, File, Manifest
from augmill.pipeline.plan import BlockReader, Plan
from augmill.pipeline.shard import RecordWriter, ShardWriter, file_sha256, read_index
from augmill.pipeline.spec import Spec, add_import_paths
from augmill.pipeline.version import Version


class Workspace:
    """The files of one build, by name, in a folder of this machine; `RemoteWorkspace` has them in an object store."""

    told_every = 0.5  # seconds between looks at how far a running job is

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.plan_path = self.path / "plan.parquet"
        self.reuse_path = self.path / "reuse.parquet"
        self.version = self.path / "version"
        self.metadata = self.version  # where the small files that a publication writes go
        self.index = self.version / "index"
        self.log = self.path / "job.log"
        self._rows = self.path / "rows"
        self._progress = self.path / "progress"
        self._lock = BuildLock(self.path)
        self._counted: dict[str, int] = {}  # images by row file: a row does not change, and there may be many

    @classmethod
    def beside(cls, version_path: Path) -> Workspace:
        """The workspace of the version that is to stand at `version_path`."""
        return cls(version_path.with_name(version_path.name + ".building"))

    @property
    def address(self) -> Any:
        """What another process finds it by, as JSON has it."""
        return str(self.path)

    def prepare(self, spec: Spec, plan: Plan, fingerprint: dict[str, Any]) -> list[str]:
        """Make the workspace for this build, or take up the one that an interrupted build of the same left.

        Returns:
          What differs, where the interrupted build was of something else; its work is then thrown away.
        """
        differs: list[str] = []
        begun = self._read_json(self.path / "build.json")
        if begun is not None:
            names = [name for name in fingerprint if begun.get(name) != fingerprint[name]]
            if not names:
                for running in self._progress.iterdir():
                    running.unlink(missing_ok=True)  # what was in hand is lost, only rows count
                return []
            differs = names
        self._counted.clear()
        if self.path.exists():
            # First what says that there is work to take up; the locks, which are held, stay.
            (self.path / "build.json").unlink(missing_ok=True)
            for child in self.path.iterdir():
                if child not in self._lock.files:
                    _remove(child)
        for folder in (self.index, self._rows, self._progress):
            folder.mkdir(parents=True, exist_ok=True)
        plan.write(self.plan_path)
        write_json(self.path / "spec.json", spec_to_json(spec))
        write_json(self.path / "build.json", fingerprint)  # last: without it nothing here is taken up
        return differs

    def spec(self) -> Spec:
        """The spec that is being built."""
        stored = self._read_json(self.path / "spec.json")
        if stored is None:
            raise BuildError(f"{self.path} holds no readable spec.json; remove it and build again")
        return spec_from_json(stored)

    def begun(self) -> dict[str, Any]:
        """What decides the bytes of the build, as its launcher has it."""
        return self._read_json(self.path / "build.json") or {}

    def plan(self) -> Plan:
        """The head of the plan that is being carried out."""
        return Plan.read(self.plan_path)

    def blocks(self) -> BlockReader:
        """What reads the plan's rows, a block at a time."""
        return BlockReader(self.plan_path)

    def open_shard(self, name: str) -> RecordWriter:
        """Begin to write a shard, which will stand whole or not at all."""
        return ShardWriter(self.version, self.index, name)

    def write_row(self, block: int, row: dict[str, Any]) -> None:
        """Note a finished block; its shards must stand already."""
        write_json(self._rows / f"{block:05d}.json", row)
        (self._progress / f"{block:05d}").unlink(missing_ok=True)

    def row(self, block: int) -> dict[str, Any] | None:
        """The row of a finished block whose shards stand whole, else None."""
        row = self._read_json(self._rows / f"{block:05d}.json")
        if row is None:
            return None
        for shard in row["shards"]:
            try:
                whole = (self.version / shard["file"]).stat().st_size == shard["bytes"]
            except OSError:
                whole = False
            if not whole or not (self.index / f"{shard['file']}.npy").exists():
                return None
        return row

    def forget(self, block: int) -> None:
        """Have a finished block written again by the next job."""
        (self._rows / f"{block:05d}.json").unlink(missing_ok=True)
        self._counted.pop(f"{block:05d}.json", None)

    def bytes_done(self, blocks: int) -> int:
        """Bytes of the shards of finished blocks."""
        return sum(shard["bytes"] for row in self.finished(blocks).values() for shard in row["shards"])

    def finished(self, blocks: int) -> dict[int, dict[str, Any]]:
        """The rows of all finished blocks, by block."""
        rows = ((block, self.row(block)) for block in range(blocks))
        return {block: row for block, row in rows if row is not None}

    def note_progress(self, block: int, images: int, examples: int) -> None:
        """Say how many images of a running block are done, of how many examples."""
        (self._progress / f"{block:05d}").write_text(f"{images} {examples}")

    def running(self) -> dict[int, tuple[int, int]]:
        """The images and the examples done in each block in hand, as the files say just now."""
        found = {}
        for path in self._progress.iterdir():
            with contextlib.suppress(OSError, ValueError):  # finished, or being rewritten, in this moment
                images, examples = path.read_text().split()
                found[int(path.name)] = (int(images), int(examples))
        return found

    def images_done(self) -> int:
        """Images in finished and running blocks, as the files say just now."""
        for path in self._rows.glob("[0-9]*.json"):
            if path.name not in self._counted:
                row = self._read_json(path)
                self._counted[path.name] = row["images"] if row else 0
        return sum(self._counted.values()) + sum(images for images, _ in self.running().values())

    def lock(self) -> AbstractContextManager[None]:
        """Hold the build, once no worker of a build that was killed writes here any more; see `BuildLock`."""
        return self._lock.hold()

    def enter(self) -> BinaryIO:
        """Say that this process may write here, until it ends or the file that it is given is closed."""
        return self._lock.enter()

    def read_indices(self, shards: Sequence[str]) -> Iterator[np.ndarray]:
        """Where the records of shards that stand begin, one shard after the other."""
        return (read_index(self.version, shard) for shard in shards)

    def sweep(self, shards: Collection[str]) -> None:
        """Remove whatever is none of these shards, such as what a killed worker left under a temporary name."""
        for path in [*self.version.iterdir(), *self.index.iterdir()]:
            if path.is_file() and path.name.removesuffix(".npy") not in shards:
                path.unlink()

    def files(self, shards: Collection[str]) -> dict[str, File]:
        """The files that will be published besides these shards."""
        folder = self.version
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in shards)
        return {
            path.relative_to(folder).as_posix(): File(bytes=path.stat().st_size, sha256=file_sha256(path))
            for path in paths
        }

    def commit(self, manifest: Manifest) -> Version:
        """Publish what stands, in one step; a version that is there already is never touched."""
        write_text(self.version / MANIFEST, manifest.to_text())
        for written in (self.version, self.index):
            _sync_folder(written)
        try:
            self.version.rename(self.target)
        except OSError as error:
            raise BuildError(
                f"cannot publish to {self.target}: {error.strerror}; the same command tries again"
            ) from error
        _sync_folder(self.target.parent)
        return Version(self.target)

    @property
    def options(self) -> None:
        """What the file system of a URL is told: a folder has no such."""
        return None

    def published(self) -> Version | None:
        """The version that this workspace belongs to, if it stands."""
        return Version(self.target) if (self.target / MANIFEST).exists() else None

    def in_the_way(self) -> bool:
        """Whether something stands where the version is to, and it is not a version."""
        return self.target.exists()

    @property
    def target(self) -> Path:
        return self.path.with_name(self.path.name.removesuffix(".building"))

    def remove_if_idle(self, finish: Callable[[], None] = lambda: None) -> None:
        """Remove what a build left that ended between publication and tidying up, once the rest of it is done."""
        if self.path.exists():
            with contextlib.suppress(BuildError), self.lock():
                finish()
                self.remove()

    def remove(self) -> None:
        """Remove the workspace, once its version is published."""
        shutil.rmtree(self.path, ignore_errors=True)

    @staticmethod
    def _read_json(path: Path) -> dict[str, Any] | None:
        try:
            value = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """What workers are told of a spec, and of where its user's modules are."""
    return {"spec": spec.canonical(), "base": str(spec.base), "import_paths": [path for path in sys.path if path]}


def spec_from_json(stored: dict[str, Any]) -> Spec:
    """The spec that `spec_to_json` wrote."""
    add_import_paths(stored["import_paths"])
    return Spec(**stored["spec"]).relative_to(stored["base"])


def json_text(value: Any) -> str:
    """JSON as it is written to files."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write JSON as `write_text` writes text."""
    write_text(path, json_text(value))


def write_text(path: Path, text: str) -> None:
    """Write to a unique temporary file, make it durable and move it into place."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
