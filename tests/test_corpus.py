"""The corpus of bad and odd input, built from: each is read as its table says, or named with that reason."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import MOST_BYTES, MOST_PIXELS, Case, image_cases, image_table
from corpus_sources import (
    CLASSES,
    FEATURES,
    SourceCase,
    record,
    record_cases,
    record_table,
    source_cases,
    source_table,
)
from PIL import Image

from augmill.pipeline import Spec, Version
from augmill.pipeline.errors import SourceError
from augmill.pipeline.example import decode_example
from augmill.pipeline.listing import list_source
from augmill.pipeline.shard import scan_records

REPOSITORY = Path(__file__).parent.parent
LIMITS = {"max_pixels": MOST_PIXELS, "max_bytes": MOST_BYTES}


def spec_of(source: dict[str, Any], **changes: Any) -> Spec:
    parts: dict[str, Any] = {"name": "odd", "version": "1.0.0", "source": source, "copies": 0, "max_bad_fraction": 1}
    return Spec(**{**parts, "image": {"encoding": "png"}, **changes})


def outcomes(version: Version) -> dict[str, np.ndarray | str]:
    """What became of each example of a version, by key: its pixels, or the reason why there are none."""
    found: dict[str, np.ndarray | str] = {failure["key"]: failure["reason"] for failure in version.failures}
    for split in version.manifest.splits.values():
        for shard in split.shards:
            for _, payload in scan_records(version.path / shard.file):
                example = decode_example(payload)
                with Image.open(io.BytesIO(example["image"][0])) as image:
                    found[example["key"][0].decode()] = np.array(image)
    return found


def differences(cases: list[Case], found: dict[str, np.ndarray | str], prefix: str = "") -> list[str]:
    """Where the outcomes are not those of the table."""
    wrong = []
    for case in cases:
        got = found.pop(prefix + case.name, "it is lost without a word")
        if isinstance(case.outcome, str):
            if not isinstance(got, str) or case.outcome not in got:
                wrong.append(f"{case.name} is to be refused with {case.outcome!r}, got {got!r}"[:300])
        elif isinstance(got, str):
            wrong.append(f"{case.name} is to be read, and is refused: {got}")
        elif got.shape != case.outcome.shape or np.abs(got.astype(int) - case.outcome).max() > case.within:
            wrong.append(f"{case.name} is read as other pixels, {got.shape} for {case.outcome.shape}")
    return [*wrong, *(f"{key} came from nowhere" for key in found)]


def test_there_are_many_cases_and_no_two_of_one_name() -> None:
    cases = [*image_cases(), *record_cases()]
    assert len(cases) + len(source_cases()) >= 140
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("fast", [True, False])
def test_every_image_is_read_or_named(
    fast: bool, tmp_path: Path, publish_version: Callable[..., Version], capfd: pytest.CaptureFixture[str]
) -> None:
    for case in image_cases():
        (tmp_path / "photos/cat").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos/cat" / case.name).write_bytes(case.data)
    kernels = "fast" if fast else "reference"
    spec = spec_of({"folder": str(tmp_path / "photos"), **LIMITS}, kernels=kernels)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("default", module="tensorflow_datasets")
        warnings.filterwarnings("ignore", category=ResourceWarning)
        version = publish_version(spec, tmp_path / "out")

    assert differences(image_cases(), outcomes(version), "cat/") == []
    assert "JPEG" not in capfd.readouterr().err, "no decoder writes to standard error by itself"


def test_every_record_is_read_or_named(tmp_path: Path, publish_version: Callable[..., Version]) -> None:
    payloads = [record(case.data) for case in record_cases()]
    (tmp_path / "bad.tfrecord").write_bytes(b"".join(payloads))
    source = {"tfrecord": str(tmp_path / "bad.tfrecord"), "features": FEATURES, "classes": CLASSES, **LIMITS}

    version = publish_version(spec_of(source), tmp_path / "out")

    assert differences(record_cases(), outcomes(version)) == []


@pytest.mark.parametrize("case", source_cases(), ids=lambda case: case.what)
def test_every_source_is_read_or_refused(case: SourceCase, tmp_path: Path) -> None:
    spec = spec_of(case.make(tmp_path))
    if case.refused:
        with pytest.raises(SourceError, match=re.escape(case.refused)):
            list_source(spec)
        return

    listing = list_source(spec)

    assert tuple(listing.addresses.column("key").to_pylist()) == case.keys
    assert {bad.key for bad in listing.bad} == set(case.bad)
    for bad in listing.bad:
        assert case.bad[bad.key] in bad.reason


def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    bombs = [
        case for case in image_cases() if case.name in ("bomb.png", "frame.gif", "canvas.webp", "bomb.jpg", "chunk.png")
    ]
    assert len(bombs) == 5
    for case in bombs:
        (tmp_path / case.name).write_bytes(case.data)
    script = """
import pathlib, resource, sys
from augmill.pipeline.image import decode_image
from augmill.pipeline.image_header import ImageError, Limits
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in pathlib.Path(sys.argv[1]).iterdir():
    try:
        decode_image(path.read_bytes(), 3, Limits(max_pixels=50_000_000))
    except ImageError as error:
        print(error)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kB; the smallest would take 243 MB
"""
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("more than source.max_pixels 50,000,000 allows") == 4


def test_our_own_limit_decides_and_not_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from augmill.pipeline.image import decode_image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    gif = next(case for case in image_cases() if case.name == "plain.gif")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(decode_image(gif.data), np.asarray(gif.outcome))


def test_the_page_has_the_corpus() -> None:
    """Made anew by pasting what python tests/corpus.py prints; the tables of the page are these, line by line."""
    text = (REPOSITORY / "docs/bad-input.md").read_text("utf-8")
    for table in (image_table(), record_table(), source_table()):
        assert table in text
