"""The check: runs a policy on real samples before the job starts, and says which op does not do its work."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from augmill.pipeline.materialize import Renderer
from augmill.pipeline.plan import Plan
from augmill.pipeline.shard import RecordError
from augmill.pipeline.source import Reader
from augmill.pipeline.spec import Spec
from augmill.transforms.audit import Effect, Effects, repeats_itself, stateful_draws
from augmill.transforms.base import Sample, Transform, TransformError
from augmill.transforms.function import UserFunction
from augmill.transforms.policy import draw_and_apply
from augmill.transforms.randomness import Draws

SAMPLES = 64
_CHECK_COPY = -1  # a copy that no build makes: an op alone is judged by draws of its own


@dataclass
class CheckReport:
    """What the check found.

    Attributes:
      samples: examples that were read.
      effects: of the policy as it is, over one copy of each sample.
      alone: of each op by itself on every sample, for those that the policy did not show changing anything.
      problems: what must be mended before a build, each naming its op.
      unreadable: samples that could not be read, with the reason.
      seconds: time for one example with all its copies, and `record_bytes` the mean size of a record.
    """

    effects: Effects
    samples: int = 0
    alone: dict[str, Effect] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    open_seconds: float = 0.0
    copy_seconds: float = 0.0
    record_bytes: float = 0.0


def run_check(spec: Spec, plan: Plan, *, samples: int = SAMPLES) -> CheckReport:
    """Run the policy on up to `samples` training examples.

    Every op must change some image, run without error and repeat itself, and a user's function must not draw from a
    generator with state.
    """
    report = CheckReport(Effects(spec.policy.leaves()))
    opened = _run_policy(spec, plan, samples, report)
    for at, op in spec.policy.leaves():
        if opened and spec.copies:
            _judge(spec, at, op, opened, report)
    return report


def _run_policy(spec: Spec, plan: Plan, samples: int, report: CheckReport) -> list[tuple[str, Sample]]:
    """Make one copy of each sample as a build would, timed, and return the opened samples."""
    renderer = Renderer(spec, plan.classes, report.effects)
    reader = Reader(Path(plan.root), plan.container, plan.image_feature)
    rows = list(_sample_rows(plan, samples))
    opened: list[tuple[str, Sample]] = []
    opening, copying, sizes = [], [], []
    for row in tqdm(rows, desc="checking", unit="image", leave=False, disable=None):
        start = time.perf_counter()
        try:
            sample = renderer.open(reader.read(row["uri"], row["offset"], row["length"]), row["label"])
        except (OSError, RecordError, ValueError) as error:
            report.unreadable.append((row["key"], str(error)))
            continue
        opening.append(time.perf_counter() - start)
        opened.append((row["key"], sample))
        start = time.perf_counter()
        try:
            copy = 1 if spec.copies else 0
            rendered, steps = renderer.render(sample, row["key"], copy)
            sizes.append(len(renderer.record(rendered, row["key"], copy, steps)))
        except (TransformError, ValueError) as error:
            _note(report, f"{error} (image {row['key']})")
        renderer.count(written=True)  # what an op did before another one failed is known of it all the same
        copying.append(time.perf_counter() - start)
    report.samples = len(opened)
    report.open_seconds, report.copy_seconds, report.record_bytes = _median(opening), _median(copying), _mean(sizes)
    if not opened:
        reason = report.unreadable[0] if report.unreadable else ("", "there is none")
        _note(report, f"no sample can be read; the first, {reason[0]}: {reason[1]}")
    return opened


def _judge(spec: Spec, at: str, op: Transform, opened: list[tuple[str, Sample]], report: CheckReport) -> None:
    """Judge one op by itself where the policy's run leaves doubt about it."""
    where = f"augment {at}: {op.spec_name}"
    function = op if isinstance(op, UserFunction) else None
    stateful = stateful_draws(function, opened[0][1]) if function else []
    if stateful:
        cure = "take `seed` and draw by tf.random.stateless_*, or from a NumPy generator made of it"
        _note(report, f"{where} draws from {', '.join(stateful)}, which cannot be reproduced; {cure}")
    effect = report.effects.by_place[at]
    if effect.changed and not function:
        return
    alone = report.alone[at] = Effect(op.spec_name, at)
    steady = True
    for key, sample in opened:
        try:
            params, after = draw_and_apply(op, Draws(seed=spec.seed, key=key, copy=_CHECK_COPY, at=at), sample)
            alone.add(params, sample, after)
            steady = steady and (not function or repeats_itself(function, sample, params))
        except TransformError as error:
            # An op that fits only what comes before it (a crop of a crop) is judged in its place, by the policy's run.
            if not effect.applied:
                _note(report, f"{error} (image {key})")
            break
    tried = alone.applied or effect.applied
    if tried and not alone.changed and not effect.changed:
        seen = f"{tried} images went in and the same came out"
        _note(report, f"{where} changes nothing: {seen}; look at its arguments{_drawn(alone)}")
    if not steady and not stateful:
        cure = "it draws from a global generator; take `seed` and draw from it alone"
        _note(report, f"{where} gives another result each time on the same image: {cure}")


def _drawn(effect: Effect) -> str:
    ranges = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in effect.ranges.items())
    return f" (drawn: {ranges})" if ranges else ""


def _note(report: CheckReport, problem: str) -> None:
    # One op failing on every sample is one problem, whatever the image and the numbers.
    stems = {re.sub(r"\d+", "#", known.split(" (image ", 1)[0]) for known in [*report.problems, problem]}
    if len(stems) > len(report.problems):
        report.problems.append(problem)


def _sample_rows(plan: Plan, samples: int) -> Iterator[dict[str, Any]]:
    """The first examples of the plan, which begins with train in hashed order: a fair sample."""
    yield from plan.table.slice(0, samples).to_pylist()


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0
