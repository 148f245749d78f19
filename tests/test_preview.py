"""The contact sheet shows the images and the copies that a build makes of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.preview import CELL, draw_sheet
from augmill.pipeline.renderer import Renderer


def _cell(sheet: np.ndarray, row: int, column: int, height: int) -> np.ndarray:
    top, left = row * height + 6, column * (CELL + 6) + 6
    return sheet[top : top + CELL, left : left + CELL]


def test_every_cell_is_the_rendition_that_a_build_makes(make_spec: Callable[..., Any], photo_folder: Path) -> None:
    spec = make_spec(image={"size": [CELL, CELL]})
    plan = make_plan(spec, list_source(spec))

    sheet = np.asarray(draw_sheet(spec, plan, examples=3))

    height = (sheet.shape[0] - 6) // 3
    renderer = Renderer(spec, plan.classes)
    for row, example in enumerate(plan.table.slice(0, 3).to_pylist()):
        opened = renderer.open((photo_folder / example["uri"]).read_bytes(), example["label"])
        for copy in (0, 1, 2):
            expected = renderer.render(opened, example["key"], copy)[0].image
            np.testing.assert_array_equal(_cell(sheet, row, copy, height), expected)


def test_what_cannot_be_read_is_told_in_its_row(
    make_spec: Callable[..., Any], photo_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(photo_folder, tmp_path / "photos")
    spec = make_spec(source={"folder": str(folder)}, image={"size": [CELL, CELL]})
    plan = make_plan(spec, list_source(spec))
    (folder / plan.table.column("uri")[0].as_py()).write_bytes(b"no image")

    sheet = np.asarray(draw_sheet(spec, plan, examples=2))

    height = (sheet.shape[0] - 6) // 2
    told = _cell(sheet, 0, 0, height)
    assert set(np.unique(told[..., 0])) != {255}, "a text is there"
    assert np.mean(told == 255) > 0.8, "and no picture"
    assert np.mean(_cell(sheet, 1, 0, height) == 255) < 0.8


@pytest.mark.parametrize(("name", "code"), [("sheet.png", 0), ("sheet.jpg", 0), ("sheet.pdf", 2), ("no/sheet.png", 2)])
def test_the_command_writes_a_picture(
    name: str, code: int, write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    result = augmill("preview", write_spec(), "-o", tmp_path / name, "--examples", 2)

    assert result.code == code, result.err
    if code == 0:
        with Image.open(tmp_path / name) as sheet:
            assert sheet.width == 3 * (CELL + 6) + 6
    else:
        assert len(result.err.splitlines()) == 1
