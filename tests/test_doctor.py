"""The doctor measures what each part of loading can do, on real records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Spec, Version
from augmill.pipeline.doctor import Examination, Stage, examine
from augmill.pipeline.errors import VersionError


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    parts: dict[str, Any] = {"name": "crops", "version": "1.0.0", "source": {"folder": str(photo_folder)}}
    image = {"size": [96, 96], "encoding": "jpeg"}
    spec = Spec(**parts, image=image, copies=2, augment=["tf.image.random_flip_left_right"])
    published: Version = publish_version(spec, tmp_path_factory.mktemp("doctor"))
    return published


@pytest.fixture(scope="module")
def found(version: Version) -> Examination:
    return examine(version, seconds=0.2, batch_size=8)


def test_every_part_is_measured_in_the_order_of_a_records_way(found: Examination) -> None:
    assert [stage.name for stage in found.stages] == ["read", "parse", "decode"]
    assert all(stage.rate > 0 and stage.core_seconds is not None for stage in found.stages)
    assert found.device is None  # the tests' processes see no GPU
    assert found.first_seconds > 0 and found.together.rate > 0


def test_a_record_is_as_large_as_it_is_stored(found: Examination, version: Version) -> None:
    split = version.manifest.splits["train"]
    stored = split.bytes / split.records - 16  # without its length and checksums
    assert found.record_bytes == pytest.approx(stored, rel=0.2)  # of the records that there was time for
    assert found.batch_size == 8


def test_to_decode_photos_takes_more_than_to_parse_them(found: Examination) -> None:
    spent = {stage.name: stage.core_seconds for stage in found.stages}
    assert spent["decode"] is not None and spent["parse"] is not None
    assert spent["decode"] > spent["parse"]


@pytest.mark.parametrize(("step", "waits"), [(0.010, 0.75), (0.040, 0.0), (0.080, 0.0)])
def test_an_accelerator_waits_for_what_the_input_is_slower(step: float, waits: float) -> None:
    together = Stage("all together", rate=1600.0)
    made = Examination(64, 20_000.0, 2, 0.1, (Stage("read", 9e9), Stage("decode", 1700.0)), together, None, False)
    assert made.batch_seconds == 0.04
    assert made.waits(step) == pytest.approx(waits)
    assert made.slowest.name == "decode"


def test_cold_files_are_read_from_the_disk(version: Version) -> None:
    assert examine(version, seconds=0.1, cold=True, batch_size=8).cold


def test_options_are_those_of_the_loader(version: Version) -> None:
    with pytest.raises(VersionError, match="has no split 'val'"):
        examine(version, split="val")
    with pytest.raises(ValueError, match="do not fill one batch"):
        examine(version, batch_size=10_000, remainder="drop")


def test_the_command_says_what_to_change(augmill: Callable[..., Any], version: Version) -> None:
    said = augmill("doctor", version.path, "--seconds", 0.1, "--batch-size", 8)
    assert said.code == 0
    assert "no GPU here" in said.out and "--step-ms says how long yours take" in said.out
    assert "the slowest part is to " in said.out and "\n  - " in said.out


def test_a_step_that_is_too_fast_for_the_input_ends_with_code_1(augmill: Callable[..., Any], version: Version) -> None:
    held = augmill("doctor", version.path, "--seconds", 0.1, "--step-ms", 0.001, "--json")
    assert held.code == 1 and "the input holds the training up" in held.err
    facts = json.loads(held.out)
    assert facts["waits"] > 0.9 and set(facts["stages"]) == {"read", "parse", "decode"}
    kept = augmill("doctor", version.path, "--seconds", 0.1, "--step-ms", 100_000)
    assert kept.code == 0 and "the input keeps up" in kept.out
