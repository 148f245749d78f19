"""Policies: ops in the order in which they are applied, drawn, carried out, recorded and replayed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from augmill.transforms.ahead import DrawsAhead
from augmill.transforms.base import MixTransform, Params, Sample, Transform, TransformError, draws_nothing
from augmill.transforms.composition import DrawsAt, Node, Placed, entry, leaves, select
from augmill.transforms.fast import needs_tensorflow
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import FAILURES, Rendering, check_kinds, finished, raise_named, rendering


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
    ahead: DrawsAhead | None

    def draws_at(self, at: str) -> Draws:
        """The stream of the op at one place."""
        if self.ahead is not None and not self.attempt:
            return self.ahead.draws(self.key, self.copy, at)
        place = f"{at}~{self.attempt}" if self.attempt else at
        return Draws(seed=self.seed, key=self.key, copy=self.copy, at=place)


@dataclass(frozen=True)
class Policy:
    """The whole of `augment`: ops in the order in which they are applied.

    An op's position ("4.1": the second choice of the fifth entry) is part of the name of its stream of draws, so no two
    ops share a draw even where they are the same op.

    Attributes:
      ops: the entries.
      kernels: "fast" carries out by OpenCV and NumPy what has a fast kernel, neighbours joined; "reference" carries out
        each op by itself, as tf.image and Keras do.
    """

    ops: tuple[Node, ...] = ()
    kernels: str = "reference"

    @cached_property
    def _always(self) -> tuple[Placed, ...] | None:
        """The ops, where every rendition gets the same ones."""
        plain = all(isinstance(node, Transform) for node in self.ops)
        return tuple(self.leaves()) if plain else None

    @cached_property
    def _mixing(self) -> frozenset[str]:
        """The places of the ops that mix images."""
        return frozenset(at for at, op in self.leaves() if isinstance(op, MixTransform))

    @cached_property
    def needs_tensorflow(self) -> bool:
        """Whether carrying it out takes TensorFlow."""
        return any(needs_tensorflow(op, self.kernels) for _, op in self.leaves())

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
        ahead: DrawsAhead | None = None,
    ) -> tuple[Sample, list[Step]]:
        """Draw and apply every op for one copy of one example.

        By reference kernels, neighbouring ops that work in floats hand float32 on to each other; it is rounded and
        saturated once, before the next op that takes uint8 or at the end. By fast ones, each joined kernel rounds.

        Args:
          sample: image and annotations, not changed in place.
          seed, key, copy: the name of this rendition; the same name gives the same bytes, anywhere.
          attempt: another number draws the same rendition anew.
          peers: where an op that mixes images takes its partner from.
          observe: called after each op with (position, op, params, before, after); then nothing is joined.
          ahead: what `draws_ahead` made for this rendition among others, which changes nothing but the time it takes.

        Returns:
          The rendition, and the steps that made it.

        Raises:
          TransformError: an op failed on this image; the message names it.
        """
        by = rendering(sample, self.kernels)
        steps = self._carry_out(by, _Rendition(seed, key, copy, attempt, peers, ahead), observe)
        return finished(by.sample()), steps

    def begin(
        self,
        sample: Sample,
        *,
        seed: int,
        key: str,
        copy: int,
        peers: Peers | None = None,
        ahead: DrawsAhead | None = None,
    ) -> tuple[Rendering, list[Step]]:
        """Begin what `run` does, and leave the work on pixels to be done where fast kernels can put it off."""
        by = rendering(sample, self.kernels)
        return by, self._carry_out(by, _Rendition(seed, key, copy, 0, peers, ahead))

    def _carry_out(self, by: Rendering, rendition: _Rendition, observe: Observer | None = None) -> list[Step]:
        """Draw and apply every op."""
        steps: list[Step] = []
        draws_at, mixing = rendition.draws_at, self._mixing
        for at, op in self.selected(draws_at):
            if observe is not None:
                before = by.sample()
            if at in mixing:
                params = self._mix(op, at, by, steps, rendition)
            else:
                params = _draw_and_apply(op, at, by, draws_at(at))
            steps.append(Step(at, op.spec_name, params))
            if observe is not None:
                observe(at, op, params, before, by.sample())
        return steps

    def draws_ahead(self, seed: int, renditions: Iterable[tuple[str, int]]) -> DrawsAhead:
        """Make the first draws of renditions, (key, copy) each, all at once."""
        places = [str(i) for i, node in enumerate(self.ops) if not draws_nothing(node)]
        return DrawsAhead(seed, renditions, places)

    def selected(self, draws_at: DrawsAt) -> Iterator[Placed]:
        """Draw the ops of one rendition, each with its position."""
        if self._always is not None:
            return iter(self._always)
        return (placed for i, node in enumerate(self.ops) for placed in select(node, str(i), draws_at))

    def _mix(self, op: Transform, at: str, by: Rendering, steps: list[Step], rendition: _Rendition) -> Params:
        """Draw a partner, bring it to where the sample stands by its own draws, and mix.

        A partner that an op on its way can't do is passed over, as one is that can't be read.
        """
        assert isinstance(op, MixTransform)
        sample = finished(by.sample())
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
        try:
            params = {"partner": partner_key, **op.draw_for(draws, sample), "steps": [list(step) for step in before]}
            by.restart(op.mix(sample, partner, params))
        except FAILURES as error:
            raise_named(op, error)
        return params

    def _brought(self, partner: Sample, at: str, steps: list[Step], its: _Rendition) -> tuple[Sample, list[Step]]:
        """Take a partner through the ops before a mix, less those that mix.

        Within the entry in which the mix stands it goes the way that the sample went, elsewhere its own.
        """
        entry_place = at.partition(".")[0]
        own = list(Policy(self.ops[: int(entry_place)]).selected(its.draws_at))
        ops = dict(self.leaves())
        same = [(step.at, ops[step.at]) for step in steps if step.at.partition(".")[0] == entry_place]
        by, before = rendering(partner, self.kernels), []
        for place, op in [*own, *same]:
            if not isinstance(op, MixTransform):
                before.append(Step(place, op.spec_name, _draw_and_apply(op, place, by, its.draws_at(place))))
        return finished(by.sample()), before

    def replay(
        self, sample: Sample, steps: list[Step], peers: Peers | None = None, observe: Observer | None = None
    ) -> Sample:
        """Apply steps recorded by `run` again, drawing nothing; `observe` is as there."""
        by_place = dict(self.leaves())
        by = rendering(sample, self.kernels)
        for step in steps:
            op = by_place[step.at]
            if observe is not None:
                before = by.sample()
            if isinstance(op, MixTransform):
                if peers is None:
                    raise TransformError(f"{op.spec_name} needs its partner {step.params['partner']!r} to be replayed")
                partner = self.replay(peers.open(step.params["partner"]), [Step(*s) for s in step.params["steps"]])
                by.restart(op.mix(finished(by.sample()), partner, step.params))
            else:
                _apply(op, step.at, step.params, by)
            if observe is not None:
                observe(step.at, op, step.params, before, by.sample())
        return finished(by.sample())

    def leaves(self) -> Iterator[Placed]:
        """Every transform in the policy with its position, in order."""
        for i, node in enumerate(self.ops):
            yield from leaves(node, str(i))

    def entries(self) -> list[Any]:
        """The policy as it stands in a spec, every argument written out."""
        return [entry(op) for op in self.ops]


def _draw_and_apply(op: Transform, at: str, by: Rendering, draws: Draws) -> Params:
    try:
        params = by.draw(op, draws)
        by.apply(op, at, params)
    except FAILURES as error:
        raise_named(op, error)
    return params


def _apply(op: Transform, at: str, params: Params, by: Rendering) -> None:
    try:
        by.apply(op, at, params)
    except FAILURES as error:
        raise_named(op, error)
