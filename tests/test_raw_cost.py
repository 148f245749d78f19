"""What raw pixels would cost follows from the bytes of records and the time that decoding them takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Version
from augmill.pipeline.image import encode_image
from augmill.pipeline.raw_cost import RawCost, RawSample
from augmill.pipeline.spec import ImageSpec


def test_raw_pays_where_what_it_adds_is_read_in_the_time_that_decoding_takes() -> None:
    cost = RawCost("jpeg", encoded_bytes=20_000, raw_bytes=150_000, decode_seconds=0.0005)

    assert cost.ratio == 7.5
    assert cost.pays_above == 260e6
    for rate, raw_is_faster in ((250e6, False), (270e6, True)):
        jpeg, raw = cost.encoded_bytes / rate + cost.decode_seconds, cost.raw_bytes / rate
        assert (raw < jpeg) == raw_is_faster


def test_raw_that_is_smaller_pays_anywhere() -> None:
    cost = RawCost("png", encoded_bytes=500, raw_bytes=400, decode_seconds=0.0001)

    assert cost.pays_above == 0
    assert cost.lines(10)[1] == "raw: 400 B a record (0.8 times as large), 4.0 kB an epoch; pays anywhere"


@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
def test_a_records_bytes_are_those_that_each_encoding_would_give_it(photo: np.ndarray, encoding: str) -> None:
    sample = RawSample(ImageSpec(size=(224, 224), encoding=encoding, quality=80))
    other = "jpeg" if encoding == "raw" else encoding
    sizes = []
    for shift in range(5):
        pixels = np.roll(photo, shift * 20, axis=0)
        sizes.append(len(encode_image(pixels, other, 80)) + 100)
        sample.add(pixels, 224 * 224 * 3 + 100 if encoding == "raw" else sizes[-1])

    cost = sample.cost()

    assert cost is not None and cost.encoding == other
    assert cost.encoded_bytes == np.mean(sizes)
    assert cost.raw_bytes == 224 * 224 * 3 + 100
    assert 1e-6 < cost.decode_seconds < 1


def test_nothing_is_said_of_images_without_a_size_or_of_none(photo: np.ndarray) -> None:
    varying = RawSample(ImageSpec())
    varying.add(photo, 50_000)

    assert varying.cost() is None
    assert RawSample(ImageSpec(size=(224, 224))).cost() is None


def test_plan_tells_when_raw_pays(write_spec: Callable[..., Path], augmill: Callable[..., Any]) -> None:
    told = augmill("plan", write_spec()).out
    (png,) = [line for line in told.splitlines() if line.startswith("png: ")]
    (raw,) = [line for line in told.splitlines() if line.startswith("raw: ")]

    assert " ms of a core" in png and "times as large), " in raw and " an epoch; pays " in raw
    assert "raw: " not in augmill("plan", write_spec(image={"encoding": "png"})).out


@pytest.mark.parametrize("encoding", ["png", "raw"])
def test_what_plan_says_of_a_record_is_what_is_written(
    encoding: str,
    write_spec: Callable[..., Path],
    make_spec: Callable[..., Any],
    augmill: Callable[..., Any],
    publish_version: Callable[..., Version],
    tmp_path: Path,
) -> None:
    image = {"size": [32, 32], "encoding": encoding}
    facts = json.loads(augmill("plan", write_spec(image=image), "--json").out)["encodings"]
    train = publish_version(make_spec(image=image), tmp_path / "out").manifest.splits["train"]

    assert facts[encoding]["record_bytes"] == pytest.approx(train.bytes / train.records, rel=0.1)
    assert facts[encoding]["epoch_bytes"] == pytest.approx(train.bytes, rel=0.1)
    assert facts["raw"]["record_bytes"] > 32 * 32 * 3
    assert facts["raw_pays_above_bytes_per_second"] > 1e6
