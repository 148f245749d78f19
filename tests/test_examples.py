"""The quickstart's own steps: photos, a version, a network that learns from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from augmill.pipeline import Version

REPOSITORY = Path(__file__).parent.parent


def _run(*command: object) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/ with its photos made beside it, as the quickstart has them."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "examples").mkdir()
    for path in (REPOSITORY / "examples").glob("*.*"):
        (folder / "examples" / path.name).write_bytes(path.read_bytes())
    _run(folder / "examples/make_photos.py", folder / "data/raw")
    return folder


def test_the_photos_are_many_real_and_of_varying_size(house: Path) -> None:
    photos = sorted((house / "data/raw").rglob("*.*"))
    sizes, tones = set(), []
    for path in photos:
        with Image.open(path) as photo:
            sizes.add(photo.size)
            tones.append(len(photo.convert("L").getcolors(256 * 256) or []))
    assert len(photos) >= 300
    assert len({path.parent.name for path in photos}) >= 3
    assert len(sizes) > 100
    assert sum(tones) / len(tones) > 100, "photos have many tones, drawings few"


def test_the_quickstart_builds_and_trains(house: Path) -> None:
    build = ("-m", "augmill.scripts.cli", "build", house / "examples/quickstart.yaml", "--output", house / "data")
    printed = _run(*build)
    again = _run(*build)

    version = Version(house / "data/photos/1.0.0")
    assert "my_augmentations:custom_rotation" in printed
    assert "already built" in again
    assert version.manifest.source["failed"] == 0
    for effect in version.manifest.effects:
        assert effect["changed"] > 0.4 * effect["measured"] > 0, effect["op"]

    trained = _run(house / "examples/train.py", version.path)
    accuracies = [float(value) for value in re.findall(r"val_accuracy: ([\d.]+)", trained)]
    assert len(accuracies) == 2
    assert accuracies[-1] > 0.6, "one in five would be chance"
