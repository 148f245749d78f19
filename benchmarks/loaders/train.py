"""An epoch of training over any loader's batches: a small network, a stand-in for a GPU's step, or nothing at all."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from benchmarks.loaders.task import Epoch, LoadTask, Reading, parse_task, read, take_first, tell

CLASSES = 8


def main() -> None:
    """Warm up by a batch, read the epochs asked for, and print what they took as JSON.

    Options: `loader`, a module of this package; `under`, what is done with each batch; `epochs`; and the loader's own.
    """
    task = parse_task()
    epoch: Epoch = importlib.import_module(f"benchmarks.loaders.{task.option('loader')}").epoch
    step = STEPS[task.option("under")](task)
    first = take_first(epoch(task, 0))
    for images in (first, first[: len(first) // 2]):  # of two lengths: whatever is traced, is so for any
        step(images, keras.ops.zeros(len(images), "int64"))
    numbers = range(1, int(task.option("epochs")) + 1)
    done = [read(partial(epoch, task, number), step) for number in numbers]
    # Each field by itself, so that no epoch's closing is in the seconds of another.
    sums = {name: sum(getattr(one, name) for one in done) for name in Reading._fields}
    tell(**sums, epochs=len(done))


def _nothing(task: LoadTask) -> Callable[[Any, Any], object]:
    return lambda images, labels: None


def _network(task: LoadTask) -> Callable[[Any, Any], object]:
    """A few convolutions on uint8 pixels, on the same cores as the input."""
    layers: list[Any] = [keras.layers.Rescaling(1 / 127.5, offset=-1)]
    layers += [keras.layers.Conv2D(filters, 3, strides=2, activation="relu") for filters in (16, 32, 64)]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES, activation="softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy")
    return lambda images, labels: model.train_on_batch(images, labels)


def _wait(task: LoadTask) -> Callable[[Any, Any], object]:
    """The time that a step would take elsewhere, which needs no core of this machine."""
    seconds = float(task.option("milliseconds")) / 1e3
    return lambda images, labels: time.sleep(seconds)


STEPS: dict[str, Callable[[LoadTask], Callable[[Any, Any], object]]] = {
    "nothing": _nothing,
    "network": _network,
    "wait": _wait,
}

if __name__ == "__main__":
    main()
