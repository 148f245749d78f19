"""A training that is killed goes on with the very batches and the very weights of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Loader, Spec, Version, resume_callback
from augmill.pipeline.errors import StateError

TRAINING = '''
import hashlib, os, signal, sys
import keras, numpy as np, tensorflow as tf
from augmill.pipeline import Loader, resume_callback

version, folder, log, kill_after, batch_size = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
keras.utils.set_random_seed(1)
tf.config.experimental.enable_op_determinism()

class Told(keras.Sequential):
    """Writes down each image that it is trained on."""

    def train_step(self, data):
        tf.numpy_function(write_down, [data[0]], [])
        return super().train_step(data)

def write_down(images):
    with open(log, "a") as file:
        file.writelines(hashlib.sha256(image.tobytes()).hexdigest() + "\\n" for image in images)

class Killer(keras.callbacks.Callback):
    batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

layers = [keras.layers.Rescaling(1 / 255), keras.layers.AveragePooling2D(4), keras.layers.Flatten()]
layers += [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
model = Told([keras.Input((28, 20, 3)), *layers, keras.layers.Dense(3, activation="softmax")])
model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
loader = Loader(version, batch_size=batch_size, seed=1, copies="rotate", as_supervised=True)
callback = resume_callback(loader, folder, every=2)
callbacks = [callback, Killer()]
model.fit(callback.stream, initial_epoch=loader.epoch, epochs=3, callbacks=callbacks, verbose=0, shuffle=False)
np.savez(folder + ".npz", *model.get_weights(), *[v.numpy() for v in model.optimizer.variables])
'''


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    parts = {"image": {"size": [28, 20], "encoding": "png"}, "copies": 2, "block_examples": 12}
    augment = ["tf.image.random_flip_left_right", {"tf.image.random_hue": {"max_delta": 0.2}}]
    spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, augment=augment, **parts)
    made: Version = publish_version(spec, tmp_path_factory.mktemp("resume"))
    return made


def run(version: Version, folder: Path, log: str, *, kill_after: int = 0, batch_size: int = 7) -> int:
    script = folder / "training.py"
    script.write_text(TRAINING)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    arguments = map(str, (version.path, folder / "run", folder / log, kill_after, batch_size))
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    assert "ran out of data" not in done.stderr
    return done.returncode


def position(folder: Path) -> dict[str, Any]:
    (state,) = [path for path in (folder / "run").iterdir() if path.name.isdigit()]
    found: dict[str, Any] = json.loads((state / "position.json").read_text())["loader"]
    return found


@pytest.mark.parametrize("kill_after", [4, 11])  # in the first epoch of seven batches, and in the second
def test_a_killed_training_ends_as_one_that_was_not(version: Version, tmp_path: Path, kill_after: int) -> None:
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    quiet.mkdir()
    killed.mkdir()

    assert run(version, quiet, "log") == 0
    assert run(version, killed, "log1", kill_after=kill_after) == -signal.SIGKILL
    state = position(killed)
    assert run(version, killed, "log2") == 0

    logs = (quiet / "log", killed / "log1", killed / "log2")
    whole, first, second = (log.read_text().split() for log in logs)
    trained = 48 * state["epoch"] + state["samples"]
    assert 0 < trained <= len(first) < trained + 2 * 7 + 1
    assert first[:trained] + second == whole
    assert len(whole) == len(set(whole)) == 3 * 48  # each of 48 examples in three renditions
    one, other = (np.load(folder / "run.npz") for folder in (quiet, killed))
    for name in one.files:
        assert one[name].tobytes() == other[name].tobytes()


def small_model() -> Any:
    import keras

    keras.utils.set_random_seed(1)
    layers = [keras.Input((28, 20, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dropout(0.1), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def new_loader(version: Version, **options: Any) -> Loader:
    return Loader(version, **{"batch_size": 16, "seed": 1, "copies": 0, "as_supervised": True, **options})


def stop_after(batches: int) -> Any:
    import keras

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch + 1 == batches

    return Stop()


def fit(loader: Loader, folder: Path, *more: Any, epochs: int = 2, model: Any = None, **options: Any) -> Any:
    callback = resume_callback(loader, folder, **options)
    model = model or small_model()
    arguments = {"initial_epoch": loader.epoch, "epochs": epochs, "verbose": 0, "shuffle": False}
    model.fit(callback.stream, callbacks=[callback, *more], **arguments)
    return model


def test_an_epoch_that_was_stopped_is_taken_up_in_its_middle(version: Version, tmp_path: Path) -> None:
    loader = new_loader(version)
    fit(loader, tmp_path, stop_after(1))
    assert (loader.epoch, loader.samples) == (0, 16)

    again = new_loader(version)
    model = fit(again, tmp_path)

    assert (again.epoch, again.samples) == (2, 0)
    assert int(model.optimizer.iterations.numpy()) == 6


def test_who_stops_training_at_the_end_of_such_an_epoch_is_heard(version: Version, tmp_path: Path) -> None:
    import keras

    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    for place in (0, 1):  # before the callback that saves, and after it
        folder = tmp_path / str(place)
        fit(new_loader(version), folder, stop_after(1))
        loader = new_loader(version)
        callback = resume_callback(loader, folder)
        callbacks = [callback, Enough()] if place else [Enough(), callback]
        small_model().fit(callback.stream, epochs=5, callbacks=callbacks, verbose=0, shuffle=False)
        assert (loader.epoch, loader.samples) == (1, 0)


def test_another_batch_size_takes_it_up_too(version: Version, tmp_path: Path) -> None:
    fit(new_loader(version), tmp_path, stop_after(1))
    again = new_loader(version, batch_size=8)
    model = fit(again, tmp_path, epochs=1)
    assert int(model.optimizer.iterations.numpy()) == 1 + 4


def test_several_steps_an_execution_are_counted(version: Version, tmp_path: Path) -> None:
    import keras

    model = small_model()
    model.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=2)
    positions = []
    loader = new_loader(version, batch_size=8)
    told = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: positions.append(loader.samples))
    fit(loader, tmp_path, told, epochs=1, model=model)
    assert positions == [16, 32, 48]


def test_the_last_state_stands_alone_and_a_half_written_one_is_passed_over(version: Version, tmp_path: Path) -> None:
    fit(new_loader(version), tmp_path, every=1)
    (tmp_path / ".begun.tmp").mkdir()
    (tmp_path / ".begun.tmp/model.weights.h5").write_bytes(b"half")

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".begun.tmp", "00000007"]  # six batches and two ends of epochs
    loader = new_loader(version)
    fit(loader, tmp_path, epochs=3)
    assert loader.epoch == 3
    assert [path.name for path in tmp_path.iterdir()] == ["00000008"]


@pytest.mark.parametrize("part", ["write_text", "rename"])
def test_a_crash_while_saving_leaves_the_pair_from_before(
    version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    from augmill.pipeline.resume import last_state, restore, save

    model, loader = small_model(), new_loader(version)
    model.optimizer.build(model.trainable_variables)
    loader.seek(epoch=1)
    save(tmp_path, model, loader.state_dict())
    weights = [value.copy() for value in model.get_weights()]
    with monkeypatch.context() as crashing:
        crashing.setattr(Path, part, lambda *arguments, **options: (_ for _ in ()).throw(KeyboardInterrupt))
        loader.seek(epoch=2)
        model.set_weights([value + 1 for value in weights])
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, model, loader.state_dict())

    again, other = new_loader(version), small_model()
    resume_callback(again, tmp_path)
    state = last_state(tmp_path)
    assert state is not None
    restore(state, other)
    assert again.epoch == 1
    for one, value in zip(other.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, value)


def test_of_several_ranks_the_first_one_saves(version: Version, tmp_path: Path) -> None:
    fit(new_loader(version, rank=1, world_size=2), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_fit_must_be_given_is_told(version: Version, tmp_path: Path) -> None:
    model, loader = small_model(), new_loader(version)
    callback = resume_callback(loader, tmp_path)
    with pytest.raises(StateError, match="fit counts 1 steps an epoch, and the loader has 3"):
        model.fit(callback.stream, steps_per_epoch=1, callbacks=[callback], verbose=0)
    loader.seek(epoch=2)
    told = r"begins with epoch 0, .* come to epoch 2: give fit initial_epoch=loader.epoch"
    with pytest.raises(StateError, match=told):
        model.fit(callback.stream, callbacks=[callback], verbose=0)
    with pytest.raises(Exception, match="nobody counts the batches trained on"):
        model.fit(callback.stream, epochs=2, verbose=0)
    with pytest.raises(ValueError, match="every must be a whole number of batches"):
        resume_callback(loader, tmp_path, every=0)


def test_another_optimizer_is_refused_rather_than_begun_anew(version: Version, tmp_path: Path) -> None:
    fit(new_loader(version), tmp_path, epochs=1)
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(StateError, match=r"is not this one: .*Skipping variable loading for optimizer 'sgd"):
        fit(new_loader(version), tmp_path, model=model)


def test_another_model_is_refused(version: Version, tmp_path: Path) -> None:
    import keras

    fit(new_loader(version), tmp_path, epochs=1)
    model = keras.Sequential([keras.Input((28, 20, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(StateError, match="the model that was saved is not this one: "):
        fit(new_loader(version), tmp_path, model=model)


def test_another_loaders_state_is_refused(version: Version, tmp_path: Path) -> None:
    fit(new_loader(version), tmp_path, epochs=1)
    with pytest.raises(StateError, match="seed is 1 in the state and 2 here"):
        resume_callback(new_loader(version, seed=2), tmp_path)
