"""Batches of serialized records as a `tf.data` stream of decoded ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from augmill.pipeline.batches import Payloads
from augmill.pipeline.memory import keep_freed_memory

_AHEAD = 4  # batches of serialized records that are handed over in advance
_READY = 2  # decoded batches that wait for the training


def tf_stream(
    batches: Callable[[], Iterator[Payloads]],
    decode: Callable[..., Any],
    *,
    batch_size: int,
    replicas: int = 1,
    with_valid: bool = False,
) -> Any:
    """Make a `tf.data.Dataset` of decoded batches; as many as there are cores are decoded at once, in order.

    Their number is fixed: TensorFlow's own tuning of it, when a stream is thrown away, may wait up to 5 seconds for its
    next look. Memory of batches is kept for the next ones, as `keep_freed_memory` has it: a fifth of the time.

    Args:
      batches: begins the batches anew each time that the dataset is iterated over.
      decode: as `make_batch_decoder` makes it.
      batch_size: records a batch that is given out.
      replicas: how many of those each of `batches` holds.
      with_valid: tell `decode` which records are to count.
    """
    import tensorflow as tf

    def hand_over() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for records, valid in batches():
            yield np.array(records, object), valid

    @tf.autograph.experimental.do_not_convert  # it has no Python branches, and to look for some takes 0.2 s
    def decode_batch(records: Any, valid: Any) -> Any:
        return decode(records, valid if with_valid else None)

    signature = (tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.bool))
    serialized = tf.data.Dataset.from_generator(hand_over, output_signature=signature).prefetch(_AHEAD)
    if replicas > 1:
        serialized = serialized.unbatch().batch(batch_size)
    keep_freed_memory()
    decoded = serialized.map(decode_batch, num_parallel_calls=(os.cpu_count() or 1) + 1, deterministic=True)
    options = tf.data.Options()
    options.autotune.enabled = False
    return decoded.with_options(options).prefetch(_READY)
