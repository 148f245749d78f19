"""Records that are damaged: an error that names them, or left out, counted and told; all others keep their places."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Loader, Spec, Version
from augmill.pipeline.errors import VersionError
from augmill.pipeline.example import decode_example, encode_example
from augmill.pipeline.faults import Faults
from augmill.pipeline.shard import RecordError, ShardWriter, read_index, scan_records


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    parts = {"image": {"size": [28, 20], "encoding": "png"}, "copies": 0, "augment": [], "block_examples": 12}
    spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, **parts)
    made: Version = publish_version(spec, tmp_path_factory.mktemp("faults"))
    return made


@pytest.fixture
def version(published: Version, tmp_path: Path) -> Version:
    """A copy that a test may damage."""
    return Version(shutil.copytree(published.path, tmp_path / "1.0.0"))


def damage(version: Version, *records: tuple[int, int]) -> list[str]:
    """Change a byte of each record (shard, number); tell their names."""
    names = []
    for shard, number in records:
        file = version.manifest.splits["train"].shards[shard].file
        data = bytearray((version.path / file).read_bytes())
        start, end = read_index(version.path, file)[number : number + 2]
        data[(start + end) // 2] ^= 4
        (version.path / file).write_bytes(data)
        names.append(f"{file} record {number}")
    return names


def replace_image(version: Version, shard: int, number: int) -> tuple[str, str]:
    """Give a record bytes for an image that are none, with checksums that fit; tell its file and its key."""
    file = version.manifest.splits["train"].shards[shard].file
    payloads = [payload for _, payload in scan_records(version.path / file)]
    features = {name: values[0] for name, values in decode_example(payloads[number]).items()}
    payloads[number] = encode_example({**features, "image": b"\x01" * len(features["image"])})
    with ShardWriter(version.path, version.path / "index", file) as writer:
        for payload in payloads:
            writer.write(payload)
        writer.finish()
    return file, features["key"].decode()


def place_of(version: Version, wanted: tuple[int, int]) -> int:
    """Where a record stands in the epoch."""
    from augmill.pipeline.order import Order

    order = Order([shard.records for shard in version.manifest.splits["train"].shards], seed=1)
    return order.between(0, len(order)).index(wanted)


def test_a_damaged_record_is_an_error_that_names_it(version: Version) -> None:
    file = version.manifest.splits["train"].shards[2].file
    damage(version, (2, 5))
    told = f"{file}, record 5: its payload's checksum is wrong"
    with pytest.raises(RecordError, match=told):
        list(Loader(version))
    with pytest.raises(Exception, match=told):
        list(Loader(version).dataset())
    with pytest.raises(RecordError, match=told):
        Loader(version)[29]
    assert Loader(version)[28]["image"].shape == (28, 20, 3)


def test_a_record_that_is_skipped_leaves_all_others_where_they_are(version: Version) -> None:
    options = {"batch_size": 7, "seed": 1, "on_error": "skip"}
    whole = list(Loader(version, **options))
    assert all(batch["valid"].all() for batch in whole)
    (name,) = damage(version, (2, 5))
    place = place_of(version, (2, 5))

    loader = Loader(version, **options)
    with pytest.warns(UserWarning, match=rf"epoch 0: 1 records could not be read and were left out \({name}\)"):
        met = list(loader)

    assert [f"{one.shard} record {one.record}" for one in loader.skipped] == [name]
    for step, (batch, sound) in enumerate(zip(met, whole, strict=True)):
        bad = np.arange(len(sound["key"])) + step * 7 == place
        assert batch["valid"].tolist() == (~bad).tolist()
        np.testing.assert_array_equal(batch["key"][~bad], sound["key"][~bad])
        np.testing.assert_array_equal(batch["image"][~bad], sound["image"][~bad])
        if bad.any():
            within = int(np.flatnonzero(bad)[0])
            assert batch["key"][within] == sound["key"][within - 1 if within else 1]


def test_the_stream_of_tf_data_skips_alike(version: Version) -> None:
    damage(version, (0, 0), (3, 11))
    options = {"batch_size": 5, "on_error": "skip", "max_skipped": 0.1, "seed": 3}
    loader = Loader(version, **options, as_supervised=True)
    with pytest.warns(UserWarning, match="2 records could not be read"):
        streamed = list(loader.dataset().as_numpy_iterator())
        ours = list(loader)
    for one, other in zip(ours, streamed, strict=True):
        for part, of_stream in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, of_stream)
    assert sum(float(weights.sum()) for _, _, weights in streamed) == 46
    assert len(loader.skipped) == 2


def test_a_first_record_is_stood_for_by_the_next(version: Version) -> None:
    damage(version, (0, 0), (0, 1))
    with pytest.warns(UserWarning):
        batch, *_ = Loader(version, shuffle=False, batch_size=6, on_error="skip", max_skipped=0.1)
    assert batch["valid"].tolist() == [False] * 2 + [True] * 4
    assert batch["key"][0] == batch["key"][1] == batch["key"][2] != batch["key"][3]


def test_too_many_are_an_error(version: Version) -> None:
    damage(version, (0, 0), (0, 1), (1, 4))
    with pytest.raises(RecordError, match=r"with it 2 records of this epoch .* max_skipped=0.001 allows 1"):
        list(Loader(version, on_error="skip"))
    with pytest.raises(RecordError, match="none of the 2 records of a batch can be read"):
        list(Loader(version, on_error="skip", max_skipped=0.5, batch_size=2, shuffle=False))


def test_a_shard_that_is_not_the_one_published_is_an_error_even_then(version: Version) -> None:
    file = version.path / version.manifest.splits["train"].shards[1].file
    file.write_bytes(file.read_bytes()[:-700])
    with pytest.raises(VersionError, match=f"{file.name} has .* cut short or has changed"):
        list(Loader(version, on_error="skip"))
    loader = Loader(version, on_error="skip", verify=None, max_skipped=0.5)
    with pytest.warns(UserWarning, match=f"were left out \\({file.name} record"):
        assert sum(int(batch["valid"].sum()) for batch in loader) == 48 - len(loader.skipped)


def test_a_loader_can_take_every_shards_digest_first(version: Version) -> None:
    assert sum(1 for _ in Loader(version, verify="full", batch_size=6)) == 8
    damage(version, (2, 5))
    file = version.manifest.splits["train"].shards[2].file
    with pytest.raises(VersionError, match=f"{file} has sha256 .* it has changed since it was published"):
        list(Loader(version, verify="full", on_error="skip"))


def test_a_record_is_told_once_however_many_epochs_meet_it() -> None:
    faults = Faults("skip", 0.5)
    for _ in range(3):
        epoch = faults.epoch(10)
        epoch.meet("a", 1, RecordError("bad"))
    assert [one[:2] for one in faults.found] == [("a", 1)]
    assert Faults("skip", 0.0).epoch(10).meet("a", 1, RecordError("bad")) is None


def test_an_image_that_cannot_be_decoded_is_named_by_shard_record_and_key(version: Version) -> None:
    file, key = replace_image(version, 2, 5)
    told = f"{file}, record 5, key {re.escape(key)}: an image cannot be decoded"
    with pytest.raises(RecordError, match=told):
        list(Loader(version))
    with pytest.raises(RecordError, match=told):
        Loader(version)[29]
    with pytest.raises(Exception, match=told) as raised:
        list(Loader(version).dataset())
    first = str(raised.value).splitlines()[0]
    assert first.endswith("an image cannot be decoded")


def test_an_image_that_cannot_be_decoded_is_left_out_like_a_damaged_record(version: Version) -> None:
    options: dict[str, Any] = {"batch_size": 7, "seed": 1, "on_error": "skip"}
    whole = list(Loader(version, **options))
    file, _ = replace_image(version, 2, 5)
    place = place_of(version, (2, 5))
    loader = Loader(version, **options)

    with pytest.warns(UserWarning, match=rf"1 records could not be read and were left out \({file} record 5\)"):
        met = list(loader)

    assert [one[:2] for one in loader.skipped] == [(file, 5)] and "cannot be decoded" in loader.skipped[0].reason
    valid = np.concatenate([batch["valid"] for batch in met])
    assert np.flatnonzero(~valid).tolist() == [place]
    for batch, sound in zip(met, whole, strict=True):
        np.testing.assert_array_equal(batch["image"][batch["valid"]], sound["image"][batch["valid"]])
    damage(version, (0, 3))
    with pytest.raises(RecordError, match="with it 2 records of this epoch cannot be read"):
        list(Loader(version, **options))
