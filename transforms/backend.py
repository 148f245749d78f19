"""TensorFlow, imported late: it costs seconds and hundreds of megabytes that a listing or a plan need not pay."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from augmill.transforms.base import Params, PixelTransform, TransformError

_ONE_CORE = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def claim_one_core() -> None:
    """Bind this process to the CPU and to one thread an op: augmill runs a process per core.

    TensorFlow is not imported for it, and keeps to it whenever it is. Where it has already started its threads are
    another's to choose, and nothing is raised.
    """
    os.environ.update(_ONE_CORE)
    if "tensorflow" in sys.modules:
        threading_options = tensorflow().config.threading
        with contextlib.suppress(RuntimeError):
            threading_options.set_inter_op_parallelism_threads(1)
            threading_options.set_intra_op_parallelism_threads(1)


_importing = threading.Lock()


@lru_cache(maxsize=1)
def tensorflow() -> ModuleType:
    """Import TensorFlow, without its start-up notes where augmill is the first to import it."""
    # A second thread must not be handed a module that the first is still importing.
    with _importing:
        if "tensorflow" in sys.modules:
            import tensorflow
        else:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            with _stderr_silenced():
                import tensorflow
        return tensorflow


@contextlib.contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Send file descriptor 2 nowhere: TensorFlow's C++ writes there before it reads any log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def to_uint8(pixels: np.ndarray, op: str) -> np.ndarray:
    """Round float pixels in [0, 255] to uint8, saturating: 255.6 becomes 255 and -3 becomes 0.

    `tf.cast` would wrap them round to 0 and 253. Ties go to the even level, as `tf.round` has it.

    Raises:
      TransformError: a pixel is not a number.
    """
    if pixels.dtype == np.uint8:
        return pixels
    rounded = np.rint(pixels)
    if not np.isfinite(rounded).all():
        raise TransformError(f"{op} returned pixels that are not numbers (NaN or infinite)")
    return np.clip(rounded, 0, 255).astype(np.uint8)


def to_floats(pixels: np.ndarray, op: str) -> np.ndarray:
    """Give float32 pixels saturated to [0, 255] and not rounded; uint8 ones as they are, in float32.

    Raises:
      TransformError: a pixel is not a number.
    """
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise TransformError(f"{op} returned pixels that are not numbers (NaN or infinite)")
    return np.clip(pixels, 0, 255).astype(np.float32, copy=False)


class TensorKernel:
    """Gives a transform its `apply` where TensorFlow or Keras does the work."""

    @abstractmethod
    def on_tensor(self, image: Any, params: Params) -> Any:
        """Carry out `params` on a [height, width, channels] tensor, eagerly or in a graph that is being traced."""

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        """Carry out `params` on an array."""
        return np.asarray(self.on_tensor(tensorflow().constant(image), params))


def in_graph(op: PixelTransform, params: Params) -> Callable[[Any], Any]:
    """Make a `tf.function` that carries out drawn parameters on a uint8 image tensor, with the bytes of `apply`."""
    tf = tensorflow()

    @tf.function
    def carried_out(image: Any) -> Any:
        given = tf.cast(image, tf.float32) if op.in_floats else image
        if isinstance(op, TensorKernel) and image.shape.is_fully_defined():
            result = op.on_tensor(given, params)
        else:
            result = tf.numpy_function(lambda array: op.apply(array, params), [given], given.dtype)
        return tf.saturate_cast(tf.round(result), tf.uint8) if op.in_floats else result

    return carried_out
