"""Batches of serialized records as a `tf.data` stream of decoded ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from augmill.pipeline.batches import Payloads

_AHEAD = 4  # batches of serialized records that are handed over in advance


def tf_stream(
    batches: Callable[[], Iterator[Payloads]],
    decode: Callable[[Any], Any],
    *,
    batch_size: int,
    ragged: bool,
    with_valid: bool,
    as_supervised: bool,
) -> Any:
    """Make a `tf.data.Dataset` of decoded batches, prefetched.

    Args:
      batches: begins the batches anew each time that the dataset is iterated over.
      decode: as `make_decoder` makes it.
      batch_size: records a batch that is given out; those of `batches` may be several of them.
      ragged: whether records have parts of varying length.
      with_valid: give with each record whether it is to count: as "valid", bool, or for (image, label) as a third
        element, float32.
    """
    import tensorflow as tf

    def hand_over() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for records, valid in batches():
            yield np.array(records, object), valid

    def decode_one(record: Any, valid: Any) -> Any:
        decoded = decode(record)
        if not with_valid:
            return decoded
        return (*decoded, tf.cast(valid, tf.float32)) if as_supervised else {**decoded, "valid": valid}

    signature = (tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.bool))
    records = tf.data.Dataset.from_generator(hand_over, output_signature=signature).prefetch(_AHEAD).unbatch()
    decoded = records.map(decode_one, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    # The objects of an image are as many as they are: their tensors are batched as ragged ones.
    return decoded.ragged_batch(batch_size) if ragged else decoded.batch(batch_size)
