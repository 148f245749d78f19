"""The check: runs a policy on real samples before the job starts, and says which op does not do its work."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from augmill.pipeline.judgement import MOST_SATURATED, CheckReport, advise, judge_annotations, judge_op, peers_among
from augmill.pipeline.plan import Plan
from augmill.pipeline.renderer import Renderer
from augmill.pipeline.shard import RecordError
from augmill.pipeline.spec import Spec
from augmill.pipeline.units import printable
from augmill.transforms.audit import Effects
from augmill.transforms.base import REFUSED, MixTransform, Sample, TransformError
from augmill.transforms.rendering import refusal

SAMPLES = 64


def run_check(
    spec: Spec,
    plan: Plan,
    *,
    samples: int = SAMPLES,
    most_saturated: float = MOST_SATURATED,
    watch: Callable[[np.ndarray, int], None] | None = None,
) -> CheckReport:
    """Run the policy on up to `samples` training examples.

    Every op must be able to take the source's annotations along, move them as it moves pixels, change some image, run
    without error and repeat itself, and the user's functions and layers must not draw from a generator with state.
    An op that drives more than `most_saturated` of the pixels to 0 or 255, or undoes the one before, is told. `watch`
    is shown the pixels of each rendition, and how many bytes its record has.
    """
    report = CheckReport(Effects(spec.policy.leaves()))
    refused = _refusals(spec, plan)
    report.problems += refused.values()
    opened = _open_samples(spec, plan, samples, report)
    _run_policy(spec, plan, opened, report, watch or (lambda pixels, size: None))
    for at, op in spec.policy.leaves():
        if opened and spec.copies and at not in refused:
            judge_op(spec, at, op, opened, report)
            judge_annotations(spec, at, op, opened, report)
    advise(spec, report, most_saturated)
    return report


def _refusals(spec: Spec, plan: Plan) -> dict[str, str]:
    """What is wrong with each op that cannot take the source's annotations along, or has nothing to mix with."""
    found = {}
    train = plan.splits.get("train")
    alone = train is not None and train.examples // train.blocks < 2
    for at, op in spec.policy.leaves() if spec.copies else ():
        kinds = [kind for kind in plan.annotations.kinds if op.treatment(kind) == REFUSED]
        if kinds:
            found[at] = f"augment {at}: {refusal(op, ' and '.join(kinds))}"
        elif alone and isinstance(op, MixTransform):
            size = "a block of train has one example alone"
            found[at] = f"augment {at}: {op.spec_name} mixes examples of a block, and {size}; raise block_examples"
    return found


def _open_samples(spec: Spec, plan: Plan, samples: int, report: CheckReport) -> list[tuple[str, Sample]]:
    """Read the samples, timed."""
    renderer, reader = Renderer(spec, plan.classes, annotations=plan.annotations), plan.reader()
    opened: list[tuple[str, Sample]] = []
    seconds = []
    # The plan begins with train in hashed order: its first examples are a fair sample.
    rows = plan.table.slice(0, samples).to_pylist()
    reader.expect(rows)
    for row in tqdm(rows, desc="reading", unit="image", leave=False, disable=None):
        start = time.perf_counter()
        try:
            found = reader.read_example(row)
            opened.append((row["key"], renderer.open(found.image, row["label"], found.annotations)))
        except (OSError, RecordError, ValueError) as error:
            report.unreadable.append((row["key"], str(error)))
            continue
        seconds.append(time.perf_counter() - start)
    report.samples, report.open_seconds = len(opened), _median(seconds)
    if not opened:
        reason = report.unreadable[0] if report.unreadable else ("", "there is none")
        report.note(f"no sample can be read; the first, {reason[0]}: {reason[1]}")
    return opened


def _run_policy(
    spec: Spec,
    plan: Plan,
    opened: list[tuple[str, Sample]],
    report: CheckReport,
    watch: Callable[[np.ndarray, int], None],
) -> None:
    """Make one copy of each sample as a build would, timed, and see what each op does, which is not timed if it can.

    With problems in the report already the policy cannot run, and the samples are written as they are.
    """
    copy = 1 if spec.copies and not report.problems else 0
    findings = report.findings
    renderer = Renderer(spec, plan.classes, report.effects, annotations=plan.annotations, observer=findings.observe)
    peers = peers_among(opened)
    seconds, sizes = [], []
    for key, sample in tqdm(opened, desc="checking", unit="image", leave=False, disable=None):
        start = time.perf_counter()
        findings.begin()
        try:
            rendered, steps = renderer.render(sample, key, copy, peers, measured=not renderer.joins)
            sizes.append(len(renderer.record(rendered, key, copy, steps)))
            seconds.append(time.perf_counter() - start)
            watch(rendered.image, sizes[-1])
            if renderer.joins:
                renderer.measure(sample, steps, peers)
        except (TransformError, ValueError) as error:
            report.note(f"{error} (image {printable(key)})")
            renderer.trace(sample, key, copy, peers)
        renderer.count([renderer.take()])
    report.effects = renderer.effects
    report.copy_seconds, report.record_bytes = _median(seconds), _mean(sizes)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0
