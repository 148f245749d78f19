"""Three ways in which people mix augmentations, each through one spec, and what augmill tells of the third."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TWO_TF_IMAGE_OPS: list[Any] = [
    "tf.image.random_flip_left_right",
    {"tf.image.random_brightness": {"max_delta": 0.2}},
]
TWO_KERAS_LAYERS: list[Any] = [
    {"keras.layers.RandomContrast": {"factor": 0.5}},
    {"keras.layers.RandomZoom": {"height_factor": 0.2}},
]
CUSTOM_ROTATION = """
import tensorflow as tf


def custom_rotation(image, label):
    angle = tf.random.uniform([], minval=-0.314, maxval=0.314)
    quarter_turns = tf.cast(tf.round(angle / 1.57), tf.int32)
    return tf.image.rot90(image, k=quarter_turns), label
"""


@pytest.fixture
def cifar_shaped(tmp_path: Path, photos: dict[str, np.ndarray]) -> Path:
    """Class folders of 32 x 32 PNG images, as CIFAR-10's are, cut from real photos."""
    folder = tmp_path / "cifar"
    for name, photo in photos.items():
        (folder / name).mkdir(parents=True)
        for i in range(24):
            Image.fromarray(photo[8 * i : 8 * i + 32, 9 * i : 9 * i + 32]).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("ops", [TWO_TF_IMAGE_OPS, TWO_KERAS_LAYERS])
def test_ops_and_layers_build_and_every_one_changes_images(
    ops: list[Any], cifar_shaped: Path, write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    spec = write_spec(source={"folder": str(cifar_shaped)}, augment=ops, splits=None, block_examples=None)

    result = augmill("build", spec, "--output", tmp_path / "out", "--workers", 1)

    assert result.code == 0, result.err
    from augmill.pipeline import Version

    version = Version(tmp_path / "out/crops/1.0.0")
    assert version.records == 3 * 24 * 3
    for effect in version.manifest.effects:
        assert effect["applied"] == 2 * 72
        assert effect["changed"] > 0.3 * effect["applied"]


def test_a_rotation_that_rounds_to_nothing_is_found_before_the_build(
    cifar_shaped: Path, write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "article.py").write_text(CUSTOM_ROTATION)
    spec = write_spec(
        source={"folder": str(cifar_shaped)},
        augment=[*TWO_TF_IMAGE_OPS, *TWO_KERAS_LAYERS, "article:custom_rotation"],
        splits=None,
    )

    checked = augmill("check", spec)
    built = augmill("build", spec, "--output", tmp_path / "out")

    for result in (checked, built):
        assert result.code == 1
        assert "article:custom_rotation draws from tf.random.uniform" in result.err
        assert "article:custom_rotation changes nothing: 64 images went in and the same came out" in result.err
        assert "Traceback" not in result.err
    assert not (tmp_path / "out").exists()
