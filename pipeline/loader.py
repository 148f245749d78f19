"""The loader: a published version as batches. Imports no Beam and no transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from augmill.pipeline.batches import Payloads
from augmill.pipeline.decoding import DecodeOptions, Decoder, Output
from augmill.pipeline.epoch_reader import EpochReader
from augmill.pipeline.faults import Faults, OnError, Skipped
from augmill.pipeline.loader_options import (
    Ranks,
    check_against_version,
    check_options,
    check_whole,
    resolve_remainder,
)
from augmill.pipeline.order import ORDER_VERSION
from augmill.pipeline.reading import Verify
from augmill.pipeline.selection import Copies, select
from augmill.pipeline.share import Remainder
from augmill.pipeline.state import check_state
from augmill.pipeline.stream import tf_stream
from augmill.pipeline.version import Version

MAX_SKIPPED = 0.001


class Loader:
    """Batches of one split of a version, in an order that is a pure function of version, seed and epoch.

    A loader has a position: an epoch, and how many samples of it all ranks together have had. Iterating goes through
    the rest of the epoch and moves the position; the next iteration is the next epoch. What is iterated over are NumPy
    batches, made without TensorFlow (which only resizes, for `size`); `dataset` gives a `tf.data` stream of the same.

    Attributes:
      version: what is read. decoder: what its records are made into.
      epoch, samples: the position.
    """

    def __init__(
        self,
        path: str | Path | Version,
        *,
        split: str = "train",
        batch_size: int = 64,
        seed: int = 0,
        shuffle: bool | None = None,
        copies: Copies = "all",
        rank: int = 0,
        world_size: int = 1,
        input_context: Any = None,
        remainder: Remainder | None = None,
        output: Output = "uint8",
        size: tuple[int, int] | None = None,
        as_supervised: bool = False,
        max_boxes: int | None = None,
        verify: Verify | None = "counts",
        on_error: OnError = "raise",
        max_skipped: float = MAX_SKIPPED,
        cache: str | Path | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Open a version.

        Args:
          path: the version's directory, or its URL.
          split: one of the version's splits.
          batch_size: records a batch of this rank.
          seed: names the order, together with the epoch.
          shuffle: whether to mix the records; by default train is mixed and other splits are not.
          copies: "all" to read every copy in each epoch; one copy's number, 0 being the unaugmented one, or a list of
            such; or "rotate" to read every example once an epoch, in another of its copies each time.
          rank, world_size: this process's place among those that train together, each of which takes its slice of each
            global batch of batch_size * world_size.
          input_context: the place as `tf.distribute` gives it, instead of these two; batch_size is a replica's then.
          remainder: what becomes of the records that do not fill the last global batch: "keep" gives them as a smaller
            one (the default, for one rank alone), "drop" leaves them out (the default of several), "pad" fills it up
            with the epoch's first records once more, which `valid` tells apart.
          output: "uint8" for pixels as stored, or (low, high) for float32 scaled so that 0 becomes low and 255 high.
          size: (height, width) to resize to; needed where the stored images vary in size. Masks take the nearest id.
          as_supervised: give (image, label) as `model.fit` wants it, rather than dicts.
          max_boxes: objects to pad each image to, so that their tensors have one shape; ragged without it.
          verify: what of each shard is compared with the manifest before it is read from: "counts" for its size and its
            index, "full" for its SHA-256 too, or None.
          on_error: "raise" where a record cannot be read, or "skip" it: its place is then taken by the last good record
            before it in the batch (else the first after it), with `valid` False, and all others stay where they are.
          max_skipped: the greatest share of an epoch's records to skip before it is an error; one always may be.
          cache, storage_options: for a version at a URL, the folder that keeps its files, as `Version.open_files` has
            it, and what its file system is to be told, such as credentials.

        Raises:
          VersionError: no such version, split or copy, or copies cannot rotate.
          ValueError: an argument is out of its range.
        """
        check_options(
            batch_size=batch_size,
            seed=seed,
            verify=verify,
            on_error=on_error,
            max_skipped=max_skipped,
        )
        self.version = path if isinstance(path, Version) else Version(path, storage_options=storage_options)
        self._split, self._seed, self._copies = split, seed, copies
        self._shuffle = split == "train" if shuffle is None else shuffle
        selection = select(self.version, split, copies)
        self._ranks = Ranks.of(rank, world_size, input_context)
        self._batch_size = batch_size
        remainder = resolve_remainder(remainder, self._ranks.batches)
        self.decoder = Decoder(self.version.manifest, DecodeOptions(output, size, as_supervised, max_boxes))
        self._with_valid = remainder == "pad" or on_error == "skip"
        self._reader = EpochReader(
            self.version,
            selection,
            self._ranks.share(sum(selection.records), batch_size, remainder),
            seed=seed,
            shuffle=self._shuffle,
            verify=verify,
            faults=Faults(on_error, max_skipped),
            cache=cache,
        )
        check_against_version(self.version, size=size, as_supervised=as_supervised)
        if len(self) == 0:
            many = f"{self.samples_an_epoch} records do not fill one batch of {batch_size}"
            raise ValueError(f"{many} on each of {self._ranks.batches} ranks")
        self.epoch, self.samples = 0, 0

    @property
    def records(self) -> int:
        """Stored records, over the copies chosen: what `loader[i]` may be asked for."""
        return sum(shard.records for shard in self._reader.selection.shards)

    @property
    def samples_an_epoch(self) -> int:
        """Records that an epoch meets, over all ranks; where copies rotate that is each example once."""
        return self._reader.samples

    @property
    def global_batch(self) -> int:
        """Samples a step of all ranks together."""
        return self._reader.share().global_batch

    @property
    def rank(self) -> int:
        """Which of the processes that train together this one is."""
        return self._ranks.rank

    @property
    def skipped(self) -> list[Skipped]:
        """The records that could not be read and were left out so far."""
        return list(self._reader.faults.found)

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self._reader.share().steps

    def steps_left(self) -> int:
        """Steps from the position to the end of the epoch."""
        return self._reader.share(self.samples).steps

    def seek(self, *, epoch: int, samples: int = 0) -> None:
        """Move the position: so many samples of an epoch count as consumed, by all ranks together.

        Raises:
          ValueError: the epoch has no such position.
        """
        check_whole("epoch", epoch)
        check_whole("samples", samples, most=self.samples_an_epoch)
        self.epoch, self.samples = epoch, samples

    def move(self, steps: int, *, since: int) -> None:
        """Move the position so many steps on from `since`, a number of samples of this epoch."""
        self.samples = min(since + steps * self.global_batch, self.samples_an_epoch)

    def payloads(self, epoch: int, start: int) -> Iterator[Payloads]:
        """This rank's serialized records of an epoch from a number of samples on, in batches."""
        return self._reader.payloads(epoch, start)

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The same as NumPy batches, one for each device that this process feeds in each step."""
        return self._batches(epoch, start, size=self._batch_size)

    def _batches(self, epoch: int, start: int, *, size: int | None = None) -> Iterator[Any]:
        return self._reader.batches(epoch, start, self.decoder, with_valid=self._with_valid, size=size)

    def dataset(self, *, epoch: int | None = None, start_step: int | None = None) -> Any:
        """Stream the rest of one epoch by `tf.data`, batched and prefetched; the position stays where it is.

        Args:
          epoch: which; by default that of the position, from the position on.
          start_step: steps of the epoch to leave out, which are not read; 0 where an epoch is given.

        Returns:
          A `tf.data.Dataset` of dicts: image [batch, height, width, channels], label int64 [batch], key and
          augmentation strings [batch], copy int64 [batch]; or of (image, label). Where the version has boxes the dicts
          have objects, a dict of ragged tensors: bbox float32 [batch, (objects), 4] of (ymin, xmin, ymax, xmax) as
          fractions of the image, label int64 [batch, (objects)], and if there are any is_crowd bool [batch, (objects)]
          and keypoints float32 [batch, (objects), keypoints, 3] of (y, x, visibility); padded by max_boxes to tensors,
          with label -1 and zeros after an image's own, and their count int64 [batch]. Where it has masks they have mask
          [batch, height, width, 1], uint8 or uint16. With remainder="pad" or on_error="skip" there is valid, bool
          [batch]; of (image, label) it is the third element, float32 [batch], which `fit` takes for sample weights.

        Raises:
          ValueError: the epoch has no such step.
        """
        start = self.samples if epoch is None else 0
        if start_step is not None:
            check_whole("start_step", start_step, most=len(self))
            start = min(start_step * self.global_batch, self.samples_an_epoch)
        epoch = self.epoch if epoch is None else epoch
        check_whole("epoch", epoch)
        import tensorflow as tf

        steps = self._reader.share(start).steps * self._ranks.replicas
        stream = self.stream(partial(self.batches, epoch, start))
        return stream.apply(tf.data.experimental.assert_cardinality(steps))

    def stream(self, batches: Callable[[], Iterator[Any]]) -> Any:
        """Make a `tf.data.Dataset` of batches as `batches` has them; for `dataset` and for what feeds `fit`."""
        return tf_stream(batches, self.decoder, with_valid=self._with_valid)

    def __iter__(self) -> Iterator[Any]:
        """Go through the rest of the epoch by NumPy batches; then the position is at the next one's beginning.

        A batch holds what `dataset` says, as arrays; ragged objects are lists of arrays, one an image.
        The position moves on as a batch is handed out: a state saved after work with it goes on behind it.
        """
        start = self.samples
        for step, batch in enumerate(self._batches(self.epoch, start), start=1):
            self.move(step, since=start)
            yield batch
        self.epoch, self.samples = self.epoch + 1, 0

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Decode one record by its number in stored order, over the copies chosen: a dict of what a batch has of it.

        Raises:
          IndexError: there is no such record.
          RecordError: it cannot be read.
        """
        place = number + self.records if number < 0 else number
        if not 0 <= place < self.records:
            raise IndexError(f"record {number} of {self.records}")
        alone = replace(self.decoder.options, as_supervised=False, max_boxes=None)
        return self._reader.one(place, Decoder(self.version.manifest, alone))

    def state_dict(self) -> dict[str, Any]:
        """The position and what it is a position of, as JSON values of a few hundred bytes; the same on every rank."""
        return {
            "manifest": self.version.manifest.digest,
            "order": ORDER_VERSION,
            "split": self._split,
            "copies": self._copies if isinstance(self._copies, (str, int)) else list(self._copies),
            "shuffle": self._shuffle,
            "seed": self._seed,
            "epoch": self.epoch,
            "samples": self.samples,
            "global_batch": self.global_batch,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a position that `state_dict` gave; batch size and number of ranks may be others than then.

        Raises:
          StateError: the state is of another version, split, selection, seed or order.
        """
        check_state(state, self.state_dict())
        self.seek(epoch=state["epoch"], samples=state["samples"])


def load(path: str | Path | Version, *, epoch: int = 0, start_step: int = 0, **options: Any) -> Any:
    """Stream one epoch of one split by `tf.data`, batched and prefetched.

    Args:
      path: the version's directory.
      epoch: names the order, with `seed`; give each epoch its number to get another one each time.
      start_step: steps of the epoch to leave out, which are not read.
      options: what `Loader` takes: split, batch_size, seed, shuffle, copies, rank, world_size, output, size,
        as_supervised, remainder and so on.

    Returns:
      A `tf.data.Dataset`, as `Loader.dataset` has it.

    Raises:
      VersionError: no such version, split or copy.
      ValueError: an argument is out of its range.
    """
    return Loader(path, **options).dataset(epoch=epoch, start_step=start_step)
