"""Normalisation in the model does what is done to pixels elsewhere, in the model's own precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from augmill.pipeline import Normalize
from augmill.pipeline.normalize import PRESETS


def test_pixels_are_scaled_shifted_and_divided_channel_by_channel(photo: np.ndarray) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)

    normal = Normalize(mean, std)(photo[None]).numpy()

    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal[0], (photo / 255 - mean) / std, atol=2e-6)


def test_a_photo_normalised_by_its_own_figures_has_mean_0_and_deviation_1(photo: np.ndarray) -> None:
    scaled = photo.reshape(-1, 3) / 255
    normal = Normalize(scaled.mean(axis=0), scaled.std(axis=0))(photo[None]).numpy().reshape(-1, 3)

    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(normal.std(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("preset", "mode"), [("imagenet", "torch"), ("minus_one_one", "tf")], ids=["as torch", "as tf"]
)
def test_presets_are_those_of_keras_applications(preset: str, mode: str, photo: np.ndarray) -> None:
    theirs = keras.applications.imagenet_utils.preprocess_input(photo[None].astype(np.float32), mode=mode)
    np.testing.assert_allclose(Normalize(preset)(photo[None]), theirs, atol=1e-5)


def test_floats_are_taken_by_their_range(photo: np.ndarray) -> None:
    floats = photo[None].astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(
        Normalize("imagenet", value_range=(-1, 1))(floats), Normalize("imagenet")(photo[None]), atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float32"])
def test_it_is_reckoned_in_float32_and_rounded_once(dtype: str, photo: np.ndarray) -> None:
    layer = Normalize("clip", dtype=dtype, value_range=(0, 1))
    floats = photo[None].astype(np.float32) / 255

    exact, given = Normalize("clip", value_range=(0, 1))(floats), layer(floats)

    assert given.dtype.name == dtype.removeprefix("mixed_")
    assert np.array_equal(given, keras.ops.cast(exact, given.dtype))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_saved_model_keeps_it(preset: str, photo: np.ndarray, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((224, 224, 3), dtype="uint8"), Normalize(preset)])
    model.save(tmp_path / "model.keras")

    again = keras.models.load_model(tmp_path / "model.keras")

    assert again.layers[0].get_config() == model.layers[0].get_config()
    assert Normalize.from_config(model.layers[0].get_config()).mean == model.layers[0].mean
    assert np.array_equal(again(photo[None]), model(photo[None]))


def test_one_number_serves_every_channel(photo: np.ndarray) -> None:
    grey = photo[None, ..., :1]
    np.testing.assert_allclose(Normalize(0.5, 0.25)(grey), (grey / 255 - 0.5) / 0.25, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"mean": "imagnet"}, "there is no preset 'imagnet'; choose from imagenet, cifar10"),
        ({"mean": "imagenet", "std": 0.2}, "has its std, give none; got std=0.2"),
        ({"mean": 0.5}, "give std beside mean, or a preset"),
        ({"mean": (0.5, 0.5), "std": (0.1, 0.1, 0.1)}, "of as many channels, got 2 and 3"),
        ({"mean": 0.5, "std": 0.0}, "std above 0, got mean=0.5, std=0.0"),
        ({"value_range": (1, 0)}, r"\(black, white\) with black < white, got \(1, 0\)"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Normalize(**arguments)


def test_images_of_other_channels_are_refused(photo: np.ndarray) -> None:
    with pytest.raises(ValueError, match="mean has 3 channels, and the images 1"):
        Normalize("imagenet")(photo[None, ..., :1])
