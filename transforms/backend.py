"""TensorFlow, imported late: it costs seconds and hundreds of megabytes that a listing or a plan need not pay."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType

import numpy as np

from augmill.transforms.base import TransformError


def claim_one_core() -> None:
    """Bind this process to the CPU and to one thread an op: augmill runs a process per core.

    Raises nothing where TensorFlow has already started: its threads are then another's to choose.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    tf = tensorflow()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        pass


@lru_cache(maxsize=1)
def tensorflow() -> ModuleType:
    """Import TensorFlow, without its start-up notes where augmill is the first to import it."""
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
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
