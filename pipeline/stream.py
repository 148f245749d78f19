"""Decoded batches as a `tf.data` stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from augmill.pipeline.decoding import OBJECTS, Decoder
from augmill.pipeline.memory import keep_freed_memory

_READY = 2  # batches that wait for the training


def tf_stream(batches: Callable[[], Iterator[Any]], decoder: Decoder, *, with_valid: bool = False) -> Any:
    """Make a `tf.data.Dataset` of decoded batches.

    TensorFlow takes them as they lie in memory: pixels are not copied. It has nothing to tune, and is told so: its
    tuner, when a stream is thrown away, may wait up to 5 seconds for its next look.

    Args:
      batches: begins the batches anew each time that the dataset is iterated over, as `decoder` makes them.
      with_valid: whether they have `valid`.
    """
    import tensorflow as tf

    keep_freed_memory()
    ragged = bool(decoder.objects) and decoder.options.max_boxes is None

    def hand_over() -> Iterator[Any]:
        for batch in batches():
            yield {**batch, "objects": _flat(batch["objects"])} if ragged else batch

    signature = element_spec(decoder, with_valid=with_valid)
    stream = tf.data.Dataset.from_generator(hand_over, output_signature=signature)
    if ragged:
        stream = stream.map(lambda batch: {**batch, "objects": _ragged(tf, batch["objects"])})
    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.with_options(options).prefetch(_READY)


def element_spec(decoder: Decoder, *, with_valid: bool) -> Any:
    """What TensorFlow is to expect of a batch; of ragged objects the parts that they are handed over in."""
    import tensorflow as tf

    manifest, options = decoder.manifest, decoder.options
    image = tf.TensorSpec((None, *decoder.shape), decoder.dtype)
    labels = {"label": tf.TensorSpec((None,), tf.int64)} if manifest.classes is not None else {}
    if manifest.soft_labels:
        labels["soft_label"] = tf.TensorSpec((None, len(manifest.classes or [])), tf.float32)
    if options.as_supervised:
        weights = (tf.TensorSpec((None,), tf.float32),) if with_valid else ()
        return (image, labels[str(decoder.label)], *weights)
    text, number = tf.TensorSpec((None,), tf.string), tf.TensorSpec((None,), tf.int64)
    spec: dict[str, Any] = {"image": image, **labels, "key": text, "copy": number, "augmentation": text}
    if decoder.objects:
        rows = (None,) if options.max_boxes is None else (None, options.max_boxes)
        parts = {part: tf.TensorSpec((*rows, *shape), OBJECTS[part]) for part, shape in decoder.objects.items()}
        spec["objects"] = {**parts, ("splits" if options.max_boxes is None else "count"): number}
    if "masks" in decoder.kinds:
        bits = tf.uint16 if manifest.annotations.get("mask_bits") == 16 else tf.uint8
        spec["mask"] = tf.TensorSpec((None, *decoder.shape[:2], 1), bits)
    return spec | ({"valid": tf.TensorSpec((None,), tf.bool)} if with_valid else {})


def _flat(objects: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """The objects of all images one after the other, and where each image's begin and end."""
    splits = np.concatenate([[0], np.cumsum([len(labels) for labels in objects["label"]])]).astype(np.int64)
    return {**{part: np.concatenate(values) for part, values in objects.items()}, "splits": splits}


def _ragged(tf: Any, flat: dict[str, Any]) -> dict[str, Any]:
    splits = flat.pop("splits")
    return {part: tf.RaggedTensor.from_row_splits(values, splits, validate=False) for part, values in flat.items()}
