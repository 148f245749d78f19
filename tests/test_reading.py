"""Records by their numbers; and whatever is wrong with one is told by its number."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Version
from augmill.pipeline.errors import VersionError
from augmill.pipeline.reading import RecordReader
from augmill.pipeline.shard import HEADER, RecordError, masked_crc, read_index, scan_records


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    from augmill.pipeline import Spec

    parts = {"image": {"size": [28, 20], "encoding": "png"}, "copies": 0, "augment": [], "block_examples": 30}
    spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, **parts)
    made: Version = publish_version(spec, tmp_path_factory.mktemp("reading"))
    return made


@pytest.fixture
def version(published: Version, tmp_path: Path) -> Version:
    """A copy that a test may damage."""
    return Version(shutil.copytree(published.path, tmp_path / "1.0.0"))


def reader(version: Version, **options: Any) -> RecordReader:
    return RecordReader(version, version.manifest.splits["train"].shards, **options)


def read(reader: RecordReader, shard: int, numbers: list[int]) -> list[bytes | RecordError]:
    found = reader.read(shard, np.array(numbers))
    return [one if isinstance(one, RecordError) else one.tobytes() for one in found]


def shard_path(version: Version, shard: int = 0) -> Path:
    return version.path / version.manifest.splits["train"].shards[shard].file


def change(path: Path, place: int, change: Callable[[int], int] = lambda byte: byte ^ 1) -> None:
    data = bytearray(path.read_bytes())
    data[place] = change(data[place])
    path.write_bytes(data)


def test_records_are_those_of_the_file(version: Version) -> None:
    for shard in range(2):
        stored = [payload for _, payload in scan_records(shard_path(version, shard))]
        for numbers in ([0], [len(stored) - 1], [1, 2, 3], [0, 5, 6, 20], list(range(len(stored)))):
            assert read(reader(version), shard, numbers) == [stored[number] for number in numbers]


def test_records_far_from_each_other_are_read_without_what_lies_between(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    asked: list[tuple[int, int]] = []
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, to, at: asked.append((at, len(to[0]))) or preadv(file, to, at))
    monkeypatch.setattr("augmill.pipeline.reading._GAP", 3000)
    offsets = read_index(version.path, shard_path(version).name)

    reader(version).read(0, np.array([2, 3, 20]))

    assert asked == [(offsets[2], offsets[4] - offsets[2]), (offsets[20], offsets[21] - offsets[20])]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (lambda start, end: start, "its header gives it"),
        (lambda start, end: start + 9, "its length's checksum is wrong"),
        (lambda start, end: (start + end) // 2, "its payload's checksum is wrong"),
        (lambda start, end: end - 1, "its payload's checksum is wrong"),
    ],
    ids=["length", "length's checksum", "payload", "payload's checksum"],
)
def test_a_changed_byte_is_told_by_its_record(version: Version, part: Callable[..., int], told: str) -> None:
    path, offsets = shard_path(version, 1), read_index(version.path, shard_path(version, 1).name)
    whole = read(reader(version), 1, list(range(6)))
    change(path, part(int(offsets[4]), int(offsets[5])))

    found = read(reader(version), 1, list(range(6)))

    assert isinstance(found[4], RecordError) and told in str(found[4])
    assert str(found[4]).startswith(f"{path}, record 4: ")
    assert [*found[:4], found[5]] == [*whole[:4], whole[5]]


def test_every_byte_of_a_record_is_vouched_for(version: Version) -> None:
    """The header's length agrees with the index, and its checksum and the payload's with them."""
    path, offsets = shard_path(version), read_index(version.path, shard_path(version).name)
    sound = path.read_bytes()
    for place in range(int(offsets[7]), int(offsets[8]), 41):
        change(path, place)
        (found,) = reader(version, verify=None).read(0, np.array([7]))
        assert isinstance(found, RecordError), place
        path.write_bytes(sound)


def test_a_record_of_another_length_under_a_right_checksum_is_told(version: Version) -> None:
    path, offsets = shard_path(version), read_index(version.path, shard_path(version).name)
    data = bytearray(path.read_bytes())
    length = struct.pack("<Q", int(offsets[1]) - HEADER - 4 - 1)
    data[:12] = length + struct.pack("<I", masked_crc(length))
    path.write_bytes(data)

    (found,) = reader(version).read(0, np.array([0]))

    assert f"its header gives it {offsets[1] - 17} bytes, the index {offsets[1] - 16}" in str(found)


def test_a_shard_that_was_cut_is_refused_or_its_records_are_told(version: Version) -> None:
    path, offsets = shard_path(version), read_index(version.path, shard_path(version).name)
    path.write_bytes(path.read_bytes()[: int(offsets[5]) + 3])

    told = f"{path.name} has {offsets[5] + 3} bytes, and the manifest has {offsets[-1]}"
    with pytest.raises(VersionError, match=told):
        reader(version).read(0, np.array([0]))
    found = reader(version, verify=None).read(0, np.arange(7))
    assert [isinstance(one, RecordError) for one in found] == [False] * 5 + [True] * 2
    assert str(found[6]) == f"{path}, record 6: the file ends inside it"


def test_a_shard_that_was_replaced_is_refused(version: Version) -> None:
    one, other = shard_path(version, 0), shard_path(version, 1)
    one.write_bytes(other.read_bytes())
    with pytest.raises(VersionError, match="cut short or has changed since it was published"):
        reader(version).read(0, np.array([0]))


def test_a_shard_of_the_same_size_and_other_bytes_is_found_by_its_digest(version: Version) -> None:
    """Checksums and all, as if one had written other labels."""
    path, offsets = shard_path(version), read_index(version.path, shard_path(version).name)
    data = bytearray(path.read_bytes())
    payload = data[HEADER : int(offsets[1]) - 4]
    payload[-1] ^= 1
    data[HEADER : int(offsets[1])] = payload + struct.pack("<I", masked_crc(bytes(payload)))
    path.write_bytes(data)

    assert read(reader(version, verify="counts"), 0, [0]) == [bytes(payload)]
    with pytest.raises(VersionError, match=f"{path.name} has sha256 .* it has changed since it was published"):
        reader(version, verify="full").read(0, np.array([0]))


def test_a_digest_is_taken_once(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    from augmill.pipeline import reading

    taken = []
    sha256 = reading.file_sha256
    monkeypatch.setattr(reading, "file_sha256", lambda path: taken.append(path) or sha256(path))
    checked = reader(version, verify="full")
    for shard in (0, 1, 0, 0, 1):
        checked.read(shard, np.array([3]))
    assert taken == [shard_path(version, 0), shard_path(version, 1)]


def test_a_missing_shard_or_a_strange_index_is_told(version: Version) -> None:
    index = version.path / "index" / f"{shard_path(version).name}.npy"
    offsets = np.load(index)
    for strange in (offsets[:-1], offsets[::-1], offsets + 1):
        np.save(index, strange)
        with pytest.raises(VersionError, match=r"the index of .* is not one of 24 records in \d+ bytes"):
            reader(version).read(0, np.array([0]))
    np.save(index, offsets.astype(np.int32))
    for data in (index.read_bytes(), b"none"):
        index.write_bytes(data)
        with pytest.raises(VersionError, match=r"its index cannot be read: it is not a \.npy file of one int64"):
            reader(version).read(0, np.array([0]))
    shard_path(version, 1).unlink()
    with pytest.raises(VersionError, match=r"or its index cannot be read: .*No such file"):
        reader(version).read(1, np.array([0]))


def test_a_disk_that_fails_is_told_with_the_shard(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def fail(file: int, buffers: list[memoryview], at: int) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(VersionError, match=f"{shard_path(version).name} cannot be read: Input/output error"):
        reader(version).read(0, np.array([0]))


def test_many_threads_read_at_once(version: Version) -> None:
    from concurrent.futures import ThreadPoolExecutor

    stored = [[payload for _, payload in scan_records(shard_path(version, shard))] for shard in range(2)]
    shared = reader(version)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: read(shared, i % 2, [i % 24]), range(400)))
    assert found == [[stored[i % 2][i % 24]] for i in range(400)]
