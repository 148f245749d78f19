"""Train a small network on several devices: each step's global batch is shared by them, as one device would see it.

python examples/distributed.py data/photos/1.0.0

Without GPUs it makes two devices of the processor, to show how.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import tensorflow as tf

from augmill.pipeline import Loader, Version

EPOCHS = 2
REPLICA_BATCH = 16


def devices() -> list[str]:
    """The names of the devices to train on."""
    if tf.config.list_physical_devices("GPU"):
        return [device.name for device in tf.config.list_logical_devices("GPU")]
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    return [device.name for device in tf.config.list_logical_devices("CPU")]


def small_network(classes: int) -> keras.Model:
    layers = [keras.Input((None, None, 3)), keras.layers.Rescaling(1 / 127.5, offset=-1)]
    layers += [keras.layers.Conv2D(filters, 3, strides=2, activation="relu") for filters in (16, 32, 64)]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(classes)])


def main(path: str) -> None:
    keras.utils.set_random_seed(1)
    version = Version(path)
    strategy = tf.distribute.MirroredStrategy(devices())
    with strategy.scope():
        model = small_network(len(version.manifest.classes or []))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
    for epoch in range(EPOCHS):

        def epoch_of(context: tf.distribute.InputContext, epoch: int = epoch) -> Any:
            """One process's part of an epoch: a batch for each of its replicas a step."""
            loader = Loader(version, batch_size=REPLICA_BATCH, seed=1, input_context=context, as_supervised=True)
            return loader.dataset(epoch=epoch)

        global_batch = REPLICA_BATCH * strategy.num_replicas_in_sync
        train = strategy.distribute_datasets_from_function(epoch_of)
        steps = version.manifest.splits["train"].records // global_batch
        model.fit(train, steps_per_epoch=steps, initial_epoch=epoch, epochs=epoch + 1, verbose=2, shuffle=False)
    print(f"{strategy.num_replicas_in_sync} replicas took {steps} steps of {global_batch} an epoch")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
