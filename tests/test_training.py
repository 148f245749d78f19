"""The callback that tells of a model which augments what is augmented already."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from augmill.pipeline import loader_callback
from augmill.pipeline.training import augmentation_layers

IMAGES, LABELS = np.zeros((4, 16, 16, 3), np.uint8), np.array([0, 1, 0, 1])


def trained(*front: Any) -> keras.Model:
    tail = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dropout(0.1), layers.Dense(2, activation="softmax")]
    model = keras.Sequential([keras.Input((16, 16, 3)), *front, *tail], name="flowers")
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


class Own(keras.Model):
    """A model of the user's own class, with augmentation in an attribute."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.augment = keras.Sequential([layers.RandomFlip("horizontal", name="mirror")], name="before")
        self.head = layers.Dense(2)

    def call(self, images: Any, training: bool = False) -> Any:
        return self.head(keras.ops.mean(self.augment(images, training=training), axis=(1, 2)))


def test_a_model_that_augments_is_told_of_as_training_begins() -> None:
    block = keras.Sequential([layers.RandomZoom(0.1, name="zoom"), layers.RandAugment(name="rand")], name="block")
    model = trained(layers.RandomFlip(name="flip"), block)
    with pytest.warns(UserWarning) as told:
        model.fit(IMAGES, LABELS, verbose=0, callbacks=[loader_callback()])
    [warning] = [str(one.message) for one in told if "augmill" in str(one.message)]
    assert warning == (
        "model 'flowers' augments images at every step (flip, block/zoom, block/rand), and what augmill loads is "
        "augmented already: take these layers out, as `augmill adopt` does"
    )


def test_a_model_that_does_not_is_left_in_peace() -> None:
    model = trained(layers.Resizing(16, 16), layers.AutoContrast(), layers.CenterCrop(16, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(IMAGES, LABELS, verbose=0, callbacks=[loader_callback()])


def test_layers_are_found_wherever_they_stand() -> None:
    inputs = keras.Input((16, 16, 3))
    pipeline = layers.Pipeline([layers.RandomHue(0.1, name="hue")], name="colours")
    graph = keras.Model(inputs, pipeline(layers.RandomRotation(0.1, name="turn")(inputs)))
    assert [path for path, _ in augmentation_layers(graph)] == ["turn", "colours/hue"]
    assert [path for path, _ in augmentation_layers(Own())] == ["before/mirror"]
    assert isinstance(loader_callback(), keras.callbacks.Callback)
