"""Whether code of the user's repeats itself: the stateful generators that it draws from, and what it gives twice."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from augmill.transforms.backend import tensorflow
from augmill.transforms.base import Params, Sample, Transform
from augmill.transforms.function import UserFunction
from augmill.transforms.rendering import carry_out

# TensorFlow's stateful random kernels, with the name of the function that a reader knows them by.
STATEFUL_OPS = {
    "RandomUniform": "tf.random.uniform",
    "RandomUniformInt": "tf.random.uniform",
    "RandomStandardNormal": "tf.random.normal",
    "TruncatedNormal": "tf.random.truncated_normal",
    "ParameterizedTruncatedNormal": "tf.random.truncated_normal",
    "RandomShuffle": "tf.random.shuffle",
    "RandomGamma": "tf.random.gamma",
    "RandomPoisson": "tf.random.poisson",
    "RandomPoissonV2": "tf.random.poisson",
    "Multinomial": "tf.random.categorical",
    "SampleDistortedBoundingBox": "tf.image.sample_distorted_bounding_box",
    "SampleDistortedBoundingBoxV2": "tf.image.sample_distorted_bounding_box",
    "RandomCrop": "tf.image.random_crop",
    "StatefulUniform": "tf.random.Generator",
    "StatefulUniformInt": "tf.random.Generator",
    "StatefulUniformFullInt": "tf.random.Generator",
    "StatefulStandardNormalV2": "tf.random.Generator",
    "StatefulTruncatedNormal": "tf.random.Generator",
    "StatefulRandomBinomial": "tf.random.Generator",
    "RngReadAndSkip": "tf.random.Generator or a stateful Keras layer",
}


def stateful_draws(function: UserFunction, sample: Sample) -> list[str]:
    """Name TensorFlow's stateful generators that a user's function draws from, found by tracing it.

    A function that cannot be traced (NumPy or OpenCV code) gives an empty list; `repeats_itself` judges it by what it
    does.
    """
    if function.takes_array:
        return []
    tf = tensorflow()

    @tf.function
    def traced(**tensors: Any) -> Any:
        return function.function(**tensors, **function.given)

    try:
        graph = traced.get_concrete_function(**function.call_arguments(sample, {"seed": [0, 0]})).graph
    except (Exception, SystemExit):  # code that no tracer can follow, or that asks for a label there is not
        return []
    kinds = {node.op for node in graph.as_graph_def().node}
    kinds |= {node.op for inner in graph.as_graph_def().library.function for node in inner.node_def}
    return sorted({STATEFUL_OPS[kind] for kind in kinds if kind in STATEFUL_OPS})


def repeats_itself(op: Transform, sample: Sample, params: Params) -> bool:
    """Tell whether `op` gives the same result twice in a row.

    One that draws from a global generator (Python's, NumPy's or TensorFlow's) does not, save by luck: ask with several
    samples. The generators that can be put back are left as they were.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        first, second = carry_out(op, sample, params), carry_out(op, sample, params)
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
    return first.equals(second)
