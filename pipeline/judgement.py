"""What a check says of each op: does it do its work, can it be repeated, do annotations go where pixels go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from augmill.pipeline.peers import BlockPeers
from augmill.pipeline.spec import Spec
from augmill.pipeline.units import printable
from augmill.transforms.audit import Effect, Effects
from augmill.transforms.base import MixTransform, Params, Sample, Transform, TransformError
from augmill.transforms.findings import Findings, strays
from augmill.transforms.function import UserFunction
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import draw_and_apply
from augmill.transforms.repeatable import repeats_itself, stateful_draws
from augmill.transforms.user_code import UserCode

MOST_SATURATED = 0.2  # share of the pixels that an op may drive to 0 or 255 without being told
_CHECK_COPY = -1  # a copy that no build makes: an op alone is judged by draws of its own
_ANNOTATED = 8  # samples on which boxes are compared with pixels
_MOST_STRAYING = 0.25  # of them: more is a fault, fewer may be slivers at an edge

Opened = list[tuple[str, Sample]]  # samples by their keys


@dataclass
class CheckReport:
    """What the check found.

    Attributes:
      samples: examples that were read.
      effects: of the policy as it is, over one copy of each sample.
      alone: of each op by itself on every sample, for those that the policy did not show changing anything.
      findings: what else is known of each op: its draws, and the ops that undo each other.
      problems: what must be mended before a build, each naming its op.
      advice: what is worth a look, and stops no build.
      unreadable: samples that could not be read, with the reason.
      seconds: time for one example with all its copies, and `record_bytes` the mean size of a record.
    """

    effects: Effects
    samples: int = 0
    alone: dict[str, Effect] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    problems: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    open_seconds: float = 0.0
    copy_seconds: float = 0.0
    record_bytes: float = 0.0

    def note(self, problem: str) -> None:
        """Add a problem; one op failing on every sample is one problem, whatever the image and the numbers."""
        stems = {re.sub(r"\d+", "#", known.split(" (image ", 1)[0]) for known in [*self.problems, problem]}
        if len(stems) > len(self.problems):
            self.problems.append(problem)


def peers_among(opened: Opened) -> BlockPeers:
    """The samples as each other's partners, for ops that mix."""
    samples = dict(opened)
    return BlockPeers(samples, samples.__getitem__)


def judge_op(spec: Spec, at: str, op: Transform, opened: Opened, report: CheckReport) -> None:
    """Judge one op by itself where the policy's run leaves doubt about it."""
    where = f"augment {at}: {op.spec_name}"
    code = op if isinstance(op, UserCode) else None
    stateful = stateful_draws(op, opened[0][1]) if isinstance(op, UserFunction) else []
    if stateful:
        cure = "take `seed` and draw by tf.random.stateless_*, or from a NumPy generator made of it"
        report.note(f"{where} draws from {', '.join(stateful)}, which cannot be reproduced; {cure}")
    effect = report.effects.by_place[at]
    if effect.changed and not code:
        return
    alone = report.alone[at] = Effect(op.spec_name, at)
    steady = True
    for key, sample in opened:
        try:
            params, after = _alone(spec, at, op, key, sample, peers_among(opened))
            alone.add(params, sample, after)
            steady = steady and (not code or repeats_itself(code, sample, params))
        except TransformError as error:
            # An op that fits only what comes before it (a crop of a crop) is judged in its place, by the policy's run.
            if not effect.measured:
                report.note(f"{error} (image {printable(key)})")
            break
    tried = alone.applied or effect.measured
    if tried and not alone.changed and not effect.changed:
        seen = f"{tried} images went in and the same came out"
        report.note(f"{where} changes nothing: {seen}; look at its arguments{_drawn(alone)}")
    if code and not steady and not stateful:
        cure = f"it draws from a global generator; {code.cure}"
        report.note(f"{where} gives another result each time on the same image: {cure}")


def _alone(spec: Spec, at: str, op: Transform, key: str, sample: Sample, peers: BlockPeers) -> tuple[Params, Sample]:
    """Carry out one op by itself, by draws that no build makes."""
    if isinstance(op, MixTransform):
        mixed, steps = Policy((op,), spec.kernels).run(sample, seed=spec.seed, key=key, copy=_CHECK_COPY, peers=peers)
        return steps[0].params, mixed
    return draw_and_apply(op, Draws(seed=spec.seed, key=key, copy=_CHECK_COPY, at=at), sample, spec.kernels)


def judge_annotations(spec: Spec, at: str, op: Transform, opened: Opened, report: CheckReport) -> None:
    """Compare where an op moves boxes and masks with where it moves pixels."""
    annotated = [(key, sample) for key, sample in opened if sample.kinds][:_ANNOTATED]
    found = []
    for key, sample in annotated:
        try:
            params = op.draw_for(Draws(seed=spec.seed, key=key, copy=_CHECK_COPY, at=at), sample)
        except TransformError:
            continue  # told already, by the policy's run
        lines = strays(op, sample, params, spec.kernels)
        found += [f"{lines[0]} (image {printable(key)})"] if lines else []
    if len(found) > _MOST_STRAYING * len(annotated):
        where = f"augment {at}: {op.spec_name}"
        report.note(
            f"{where} moves annotations and pixels apart in {len(found)} of {len(annotated)} images: {found[0]}"
        )


def advise(spec: Spec, report: CheckReport, most_saturated: float) -> None:
    """Tell of ops that undo each other, saturate, or lose most objects."""
    names = {at: op.spec_name for at, op in spec.policy.leaves()}
    for first, second, undone, met in report.findings.cancelling():
        report.advice.append(
            f"augment {second}: {names[second]} undoes augment {first}: {names[first]} in {undone} of the {met} images "
            "that both changed; leave both out"
        )
    for effect in report.effects:
        where = f"augment {effect.at}: {effect.op}"
        if effect.saturated_fraction > most_saturated:
            report.advice.append(
                f"{where} drives {effect.saturated_fraction:.0%} of the pixels to 0 or 255, more than "
                f"{most_saturated:.0%}; a smaller range keeps more of the image"
            )
        if effect.lost > effect.objects / 2:
            report.advice.append(f"{where} loses {effect.lost} of {effect.objects} objects")


def _drawn(effect: Effect) -> str:
    ranges = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in effect.ranges.items())
    return f" (drawn: {ranges})" if ranges else ""
