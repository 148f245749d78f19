"""NumPy batches are, bit for bit, what the `tf.data` stream gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Loader, Spec, Version


def assert_equal(ours: Any, streamed: Any) -> None:
    """Compare two batches, parts of varying length row by row."""
    import tensorflow as tf

    if isinstance(ours, dict):
        assert ours.keys() == streamed.keys()
        for name in ours:
            assert_equal(ours[name], streamed[name])
    elif isinstance(ours, tuple):
        for one, other in zip(ours, streamed, strict=True):
            assert_equal(one, other)
    elif isinstance(streamed, tf.RaggedTensor):
        assert len(ours) == streamed.nrows()
        for one, other in zip(ours, streamed, strict=True):
            other = other.to_tensor() if isinstance(other, tf.RaggedTensor) else other
            assert one.dtype == other.dtype.as_numpy_dtype
            np.testing.assert_array_equal(one.reshape(-1), other.numpy().reshape(-1))
    else:
        assert ours.dtype == streamed.numpy().dtype
        np.testing.assert_array_equal(ours, streamed.numpy())


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Callable[..., Version]:
    def publish(**changes: Any) -> Version:
        parts: dict[str, Any] = {"image": {"size": [28, 20]}, "copies": 1, "source": {"folder": str(photo_folder)}}
        parts["augment"] = ["tf.image.random_flip_left_right"]
        folder = tmp_path_factory.mktemp("decoding")
        made: Version = publish_version(Spec(name="crops", version="1.0.0", **{**parts, **changes}), folder)
        return made

    return publish


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
def test_pixels_are_equal_whatever_the_encoding(make: Callable[..., Version], encoding: str, channels: int) -> None:
    version = make(image={"size": [28, 20], "encoding": encoding, "channels": channels})
    for options in ({}, {"output": (-1.0, 1.0)}, {"output": (0.0, 0.7)}, {"size": (17, 31)}, {"as_supervised": True}):
        loader = Loader(version, batch_size=11, **options)
        streamed = list(loader.dataset())
        ours = list(loader)
        assert len(ours) == len(streamed) == 9
        for one, other in zip(ours, streamed, strict=True):
            assert_equal(one, other)


def test_images_of_varying_size_are_resized_alike(make: Callable[..., Version]) -> None:
    loader = Loader(make(image={"encoding": "jpeg"}), size=(24, 24))
    for streamed, ours in zip(list(loader.dataset()), loader, strict=True):
        assert_equal(ours, streamed)


def test_annotations_are_equal(make: Callable[..., Version], annotated_records: Any, tmp_path: Path) -> None:
    version = make(source=annotated_records(tmp_path), image={"size": [48, 64], "encoding": "png"})
    for size in (None, (30, 30)):
        loader = Loader(version, batch_size=7, size=size)
        for streamed, ours in zip(list(loader.dataset()), loader, strict=True):
            assert_equal(ours, streamed)
            assert [len(boxes) for boxes in ours["objects"]["bbox"]] == [len(one) for one in ours["objects"]["label"]]
            assert ours["objects"]["keypoints"][0].shape[1:] == (2, 3)


def test_weights_of_mixed_images_are_equal(make: Callable[..., Version]) -> None:
    version = make(augment=[{"keras.layers.MixUp": {"alpha": 0.4}}])
    for options in ({}, {"as_supervised": True}, {"remainder": "pad", "as_supervised": True}, {"remainder": "pad"}):
        loader = Loader(version, batch_size=10, **options)
        for streamed, ours in zip(list(loader.dataset()), loader, strict=True):
            assert_equal(ours, streamed)


def test_tensorflow_is_not_imported(make: Callable[..., Version]) -> None:
    code = (
        "import sys; from augmill.pipeline import Loader\n"
        f"loader = Loader({str(make().path)!r}, output=(0.0, 1.0))\n"
        "assert sum(len(batch['image']) for batch in loader) == 96 and loader[5]['image'].max() <= 1.0\n"
        "print([name for name in ('tensorflow', 'keras', 'apache_beam', 'augmill.transforms') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
