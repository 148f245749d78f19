"""What a loader may be asked for, and the checks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from augmill.pipeline.errors import VersionError
from augmill.pipeline.faults import OnError
from augmill.pipeline.reading import Verify
from augmill.pipeline.share import Remainder, Share
from augmill.pipeline.version import Version


@dataclass(frozen=True)
class Ranks:
    """A process's place among those that train together.

    Attributes:
      rank, world_size: which of how many processes.
      replicas: devices that this process feeds, each with a batch a step.
    """

    rank: int = 0
    world_size: int = 1
    replicas: int = 1

    @property
    def batches(self) -> int:
        """Batches of a step, over all processes."""
        return self.world_size * self.replicas

    def share(self, records: int, batch_size: int, remainder: Remainder) -> Share:
        """This process's share of an epoch of `records`, where each replica takes `batch_size` a step."""
        return Share(records, batch_size * self.replicas, self.rank, self.world_size, remainder=remainder)

    @classmethod
    def of(cls, rank: int, world_size: int, input_context: Any) -> Ranks:
        """Take the place from a `tf.distribute.InputContext` where there is one.

        Raises:
          ValueError: the place is none, or is given twice.
        """
        if input_context is None:
            if not 0 <= rank < world_size:
                raise ValueError(f"rank must lie in 0 to world_size - 1, got rank {rank}, world_size {world_size}")
            return cls(rank, world_size)
        if (rank, world_size) != (0, 1):
            raise ValueError("input_context tells the rank and the world size: leave rank and world_size out")
        pipelines, replicas = input_context.num_input_pipelines, input_context.num_replicas_in_sync
        if replicas % pipelines:
            raise ValueError(f"{replicas} replicas cannot be shared evenly by {pipelines} input pipelines")
        return cls(input_context.input_pipeline_id, pipelines, replicas // pipelines)


def check_whole(name: str, value: int, *, most: int | None = None) -> None:
    """Check that a value is a whole number of at least 0, and at most `most`.

    Raises:
      ValueError: it is not.
    """
    if type(value) is not int or value < 0 or (most is not None and value > most):
        limits = "of at least 0" if most is None else f"from 0 to {most}"
        raise ValueError(f"{name} must be a whole number {limits}, got {value!r}")


def check_options(
    *,
    batch_size: int,
    seed: int,
    verify: Verify | None,
    on_error: OnError,
    max_skipped: float,
) -> None:
    """Check the arguments of a loader that have rules of their own.

    Raises:
      ValueError: one of them is out of its range.
    """
    if type(batch_size) is not int or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    check_whole("seed", seed)
    if verify not in ("counts", "full", None):
        raise ValueError(f'verify must be "counts", "full" or None, got {verify!r}')
    if on_error not in ("raise", "skip"):
        raise ValueError(f'on_error must be "raise" or "skip", got {on_error!r}')
    if not 0 <= max_skipped <= 1:
        raise ValueError(f"max_skipped is a share of the records, from 0 to 1, got {max_skipped!r}")


def resolve_remainder(remainder: Remainder | None, batches: int) -> Remainder:
    """What becomes of an epoch's last records where a global batch is made of `batches` batches.

    Raises:
      ValueError: batches would not be equally many everywhere, or there is no such way.
    """
    if remainder is None:
        return "drop" if batches > 1 else "keep"
    if remainder not in ("keep", "drop", "pad"):
        raise ValueError(f'remainder must be "keep", "drop" or "pad", got {remainder!r}')
    if remainder == "keep" and batches > 1:
        raise ValueError('remainder="keep" with several ranks would give them unequal steps; use "drop" or "pad"')
    return remainder


def check_against_version(version: Version, *, size: tuple[int, int] | None, as_supervised: bool) -> None:
    """Check that a version has what a loader is asked for.

    Raises:
      VersionError: it has no labels, or its images cannot be batched as they are.
    """
    manifest = version.manifest
    if as_supervised and manifest.classes is None:
        kinds = {"boxes": "objects", "masks": "mask"}
        there = [name for kind, name in kinds.items() if kind in manifest.annotations.get("kinds", [])]
        cure = f"; map the dicts instead: load(...).map(lambda batch: (batch['image'], batch['{there[-1]}']))"
        raise VersionError(f"{version.location} has no labels: as_supervised=True needs them{cure if there else ''}")
    if size is None and manifest.image["height"] is None:
        raise VersionError(f"the images of {version.location} vary in size: give size=(height, width) to batch them")
