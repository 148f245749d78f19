"""The ways of composing ops: `one_of`, `some_of` and `sometimes`.

An op's position ("4.1": the second choice of the fifth entry) names its stream of draws; so does that of a composition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Union

from augmill.transforms.base import Transform, TransformError, check_number
from augmill.transforms.randomness import Draws

DrawsAt = Callable[[str], Draws]  # position in the policy -> that op's own stream
Placed = tuple[str, Transform]


@dataclass(frozen=True)
class OneOf:
    """Apply one of `ops`, each equally likely."""

    ops: tuple[Node, ...]

    def __post_init__(self) -> None:
        if len(self.ops) < 2:
            raise TransformError(f"one_of needs at least two ops to choose from, got {len(self.ops)}")

    @property
    def share(self) -> float:
        """The part of the renditions that an op in it is meant for."""
        return 1 / len(self.ops)

    def selected(self, at: str, draws_at: DrawsAt) -> Iterator[Placed]:
        """Draw the ops to apply, each with its position."""
        chosen = draws_at(at).integer(0, len(self.ops))
        yield from select(self.ops[chosen], f"{at}.{chosen}", draws_at)

    def entry(self) -> dict[str, Any]:
        """How a spec has it."""
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

    @property
    def share(self) -> float:
        """The part of the renditions that an op in it is meant for."""
        return (self.least + self.most) / 2 / len(self.ops)

    def selected(self, at: str, draws_at: DrawsAt) -> Iterator[Placed]:
        """Draw the ops to apply, each with its position."""
        draws = draws_at(at)
        count = draws.integer(self.least, self.most + 1)
        for chosen in draws.pick(range(len(self.ops)), count):
            yield from select(self.ops[chosen], f"{at}.{chosen}", draws_at)

    def entry(self) -> dict[str, Any]:
        """How a spec has it."""
        n: Any = self.least if self.least == self.most else [self.least, self.most]
        return {"some_of": {"n": n, "do": [entry(op) for op in self.ops]}}


@dataclass(frozen=True)
class Sometimes:
    """Apply all of `ops`, in order, with probability `p`; else none."""

    p: float
    ops: tuple[Node, ...]

    def __post_init__(self) -> None:
        check_number("sometimes: p", self.p, low=0, high=1, open_low=True)
        object.__setattr__(self, "p", float(self.p))  # 1 and 1.0 are one argument, and have one spec
        if not self.ops:
            raise TransformError("sometimes needs at least one op under `do`, got none")

    @property
    def share(self) -> float:
        """The part of the renditions that an op in it is meant for."""
        return self.p

    def selected(self, at: str, draws_at: DrawsAt) -> Iterator[Placed]:
        """Draw the ops to apply, each with its position."""
        if draws_at(at).chance(self.p):
            for i, op in enumerate(self.ops):
                yield from select(op, f"{at}.{i}", draws_at)

    def entry(self) -> dict[str, Any]:
        """How a spec has it."""
        return {"sometimes": {"p": self.p, "do": [entry(op) for op in self.ops]}}


Node = Union[Transform, OneOf, SomeOf, Sometimes]


def entry(node: Node) -> Any:
    """One op as a spec has it: a name, or {name: arguments}."""
    if isinstance(node, Transform):
        arguments = node.arguments()
        return {node.spec_name: arguments} if arguments else node.spec_name
    return node.entry()


def select(node: Node, at: str, draws_at: DrawsAt) -> Iterator[Placed]:
    """Draw what is to be applied of one entry of a policy."""
    if isinstance(node, Transform):
        yield at, node
    else:
        yield from node.selected(at, draws_at)


def leaves(node: Node, at: str) -> Iterator[Placed]:
    """Every transform in one entry of a policy, with its position."""
    if isinstance(node, Transform):
        yield at, node
    else:
        for i, op in enumerate(node.ops):
            yield from leaves(op, f"{at}.{i}")
