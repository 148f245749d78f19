"""Addresses in a table, a listing's digest, and reading what stands behind an address."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from augmill.pipeline.errors import SourceError
from augmill.pipeline.example import encode_example
from augmill.pipeline.image import encode_image
from augmill.pipeline.shard import RecordError, ShardWriter, read_index
from augmill.pipeline.source import Address, Listing, Reader, make_table


@pytest.fixture
def addresses() -> list[Address]:
    return [Address(f"cat/{i}.jpg", f"cat/{i}.jpg", 0, 1000 + i, i % 2, None) for i in range(20)]


def listing_of(addresses: list[Address], classes: list[str] | None = None) -> Listing:
    return Listing(Path("/photos"), "file", None, make_table(addresses, "photos"), classes or ["face", "fur"])


def test_a_table_is_sorted_by_key_whatever_the_order(addresses: list[Address]) -> None:
    shuffled = random.Random(1).sample(addresses, len(addresses))
    table = make_table(shuffled, "photos")
    assert table.equals(make_table(addresses, "photos"))
    assert table.column("key").to_pylist() == sorted(address.key for address in addresses)
    assert {Address(**row) for row in table.to_pylist()} == set(addresses)


def test_keys_that_repeat_are_refused_and_one_is_named(addresses: list[Address]) -> None:
    with pytest.raises(SourceError, match=r"photos: .*'cat/12\.jpg'.*2 repeats"):
        make_table([*addresses, addresses[12], addresses[5]._replace(key="cat/12.jpg")], "photos")


def test_no_address_at_all_is_refused() -> None:
    with pytest.raises(SourceError, match="photos holds no example"):
        make_table([], "photos")


def test_a_key_that_is_no_text_in_utf8_is_refused_in_words(addresses: list[Address]) -> None:
    strange = "cat/caf\udce9.jpg"  # what Python makes of a file name in Latin-1
    with pytest.raises(SourceError, match=r"caf.* is no text in UTF-8; rename it"):
        make_table([*addresses, addresses[0]._replace(key=strange)], "photos")


@pytest.mark.parametrize("change", [{"key": "dog/7.jpg"}, {"length": 5}, {"label": 0}, {"split": "train"}], ids=str)
def test_a_listings_digest_follows_keys_sizes_labels_and_splits(addresses: list[Address], change: dict) -> None:  # type: ignore[type-arg]
    changed = [*addresses[:7], addresses[7]._replace(**change), *addresses[8:]]
    assert listing_of(changed).digest() != listing_of(addresses).digest()


def test_a_listings_digest_follows_the_classes_and_not_the_place(addresses: list[Address]) -> None:
    listing = listing_of(addresses)
    assert listing_of(addresses, ["fur", "face"]).digest() != listing.digest()
    assert listing_of(addresses[1:]).digest() != listing.digest()
    assert listing_of(addresses[::-1]).digest() == listing.digest()
    assert replace(listing, root=Path("/elsewhere")).digest() == listing.digest()


def test_a_files_bytes_are_read(tmp_path: Path, photo: np.ndarray) -> None:
    data = encode_image(photo, "jpeg")
    (tmp_path / "katzen bilder").mkdir()
    (tmp_path / "katzen bilder" / "größe.jpg").write_bytes(data)
    assert Reader(tmp_path, "file", None).read("katzen bilder/größe.jpg", 0, len(data)) == data


def test_a_file_that_changed_since_it_was_listed_is_refused(tmp_path: Path, photo: np.ndarray) -> None:
    data = encode_image(photo, "jpeg")
    (tmp_path / "cat.jpg").write_bytes(data[:-5])
    with pytest.raises(RecordError, match=f"changed since it was listed: {len(data)} bytes then, {len(data) - 5} now"):
        Reader(tmp_path, "file", None).read("cat.jpg", 0, len(data))


def test_a_file_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Reader(tmp_path, "file", None).read("cat.jpg", 0, 10)


@pytest.fixture
def images(photo: np.ndarray) -> list[bytes]:
    return [encode_image(photo[i * 9 : i * 9 + 60], "jpeg") for i in range(5)]


@pytest.fixture
def records(tmp_path: Path, images: list[bytes]) -> Path:
    """A shard of five records, each with its image in `image/encoded`, and one with two images."""
    (tmp_path / "index").mkdir()
    with ShardWriter(tmp_path, tmp_path / "index", "crops.tfrecord") as writer:
        for number, image in enumerate(images):
            writer.write(encode_example({"image/encoded": image, "number": number}))
        writer.write(encode_example({"image/encoded": images[:2], "number": 5}))
        writer.finish()
    return tmp_path / "crops.tfrecord"


def test_a_records_image_is_read_by_its_offset_in_any_order(records: Path, images: list[bytes]) -> None:
    offsets = read_index(records.parent, records.name).tolist()
    reader = Reader(records.parent, "tfrecord", "image/encoded")
    for number in (3, 0, 4, 1, 2, 3):
        length = offsets[number + 1] - offsets[number]
        assert reader.read(records.name, offsets[number], length) == images[number]


@pytest.mark.parametrize("feature", ["image", "number", "", None])
def test_a_record_without_the_image_feature_is_refused(feature: str | None, records: Path) -> None:
    with pytest.raises(RecordError, match=r"no feature .* with one encoded image"):
        Reader(records.parent, "tfrecord", feature).read(records.name, 0, 1)


def test_a_record_with_two_images_is_refused(records: Path) -> None:
    offset = int(read_index(records.parent, records.name)[5])
    with pytest.raises(RecordError, match="'image/encoded' with one encoded image"):
        Reader(records.parent, "tfrecord", "image/encoded").read(records.name, offset, 1)


def test_an_offset_inside_a_record_is_refused_with_the_file_and_the_byte(records: Path) -> None:
    with pytest.raises(RecordError, match=r"crops\.tfrecord, record at byte 5"):
        Reader(records.parent, "tfrecord", "image/encoded").read(records.name, 5, 1)


def test_record_numbers_are_the_offsets_of_array_records(tmp_path: Path, images: list[bytes]) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    for name, order in (("a.array_record", images), ("b.array_record", images[::-1])):
        writer = ArrayRecordWriter(str(tmp_path / name), "group_size:1")
        for image in order:
            writer.write(encode_example({"image": image}))
        writer.close()
    reader = Reader(tmp_path, "array_record", "image")
    for number in (4, 0, 2):
        assert reader.read("a.array_record", number, 1) == images[number]
        assert reader.read("b.array_record", number, 1) == images[4 - number]
