"""Verification: every file of a version, read through where it is, compared with the manifest and with the others."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from augmill.pipeline.counts_check import READ_WHOLE, keys_by_shard, wrong_counts
from augmill.pipeline.errors import VersionError
from augmill.pipeline.examples_table import EXAMPLES
from augmill.pipeline.manifest import File, Manifest, Shard
from augmill.pipeline.record_check import RecordCheck, sampled
from augmill.pipeline.remote_errors import retried
from augmill.pipeline.shard import index_offsets
from augmill.pipeline.shard_check import ShardStream
from augmill.pipeline.storage import Storage

_THREADS = 4  # files that are read at the same time

Progress = Callable[[int], object]


class _Found(NamedTuple):
    """A file that was read through: what is wrong with it, and its bytes where they are needed."""

    wrong: str | None
    data: bytes = b""


def verify_files(
    storage: Storage, manifest: Manifest, *, besides: str, full: bool = False, progress: Progress = lambda count: None
) -> Iterator[tuple[str, str | None]]:
    """Check every file: size, digest, records, counts; and that there are no others.

    Args:
      storage: the version's files.
      manifest: what they should be.
      besides: the file that the manifest does not speak of: itself.
      full: whether every record is decoded, rather than a sample of them.
      progress: told, from several threads, how many bytes have been read more.

    Yields:
      (file, None) as each is found whole, or (file, what is wrong with it). What is found only when files are compared
      comes after that, for a file that was whole by itself.

    Raises:
      DownloadError: the storage does not answer.
    """
    check = _Check(storage, manifest, full, progress)
    wholes: dict[str, bytes] = {}
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    names = {name for shard in shards for name in (shard.file, f"index/{shard.file}.npy")}
    for file, known in sorted(manifest.files.items()):
        if file not in names:
            found = check.whole(file, known)
            yield file, found.wrong
            if found.wrong is None and file in READ_WHOLE:
                wholes[file] = found.data
    yield from wrong_counts(manifest, wholes)
    yield from check.shards(shards, wholes.pop(EXAMPLES, None))
    stray = (storage.names() or set()) - set(manifest.every_file()) - {besides}
    yield from ((file, "does not belong to this version") for file in sorted(stray))


class _Check:
    """Reads the files of one version through."""

    def __init__(self, storage: Storage, manifest: Manifest, full: bool, progress: Progress) -> None:
        self._storage, self._manifest, self._full, self._progress = storage, manifest, full, progress
        self._records = RecordCheck(manifest)
        self._total = sum(split.records for split in manifest.splits.values())
        self._keys: dict[str, list[str]] = {}

    def whole(self, file: str, known: File) -> _Found:
        """Read a small file whole."""
        digest, kept = hashlib.sha256(), bytearray()

        def read() -> int:
            nonlocal digest
            digest = hashlib.sha256()
            kept.clear()
            for chunk in self._storage.stream(file, known.bytes):
                digest.update(chunk)
                kept.extend(chunk)
            return len(kept)

        wrong = self._read(read)
        wrong = wrong or _unlike(known, len(kept), digest.hexdigest())
        self._progress(known.bytes)
        return _Found(wrong, bytes(kept))

    def shards(self, shards: list[Shard], table: bytes | None) -> Iterator[tuple[str, str | None]]:
        """Read shards and their indexes, some at a time, and yield what is found of each in order."""
        try:
            self._keys = keys_by_shard(self._manifest, table) if table is not None else {}
        except (ValueError, KeyError):
            self._keys = {}  # told of the table already
        first, waiting = 0, deque[tuple[Shard, Future[tuple[_Found, str | None]]]]()
        pool = ThreadPoolExecutor(_THREADS, "verify")
        try:
            for shard in shards:
                waiting.append((shard, pool.submit(self._shard, shard, first)))
                first += shard.records
                if len(waiting) > 2 * _THREADS:
                    yield from self._told(*waiting.popleft())
            while waiting:
                yield from self._told(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    @staticmethod
    def _told(shard: Shard, future: Future[tuple[_Found, str | None]]) -> Iterator[tuple[str, str | None]]:
        index, wrong = future.result()
        yield f"index/{shard.file}.npy", index.wrong
        yield shard.file, wrong

    def _shard(self, shard: Shard, first: int) -> tuple[_Found, str | None]:
        """Read a shard and its index; `first` is the number in the version of its first record."""
        name = f"index/{shard.file}.npy"
        known = self._manifest.files.get(name)
        index = self.whole(name, known) if known is not None else _Found("is not in the manifest")
        keys, found, stream = self._keys.get(shard.file), list[str](), ShardStream(longest=shard.bytes)

        def look(number: int, payload: bytes) -> None:
            if not found and (self._full or number == 0 or sampled(first + number, self._total)):
                key = keys[number] if keys is not None and number < len(keys) else None
                wrong = self._records(payload, shard.copy_number, key)
                if wrong:
                    found.append(f"record {number}: {wrong}")

        def read() -> int:
            nonlocal stream
            found.clear()
            stream = ShardStream(look, longest=shard.bytes)
            for chunk in self._storage.stream(shard.file, shard.bytes):
                stream.feed(chunk)
                self._progress(len(chunk))
            return stream.bytes

        wrong = self._read(read)
        if wrong is None:
            unlike = _unlike(File(bytes=shard.bytes, sha256=shard.sha256), stream.bytes, stream.finish())
            wrong = "; ".join(filter(None, [unlike, stream.fault, *found])) or None
        if wrong is None and len(stream.offsets) != shard.records + 1:
            wrong = f"has {len(stream.offsets) - 1} records, not {shard.records}"
        if wrong is None and index.wrong is None:
            index = _Found(_wrong_index(index.data, stream.offsets))
        return index, wrong

    @staticmethod
    def _read(read: Callable[[], int]) -> str | None:
        try:
            retried(read)
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        except VersionError as error:
            return f"cannot be read: {error}"
        return None


def _unlike(known: File, size: int, digest: str) -> str | None:
    if size != known.bytes:
        return f"has {size} bytes, not {known.bytes}"
    return None if digest == known.sha256 else f"has sha256 {digest[:12]}..., not {known.sha256[:12]}..."


def _wrong_index(data: bytes, offsets: list[int]) -> str | None:
    try:
        same = index_offsets(data).tolist() == offsets
    except ValueError as error:
        return f"cannot be read: {error}"
    return None if same else "does not fit its shard: its records begin elsewhere"
