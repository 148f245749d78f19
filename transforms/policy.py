"""Policies: transforms composed by sequence, `one_of`, `some_of` and `sometimes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from augmill.transforms.base import Params, Sample, Transform, TransformError, check_number
from augmill.transforms.randomness import Draws

DrawsAt = Callable[[str], Draws]  # position in the policy -> that op's own stream
Placed = tuple[str, Transform]


class Step(NamedTuple):
    """One op carried out: where it stands in the policy, its name and its drawn parameters."""

    at: str
    op: str
    params: Params


@dataclass(frozen=True)
class OneOf:
    """Apply one of `ops`, each equally likely."""

    ops: tuple[Node, ...]

    def __post_init__(self) -> None:
        if len(self.ops) < 2:
            raise TransformError(f"one_of needs at least two ops to choose from, got {len(self.ops)}")

    def select(self, at: str, draws_at: DrawsAt) -> Iterator[Placed]:
        chosen = draws_at(at).integer(0, len(self.ops))
        yield from _select(self.ops[chosen], f"{at}.{chosen}", draws_at)

    def entry(self) -> dict[str, Any]:
        return {"one_of": [entry(op) for op in self.ops]}


@dataclass(frozen=True)
class SomeOf:
    """Apply `least` to `most` of `ops`, in the order written; the number, then the subset, are drawn uniformly."""

    least: int
    most: int
    ops: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most <= len(self.ops) or self.most == 0:
            asked = f"{self.least}" if self.least == self.most else f"[{self.least}, {self.most}]"
            raise TransformError(
                f"some_of: n must be a number from 1 to {len(self.ops)}, the number of ops, or [least, most] up to it, "
                f"got {asked}"
            )

    def select(self, at: str, draws_at: DrawsAt) -> Iterator[Placed]:
        draws = draws_at(at)
        count = draws.integer(self.least, self.most + 1)
        for chosen in draws.pick(range(len(self.ops)), count):
            yield from _select(self.ops[chosen], f"{at}.{chosen}", draws_at)

    def entry(self) -> dict[str, Any]:
        n: Any = self.least if self.least == self.most else [self.least, self.most]
        return {"some_of": {"n": n, "do": [entry(op) for op in self.ops]}}


@dataclass(frozen=True)
class Sometimes:
    """Apply all of `ops`, in order, with probability `p`; else none."""

    p: float
    ops: tuple[Node, ...]

    def __post_init__(self) -> None:
        check_number("sometimes: p", self.p, low=0, high=1, open_low=True)
        if not self.ops:
            raise TransformError("sometimes needs at least one op under `do`, got none")

    def select(self, at: str, draws_at: DrawsAt) -> Iterator[Placed]:
        if draws_at(at).chance(self.p):
            for i, op in enumerate(self.ops):
                yield from _select(op, f"{at}.{i}", draws_at)

    def entry(self) -> dict[str, Any]:
        return {"sometimes": {"p": self.p, "do": [entry(op) for op in self.ops]}}


Node = Union[Transform, OneOf, SomeOf, Sometimes]
Observer = Callable[[str, Transform, Params, Sample, Sample], None]


@dataclass(frozen=True)
class Policy:
    """The whole of `augment`: ops in the order in which they are applied.

    An op's position ("4.1": the second choice of the fifth entry) is part of the name of its stream of draws, so no two
    ops share a draw even where they are the same op.
    """

    ops: tuple[Node, ...] = ()

    def run(
        self, sample: Sample, *, seed: int, key: str, copy: int, observe: Observer | None = None
    ) -> tuple[Sample, list[Step]]:
        """Draw and apply every op for one copy of one example.

        Args:
          sample: image and annotations, not changed in place.
          seed, key, copy: the name of this rendition; the same name gives the same bytes, anywhere.
          observe: called after each op with (position, op, params, before, after).

        Returns:
          The rendition, and the steps that made it.

        Raises:
          TransformError: an op failed on this image; the message names it.
        """

        def draws_at(at: str) -> Draws:
            return Draws(seed=seed, key=key, copy=copy, at=at)

        steps = []
        for i, node in enumerate(self.ops):
            for at, op in _select(node, str(i), draws_at):
                params, after = draw_and_apply(op, draws_at(at), sample)
                if observe is not None:
                    observe(at, op, params, sample, after)
                steps.append(Step(at, op.spec_name, params))
                sample = after
        return sample, steps

    def replay(self, sample: Sample, steps: list[Step]) -> Sample:
        """Apply steps recorded by `run` again, drawing nothing."""
        by_place = dict(self.leaves())
        for step in steps:
            sample = by_place[step.at].transform(sample, step.params)
        return sample

    def leaves(self) -> Iterator[Placed]:
        """Every transform in the policy with its position, in order."""
        for i, node in enumerate(self.ops):
            yield from _leaves(node, str(i))

    def entries(self) -> list[Any]:
        """The policy as it stands in a spec, every argument written out."""
        return [entry(op) for op in self.ops]


def draw_and_apply(op: Transform, draws: Draws, sample: Sample) -> tuple[Params, Sample]:
    """Draw an op's parameters and carry them out.

    Raises:
      TransformError: whatever went wrong, with the op's name.
    """
    try:
        params = op.draw(draws, sample.image.shape)
        return params, op.transform(sample, params)
    except TransformError:
        raise
    except (Exception, SystemExit) as error:  # the user's function, or an image that the op was not made for
        reason = str(error).strip().split("\n")[0]
        raise TransformError(f"{op.spec_name} failed with {type(error).__name__}: {reason}") from error


def entry(node: Node) -> Any:
    """One op as a spec has it: a name, or {name: arguments}."""
    if isinstance(node, Transform):
        arguments = node.arguments()
        return {node.spec_name: arguments} if arguments else node.spec_name
    return node.entry()


def _select(node: Node, at: str, draws_at: DrawsAt) -> Iterator[Placed]:
    if isinstance(node, Transform):
        yield at, node
    else:
        yield from node.select(at, draws_at)


def _leaves(node: Node, at: str) -> Iterator[Placed]:
    if isinstance(node, Transform):
        yield at, node
    else:
        for i, op in enumerate(node.ops):
            yield from _leaves(op, f"{at}.{i}")
