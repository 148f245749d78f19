"""Records that cannot be read: an error, or left out, counted and told."""

from __future__ import annotations

import warnings
from typing import Literal, NamedTuple

from augmill.pipeline.shard import RecordError

OnError = Literal["raise", "skip"]


class Skipped(NamedTuple):
    """A record that was left out: its shard's file, its number in it, and what is wrong with it."""

    shard: str
    record: int
    reason: str


class Faults:
    """What is done about bad records, and what was done.

    Attributes:
      found: every record left out so far, each once, in the order in which they were met.
    """

    def __init__(self, on_error: OnError, max_skipped: float) -> None:
        """Decide what is done about bad records.

        Args:
          on_error: "raise" the first one, or "skip" them.
          max_skipped: the greatest share of an epoch's records that may be left out; one record always may.
        """
        self.on_error = on_error
        self.max_skipped = max_skipped
        self.found: list[Skipped] = []

    def epoch(self, records: int) -> EpochFaults:
        """Begin to count for an epoch of `records` records."""
        return EpochFaults(self, max(1, int(records * self.max_skipped)))


class EpochFaults:
    """The bad records of one epoch of one rank."""

    def __init__(self, faults: Faults, limit: int) -> None:
        self._faults, self._limit = faults, limit
        self._met: set[tuple[str, int]] = set()

    def meet(self, shard: str, record: int, error: RecordError) -> None:
        """Note a bad record, or raise it.

        Raises:
          RecordError: bad records are not to be left out, or this is one too many.
        """
        if self._faults.on_error == "raise":
            raise error
        self._met.add((shard, record))
        if len(self._met) > self._limit:
            raise RecordError(
                f"{error}; with it {len(self._met)} records of this epoch cannot be read, and max_skipped="
                f"{self._faults.max_skipped:g} allows {self._limit}; `augmill verify` tells what is to be restored"
            ) from error
        if all((one.shard, one.record) != (shard, record) for one in self._faults.found):
            self._faults.found.append(Skipped(shard, record, str(error)))

    def tell(self, epoch: int) -> None:
        """Warn at the end of an epoch in which records were left out."""
        if self._met:
            some = ", ".join(f"{shard} record {record}" for shard, record in sorted(self._met)[:3])
            more = ", ..." if len(self._met) > 3 else ""
            warnings.warn(
                f"epoch {epoch}: {len(self._met)} records could not be read and were left out ({some}{more})",
                stacklevel=2,
            )
