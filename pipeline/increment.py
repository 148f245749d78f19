"""What a build over an earlier version need not do: prove ops that it proved, and start workers for little work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augmill.pipeline.check import SAMPLES
from augmill.pipeline.errors import AugmillError, OptionError
from augmill.pipeline.estimate import WORKER_START_SECONDS, Estimate, free_beside
from augmill.pipeline.examples_table import EXAMPLES, read_examples
from augmill.pipeline.lineage import library_versions, user_code
from augmill.pipeline.materialize import MEASURED_ONE_IN
from augmill.pipeline.parent import find_parent, named_parent
from augmill.pipeline.plan import Plan
from augmill.pipeline.shard import RecordError
from augmill.pipeline.spec import Spec
from augmill.pipeline.target import AnyWorkspace
from augmill.pipeline.version import Version
from augmill.pipeline.workspace import Workspace

# Share of a check's samples, the first of train, that must be what they were for an earlier version to speak for them.
_ENOUGH = 0.5
_COPIED_A_SECOND = 20_000  # records, at least, by one process, with the source's images read and hashed


@dataclass(frozen=True)
class Increment:
    """A build and the earlier version whose records it reuses.

    Attributes:
      parent: that version, made by the same recipe and code.
      spec, plan: of the build.
      known: bool [examples], whether it has an example of the key of each of the plan's rows.
      same: for each of a check's samples, whether the source holds of it what it held then.
    """

    parent: Version
    spec: Spec
    plan: Plan
    known: np.ndarray
    same: list[bool]

    @classmethod
    def over(cls, parent: Version, spec: Spec, plan: Plan) -> Increment:
        """Compare a plan, with its rows, with the examples of a version; of some, what the source holds of them."""
        examples = read_examples(parent.path / EXAMPLES, columns=["key", "label", "content"])
        at = pc.index_in(plan.table.column("key"), examples.column("key")).to_pylist()
        return cls(parent, spec, plan, np.array([place is not None for place in at]), _same(plan, examples, at))

    @property
    def proven(self) -> bool:
        """Whether the earlier version proves that every op does its work, as a check of this build would.

        Its own check did, by the same recipe and code; its effects show that every op changed images; and most of the
        samples that a check would take are those that they were. What an op that mixes does depends on the blocks too.
        """
        changed = {effect["at"]: effect["changed"] > 0 for effect in self.parent.manifest.effects}
        proved = all(changed.get(at, False) for at, _ in self.spec.policy.leaves())
        return proved and not self.spec.mixes and sum(self.same) > _ENOUGH * len(self.same)

    def workers(self, most: int) -> int:
        """How many processes the work is worth: one, where others would gain less time than their start takes."""
        gain = self._seconds() * (1 - 1 / most)
        return most if self.spec.mixes or gain > WORKER_START_SECONDS else 1

    def estimate(self, workers: int, target: Path | str) -> Estimate:
        """Reckon the build's time and room from what the earlier version took and has."""
        records = sum(self.plan.records(self.spec).values())
        return Estimate(
            records=records,
            bytes=round(self.parent.bytes / max(1, self.parent.records) * records),
            seconds=self._seconds() / workers + WORKER_START_SECONDS,
            workers=workers,
            free=free_beside(target),
        )

    def _seconds(self) -> float:
        """Processor time for the records: to make those that must be, and to copy the others."""
        built, total = self.parent.manifest.build, sum(self.plan.records(self.spec).values())
        made_then = self.parent.records - (built.get("reused") or {}).get("records", 0)
        seconds = built.get("processor_seconds", 0.0) / max(1, made_then)
        copied = self._kept() * (1 - 1 / MEASURED_ONE_IN)
        return (total - copied) * seconds + copied / _COPIED_A_SECOND

    def _kept(self) -> float:
        """Records that the earlier version may hold already: of the examples that it has, as many as are the same."""
        there = {shard.copy_number for split in self.parent.manifest.splits.values() for shard in split.shards}
        count, first = 0, 0
        for name, split in self.plan.splits.items():
            shared = len(there.intersection(self.spec.copies_of(name)))
            count += shared * int(self.known[first : first + split.examples].sum())
            first += split.examples
        sampled = int(self.known[: len(self.same)].sum())
        return count * sum(self.same) / max(1, sampled)


def find_increment(
    reuse: bool | str, spec: Spec, plan: Plan, workspace: AnyWorkspace, say: Callable[[str], None]
) -> Increment | None:
    """Find the version whose records a build can reuse, unless it is not to.

    Args:
      reuse: whether to look for one, or which it is to be: its number or folder.
      spec, plan, workspace: of the build; the plan with its rows.
      say: told of what stands beside the build's target and is not a version.

    Raises:
      OptionError, VersionError: the one that is named cannot be reused.
    """
    if not isinstance(workspace, Workspace):
        if isinstance(reuse, str):
            raise OptionError(f"records can be reused between folders alone, and {workspace.path} is a URL")
        return None
    if reuse is False:
        return None
    lineage = (library_versions(), user_code(spec))
    if reuse is True:
        parent = find_parent(spec, plan, workspace.target, *lineage, say)
    else:
        parent = named_parent(reuse, spec, plan, workspace.target, *lineage)
    return None if parent is None else Increment.over(parent, spec, plan)


def _same(plan: Plan, examples: pa.Table, at: Sequence[int | None]) -> list[bool]:
    """Whether a check's samples are those of a version's table of examples, by SHA-256 and class."""
    rows, reader = plan.table.slice(0, SAMPLES).to_pylist(), plan.reader()
    reader.expect(rows)
    same = []
    for row, place in zip(rows, at, strict=False):
        then = None if place is None else examples.slice(place, 1).to_pylist()[0]
        try:
            now = None if then is None else reader.read_example(row).digest()
        except (OSError, AugmillError, RecordError, ValueError):
            now = None  # the build names it
        same.append(then is not None and now is not None and (then["content"], then["label"]) == (now, row["label"]))
    return same
