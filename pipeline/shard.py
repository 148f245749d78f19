"""TFRecord shards: their names, their bytes, their record index and their digest.

A record on disk is its length (8 bytes, little-endian), the length's checksum (4), the payload and the payload's
checksum (4); a checksum is a masked CRC-32C. Source: `tensorflow/core/lib/io/record_writer.h`. Writing it here yields
the offsets and the SHA-256 on the way and needs no TensorFlow in the worker.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import struct
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, TypeVar

import google_crc32c
import numpy as np

HEADER = 12  # length and its checksum
FOOTER = 4
_LENGTH, _CRC, _HEADER = struct.Struct("<Q"), struct.Struct("<I"), struct.Struct("<QI")
_WRITTEN_AT_ONCE = 1 << 16  # bytes of records that are gathered for one write


Writer = TypeVar("Writer", bound="RecordWriter")


class RecordError(ValueError):
    """A TFRecord file is cut short or corrupt; the message says where."""


class ShardInfo(NamedTuple):
    """What is known of a finished shard."""

    file: str
    records: int
    bytes: int
    sha256: str


def shard_name(name: str, split: str, index: int, count: int) -> str:
    """Name a shard as TFDS does.

    >>> shard_name("flowers", "train", 7, 64)
    'flowers-train.tfrecord-00007-of-00064'
    """
    return f"{name}-{split}.tfrecord-{index:05d}-of-{count:05d}"


def masked_crc(data: bytes | np.ndarray) -> int:
    """The checksum of a TFRecord: CRC-32C, rotated right by 15 bits, plus a constant."""
    crc: int = google_crc32c.value(data)  # an array it reads where it lies
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class RecordWriter(ABC):
    """Writes records to a file of its own that nobody else knows yet, and keeps account of them; see `finish`."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self._file = file
        self._digest = hashlib.sha256()
        self._offsets = [0]
        self._waiting: list[bytes] = []  # pieces of records that are not in the file yet
        self._written = 0

    def write(self, payload: bytes) -> None:
        """Append one record."""
        length = _LENGTH.pack(len(payload))
        self._waiting += (length, _CRC.pack(masked_crc(length)), payload, _CRC.pack(masked_crc(payload)))
        self._count(HEADER + len(payload) + FOOTER)

    def append(self, framed: bytes) -> None:
        """Append one record with its length and checksums, as another shard holds it; see `payload_of`."""
        self._waiting.append(framed)
        self._count(len(framed))

    def _count(self, size: int) -> None:
        end = self._offsets[-1] + size
        self._offsets.append(end)
        if end - self._written >= _WRITTEN_AT_ONCE:
            self._write_out()

    def _write_out(self) -> None:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._written = self._offsets[-1]
        self._digest.update(data)
        self._file.write(data)

    def finish(self) -> ShardInfo:
        """Make the shard and its index durable and visible, the index first."""
        self._write_out()
        self._place(index_bytes(self._offsets))
        return ShardInfo(self.name, len(self._offsets) - 1, self._offsets[-1], self._digest.hexdigest())

    @abstractmethod
    def _place(self, index: bytes) -> None:
        """Close the file and put it where it belongs, after the index whose bytes are given."""

    def discard(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):  # closing flushes, which a full disk refuses again
            self._file.close()

    def __enter__(self: Writer) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed or kind is not None:
            self.discard()


class ShardWriter(RecordWriter):
    """Writes one shard and its index, whole or not at all.

    Everything goes to files of a unique temporary name; `finish` moves them into place. Two writers of the same shard
    never meet, and the last to finish leaves the same bytes as the first.
    """

    def __init__(self, directory: Path, index_directory: Path, name: str) -> None:
        self._target = directory / name
        self._index_target = index_directory / f"{name}.npy"
        self._temporary = directory / f".{name}.{uuid.uuid4().hex}.tmp"
        super().__init__(name, self._temporary.open("wb"))

    def _place(self, index: bytes) -> None:
        _sync_and_close(self._file)
        temporary = self._temporary.with_suffix(".index.tmp")
        file = temporary.open("wb")
        file.write(index)
        _sync_and_close(file)
        temporary.replace(self._index_target)
        self._temporary.replace(self._target)

    def link(self, shard: Path, index: Path) -> None:
        """Let another file stand for this shard, with its index, instead of what has been written.

        They become hard links, or copies where the file system has none or another one holds the file.
        """
        self._file.close()
        self._temporary.unlink()
        for source, target in ((index, self._index_target), (shard, self._target)):
            _link_or_copy(source, self._temporary)
            self._temporary.replace(target)
            self._temporary.unlink(missing_ok=True)  # it stays where both were the same file already

    def discard(self) -> None:
        super().discard()
        self._temporary.unlink(missing_ok=True)
        self._temporary.with_suffix(".index.tmp").unlink(missing_ok=True)


def index_bytes(offsets: Sequence[int]) -> bytes:
    """The bytes of an index file: a .npy of where each record begins, and of where the last one ends."""
    file = io.BytesIO()
    np.save(file, np.array(offsets, "<i8"), allow_pickle=False)
    return file.getvalue()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, one without links, or as many as a file may have
        shutil.copyfile(source, target)  # in the kernel, where it can
        with target.open("rb+") as file:
            os.fsync(file.fileno())


def _sync_and_close(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def read_index(directory: Path, name: str) -> np.ndarray:
    """Read a shard's record offsets: int64 [records + 1], the last being the shard's size."""
    return index_offsets((directory / "index" / f"{name}.npy").read_bytes())


# `np.load` parses the header as Python source, which CPython 3.11 cannot always do in two threads at once: now and then
# it raises SystemError (python/cpython#106905). Threads read indexes, so the one header that there can be is matched.
_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '<i8', 'fortran_order': False, 'shape': \((\d+),\), \} *\n", re.DOTALL
)


def index_offsets(data: bytes) -> np.ndarray:
    """Read the record offsets in an index file's bytes: int64 [records + 1].

    Raises:
      ValueError: these are not the bytes of an index.
    """
    header = _NPY_HEADER.match(data)
    if header is None or len(data) - header.end() != 8 * int(header[1]):
        raise ValueError("it is not a .npy file of one int64 column")
    return np.frombuffer(data, "<i8", offset=header.end())


def scan_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, payload) of each record of a TFRecord file, checking both checksums.

    Raises:
      RecordError: the file is cut short or corrupt.
    """
    with path.open("rb") as file:
        yield from scan_stream(file, os.fstat(file.fileno()).st_size, str(path))


def scan_stream(file: BinaryIO, size: int, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield what `scan_records` does of an open file of `size` bytes, which is called `name` in errors."""
    offset = 0
    while True:
        header = file.read(HEADER)
        if not header:
            return
        payload = _read_payload(file, header, size - offset - HEADER, f"{name}, record at byte {offset}")
        yield offset, payload
        offset += HEADER + len(payload) + FOOTER


def payload_of(framed: bytes, where: str) -> bytes:
    """Take the payload out of one whole record, checking both checksums.

    Raises:
      RecordError: these are not the bytes of one record.
    """
    length = len(framed) - HEADER - FOOTER
    if length >= 0 and _HEADER.unpack_from(framed) == (length, masked_crc(framed[:8])):
        payload = framed[HEADER:-FOOTER]
        if _CRC.unpack_from(framed, HEADER + length)[0] == masked_crc(payload):
            return payload
    payload = _read_payload(io.BytesIO(framed[HEADER:]), framed[:HEADER], len(framed) - HEADER, where)  # says why not
    if HEADER + len(payload) + FOOTER != len(framed):
        raise RecordError(f"{where}: {len(framed)} bytes are more than a record")
    return payload


def read_record(path: Path, offset: int) -> bytes:
    """Read the payload of the record that begins at `offset`.

    Raises:
      RecordError: no whole record begins there.
    """
    with path.open("rb", buffering=0) as file:  # which would read thousands of bytes to give the first twelve
        file.seek(offset)
        left = os.fstat(file.fileno()).st_size - offset - HEADER
        return _read_payload(file, file.read(HEADER), left, f"{path}, record at byte {offset}")


def record_in(data: bytes, where: str) -> bytes:
    """The payload of the record that `data` holds from its beginning on; `where` names it in errors.

    Raises:
      RecordError: no whole record begins there.
    """
    file = io.BytesIO(data)
    return _read_payload(file, file.read(HEADER), len(data) - HEADER, where)


def _read_payload(file: BinaryIO | io.BytesIO, header: bytes, left: int, where: str) -> bytes:
    if len(header) < HEADER:
        raise RecordError(f"{where}: the file ends inside a record's header")
    if _CRC.unpack_from(header, 8)[0] != masked_crc(header[:8]):
        raise RecordError(
            f"{where}: the length's checksum is wrong; this is no TFRecord, or it is compressed or corrupt"
        )
    length = _LENGTH.unpack_from(header)[0]
    # Room is made for as many bytes as are asked for: a length is not to be believed before it fits into the file.
    rest = file.read(length + FOOTER) if length + FOOTER <= left else b""
    if len(rest) < length + FOOTER:
        raise RecordError(f"{where}: the file ends inside a record of {length} bytes")
    payload = rest[:length]
    if _CRC.unpack_from(rest, length)[0] != masked_crc(payload):
        raise RecordError(f"{where}: the payload's checksum is wrong")
    return payload


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
