"""For `fit`: the loader's position and the model's state, kept as a pair so that a killed training goes on there.

Imports Keras only when it is asked to, and no transforms.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from augmill.pipeline.errors import StateError
from augmill.pipeline.loader import Loader

WEIGHTS, POSITION = "model.weights.h5", "position.json"

# What a model's `stop_training` is set to where an epoch that was taken up in its middle ends. `fit` asks for as many
# batches in that epoch as in others, and a step that meets the end of the data changes the model: it counts in the
# optimizer's iterations and moves on the seeds of random layers. So it must not come to that step.
PART_IS_DONE = "the epoch is done, of which only the rest was left"


def resume_callback(loader: Loader, folder: str | Path, *, every: int | None = None) -> Any:
    """Make a Keras callback that saves the state of a training, and takes up the state that an earlier one left.

    The loader's position is set at once; weights, optimizer and random layers' seeds follow as `fit` begins:

        callback = resume_callback(loader, "run", every=500)
        model.fit(callback.stream, initial_epoch=loader.epoch, epochs=10, callbacks=[callback])

    `stream` gives an epoch each time that `fit` iterates over it, from the loader's position on. What counts as
    consumed are the batches that were trained on, and not those that `fit` has in hand already.

    Args:
      loader: what is trained on; the position is its own. Of several ranks the first one saves, and all take up.
      folder: holds the states; made where it is missing. A state is a folder in it, which appears whole or not at all.
      every: batches after which to save, besides the end of each epoch.

    Returns:
      A `keras.callbacks.Callback`, with `stream`, a `tf.data.Dataset`.

    Raises:
      StateError: the state in `folder` is another loader's; or as `fit` begins, it is not given what it needs.
    """
    import keras

    training = Training(loader, Path(folder), every)

    class ResumeCallback(keras.callbacks.Callback):
        """Saves the state of a training, and takes it up."""

        @property
        def stream(self) -> Any:
            return training.stream()

        def on_train_begin(self, logs: Any = None) -> None:
            training.begin(self.model, self.params["steps"])

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            training.begin_epoch(epoch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            due = training.count(batch + 1)
            if training.part_is_done and not self.model.stop_training:
                self.model.stop_training = PART_IS_DONE
            if due:
                training.save(self.model)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if self.model.stop_training == PART_IS_DONE:  # and nobody else has said in the meantime that it is enough
                self.model.stop_training = False
            training.end_epoch(epoch, stopped=bool(self.model.stop_training))
            training.save(self.model)

        def on_train_end(self, logs: Any = None) -> None:
            training.end()

    return ResumeCallback()


class Training:
    """What a callback does; apart from it so that Keras need not be there to read it."""

    def __init__(self, loader: Loader, folder: Path, every: int | None) -> None:
        if every is not None and (type(every) is not int or every < 1):
            raise ValueError(f"every must be a whole number of batches, at least 1, got {every!r}")
        self._loader, self._folder, self._every = loader, folder, every
        self._in_fit, self._uncounted = False, 0
        self._since = self._steps = self._counted = self._saved = 0
        self._saved_state = last_state(folder)
        if self._saved_state is not None:
            position = json.loads((self._saved_state / POSITION).read_text("utf-8"))
            loader.load_state_dict(position["loader"])
        if loader.steps_left() == 0:
            loader.seek(epoch=loader.epoch + 1)

    def stream(self) -> Any:
        """A dataset whose every iteration is the rest of the epoch that the loader has come to."""
        import tensorflow as tf

        stream = self._loader.stream(self._batches)
        # `fit` takes the first epoch's length for that of all, and one that is taken up in its middle is shorter: it is
        # told the whole one's. `assert_cardinality` would tell it too, and make an error of the shorter one.
        stream.cardinality = lambda: tf.constant(len(self._loader), tf.int64)
        return stream

    def _batches(self) -> Iterator[Any]:
        if not self._in_fit:
            self._uncounted += 1
            if self._uncounted > 1:  # `fit` itself looks at a batch before it begins, to build the model
                raise StateError("nobody counts the batches trained on: give fit the callback whose stream this is")
        return self._loader.batches(self._loader.epoch, self._loader.samples)

    def begin(self, model: Any, steps: int | None) -> None:
        """Take up the model's state at the beginning of `fit`."""
        if steps != len(self._loader):
            raise StateError(
                f"fit counts {steps} steps an epoch, and the loader has {len(self._loader)}: give fit the callback's "
                "stream as it is, without steps_per_epoch or class_weight"
            )
        if self._saved_state is not None:
            restore(self._saved_state, model)
            self._saved_state = None
        self._in_fit, self._uncounted, self._saved = True, 0, 0

    def begin_epoch(self, epoch: int) -> None:
        """Begin to count the batches of an epoch, or of what is left of it."""
        if epoch != self._loader.epoch:
            self._in_fit = False
            raise StateError(
                f"fit begins with epoch {epoch}, and the loader has come to epoch {self._loader.epoch}: give fit "
                "initial_epoch=loader.epoch"
            )
        self._since, self._steps, self._counted = self._loader.samples, self._loader.steps_left(), 0

    @property
    def part_is_done(self) -> bool:
        """Whether this is an epoch that was taken up in its middle, and is at its end now."""
        return self._since > 0 and self._counted >= self._steps

    def count(self, batches: int) -> bool:
        """Note that so many batches of the epoch have been trained on; tell whether it is time to save."""
        self._saved += batches - self._counted
        self._counted = batches
        self._loader.move(batches, since=self._since)
        due = self._every is not None and self._saved >= self._every
        self._saved = 0 if due else self._saved
        return due

    def end_epoch(self, epoch: int, *, stopped: bool) -> None:
        """Go on to the next epoch, unless `fit` was stopped before this one was at its end."""
        if not stopped or self._loader.steps_left() == 0:
            self._loader.seek(epoch=epoch + 1)

    def end(self) -> None:
        self._in_fit = False

    def save(self, model: Any) -> None:
        """Save the pair of position and model; of several ranks the first one does it for all."""
        if self._loader.rank == 0:
            save(self._folder, model, self._loader.state_dict())


def last_state(folder: Path) -> Path | None:
    """The last state that was saved whole, if there is one."""
    states = sorted(path for path in folder.glob("[0-9]*") if path.name.isdigit())
    return states[-1] if states else None


def save(folder: Path, model: Any, loader_state: dict[str, Any]) -> None:
    """Save a model's weights, optimizer and seeds, and a loader's state with them, as one folder that appears whole."""
    folder.mkdir(parents=True, exist_ok=True)
    older = last_state(folder)
    number = 0 if older is None else int(older.name) + 1
    temporary = folder / f".{uuid.uuid4().hex}.tmp"
    temporary.mkdir()
    model.save_weights(temporary / WEIGHTS)
    seeds = [[seed.path, np.asarray(seed).tolist()] for seed in _seeds(model)]
    (temporary / POSITION).write_text(json.dumps({"loader": loader_state, "seeds": seeds}), "utf-8")
    for path in (temporary / WEIGHTS, temporary / POSITION, temporary):
        _sync(path)
    temporary.rename(folder / f"{number:08d}")
    _sync(folder)
    for path in folder.iterdir():
        if (path.name.isdigit() and int(path.name) < number) or path.suffix == ".tmp":
            shutil.rmtree(path, ignore_errors=True)


def restore(state: Path, model: Any) -> None:
    """Give a model the weights, optimizer state and seeds of a saved state.

    Raises:
      StateError: the model is not built, or has another optimizer or random layers than the one that was saved.
    """
    if not model.built:
        raise StateError("the model must be built before its state can be taken up: begin it with keras.Input")
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Skipping variable loading")  # which would begin them anew
        try:
            model.load_weights(state / WEIGHTS)
        except (UserWarning, ValueError) as error:
            raise StateError(f"the model that was saved is not this one: {' '.join(str(error).split())}") from error
    saved = json.loads((state / POSITION).read_text("utf-8"))["seeds"]
    seeds = _seeds(model)
    if len(saved) != len(seeds):
        raise StateError(f"the saved model has {len(saved)} random layers' seeds, and this one {len(seeds)}")
    for variable, (_, value) in zip(seeds, saved, strict=True):
        variable.assign(np.array(value, variable.dtype))


def _seeds(model: Any) -> list[Any]:
    """The variables of random layers such as Dropout, which Keras does not save with the weights."""
    others = {id(variable) for variable in (*model.weights, *model.metrics_variables)}
    return [variable for variable in model.variables if id(variable) not in others]


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
