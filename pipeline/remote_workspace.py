"""The workspace of a build in an object store, which launcher and workers share instead of a disk.

ROOT/flowers/1.0.0/                       shards and indices at their final names; no version without augmill.json
ROOT/flowers/1.0.0.building/
  lease/00001                             who is at work
  4f2a.../                                one build, named by a digest of all that decides its bytes
    spec.json  plan.parquet  build.json
    rows/00007.json                       a finished block
    progress/00007                        images and examples done in a running block

Nothing is renamed. What workers of another build may still write lies in another folder, or is refused at the name of
a shard.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from augmill.pipeline.errors import AugmillError, BuildError, VersionError
from augmill.pipeline.lease import Lease
from augmill.pipeline.manifest import MANIFEST, File, Manifest
from augmill.pipeline.object_store import AT_ONCE, ObjectStore, at_once
from augmill.pipeline.plan import BlockReader, Plan
from augmill.pipeline.remote_file import RemoteFile
from augmill.pipeline.remote_shard import RemoteShardWriter, put_once
from augmill.pipeline.shard import RecordWriter, file_sha256, index_offsets
from augmill.pipeline.spec import Spec
from augmill.pipeline.version import Version
from augmill.pipeline.workspace import json_text, spec_from_json, spec_to_json

_NOTED_EVERY = 60.0  # seconds
_BUILD, _SPEC, _PLAN = "build.json", "spec.json", "plan.parquet"


class RemoteWorkspace:
    """The files of one build, by name, in an object store; what it does is told at `Workspace`."""

    told_every = 3.0

    def __init__(self, target: str, options: Mapping[str, Any] | None = None, build: str = "") -> None:
        """Name a workspace; nothing is asked of the store.

        Args:
          target: the URL at which the version is to stand.
          options: of the file system.
          build: the folder of the build, where it has been prepared.
        """
        self.target = target
        self.path = f"{target}.building"
        self.options, self._build = options, build
        self._version = ObjectStore(target, options)
        self._store = ObjectStore(self.path, options)
        self._lease: Lease | None = None
        self._noted = 0.0  # when this process told last how far a block is
        self._rows: dict[str, dict[str, Any]] = {}  # as read, by name: a row does not change

    @property
    def address(self) -> Any:
        return {"target": self.target, "options": self.options, "build": self._build}

    @cached_property
    def _folder(self) -> Path:
        """What the launcher alone needs, on its own disk."""
        return Path(tempfile.mkdtemp(prefix="augmill-"))

    @property
    def log(self) -> Path:
        return self._folder / "job.log"

    @cached_property
    def metadata(self) -> Path:
        folder = self._folder / "version"
        folder.mkdir()
        return folder

    def check_writable(self) -> bool:
        """Write and remove an object; tell whether the store has preconditions. Raises as the store does."""
        return self._store.check_writable()

    def published(self) -> Version | None:
        return Version(self.target, storage_options=self.options) if self._version.has(MANIFEST) else None

    def in_the_way(self) -> bool:
        """Whether objects stand at the version's place, and no interrupted build has left them."""
        begun = any("/" in name and not name.startswith("lease/") for name in self._store.listed())
        return not begun and bool(self._version.listed())

    def prepare(self, spec: Spec, plan: Plan, fingerprint: dict[str, Any]) -> list[str]:
        self._build = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
        self._rows.clear()
        there = self._store.listed()
        if self._named(_BUILD) in there:
            return []
        differs = self._differing(there, fingerprint)
        # First what says that there is work to take up, then that work; what is left meanwhile says that there was.
        old = [name for name in there if not name.startswith("lease/")]
        self._store.remove(name for name in old if name.endswith(f"/{_BUILD}"))
        work = self._version.listed()
        if MANIFEST in work:
            raise BuildError(f"another build has published {self.target} meanwhile; the same command looks at it")
        self._version.remove(work)
        self._store.remove(name for name in old if not name.endswith(f"/{_BUILD}"))
        local = self._folder / _PLAN
        plan.write(local)
        self._store.put_file(self._named(_PLAN), str(local), local.stat().st_size)
        self._put_json(self._named(_SPEC), spec_to_json(spec))
        self._put_json(self._named(_BUILD), fingerprint)
        return differs

    def _differing(self, there: Collection[str], fingerprint: dict[str, Any]) -> list[str]:
        for name in there:
            begun = self._read_json(name) if name.endswith(f"/{_BUILD}") else None
            if begun is not None:
                return [key for key in fingerprint if begun.get(key) != fingerprint[key]]
        return []

    def spec(self) -> Spec:
        stored = self._read_json(self._named(_SPEC))
        if stored is None:
            raise BuildError(f"{self.path} holds no readable spec.json; remove it and build again")
        return spec_from_json(stored)

    def begun(self) -> dict[str, Any]:
        return self._read_json(self._named(_BUILD)) or {}

    def plan(self) -> Plan:
        with self._open_plan() as file:
            return Plan.read(file)

    def blocks(self) -> BlockReader:
        return BlockReader(self._open_plan())

    def _open_plan(self) -> Any:
        return RemoteFile(self._store, self._named(_PLAN))

    def open_shard(self, name: str) -> RecordWriter:
        return RemoteShardWriter(self._version, name, self._is_current)

    def write_row(self, block: int, row: dict[str, Any]) -> None:
        self._put_json(self._row_name(block), row)
        self._store.remove([self._progress_name(block)])

    def row(self, block: int) -> dict[str, Any] | None:
        row = self._read_json(self._row_name(block))
        shards = row["shards"] if row is not None else []
        with contextlib.suppress(VersionError):
            if at_once(self._version.size, [shard["file"] for shard in shards]) == [shard["bytes"] for shard in shards]:
                return row
        return None

    def forget(self, block: int) -> None:
        self._rows.pop(self._row_name(block), None)
        self._store.remove([self._row_name(block)])

    def finished(self, blocks: int) -> dict[int, dict[str, Any]]:
        self._read_rows()
        there = self._version.listed()
        found = {}
        for block in range(blocks):
            row = self._rows.get(self._row_name(block))
            if row is not None and all(
                shard["file"] in there
                and there[shard["file"]].bytes == shard["bytes"]
                and f"index/{shard['file']}.npy" in there
                for shard in row["shards"]
            ):
                found[block] = row
        return found

    def note_progress(self, block: int, images: int, examples: int) -> None:
        """Put an object now and then: one for each half a second of each worker would cost more than it tells."""
        now = time.monotonic()
        if not examples or now - self._noted > _NOTED_EVERY:
            self._noted = now
            self._put_json(self._progress_name(block), [images, examples])

    def running(self) -> dict[int, tuple[int, int]]:
        names = sorted(self._store.listed(self._named("progress")))
        notes = zip(names, at_once(self._store.read_if_there, names), strict=True)
        found = {int(name.rpartition("/")[2]): json.loads(note) for name, note in notes if note is not None}
        return {block: (images, examples) for block, (images, examples) in found.items()}

    def enter(self) -> None:
        """Nothing: what workers of another build write is refused, see above."""

    def images_done(self) -> int:
        """Images in finished blocks, and a look at whether the build is still this process's."""
        if self._lease is not None:
            self._lease.check()
        self._read_rows()
        return sum(row["images"] for row in self._rows.values())

    def _read_rows(self) -> None:
        names = [name for name in self._store.listed(self._named("rows")) if name not in self._rows]
        for name, row in zip(names, at_once(self._read_json, names), strict=True):
            if row is not None:
                self._rows[name] = row

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the build by a lease.

        Raises:
          BuildError: another build holds it.
        """
        with Lease(self._store) as self._lease:
            yield

    def remove_if_idle(self, finish: Callable[[], None] = lambda: None) -> None:
        with contextlib.suppress(AugmillError):
            if self._store.listed():
                with self.lock():
                    finish()
                    self.remove()

    def remove(self) -> None:
        with contextlib.suppress(AugmillError):  # the next command tries again
            self._store.remove(name for name in self._store.listed() if not name.startswith("lease/"))
        shutil.rmtree(self._folder, ignore_errors=True)

    def read_indices(self, shards: Sequence[str]) -> Iterator[np.ndarray]:
        for start in range(0, len(shards), AT_ONCE):
            yield from map(index_offsets, at_once(self._read_index, shards[start : start + AT_ONCE]))

    def _read_index(self, shard: str) -> bytes:
        return self._version.read_bytes(f"index/{shard}.npy")

    def sweep(self, shards: Collection[str]) -> None:
        """Nothing yet: what does not belong to the version is known when its manifest is."""

    def files(self, shards: Collection[str]) -> dict[str, File]:
        """The files besides shards, which are put into the store here."""
        found = {}
        for path in sorted(self.metadata.rglob("*")):
            if path.is_file():
                name = path.relative_to(self.metadata).as_posix()
                found[name] = File(bytes=path.stat().st_size, sha256=file_sha256(path))
                put = partial(self._put_metadata, name, path)
                put_once(self._version, name, found[name].sha256, found[name].bytes, put, self._may_publish)
        for shard, data in zip(shards, at_once(self._read_index, shards), strict=True):
            found[f"index/{shard}.npy"] = File(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        return dict(sorted(found.items()))

    def commit(self, manifest: Manifest) -> Version:
        """Publish what stands: with one put of the manifest, on condition that there is none yet."""
        expected = {name: file.bytes for name, file in manifest.every_file().items()}
        data, ours = manifest.to_text().encode(), False
        if self._may_publish():
            self._version.remove(self._version.listed().keys() - expected.keys() - {MANIFEST})
            there = {name: found.bytes for name, found in self._version.listed().items() if name != MANIFEST}
            if there != expected:
                odd = min(name for name, _ in there.items() ^ expected.items())
                raise BuildError(f"{self.target}/{odd} has changed meanwhile; the same command tries again")
            ours = self._version.put(MANIFEST, data, new=True) or self._version.read_bytes(MANIFEST) == data
        version = Version(self.target, storage_options=self.options)
        if not ours and version.manifest.digest != manifest.digest:
            raise VersionError(f"another build has published {self.target} meanwhile, with other data")
        return version

    def _put_metadata(self, name: str, path: Path, new: bool) -> bool:
        return self._version.put_file(name, str(path), path.stat().st_size, new=new)

    def _may_publish(self) -> bool:
        """Whether no version stands yet, and this build has not been given up; BuildError if its lease is lost."""
        if self._lease is not None:
            self._lease.check()
        return not self._version.has(MANIFEST) and self._is_current()

    def _is_current(self) -> bool:
        return self._store.has(self._named(_BUILD))

    def _named(self, name: str) -> str:
        return f"{self._build}/{name}"

    def _progress_name(self, block: int) -> str:
        return self._named(f"progress/{block:05d}")

    def _row_name(self, block: int) -> str:
        return self._named(f"rows/{block:05d}.json")

    def _put_json(self, name: str, value: Any) -> None:
        self._store.put(name, json_text(value).encode())

    def _read_json(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(ValueError):
            value = json.loads(self._store.read_if_there(name) or b"null")
            return value if isinstance(value, dict) else None
        return None
