"""How TensorFlow is met, and how its float pixels become bytes."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from augmill.transforms.backend import to_uint8
from augmill.transforms.base import TransformError


def test_ties_go_to_the_even_level() -> None:
    assert to_uint8(np.array([0.5, 1.5, 2.5, 253.5, 254.5]), "op").tolist() == [0, 2, 2, 254, 254]


def test_pixels_saturate_and_do_not_wrap_round() -> None:
    assert to_uint8(np.array([255.6, 300.0, 1e30, -0.4, -3.0, -1e30]), "op").tolist() == [255, 255, 255, 0, 0, 0]


def test_rounding_is_that_of_tensorflow(photo: np.ndarray) -> None:
    pixels = photo.astype(np.float32) * 1.25 - 20.5
    assert pixels.min() < 0
    assert pixels.max() > 255
    rounded = to_uint8(pixels, "op")
    assert rounded.dtype == np.uint8
    assert np.array_equal(rounded, tf.saturate_cast(tf.round(pixels), tf.uint8).numpy())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number_is_refused_by_the_name_of_the_op(photo: np.ndarray, value: float) -> None:
    pixels = photo.astype(np.float32)
    pixels[100, 50, 1] = value
    with pytest.raises(TransformError, match=r"keras\.layers\.Odd returned pixels that are not numbers"):
        to_uint8(pixels, "keras.layers.Odd")


def test_uint8_comes_back_as_it_is(photo: np.ndarray) -> None:
    assert to_uint8(photo, "op") is photo


def test_importing_the_transforms_does_not_import_tensorflow() -> None:
    code = "import sys, augmill.transforms; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# How many threads TensorFlow's graphs and ops are run by, and whether it sees a GPU.
COUNT_THREADS = """
import pathlib
tf = tensorflow()
tf.function(lambda: tf.linalg.matmul(tf.zeros([600, 600]), tf.zeros([600, 600])))()
names = [task.joinpath("comm").read_text().strip() for task in pathlib.Path("/proc/self/task").iterdir()]
pools = tf.config.threading
print(names.count("tf_Compute"), tf.config.list_physical_devices("GPU"))
print(pools.get_intra_op_parallelism_threads(), pools.get_inter_op_parallelism_threads())
"""


@pytest.mark.parametrize(("order", "set_to"), [("claim_one_core()", 0), ("tensorflow(); claim_one_core()", 1)])
def test_a_process_claims_one_core_and_starts_without_a_word(order: str, set_to: int) -> None:
    """Of a TensorFlow that is there already it sets the threads; one to come reads them in the environment."""
    code = f"from augmill.transforms.backend import claim_one_core, tensorflow\n{order}\n{COUNT_THREADS}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"1 []\n{set_to} {set_to}\n"
    assert done.stderr == ""


def test_to_claim_a_core_imports_no_tensorflow() -> None:
    code = """
import os, sys
from augmill.transforms.backend import claim_one_core
claim_one_core()
print("tensorflow" in sys.modules, os.environ["CUDA_VISIBLE_DEVICES"])
print(os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["TF_NUM_INTEROP_THREADS"])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False -1\n1 1\n"
