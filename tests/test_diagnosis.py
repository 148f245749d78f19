"""What the doctor says follows from what it measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Spec, Version
from augmill.pipeline.diagnosis import remedies, verdict
from augmill.pipeline.doctor import Examination, Stage

PARTS = ("read", "parse", "decode", "copy")


def examined(slowest: str, *, together: float = 900.0, **changes: Any) -> Examination:
    """An input whose parts do 9,000 records a second, but for the slowest, which does 1,000."""
    stages = tuple(Stage(name, 1000.0 if name == slowest else 9000.0, 0.001) for name in PARTS)
    facts: dict[str, Any] = {"batch_size": 64, "record_bytes": 20_000.0, "cores": 2, "first_seconds": 0.1}
    facts |= {"stages": stages, "together": Stage("all together", together), "device": "GPU:0", "cold": False}
    return Examination(**{**facts, **changes})


@pytest.fixture(scope="module")
def version(
    tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any
) -> Callable[..., Version]:
    def make(encoding: str) -> Version:
        image = {"size": [100, 100], "encoding": encoding}
        spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, image=image, copies=0)
        published: Version = publish_version(spec, tmp_path_factory.mktemp(encoding))
        return published

    return make


def test_the_verdict_compares_a_batch_with_a_step() -> None:
    found = examined("decode", together=640.0)  # a batch every 100 ms
    assert verdict(found, None).startswith("a batch of 64 is ready every 100 ms: the input keeps up with steps of that")
    assert verdict(found, 0.150).endswith("and a step takes 150 ms, 1.5 times as long")
    assert verdict(found, 0.025).endswith(
        "and a step takes 25 ms, so that the accelerator stands still 75% of the time"
    )


def test_each_part_has_its_own_remedies(version: Callable[..., Version]) -> None:
    manifest = version("jpeg").manifest
    first = {part: remedies(examined(part), manifest, {})[0] for part in PARTS}
    assert "even from the system's memory they come at 20.0 MB a second" in first["read"]
    assert "larger batch_size" in first["parse"]
    assert (
        "raw leaves it out, with 30.0 kB a record rather than 20.0 kB, if the disk reads more than 30.0 MB"
        in (first["decode"])
    )
    assert "to_device" in first["copy"]
    assert "the disk gives" in remedies(examined("read", cold=True), manifest, {})[0]


def test_what_the_training_asks_for_is_looked_at_first(version: Callable[..., Version]) -> None:
    jpeg, raw = version("jpeg").manifest, version("raw").manifest
    asked = {"size": (50, 60), "output": (0.0, 1.0)}
    resized, floats, *_ = remedies(examined("decode"), jpeg, asked)
    assert "build a version of image.size [50, 60]" in resized and "Normalize" in floats
    assert "resized" not in " ".join(remedies(examined("decode"), jpeg, {"size": (100, 100)}))
    assert "raw" not in " ".join(remedies(examined("decode"), raw, {}))


def test_parts_that_are_in_each_others_way_are_told(version: Callable[..., Version]) -> None:
    manifest = version("jpeg").manifest
    assert "share 2 cores" in remedies(examined("decode", together=500.0), manifest, {})[-1]
    assert "share" not in remedies(examined("decode", together=700.0), manifest, {})[-1]
