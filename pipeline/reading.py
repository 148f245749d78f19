"""Records of shards by their numbers, each checked: plain Python, so that an error can say which record it is.

Records that lie near each other come by one `pread`, which threads can share a file for. On 224x224 JPEGs of 21 kB from
memory, 16 neighbours at a time in random order, a core's second brings 40,000 to 70,000 of them, or 20,000 into
`tf.data`, where `tf.raw_ops.TFRecordDatasetV2` begun at each chunk's offset brings 14,000; with decoding, at 3,200
images, both take as long. Only here can a rank read its own records of a chunk, and a bad record be told by its number.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from augmill.pipeline.buffers import LENT
from augmill.pipeline.errors import VersionError
from augmill.pipeline.manifest import Shard
from augmill.pipeline.shard import FOOTER, HEADER, RecordError, file_sha256, index_offsets, masked_crc
from augmill.pipeline.version import Version

Verify = Literal["counts", "full"]

_GAP = 1 << 16  # bytes between two records that are read over rather than left out
_INDICES = 4096  # shards whose record offsets are kept in memory, at 8 bytes a record
_HEADER, _CRC = struct.Struct("<QI"), struct.Struct("<I")


class RecordReader:
    """Reads the shards of a version; many threads may use it at once."""

    def __init__(
        self,
        version: Version,
        shards: Sequence[Shard],
        *,
        verify: Verify | None = "counts",
        cache: str | Path | None = None,
    ) -> None:
        """Prepare to read.

        Args:
          version: what is read.
          shards: those of it that are meant by number.
          verify: what of a shard is compared with the manifest before its first record is read: "counts" for its size
            and its index, "full" for the SHA-256 of its bytes too, or nothing. What comes through the cache has had
            its SHA-256 checked on the way.
          cache: the folder that keeps the files of a version at a URL, as `Version.open_files` has it.
        """
        self._location = version.location
        self._files = version.open_files(cache=cache)
        self._shards = shards
        self._verify = verify
        self._hashed: set[int] = set()
        self._hashing = threading.Lock()
        self._offsets = lru_cache(_INDICES)(self._checked_offsets)

    def read(self, shard: int, numbers: np.ndarray) -> list[np.ndarray | RecordError]:
        """Read records of one shard.

        Args:
          shard: its place in `shards`.
          numbers: int64, the records' numbers in it, ascending.

        Returns:
          Each record's payload, uint8 [bytes], or an error that names the record and says what is wrong with it.
          Payloads that lay near each other share memory, which is free again when all of them are gone.

        Raises:
          VersionError: the shard or its index is missing, or is not what the manifest says.
        """
        offsets = self._offsets(shard)
        starts, ends = offsets[numbers], offsets[numbers + 1]
        breaks = (np.flatnonzero(starts[1:] - ends[:-1] > _GAP) + 1).tolist()
        ranges = list(zip([0, *breaks], [*breaks, len(numbers)], strict=True))
        found: list[np.ndarray | RecordError] = []
        pieces = self._read_ranges(shard, [(int(starts[first]), int(ends[last - 1])) for first, last in ranges])
        for data, (first, last) in zip(pieces, ranges, strict=True):
            within = np.stack([starts[first:last], ends[first:last]], axis=1) - starts[first]
            for number, (start, end) in zip(numbers[first:last].tolist(), within.tolist(), strict=True):
                try:
                    found.append(_payload(data, start, end))
                except RecordError as error:
                    found.append(RecordError(f"{self.name(shard, number)}: {error}"))
        return found

    def name(self, shard: int, number: int) -> str:
        """A record's name for people."""
        return f"{self._path(shard)}, record {number}"

    def _read_ranges(self, shard: int, ranges: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """The bytes of a shard from each start up to each end, or as many as there are."""
        try:
            with self._files.held(self._shards[shard].file) as path:
                file = os.open(path, os.O_RDONLY)
            try:
                return [_read_range(file, start, end) for start, end in ranges]
            finally:
                os.close(file)
        except OSError as error:
            raise VersionError(f"{self._path(shard)} cannot be read: {error.strerror or error}") from error

    def _path(self, shard: int) -> str:
        """A shard's name for people, wherever its bytes may come from."""
        return f"{self._location}/{self._shards[shard].file}"

    def expect(self, shards: Iterable[int]) -> None:
        """Have shards fetched in the background, in the order in which they will be read; local ones are there."""
        names = (self._shards[shard].file for shard in shards)
        self._files.prefetch(name for file in names for name in (f"index/{file}.npy", file))

    @property
    def fetches(self) -> bool:
        """Whether files come through a cache."""
        return self._files.stats is not None

    def _checked_offsets(self, shard: int) -> np.ndarray:
        """Where a shard's records begin, int64 [records + 1], after the checks that `verify` names."""
        known = self._shards[shard]
        try:
            with self._files.held(f"index/{known.file}.npy") as path:
                offsets = index_offsets(path.read_bytes())
            with self._files.held(known.file) as path:
                size = path.stat().st_size
        except (OSError, ValueError) as error:
            raise VersionError(f"{self._path(shard)} or its index cannot be read: {error}") from error
        whole = offsets.shape == (known.records + 1,)
        if not whole or offsets[0] != 0 or offsets[-1] != known.bytes or np.any(np.diff(offsets) < HEADER + FOOTER):
            raise VersionError(
                f"the index of {self._path(shard)} is not one of {known.records} records in {known.bytes} bytes, as "
                "the manifest has it; `augmill verify` tells what else has changed"
            )
        if self._verify is not None and size != known.bytes:
            raise VersionError(
                f"{self._path(shard)} has {size} bytes, and the manifest has {known.bytes}: it was cut short or has "
                "changed since it was published; `augmill verify` tells what else has"
            )
        if self._verify == "full" and not self.fetches:
            self._check_digest(shard)
        return offsets

    def _check_digest(self, shard: int) -> None:
        known = self._shards[shard]
        with self._hashing:  # so that no shard is read through twice
            if shard in self._hashed:
                return
            with self._files.held(known.file) as path:
                digest = file_sha256(path)
            if digest != known.sha256:
                raise VersionError(
                    f"{self._path(shard)} has sha256 {digest[:12]}..., and the manifest has {known.sha256[:12]}...: "
                    "it has changed since it was published"
                )
            self._hashed.add(shard)


def _read_range(file: int, start: int, end: int) -> np.ndarray:
    """The bytes from `start` up to `end`, uint8, or as many as the file has."""
    data = LENT.take(end - start)
    there = 0
    while there < len(data):  # one call gives 2 GB at most
        more = os.preadv(file, [data[there:].data], start + there)
        if not more:
            break
        there += more
    return data[:there]


@lru_cache(1 << 16)
def _length_crc(length: int) -> int:
    return masked_crc(length.to_bytes(8, "little"))


def _payload(data: np.ndarray, start: int, end: int) -> np.ndarray:
    """The payload of the record that lies at `start` up to `end` of `data`.

    Raises:
      RecordError: there is no such record whole.
    """
    if len(data) < end:
        raise RecordError("the file ends inside it")
    length, crc = _HEADER.unpack_from(data.data, start)
    if length != end - start - HEADER - FOOTER:
        raise RecordError(f"its header gives it {length} bytes, the index {end - start - HEADER - FOOTER}")
    if crc != _length_crc(length):
        raise RecordError("its length's checksum is wrong")
    payload = data[start + HEADER : end - FOOTER]
    if _CRC.unpack_from(data.data, end - FOOTER)[0] != masked_crc(payload):
        raise RecordError("its payload's checksum is wrong")
    return payload
