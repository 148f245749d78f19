"""A few examples are made at once, and how many has no say in what comes out."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import making
from augmill.pipeline.example import AUGMENTATION, COPY, KEY, decode_example
from augmill.pipeline.image_header import ImageError
from augmill.pipeline.listing import list_source
from augmill.pipeline.making import Making, make_records
from augmill.pipeline.plan import make_plan
from augmill.pipeline.renderer import Renderer, block_peers
from augmill.pipeline.steps import steps_from_json

Make = Callable[..., tuple[list[Making], Renderer, str]]


@pytest.fixture
def make(make_spec: Callable[..., Any]) -> Make:
    """Make the records of all examples of a spec as one block."""

    def run(measured: int = 0, **changes: Any) -> tuple[list[Making], Renderer, str]:
        spec = make_spec(splits=None, **changes)
        plan = make_plan(spec, list_source(spec))
        rows, renderer = plan.table.to_pylist(), Renderer(spec, plan.classes)
        reader, source = plan.reader(), hashlib.sha256()
        peers = block_peers(renderer, reader, rows)
        copies = spec.copies_of("train")
        how = {"copies": copies, "peers": peers, "measured": measured, "source": source}
        return list(make_records(renderer, reader, rows, **how)), renderer, source.hexdigest()

    return run


@pytest.fixture
def spoilt(tmp_path: Path, photo_folder: Path) -> dict[str, Any]:
    """The photos, of which one is text and one is gone, as a source."""
    folder = shutil.copytree(photo_folder, tmp_path / "spoilt")
    (folder / "cat/cat-001.jpg").write_text("<html>404</html>")
    return {"folder": str(folder)}


@pytest.mark.parametrize(("pixels", "renditions"), [(1, 1), (20_000, 17), (1 << 30, 1 << 30), (1 << 20, 5)])
def test_how_many_are_made_at_once_has_no_say(
    pixels: int, renditions: int, make: Make, spoilt: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    augment = ["tf.image.random_flip_left_right", {"keras.layers.RandomRotation": {"factor": 0.1}}, "mix_up"]
    asked = {"measured": 7, "source": spoilt, "augment": augment, "copies": 5}
    whole, renderer, digest = make(**asked)
    monkeypatch.setattr(making, "_PIXELS_AT_ONCE", pixels)
    monkeypatch.setattr(making, "_RENDITIONS_AT_ONCE", renditions)

    other, other_renderer, other_digest = make(**asked)

    assert [(each.row["key"], each.records, each.error) for each in other] == [
        (each.row["key"], each.records, each.error) for each in whole
    ]
    assert other_renderer.effects.rows() == renderer.effects.rows()
    assert other_digest == digest


def test_records_come_in_the_order_of_rows_and_copies(make: Make) -> None:
    made, _, _ = make(copies=3)
    assert len(made) == 48
    for each in made:
        records = [decode_example(record) for record in each.records]
        assert [record[KEY] for record in records] == [[each.row["key"].encode()]] * 4
        assert [record[COPY] for record in records] == [[copy] for copy in range(4)]


def test_one_that_cannot_be_read_leaves_the_others_as_they_are(make: Make, spoilt: dict[str, Any]) -> None:
    made, _, _ = make(source=spoilt)
    bad, *more = [each for each in made if each.error is not None]
    good = {each.row["key"]: each.records for each in made if each.error is None}

    assert (bad.row["key"], more) == ("cat/cat-001.jpg", [])
    assert bad.error == "not an image: it is an HTML page"
    assert bad.records == []
    everything = {each.row["key"]: each.records for each in make()[0]}
    assert good == {key: everything[key] for key in good} and len(good) == 47


def test_one_that_cannot_be_encoded_is_not_counted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, met = Renderer.encode, list[np.ndarray]()

    def fail_once(self: Renderer, sample: Any, lines: Any = None) -> bytes:
        met.append(sample.image)
        if len(met) == 5:
            raise ImageError("cannot be encoded as png")
        return encode(self, sample, lines)

    monkeypatch.setattr(Renderer, "encode", fail_once)
    made, renderer, _ = make(measured=48)

    assert [place for place, each in enumerate(made) if each.error == "cannot be encoded as png"] == [1]
    assert [effect["applied"] for effect in renderer.effects.rows()[:2]] == [2 * 47, 2 * 47]
    assert renderer.effects.rows()[0]["measured"] == 2 * 47


@pytest.mark.parametrize("kernels", ["fast", "reference"])
def test_the_first_that_can_be_opened_are_measured(kernels: str, make: Make, spoilt: dict[str, Any]) -> None:
    made, renderer, _ = make(measured=3, source=spoilt, kernels=kernels)
    flip = renderer.effects.rows()[0]
    records = [record for each in made if each.error is None for record in each.records[1:]][: 3 * 2]
    flips = [steps_from_json(decode_example(record)[AUGMENTATION][0].decode())[0].params["flip"] for record in records]
    assert (flip["applied"], flip["measured"], flip["changed"]) == (2 * 47, 2 * 3, sum(flips))
    assert 0 < sum(flips) < 6
