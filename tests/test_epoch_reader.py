"""An epoch's batches, cut as they are asked for, and records by their number."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Spec, Version
from augmill.pipeline.decoding import DecodeOptions, Decoder
from augmill.pipeline.epoch_reader import EpochReader
from augmill.pipeline.faults import Faults
from augmill.pipeline.selection import select
from augmill.pipeline.share import Share


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    parts = {"image": {"size": [28, 20], "encoding": "raw"}, "copies": 0, "augment": [], "block_examples": 12}
    spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, **parts)
    made: Version = publish_version(spec, tmp_path_factory.mktemp("epochs"))
    return made


def reader(version: Version, **share: Any) -> EpochReader:
    selection = select(version, "train", "all")
    whole = Share(sum(selection.records), **{"batch_size": 8, **share})
    return EpochReader(version, selection, whole, seed=1, shuffle=True, verify="counts", faults=Faults("raise", 0.0))


def keys(version: Version, found: EpochReader, epoch: int, start: int, size: int | None = None) -> list[list[bytes]]:
    decoder = Decoder(version.manifest, DecodeOptions())
    return [batch["key"].tolist() for batch in found.batches(epoch, start, decoder, with_valid=False, size=size)]


def test_an_epoch_can_be_begun_at_any_sample(version: Version) -> None:
    whole = list(chain.from_iterable(keys(version, reader(version), 2, 0)))
    assert len(set(whole)) == reader(version).samples == 48
    for start in (1, 8, 29, 47, 48):
        assert list(chain.from_iterable(keys(version, reader(version), 2, start))) == whole[start:]
    assert list(chain.from_iterable(keys(version, reader(version), 3, 0))) != whole


def test_a_batch_of_several_devices_is_cut_in_as_many(version: Version) -> None:
    found = reader(version, batch_size=16)
    whole, cut = keys(version, found, 0, 0), keys(version, found, 0, 0, size=4)
    assert [len(batch) for batch in whole] == [16] * 3 and [len(batch) for batch in cut] == [4] * 12
    assert list(chain.from_iterable(cut)) == list(chain.from_iterable(whole))


def test_batches_that_are_kept_stay_as_they_were(version: Version) -> None:
    decoder = Decoder(version.manifest, DecodeOptions(as_supervised=True))
    kept = [images for images, _ in reader(version).batches(0, 0, decoder, with_valid=False)]
    copies = [images.copy() for images in kept]
    for epoch in (1, 2):
        list(reader(version).batches(epoch, 0, decoder, with_valid=False))
    for images, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(images, copy)


def test_one_record_is_had_by_its_number(version: Version) -> None:
    decoder = Decoder(version.manifest, DecodeOptions())
    found = reader(version)
    stored = EpochReader(
        version, found.selection, found.share(), seed=1, shuffle=False, verify=None, faults=found.faults
    )
    (batch,) = stored.batches(0, 0, decoder, with_valid=False, size=48)
    for number in (0, 11, 12, 47):
        record = found.one(number, decoder)
        assert record["key"] == batch["key"][number] and record["label"] == batch["label"][number]
        np.testing.assert_array_equal(record["image"], batch["image"][number])
