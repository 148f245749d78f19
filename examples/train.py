"""Train a small network from a published version.

python examples/train.py data/photos/1.0.0
"""

from __future__ import annotations

import sys

import keras

from augmill.pipeline import Version, load

EPOCHS = 2


def small_network(classes: int) -> keras.Model:
    """A few convolutions; it sees uint8 pixels and scales them itself, on the device."""
    layers = [keras.layers.Rescaling(1 / 127.5, offset=-1)]
    for filters in (16, 32, 64):
        layers.append(keras.layers.Conv2D(filters, 3, strides=2, activation="relu"))
        layers.append(keras.layers.BatchNormalization(momentum=0.9))  # an epoch here is only some fifty steps
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(classes, activation="softmax")]
    return keras.Sequential(layers)


def main(path: str) -> None:
    keras.utils.set_random_seed(1)
    version = Version(path)
    model = small_network(len(version.manifest.classes or []))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    validation = load(version, split="validation", as_supervised=True)
    for epoch in range(EPOCHS):
        train = load(version, split="train", batch_size=32, seed=1, epoch=epoch, as_supervised=True)
        model.fit(train, validation_data=validation, initial_epoch=epoch, epochs=epoch + 1, verbose=2, shuffle=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
