"""`augmill ops`: the catalogue told and drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline.drawing import CELL, GAP
from augmill.pipeline.strip import RENDITIONS
from augmill.transforms.catalog import OPS
from augmill.transforms.grammar import parse_policy

Command = Callable[..., Any]


@pytest.fixture
def photo_path(tmp_path: Path, photo: np.ndarray) -> Path:
    Image.fromarray(photo).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


def test_every_op_is_listed_with_what_becomes_of_annotations(augmill: Command) -> None:
    lines = augmill("ops").out.splitlines()
    row = next(line for line in lines if " keras.layers.MixUp " in line).split()
    assert row[:5] == ["keras.layers.MixUp", "mixed", "refused", "mixed", "reference"]
    assert {name for line in lines for name in line.split()[:1]} >= {*OPS, "one_of", "some_of", "sometimes"}


def test_an_op_is_explained_and_its_example_is_a_spec(augmill: Command) -> None:
    out = augmill("ops", "keras.layers.RandomRotation").out
    assert "Turn the image" in out
    assert "factor" in out and "must be given" in out and "boxes: moved" in out
    for known in json.loads(augmill("ops", "--json").out):
        assert parse_policy([known["example"]])[1] == [], known["name"]
        assert all(argument["about"] for argument in known["arguments"]), known["name"]


def test_a_misspelt_op_is_answered_with_the_nearest(augmill: Command) -> None:
    done = augmill("ops", "keras.layers.RandomRotate")
    assert done.code == 2
    assert "did you mean keras.layers.RandomRotation? `augmill ops` lists them" in done.err


def test_a_strip_shows_the_photo_and_its_renditions(augmill: Command, photo_path: Path, tmp_path: Path) -> None:
    strip = tmp_path / "strip.png"
    arguments = ["--arguments", "{k: 2}", "-o", strip]
    assert augmill("ops", "tf.image.rot90", "--preview", photo_path, *arguments).code == 0
    cells = np.asarray(Image.open(strip))[GAP : GAP + CELL]
    shown = [cells[:, GAP + i * (CELL + GAP) :][:, :CELL] for i in range(RENDITIONS + 1)]
    assert all(np.array_equal(cell, np.rot90(shown[0], 2)) for cell in shown[1:])


def test_a_mix_is_drawn_of_two_photos(augmill: Command, photo_path: Path, tmp_path: Path) -> None:
    other = tmp_path / "grey.png"
    Image.new("RGB", (224, 224), (90, 90, 90)).save(other)
    strip = tmp_path / "strip.png"
    assert augmill("ops", "cut_mix", "--preview", photo_path, "--preview", other, "-o", strip).code == 0
    cells = np.asarray(Image.open(strip))[GAP : GAP + CELL, CELL + 2 * GAP :]
    assert (cells == 90).all(axis=2).sum() > CELL * CELL
    done = augmill("ops", "cut_mix", "--preview", photo_path, "-o", strip)
    assert (done.code, "give --preview twice" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preview", "{photo}"], "a preview needs all of NAME, --preview PHOTO and --output STRIP.png"),
        (["--preview", "{photo}", "-o", "strip.gif"], "--output must end in .png or .jpg, got strip.gif"),
        (["--preview", "{photo}", "-o", "s.png", "--arguments", "{factor: 9}"], "keras.layers.RandomZoom: "),
        (["--preview", "{photo}", "-o", "s.png", "--arguments", "{height: 0.1}"], "did you mean height_factor?"),
        (["--preview", "{photo}", "-o", "s.png", "--arguments", "[1]"], "--arguments must be a mapping"),
        (["--preview", "{photo}", "-o", "s.png", "--arguments", "{a: ["], "--arguments is no valid YAML"),
        (["--preview", "none.png", "-o", "s.png"], "none.png: No such file or directory"),
        (["--preview", "{spec}", "-o", "s.png"], "not an image"),
    ],
)
def test_a_mistake_is_told_in_a_line(
    augmill: Command, photo_path: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "spec.yaml").write_text("name: a")
    given = [a.replace("{photo}", str(photo_path)).replace("{spec}", str(tmp_path / "spec.yaml")) for a in arguments]
    done = augmill("ops", "keras.layers.RandomZoom", *given)
    assert done.code == 2
    assert message in done.err and "Traceback" not in done.err
