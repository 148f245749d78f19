"""Under tf.distribute: replicas see together the samples that one device would see, and the example trains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Loader, Spec, Version

REPOSITORY = Path(__file__).parent.parent

REPLICAS = """
import json, sys
import tensorflow as tf
from augmill.pipeline import load

(processor,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def of_process(context):
    return load(sys.argv[1], batch_size=5, seed=3, epoch=1, start_step=2, input_context=context)

steps = []
for batch in strategy.distribute_datasets_from_function(of_process):
    replicas = zip(*(strategy.experimental_local_results(batch[name]) for name in ("key", "copy")))
    steps.append([[[k.decode(), int(c)] for k, c in zip(keys.numpy(), copies.numpy())] for keys, copies in replicas])
print(json.dumps(steps))
"""


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    parts = {"image": {"size": [28, 20], "encoding": "png"}, "copies": 1, "block_examples": 12}
    augment = ["tf.image.random_flip_left_right"]
    spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, augment=augment, **parts)
    made: Version = publish_version(spec, tmp_path_factory.mktemp("distributed"))
    return made


def run(*command: object) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_replicas_see_together_what_one_would(version: Version) -> None:
    steps = json.loads(run("-c", REPLICAS, version.path).splitlines()[-1])

    alone = Loader(version, batch_size=10, seed=3, remainder="drop")
    alone.seek(epoch=1, samples=20)
    expected = [
        [[key.decode(), int(copy)] for key, copy in zip(batch["key"], batch["copy"], strict=True)] for batch in alone
    ]
    assert [first + second for first, second in steps] == expected
    assert {len(replica) for step in steps for replica in step} == {5}


def test_the_example_trains_on_two_devices(version: Version) -> None:
    printed = run(REPOSITORY / "examples/distributed.py", version.path)
    assert "2 replicas took 3 steps of 32 an epoch" in printed
