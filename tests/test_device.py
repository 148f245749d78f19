"""Batches reach a device that there is, and another is refused with those that there are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline import to_device


@pytest.fixture
def batches(photo: np.ndarray) -> Any:
    images = np.stack([np.roll(photo[::8, ::8], i, axis=1) for i in range(12)])
    return tf.data.Dataset.from_tensor_slices((images, np.arange(12) % 3)).batch(4)


@pytest.mark.parametrize("device", ["/CPU:0", "CPU:0", "/device:CPU:0", "/CPU"])
def test_the_same_batches_come_on_the_device(batches: Any, device: str) -> None:
    moved = list(to_device(batches, device))

    assert len(moved) == len(batches) == 3
    for (image, label), (same, other) in zip(batches, moved, strict=True):
        assert same.device.endswith("/device:CPU:0")
        assert np.array_equal(image, same) and np.array_equal(label, other)


def test_a_model_trains_from_the_device(batches: Any) -> None:
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as Keras warns of data that ran out
        for _ in range(8):
            moved = to_device(batches, "/CPU:0")
            losses += model.fit(moved, steps_per_epoch=len(batches), shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("device", ["/GPU:0", "GPU:7", "/CPU:3", "gpu", "cuda", ""])
def test_a_device_that_is_not_there_is_told_with_those_that_are(batches: Any, device: str) -> None:
    with pytest.raises(ValueError, match=rf"^there is no device '{device}'; there are: CPU:0$"):
        to_device(batches, device)


def test_what_cannot_live_on_a_device_is_named(batches: Any) -> None:
    boxes = tf.ragged.constant([[1.0], [], [2.0, 3.0], [4.0]] * 3)
    parts = {"image": tf.zeros([12, 2, 2, 3]), "key": ["a"] * 12, "objects": {"bbox": boxes, "count": tf.range(12)}}
    with pytest.raises(ValueError, match=r"these parts are such: key, objects/bbox; load with as_supervised=True"):
        to_device(tf.data.Dataset.from_tensor_slices(parts).batch(4), "/CPU:0")


def test_a_buffer_of_nothing_is_refused(batches: Any) -> None:
    with pytest.raises(ValueError, match="buffer_size must be a whole number of at least 1, got 0"):
        to_device(batches, "/CPU:0", buffer_size=0)
