"""Verification finds any flipped byte, and what was published wrongly though every digest fits."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augmill.pipeline import Version
from augmill.pipeline.errors import DamagedManifestError
from augmill.pipeline.example import decode_example, encode_example
from augmill.pipeline.examples_table import EXAMPLES, write_examples
from augmill.pipeline.manifest import FAILURES, MANIFEST, Manifest, Shard, data_digest
from augmill.pipeline.record_check import SAMPLE, sampled
from augmill.pipeline.shard import ShardWriter, file_sha256, scan_records
from augmill.pipeline.shard_check import ShardStream

FLIPS, SEED = 500, 20


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, annotated_records: Any, publish_version: Callable[..., Version]
) -> Version:
    """A tiny version with everything in it: JPEGs, labels, boxes, keypoints and masks, and a failure."""
    from augmill.pipeline import Spec

    folder = tmp_path_factory.mktemp("verification")
    source = annotated_records(folder)
    records = [payload for _, payload in scan_records(folder / "painted.tfrecord")]
    spoilt = {**decode_example(records[5]), "image": [b"no image"]}
    with ShardWriter(folder, folder / "index", "painted.tfrecord") as writer:
        for number, record in enumerate(records):
            writer.write(encode_example(spoilt) if number == 5 else record)
        writer.finish()
    shape = {"image": {"size": [12, 16]}, "splits": {"train": 0.7, "test": 0.3}, "block_examples": 4}
    parts = {"name": "tiny", "version": "1.0.0", "max_bad_fraction": 0.5, "source": source, **shape}
    return publish_version(Spec(**parts, augment=["tf.image.random_flip_left_right"]), folder / "out")


@pytest.fixture
def copied(published: Version, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(published.path, tmp_path / "1.0.0"))


def _wrong(path: Path, **how: Any) -> dict[str, str]:
    return {file: wrong for file, wrong in Version(path).verify(**how) if wrong}


def _vouch(path: Path) -> None:
    """Write the manifest anew, so that it vouches for the files as they are now."""
    value = json.loads((path / MANIFEST).read_text())
    for name in value["files"]:
        value["files"][name] = {"bytes": (path / name).stat().st_size, "sha256": file_sha256(path / name)}
    for split in value["splits"].values():
        for shard in split["shards"]:
            shard |= {"bytes": (path / shard["file"]).stat().st_size, "sha256": file_sha256(path / shard["file"])}
    manifest = Manifest(**value)
    digest = data_digest(manifest.splits)
    (path / MANIFEST).write_text(manifest.model_copy(update={"digest": digest}).to_text())


def _rewrite(path: Path, shard: Shard, change: Callable[[dict[str, list[Any]]], Any]) -> None:
    """Change every record of a shard, and let index, TFDS's metadata and manifest vouch for it."""
    payloads = [payload for _, payload in scan_records(path / shard.file)]
    with ShardWriter(path, path / "index", shard.file) as writer:
        for payload in payloads:
            example = decode_example(payload)
            change(example)
            writer.write(encode_example(example))
        writer.finish()
    info = json.loads((path / "dataset_info.json").read_text())
    stored = json.loads((path / MANIFEST).read_text())
    for split in info["splits"]:
        files = [shard["file"] for shard in stored["splits"][split["name"]]["shards"]]
        split["numBytes"] = str(sum((path / file).stat().st_size for file in files))
    (path / "dataset_info.json").write_text(json.dumps(info))
    _vouch(path)


def test_a_whole_version_is_whole_however_it_is_looked_at(published: Version) -> None:
    read: list[int] = []

    assert dict(published.verify(full=True, progress=read.append)) == dict.fromkeys(
        [MANIFEST, *published.manifest.every_file()]
    )
    assert sum(read) == sum(file.bytes for file in published.manifest.every_file().values())
    assert published.manifest.source["failed"] == 1


def test_any_flipped_byte_is_found(copied: Path) -> None:
    """Files in turn, so that small ones are met as often as large ones; bytes and bits are drawn."""
    print(f"seed {SEED}")
    generator = np.random.default_rng(SEED)
    files = sorted(path for path in copied.rglob("*") if path.is_file() and path.stat().st_size)
    assert len(files) > 15
    for flip in range(FLIPS):
        path = files[flip % len(files)]
        before = path.read_bytes()
        flipped = bytearray(before)
        place, bit = int(generator.integers(len(before))), int(generator.integers(8))
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        try:
            found = _wrong(copied)
        except DamagedManifestError:
            found = {MANIFEST: "cannot be read"}
        assert path.relative_to(copied).as_posix() in found, f"{path}, byte {place}, bit {bit}"
        path.write_bytes(before)
    assert _wrong(copied) == {}


def test_the_damaged_record_is_named(copied: Path) -> None:
    shard = Version(copied).manifest.splits["train"].shards[1]
    data = bytearray((copied / shard.file).read_bytes())
    offset = [offset for offset, _ in scan_records(copied / shard.file)][2]
    data[offset + 40] ^= 4
    (copied / shard.file).write_bytes(data)

    assert f"record 2, at byte {offset}: its checksum is wrong" in _wrong(copied)[shard.file]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda example: example.update(image=[b"\xff\xd8\xff no JPEG"]), "record 0: it cannot be decoded"),
        (lambda example: example.update(copy=[7]), r"record 0: it is copy \[7\] in a shard of copy 1"),
        (lambda example: example.update(key=[b"another"]), "record 0: its key is b'another', and the table"),
        (lambda example: example.update(augmentation=[b"[{"]), "record 0: it cannot be decoded"),
        (lambda example: example.update(label=[99]), "record 0: its label 99 is none of"),
        (lambda example: example.update(mask=[example["image"][0]]), "record 0: it cannot be decoded: the mask"),
        (lambda example: example.pop("image"), "record 0: it cannot be decoded: 'image'"),
    ],
)
def test_records_that_were_published_wrongly_are_found(copied: Path, change: Callable[..., Any], told: str) -> None:
    shard = next(shard for shard in Version(copied).manifest.splits["train"].shards if shard.copy_number == 1)
    _rewrite(copied, shard, change)

    (wrong,) = _wrong(copied).items()

    assert wrong[0] == shard.file
    assert re.match(told, wrong[1]), wrong[1]


def test_an_image_that_is_not_in_the_sample_is_found_by_a_full_look(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augmill.pipeline import record_check

    shard = Version(copied).manifest.splits["train"].shards[0]
    places = iter(range(99))
    _rewrite(copied, shard, lambda example: next(places) == 2 and example.update(image=[b"\xff\xd8\xff no JPEG"]))
    monkeypatch.setattr(record_check, "SAMPLE", 1)

    assert _wrong(copied) == {}
    assert list(_wrong(copied, full=True)) == [shard.file]


def _spoil_manifest(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    value = json.loads((path / MANIFEST).read_text())
    change(value)
    (path / MANIFEST).write_text(Manifest(**value).to_text())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda value: value.update(digest="0" * 64), "has a digest that is not that of its shards"),
        (lambda value: value["splits"]["train"].update(examples=3), "records in train, and its examples make 6"),
        (lambda value: value["source"].update(failed=0), "0 failed, 0 dropped, and found 12"),
        (lambda value: value["files"].pop(EXAMPLES), f"does not name {EXAMPLES}"),
    ],
)
def test_counts_of_the_manifest_that_do_not_add_up_are_found(
    copied: Path, change: Callable[[dict[str, Any]], Any], told: str
) -> None:
    _spoil_manifest(copied, change)

    assert any(told in wrong for file, wrong in Version(copied).verify() if wrong and file == MANIFEST)


def _drop_failures(path: Path) -> str:
    (path / FAILURES).write_text("")
    return "names 0 examples, and the manifest says that 1 failed"


def _lengthen_a_split(path: Path) -> str:
    info = json.loads((path / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"][0] = "99"
    (path / "dataset_info.json").write_text(json.dumps(info))
    return "has other numbers of records in the shards of"


def _drop_an_example(path: Path) -> str:
    table = pq.read_table(path / EXAMPLES)
    write_examples(path / EXAMPLES, [pa.Table.from_pylist(table.to_pylist()[1:], table.schema)])
    return "examples for tiny-train.tfrecord-"


@pytest.mark.parametrize(
    ("name", "spoil"),
    [(FAILURES, _drop_failures), ("dataset_info.json", _lengthen_a_split), (EXAMPLES, _drop_an_example)],
)
def test_files_that_do_not_agree_are_found(copied: Path, name: str, spoil: Callable[[Path], str]) -> None:
    told = spoil(copied)
    _vouch(copied)

    assert told in _wrong(copied)[name]


def test_an_index_that_leads_elsewhere_is_found(copied: Path) -> None:
    name = f"index/{Version(copied).manifest.splits['train'].shards[0].file}.npy"
    offsets = np.load(copied / name)
    offsets[1] += 1
    np.save(copied / name, offsets)
    _vouch(copied)

    assert _wrong(copied) == {name: "does not fit its shard: its records begin elsewhere"}


def test_the_sample_is_spread_over_all_records() -> None:
    for records in (1, SAMPLE - 1, SAMPLE, SAMPLE + 1, 100_003):
        places = [number for number in range(records) if sampled(number, records)]
        assert len(places) == min(records, SAMPLE)
        assert max(np.diff(places), default=1) <= -(-records // SAMPLE)


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_shard_is_told_apart_in_pieces_of_any_size(published: Version, piece: int) -> None:
    shard = published.manifest.splits["train"].shards[0]
    data, seen = (published.path / shard.file).read_bytes(), []
    stream = ShardStream(lambda number, payload: seen.append((number, payload)), longest=len(data))
    for start in range(0, len(data), piece):
        stream.feed(data[start : start + piece])

    assert (stream.finish(), stream.fault) == (shard.sha256, "")
    assert seen == list(enumerate(payload for _, payload in scan_records(published.path / shard.file)))
    assert stream.offsets == [*(offset for offset, _ in scan_records(published.path / shard.file)), len(data)]


def test_a_length_that_cannot_be_is_not_waited_for() -> None:
    from augmill.pipeline.shard import masked_crc

    length = struct.pack("<Q", 1 << 40)
    stream = ShardStream(longest=100)
    stream.feed(length + struct.pack("<I", masked_crc(length)))

    assert stream.fault == "record 0, at byte 0: its length's checksum is wrong"


def test_the_command_ends_with_1_where_even_the_manifest_cannot_be_read(
    copied: Path, augmill: Callable[..., Any]
) -> None:
    (copied / MANIFEST).write_text((copied / MANIFEST).read_text()[:-9])

    done = augmill("verify", copied, "--json")

    assert done.code == 1
    assert "is damaged" in json.loads(done.out)["wrong"][MANIFEST]
    assert augmill("verify", copied.parent / "nowhere").code == 2
