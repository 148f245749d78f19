"""What the tests share: real photos, small datasets made of them, and short builds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
                {"one_of": [{"tf.image.random_hue": {"max_delta": 0.1}}, {"keras.layers.RandomZoom": {"height_factor": 0.2}}]},
            ],
        }
        return Spec(**{**parts, **changes})

    return make
