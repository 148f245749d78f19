"""Policies: ops in the order in which they are applied, drawn, carried out, recorded and replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from augmill.transforms.backend import to_floats, to_uint8
from augmill.transforms.base import (
    KINDS,
    REFUSED,
    MixTransform,
    Params,
    Sample,
    Transform,
    TransformError,
)
from augmill.transforms.composition import DrawsAt, Node, Placed, entry, leaves, select
from augmill.transforms.randomness import Draws


class Step(NamedTuple):
    """One op carried out: where it stands in the policy, its name and its drawn parameters."""

    at: str
    op: str
    params: Params


class Peers(Protocol):
    """The other examples of a block, from which an op that mixes images takes its partner."""

    def draw(self, draws: Draws, key: str, tried: Collection[str] = ()) -> tuple[str, Sample]:
        """Draw another example than `key`'s and those `tried`, opened.

        Raises:
          TransformError: there is none.
        """

    def open(self, key: str) -> Sample:
        """Open the example with this key."""


Observer = Callable[[str, Transform, Params, Sample, Sample], None]


class _Rendition(NamedTuple):
    """The name of one rendition, and what is needed to make it."""

    seed: int
    key: str
    copy: int
    attempt: int
    peers: Peers | None
    observe: Observer | None

    def draws_at(self, at: str) -> Draws:
        """The stream of the op at one place."""
        place = f"{at}~{self.attempt}" if self.attempt else at
        return Draws(seed=self.seed, key=self.key, copy=self.copy, at=place)


@dataclass(frozen=True)
class Policy:
    """The whole of `augment`: ops in the order in which they are applied.

    An op's position ("4.1": the second choice of the fifth entry) is part of the name of its stream of draws, so no two
    ops share a draw even where they are the same op.
    """

    ops: tuple[Node, ...] = ()

    def run(
        self,
        sample: Sample,
        *,
        seed: int,
        key: str,
        copy: int,
        attempt: int = 0,
        peers: Peers | None = None,
        observe: Observer | None = None,
    ) -> tuple[Sample, list[Step]]:
        """Draw and apply every op for one copy of one example.

        Neighbouring ops that work in floats hand float32 on to each other; it is rounded and saturated once, before
        the next op that takes uint8 or at the end.

        Args:
          sample: image and annotations, not changed in place.
          seed, key, copy: the name of this rendition; the same name gives the same bytes, anywhere.
          attempt: another number draws the same rendition anew.
          peers: where an op that mixes images takes its partner from.
          observe: called after each op with (position, op, params, before, after).

        Returns:
          The rendition, and the steps that made it.

        Raises:
          TransformError: an op failed on this image; the message names it.
        """
        rendition = _Rendition(seed, key, copy, attempt, peers, observe)
        steps: list[Step] = []
        for at, op in self._selected(rendition.draws_at):
            if isinstance(op, MixTransform):
                params, after = self._mix(op, at, sample, steps, rendition)
            else:
                params, after = draw_and_apply(op, rendition.draws_at(at), sample)
            if observe is not None:
                observe(at, op, params, sample, after)
            steps.append(Step(at, op.spec_name, params))
            sample = after
        return finished(sample), steps

    def _selected(self, draws_at: DrawsAt) -> Iterator[Placed]:
        for i, node in enumerate(self.ops):
            yield from select(node, str(i), draws_at)

    def _mix(
        self, op: MixTransform, at: str, sample: Sample, steps: list[Step], rendition: _Rendition
    ) -> tuple[Params, Sample]:
        """Draw a partner, bring it to where the sample stands by its own draws, and mix.

        A partner that an op on its way can't do is passed over, as one is that can't be read.
        """
        check_kinds(op, sample)
        if rendition.peers is None:
            raise TransformError(f"{op.spec_name} mixes an example with another of its block, and there are none here")
        draws, tried = rendition.draws_at(at), set[str]()
        while True:
            partner_key, opened = rendition.peers.draw(draws, rendition.key, tried)
            try:
                partner, before = self._brought(opened, at, steps, rendition._replace(key=partner_key, attempt=0))
                break
            except TransformError:
                tried.add(partner_key)
        sample = finished(sample)
        with _named(op):
            params = {"partner": partner_key, **op.draw_for(draws, sample), "steps": [list(step) for step in before]}
            return params, op.mix(sample, partner, params)

    def _brought(self, partner: Sample, at: str, steps: list[Step], its: _Rendition) -> tuple[Sample, list[Step]]:
        """Take a partner through the ops before a mix, less those that mix.

        Within the entry in which the mix stands it goes the way that the sample went, elsewhere its own.
        """
        entry_place = at.partition(".")[0]
        own = list(Policy(self.ops[: int(entry_place)])._selected(its.draws_at))
        ops = dict(self.leaves())
        same = [(step.at, ops[step.at]) for step in steps if step.at.partition(".")[0] == entry_place]
        before = []
        for place, op in [*own, *same]:
            if not isinstance(op, MixTransform):
                params, partner = draw_and_apply(op, its.draws_at(place), partner)
                before.append(Step(place, op.spec_name, params))
        return finished(partner), before

    def replay(self, sample: Sample, steps: list[Step], peers: Peers | None = None) -> Sample:
        """Apply steps recorded by `run` again, drawing nothing."""
        by_place = dict(self.leaves())
        for step in steps:
            op = by_place[step.at]
            if isinstance(op, MixTransform):
                if peers is None:
                    raise TransformError(f"{op.spec_name} needs its partner {step.params['partner']!r} to be replayed")
                partner = self.replay(peers.open(step.params["partner"]), [Step(*s) for s in step.params["steps"]])
                sample = op.mix(finished(sample), partner, step.params)
            else:
                sample = carry_out(op, sample, step.params)
        return finished(sample)

    def leaves(self) -> Iterator[Placed]:
        """Every transform in the policy with its position, in order."""
        for i, node in enumerate(self.ops):
            yield from leaves(node, str(i))

    def entries(self) -> list[Any]:
        """The policy as it stands in a spec, every argument written out."""
        return [entry(op) for op in self.ops]


def draw_and_apply(op: Transform, draws: Draws, sample: Sample) -> tuple[Params, Sample]:
    """Draw an op's parameters and carry them out.

    Raises:
      TransformError: whatever went wrong, with the op's name.
    """
    with _named(op):
        params = op.draw_for(draws, sample)
    return params, carry_out(op, sample, params)


def carry_out(op: Transform, sample: Sample, params: Params) -> Sample:
    """Apply drawn parameters to a sample in the number format that the op takes.

    Raises:
      TransformError: the sample has annotations that the op can't take along, or the op failed.
    """
    check_kinds(op, sample)
    convert = to_floats if op.in_floats else to_uint8
    with _named(op):
        after = op.transform(replace(sample, image=convert(sample.image, op.spec_name)), params)
        return replace(after, image=to_floats(after.image, op.spec_name)) if op.in_floats else after


@contextlib.contextmanager
def _named(op: Transform) -> Iterator[None]:
    """Tell whatever goes wrong with the op's name."""
    try:
        yield
    except TransformError:
        raise
    except (Exception, SystemExit) as error:  # the user's function, or an image that the op was not made for
        reason = str(error).strip().split("\n")[0]
        raise TransformError(f"{op.spec_name} failed with {type(error).__name__}: {reason}") from error


def finished(sample: Sample) -> Sample:
    """The sample with its pixels in uint8, rounded and saturated."""
    if sample.image.dtype == np.uint8:
        return sample
    return replace(sample, image=to_uint8(sample.image, "the policy"))


def check_kinds(op: Transform, sample: Sample) -> None:
    """Raise TransformError where the sample has annotations that can't follow what the op does."""
    for kind in sample.kinds:
        if op.treatment(kind) == REFUSED:
            raise TransformError(refusal(op, kind))


def refusal(op: Transform, kind: str) -> str:
    """Say that an op can't be used with a kind of annotation, and what to do."""
    can = ", ".join(other for other in KINDS if op.treatment(other) != REFUSED)
    knows = f"; it can take {can} along" if can else ""
    return f"{op.spec_name} cannot be used with {kind}: they could not follow its pixels{knows}; {op.remedy(kind)}"
