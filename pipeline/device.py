"""Batches to an accelerator ahead of the step that needs them."""

from __future__ import annotations

from typing import Any


def to_device(dataset: Any, device: str = "/GPU:0", *, buffer_size: int = 2) -> Any:
    """Prefetch a dataset's batches to a device, so that a training step doesn't wait for the copy.

    This must be the last thing that is done to a dataset: whatever follows brings the batches back. What a batch holds
    must be able to live on an accelerator. Strings and ragged tensors cannot, and are refused on every device, so that
    what runs on a CPU runs on a GPU too.

    Args:
      dataset: a `tf.data.Dataset`, as `load` gives it.
      device: as TensorFlow calls it: "/GPU:0", "GPU:1", "/device:CPU:0".
      buffer_size: batches that wait on the device.

    Returns:
      A `tf.data.Dataset` of the same elements, which no longer knows its length: give `model.fit` the
      `steps_per_epoch=len(dataset)` of the one that came in. Equivalent: `tf.data.experimental.prefetch_to_device`.

    Raises:
      ValueError: there is no such device, an element cannot live on one, or `buffer_size` is below 1.
    """
    import tensorflow as tf

    if type(buffer_size) is not int or buffer_size < 1:
        raise ValueError(f"buffer_size must be a whole number of at least 1, got {buffer_size!r}")
    name = _device_name(tf, device)
    stays = _host_parts(tf, dataset.element_spec)
    if stays:
        raise ValueError(
            f"strings and ragged tensors cannot live on a device, and these parts are such: {', '.join(stays)}; load "
            "with as_supervised=True, pad objects by max_boxes, or keep what the model needs: "
            "dataset.map(lambda batch: (batch['image'], batch['label']))"
        )
    return dataset.apply(tf.data.experimental.prefetch_to_device(name, buffer_size))


def _device_name(tf: Any, device: str) -> str:
    """The full name of a device that is there."""
    there = {(one.device_type, _index(one.name)): one.name for one in tf.config.list_logical_devices()}
    try:
        wanted = tf.DeviceSpec.from_string(device if str(device).startswith("/") else f"/{device}")
    except (ValueError, AttributeError):
        wanted = tf.DeviceSpec()
    found = there.get((wanted.device_type, wanted.device_index or 0))
    if found is None:
        names = ", ".join(name.removeprefix("/device:") for name in there.values())
        raise ValueError(f"there is no device {device!r}; there are: {names}")
    return str(found)


def _index(name: str) -> int:
    return int(name.rpartition(":")[2])


def _host_parts(tf: Any, spec: Any, path: str = "") -> list[str]:
    """The paths of an element's parts that stay in the host's memory."""
    if not isinstance(spec, (dict, tuple, list)):
        dense = isinstance(spec, tf.TensorSpec) and spec.dtype != tf.string
        return [] if dense else [path or "the element"]
    parts = list(spec.items() if isinstance(spec, dict) else enumerate(spec))
    return [found for name, part in parts for found in _host_parts(tf, part, f"{path}/{name}" if path else str(name))]
