"""An op of one's own, which needs TensorFlow: what it costs to have one in a policy of fast kernels."""

from __future__ import annotations

from typing import Any


def darken(image: Any, seed: Any) -> Any:
    """Darken a uint8 image by up to a fifth."""
    import tensorflow as tf

    factor = tf.random.stateless_uniform([], seed, 0.8, 1.0)
    return tf.saturate_cast(tf.round(tf.cast(image, tf.float32) * factor), tf.uint8)


darken.moves_pixels = False  # type: ignore[attr-defined]
