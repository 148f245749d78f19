"""What the tests share: real photos, small datasets made of them, and short builds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

REPOSITORY = Path(__file__).parent.parent


def _photos() -> dict[str, np.ndarray]:
    from skimage import data

    return {"cat": data.chelsea(), "coffee": data.coffee(), "galaxy": data.hubble_deep_field()}


@pytest.fixture(scope="session")
def photos() -> dict[str, np.ndarray]:
    """Three real photos by class: uint8 [height, width, 3]."""
    return _photos()


@pytest.fixture(scope="session")
def photo(photos: dict[str, np.ndarray]) -> np.ndarray:
    """One real photo of 224 x 224 pixels: the face of a cat."""
    return np.ascontiguousarray(photos["cat"][30:254, 120:344])


def crops(photo: np.ndarray, count: int, *, side: tuple[int, int] = (40, 90)) -> list[np.ndarray]:
    """Cut `count` different windows of varying size out of a photo, always the same ones."""
    generator = np.random.default_rng(count)
    windows = []
    for _ in range(count):
        height, width = generator.integers(*side, size=2)
        top = generator.integers(0, photo.shape[0] - height)
        left = generator.integers(0, photo.shape[1] - width)
        windows.append(photo[top : top + height, left : left + width])
    return windows


def write_photo_folder(folder: Path, photos: dict[str, np.ndarray], count: int) -> Path:
    """Write `count` crops a class into class folders, as JPEG and PNG in turn."""
    from PIL import Image

    for name, photo in photos.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, crop in enumerate(crops(photo, count)):
            Image.fromarray(crop).save(folder / name / f"{name}-{i:03d}.{'png' if i % 4 == 0 else 'jpg'}")
    return folder


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, np.ndarray]) -> Path:
    """Three class folders of 16 crops each; not to be written to."""
    return write_photo_folder(tmp_path_factory.mktemp("photos"), photos, 16)


@pytest.fixture
def make_spec(photo_folder: Path) -> Callable[..., Any]:
    """Make a small spec over `photo_folder`; keyword arguments replace its parts."""
    from augmill.pipeline import Spec

    def make(**changes: Any) -> Spec:
        parts: dict[str, Any] = {
            "name": "crops",
            "version": "1.0.0",
            "seed": 3,
            "source": {"folder": str(photo_folder)},
            "splits": {"train": 0.75, "test": 0.25},
            "image": {"size": [32, 32], "encoding": "png"},
            "copies": 2,
            "block_examples": 8,
            "augment": [
                "tf.image.random_flip_left_right",
                {"tf.image.random_brightness": {"max_delta": 0.2}},
                {
                    "one_of": [
                        {"tf.image.random_hue": {"max_delta": 0.1}},
                        {"keras.layers.RandomZoom": {"height_factor": 0.2}},
                    ]
                },
            ],
        }
        return Spec(**{**parts, **changes})

    return make


@pytest.fixture(scope="session")
def publish_version() -> Callable[..., Any]:
    """Build a version block by block in this process: all that a job does, without Beam around it."""
    from augmill.pipeline.listing import list_source
    from augmill.pipeline.materialize import Materializer
    from augmill.pipeline.plan import make_plan
    from augmill.pipeline.publish import publish
    from augmill.pipeline.workspace import Workspace

    def make(spec: Any, output: Path) -> Any:
        plan = make_plan(spec, list_source(spec))
        target = output / spec.name / spec.version
        workspace = Workspace.beside(target)
        workspace.prepare(spec, plan, {"spec": spec.digest()})
        materialize = Materializer(workspace)
        for block in range(plan.blocks):
            materialize(block)
        facts = {"started": "2001-01-01T00:00:00+00:00", "seconds": 1.0, "workers": 1}
        version = publish(spec, plan, workspace, target, build=facts, libraries={}, code={})
        workspace.remove()
        return version

    return make


class CommandResult(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def augmill(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., CommandResult]:
    """Run the `augmill` command in this process, which has paid for TensorFlow already."""
    from augmill.scripts.cli import main

    def run(*arguments: object) -> CommandResult:
        monkeypatch.setattr("sys.argv", ["augmill", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return CommandResult(code, *capfd.readouterr())

    return run


@pytest.fixture
def write_spec(tmp_path: Path, make_spec: Callable[..., Any]) -> Callable[..., Path]:
    """Write a small spec over `photo_folder` as YAML; keyword arguments replace its parts, None leaves one out."""
    import yaml

    def write(**changes: Any) -> Path:
        parts = make_spec().canonical()
        parts["source"] = {key: value for key, value in parts["source"].items() if value is not None}
        parts |= changes
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in parts.items() if value is not None}))
        return path

    return write
