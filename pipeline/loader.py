"""The loader: a published version as a `tf.data` stream. Imports no Beam and no transforms."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from augmill.pipeline.decoding import make_decoder
from augmill.pipeline.errors import VersionError
from augmill.pipeline.order import CHUNK, WINDOW, Order, make_order
from augmill.pipeline.shard import read_index
from augmill.pipeline.version import Shard, Version

_WINDOW_BYTES = 128 << 20
_READERS = 4  # chunks read ahead at once; fixed, so that no machine's core count has a say

Output = Literal["uint8"] | tuple[float, float]


def load(
    path: str | Path | Version,
    *,
    split: str = "train",
    batch_size: int = 64,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool | None = None,
    copies: int | list[int] | None = None,
    rank: int = 0,
    world_size: int = 1,
    output: Output = "uint8",
    size: tuple[int, int] | None = None,
    as_supervised: bool = False,
    drop_remainder: bool | None = None,
) -> Any:
    """Stream one epoch of one split, batched and prefetched.

    The order depends on the version, seed, epoch, rank and world size alone, whatever the machine.

    Args:
      path: the version's directory.
      split: one of the version's splits.
      batch_size: records a batch of this rank.
      seed, epoch: name the order; give each epoch its number to get another one each time.
      shuffle: whether to mix the records; by default train is mixed and other splits are not.
      copies: the copy or copies to read, 0 being the unaugmented one; all by default.
      rank, world_size: this process's place among those that train together, each of which takes its slice of each
        global batch of batch_size * world_size.
      output: "uint8" for pixels as stored, or (low, high) for float32 scaled so that 0 becomes low and 255 high.
      size: (height, width) to resize to; needed where the stored images vary in size. Masks are resized by taking the
        nearest id.
      as_supervised: give (image, label) as `model.fit` wants it, rather than dicts.
      drop_remainder: leave out the records that do not fill the last global batch; by default with world_size above 1,
        where every rank must take the same number of steps.

    Returns:
      A `tf.data.Dataset` of dicts: image [batch, height, width, channels], label int64 [batch], key and augmentation
      strings [batch], copy int64 [batch]; or of (image, label). Where the version has boxes the dicts have objects, a
      dict of ragged tensors: bbox float32 [batch, (objects), 4] of (ymin, xmin, ymax, xmax) as fractions of the image,
      label int64 [batch, (objects)], and if there are any is_crowd bool [batch, (objects)] and keypoints float32
      [batch, (objects), keypoints, 3] of (y, x, visibility). Where it has masks they have mask [batch, height, width,
      1], uint8 or uint16.

    Raises:
      VersionError: no such version, split or copy.
      ValueError: an argument is out of its range.
    """
    import tensorflow as tf

    version = path if isinstance(path, Version) else Version(path)
    _check_arguments(batch_size, rank, world_size, drop_remainder, output, size)
    shards = _shards(version, split, copies)
    if as_supervised and version.manifest.classes is None:
        kinds = {"boxes": "objects", "masks": "mask"}
        there = [name for kind, name in kinds.items() if kind in version.manifest.annotations.get("kinds", [])]
        cure = f"; map the dicts instead: load(...).map(lambda batch: (batch['image'], batch['{there[-1]}']))"
        raise VersionError(f"{version.path} has no labels: as_supervised=True needs them{cure if there else ''}")
    order = make_order(
        [shard.records for shard in shards],
        batch_size=batch_size,
        seed=seed,
        epoch=epoch,
        shuffle=split == "train" if shuffle is None else shuffle,
        rank=rank,
        world_size=world_size,
        drop_remainder=world_size > 1 if drop_remainder is None else drop_remainder,
        window=_window(shards),
    )
    if order.steps == 0:
        records = sum(shard.records for shard in shards)
        raise ValueError(f"{records} records do not fill one batch of {batch_size} on each of {world_size} ranks")
    if size is None and version.manifest.image["height"] is None:
        raise VersionError(f"the images of {version.path} vary in size: give size=(height, width) to batch them")
    decode = make_decoder(version.manifest, None if output == "uint8" else output, size, as_supervised)
    records = _records(tf, version, shards, order)
    decoded = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    # The objects of an image are as many as they are: their tensors are batched as ragged ones.
    ragged = "boxes" in version.manifest.annotations.get("kinds", []) and not as_supervised
    batches = decoded.ragged_batch(batch_size) if ragged else decoded.batch(batch_size)
    return batches.apply(tf.data.experimental.assert_cardinality(order.steps)).prefetch(tf.data.AUTOTUNE)


def _check_arguments(
    batch_size: int,
    rank: int,
    world_size: int,
    drop_remainder: bool | None,
    output: Output,
    size: tuple[int, int] | None,
) -> None:
    if type(batch_size) is not int or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    pixels = isinstance(size, (tuple, list)) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    if size is not None and not pixels:
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must lie in 0 to world_size - 1, got rank {rank}, world_size {world_size}")
    if drop_remainder is False and world_size > 1:
        raise ValueError("drop_remainder=False with world_size above 1 would give the ranks unequal steps")
    pair = isinstance(output, (tuple, list)) and len(output) == 2 and output[0] < output[1]
    if output != "uint8" and not pair:
        raise ValueError(f'output must be "uint8" or (low, high) with low < high, got {output!r}')


def _shards(version: Version, split: str, copies: int | list[int] | None) -> list[Shard]:
    splits = version.manifest.splits
    if split not in splits:
        raise VersionError(f"{version.path} has no split {split!r}; it has {', '.join(splits)}")
    there = sorted({shard.copy_number for shard in splits[split].shards})
    wanted = there if copies is None else [copies] if isinstance(copies, int) else list(copies)
    missing = [copy for copy in wanted if copy not in there]
    if missing or not wanted:
        asked = ", ".join(map(str, missing)) or "in an empty list"
        raise VersionError(f"split {split} has no copy {asked}; it has {there[0]} to {there[-1]}")
    return [shard for shard in splits[split].shards if shard.copy_number in wanted]


def _window(shards: list[Shard]) -> int:
    """Chunks to mix at once: as many as hold _WINDOW_BYTES, by the version's mean record, so that memory is bounded."""
    mean = sum(shard.bytes for shard in shards) / max(1, sum(shard.records for shard in shards))
    return int(min(WINDOW, max(1, _WINDOW_BYTES / (CHUNK * max(mean, 1)))))


def _records(tf: Any, version: Version, shards: list[Shard], order: Order) -> Any:
    """The serialized records in order: chunks read by seeking, then picked within their window."""
    indices = [read_index(version.path, shard.file) for shard in shards]
    offsets = np.array([indices[s][f] for s, f in zip(order.shard, order.first, strict=True)], np.int64)
    files = tf.constant([str(version.path / shard.file) for shard in shards])

    def read_chunk(shard: Any, offset: Any, count: Any) -> Any:
        # The public TFRecordDataset cannot start at an offset.
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=[files[shard]], compression_type="", buffer_size=1 << 18, byte_offsets=[offset]
        )
        records = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
        return records.take(count).batch(count).get_single_element()

    chunks = tf.data.Dataset.from_tensor_slices((order.shard, offsets, order.count))
    read = chunks.map(read_chunk, num_parallel_calls=_READERS, deterministic=True)
    windows = read.ragged_batch(order.window).map(lambda ragged: ragged.flat_values)
    picks = tf.data.Dataset.from_tensor_slices(
        tf.RaggedTensor.from_row_lengths(np.concatenate(order.picks), [len(pick) for pick in order.picks])
    )
    return tf.data.Dataset.zip(windows, picks).map(tf.gather).unbatch()
