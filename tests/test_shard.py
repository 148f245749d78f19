"""TFRecord shards, held against TensorFlow's reader and writer."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline.image import encode_image
from augmill.pipeline.shard import (
    FOOTER,
    HEADER,
    RecordError,
    ShardInfo,
    ShardWriter,
    file_sha256,
    index_offsets,
    masked_crc,
    read_index,
    read_record,
    scan_records,
    shard_name,
)

NAME = "crops-train.tfrecord-00001-of-00004"


@pytest.fixture
def payloads(photo: np.ndarray) -> list[bytes]:
    """JPEGs of growing windows, an empty record and a single byte."""
    return [encode_image(photo[:side, :side], "jpeg") for side in range(20, 220, 25)] + [b"", b"\x80"]


@pytest.fixture
def write(tmp_path: Path, payloads: list[bytes]) -> Callable[[], ShardInfo]:
    def write() -> ShardInfo:
        (tmp_path / "index").mkdir(exist_ok=True)
        with ShardWriter(tmp_path, tmp_path / "index", NAME) as writer:
            for payload in payloads:
                writer.write(payload)
            return writer.finish()

    return write


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_shard_is_named_as_tfds_names_it() -> None:
    import tensorflow_datasets as tfds

    template = tfds.core.ShardedFileTemplate(
        data_dir=Path("/data"), dataset_name="flowers", split="train", filetype_suffix="tfrecord"
    )
    theirs = template.sharded_filepath(shard_index=7, num_shards=64).name
    assert shard_name("flowers", "train", 7, 64) == theirs == "flowers-train.tfrecord-00007-of-00064"


def test_tensorflow_reads_every_record(write: Callable[[], ShardInfo], payloads: list[bytes], tmp_path: Path) -> None:
    write()
    assert list(tf.data.TFRecordDataset(str(tmp_path / NAME)).as_numpy_iterator()) == payloads


def test_the_file_is_the_one_that_tensorflow_would_write(
    write: Callable[[], ShardInfo], payloads: list[bytes], tmp_path: Path
) -> None:
    write()
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for payload in payloads:
            writer.write(payload)
    assert (tmp_path / NAME).read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_finished_shard_is_described_truly(
    write: Callable[[], ShardInfo], payloads: list[bytes], tmp_path: Path
) -> None:
    info = write()
    data = (tmp_path / NAME).read_bytes()
    assert info == ShardInfo(NAME, len(payloads), len(data), hashlib.sha256(data).hexdigest())
    assert file_sha256(tmp_path / NAME) == info.sha256


def test_the_index_says_where_each_record_begins(
    write: Callable[[], ShardInfo], payloads: list[bytes], tmp_path: Path
) -> None:
    write()
    offsets = read_index(tmp_path, NAME)
    assert offsets.dtype == np.int64
    assert np.diff(offsets).tolist() == [HEADER + len(payload) + FOOTER for payload in payloads]
    assert offsets[-1] == (tmp_path / NAME).stat().st_size
    assert [read_record(tmp_path / NAME, int(offset)) for offset in offsets[:-1]] == payloads


@pytest.mark.parametrize("records", [0, 1, 9, 1000])
def test_an_index_is_the_file_that_numpy_reads(records: int, tmp_path: Path) -> None:
    np.save(tmp_path / "index.npy", np.arange(records + 1, dtype="<i8") * 20)
    data = (tmp_path / "index.npy").read_bytes()
    assert np.array_equal(index_offsets(data), np.load(tmp_path / "index.npy"))
    for strange in (data[:-1], data + b"\0", data[1:], data.replace(b"<i8", b"<f8"), b""):
        with pytest.raises(ValueError, match=r"not a \.npy file of one int64 column"):
            index_offsets(strange)


def test_an_empty_shard_has_an_index_of_one_zero(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    with ShardWriter(tmp_path, tmp_path / "index", NAME) as writer:
        info = writer.finish()
    assert info == ShardInfo(NAME, 0, 0, hashlib.sha256(b"").hexdigest())
    assert read_index(tmp_path, NAME).tolist() == [0]
    assert list(scan_records(tmp_path / NAME)) == []


def test_an_exception_leaves_nothing_behind(tmp_path: Path, payloads: list[bytes]) -> None:
    with (
        pytest.raises(RuntimeError, match="out of luck"),
        ShardWriter(tmp_path, tmp_path, NAME) as writer,
    ):
        writer.write(payloads[0])
        raise RuntimeError("out of luck")
    assert files_in(tmp_path) == []


def test_a_writer_that_is_never_finished_leaves_nothing_behind(tmp_path: Path, payloads: list[bytes]) -> None:
    with ShardWriter(tmp_path, tmp_path, NAME) as writer:
        writer.write(payloads[0])
    assert files_in(tmp_path) == []


def test_a_failed_finish_leaves_nothing_behind(tmp_path: Path, payloads: list[bytes]) -> None:
    with (
        pytest.raises(FileNotFoundError),
        ShardWriter(tmp_path, tmp_path / "no such folder", NAME) as writer,
    ):
        writer.write(payloads[0])
        writer.finish()
    assert files_in(tmp_path) == []


def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, payloads: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), ShardWriter(tmp_path, tmp_path, NAME) as writer:
        writer.write(payloads[0])
        writer.finish()
    assert files_in(tmp_path) == []


def test_nothing_stands_under_the_final_name_before_the_end(tmp_path: Path, payloads: list[bytes]) -> None:
    with ShardWriter(tmp_path, tmp_path, NAME) as writer:
        for payload in payloads:
            writer.write(payload)
        assert not (tmp_path / NAME).exists()
        writer.finish()
    assert files_in(tmp_path) == [NAME, f"{NAME}.npy"]


def test_two_writers_of_one_shard_leave_the_same_bytes(
    write: Callable[[], ShardInfo], payloads: list[bytes], tmp_path: Path
) -> None:
    expected = write()
    before = [(tmp_path / file).read_bytes() for file in files_in(tmp_path)]
    index = tmp_path / "index"
    with ShardWriter(tmp_path, index, NAME) as one, ShardWriter(tmp_path, index, NAME) as other:
        for payload in payloads:
            one.write(payload)
            other.write(payload)
        assert one.finish() == other.finish() == expected
    assert [(tmp_path / file).read_bytes() for file in files_in(tmp_path)] == before


@pytest.fixture
def theirs(tmp_path: Path, payloads: list[bytes]) -> Path:
    """A file of three records, written by TensorFlow."""
    path = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in payloads[:3]:
            writer.write(payload)
    return path


def test_a_scan_finds_what_tensorflow_wrote(theirs: Path, payloads: list[bytes]) -> None:
    found = list(scan_records(theirs))
    assert [payload for _, payload in found] == payloads[:3]
    assert [read_record(theirs, offset) for offset, _ in found] == payloads[:3]


def test_the_checksum_is_that_of_the_tfrecord_format() -> None:
    # The CRC-32C of "123456789" is 0xe3069283 by its definition; https://reveng.sourceforge.io/crc-catalogue/
    assert masked_crc(b"123456789") == ((0xE3069283 >> 15 | (0xE3069283 << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def cut(at: int) -> Callable[[bytes, int], bytes]:
    return lambda data, second: data[: second + at]


def flip(at: int) -> Callable[[bytes, int], bytes]:
    return lambda data, second: data[: second + at] + bytes([data[second + at] ^ 1]) + data[second + at + 1 :]


DAMAGE = {
    "cut in the header": (cut(5), "ends inside a record's header"),
    "cut in the payload": (cut(HEADER + 10), "ends inside a record of"),
    "a byte of the length": (flip(0), "the length's checksum is wrong"),
    "a byte of the length's checksum": (flip(9), "the length's checksum is wrong"),
    "a byte of the payload": (flip(HEADER + 3), "the payload's checksum is wrong"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_with_the_file_and_the_byte(
    damage: Callable[[bytes, int], bytes], reason: str, theirs: Path, payloads: list[bytes]
) -> None:
    second = HEADER + len(payloads[0]) + FOOTER
    theirs.write_bytes(damage(theirs.read_bytes(), second))
    with pytest.raises(RecordError, match=rf"theirs\.tfrecord, record at byte {second}: .*{reason}"):
        read_record(theirs, second)
    scan = scan_records(theirs)
    assert next(scan) == (0, payloads[0])
    with pytest.raises(RecordError, match=rf"theirs\.tfrecord, record at byte {second}: .*{reason}"):
        next(scan)


def test_a_compressed_file_is_refused_with_a_guess_at_why(theirs: Path) -> None:
    theirs.write_bytes(gzip.compress(theirs.read_bytes()))
    with pytest.raises(RecordError, match=r"record at byte 0: .*compressed"):
        list(scan_records(theirs))


def test_a_photo_is_no_shard(tmp_path: Path, payloads: list[bytes]) -> None:
    (tmp_path / "cat.jpg").write_bytes(payloads[3])
    with pytest.raises(RecordError, match=r"cat\.jpg, record at byte 0: .*no TFRecord"):
        list(scan_records(tmp_path / "cat.jpg"))


@pytest.mark.parametrize("offset", [1, HEADER, 10**6])
def test_a_place_where_no_record_begins_is_refused(offset: int, theirs: Path) -> None:
    with pytest.raises(RecordError, match=f"record at byte {offset}"):
        read_record(theirs, offset)
