"""Says what of a policy its fast kernels join, without touching a pixel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from augmill.transforms.base import MixTransform, Sample, Shape, TransformError
from augmill.transforms.copying import Window
from augmill.transforms.fast import fast_kernels
from augmill.transforms.fusion import Fused, append
from augmill.transforms.kernels import Hsv, Tone, Warp
from augmill.transforms.policy import Policy
from augmill.transforms.randomness import Draws

RENDITIONS = 64  # that are drawn to see what meets what
_WORK = {Tone: "one table of levels", Warp: "one resampling", Window: "one window", Hsv: "one change of colours"}


@dataclass(frozen=True)
class Join:
    """Ops that are carried out as one.

    Attributes:
      work: what they become.
      places: where they stand in the policy.
      share: of the renditions, in which at least two of them do.
    """

    work: str
    places: tuple[str, ...]
    share: float


def joins_of(policy: Policy, shape: Shape) -> list[Join]:
    """Draw renditions of an image of a shape, and see what of the policy is joined, the most frequent first.

    An op that draws from more than the shape draws for a blank image here.
    """
    if policy.kernels != "fast":
        return []
    found: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for number in range(RENDITIONS):
        for fused in _planned(policy, str(number), shape):
            work = _WORK.get(type(fused.kernel))
            if work is not None and len(fused.places) > 1:
                found[work, fused.places] += 1
    joins: list[Join] = []
    # What is part of a larger join, as where a flip was not drawn, counts with that.
    for (work, places), count in sorted(found.items(), key=lambda item: (-len(item[0][1]), -item[1], item[0])):
        share = count / RENDITIONS
        whole = next((i for i, join in enumerate(joins) if join.work == work and set(places) <= set(join.places)), None)
        if whole is None:
            joins.append(Join(work, places, share))
        else:
            joins[whole] = replace(joins[whole], share=joins[whole].share + share)
    return sorted(joins, key=lambda join: (-join.share, join.places))


def by_reference(policy: Policy) -> list[str]:
    """The ops of a policy with fast kernels that have none, and so are carried out by the reference ones."""
    slow = [op.spec_name for _, op in policy.leaves() if not isinstance(op, MixTransform) and fast_kernels(op) is None]
    return list(dict.fromkeys(slow)) if policy.kernels == "fast" else []


def _planned(policy: Policy, key: str, shape: Shape) -> list[Fused]:
    """The kernels of one rendition."""
    done: list[Fused] = []
    row: list[Fused] = []
    for at, op in policy.selected(lambda at: Draws(seed=0, key=key, copy=1, at=at)):
        make = fast_kernels(op)
        if make is None:
            done, row = done + row, []
            continue
        try:
            params = op.draw_for(Draws(seed=0, key=key, copy=1, at=at), Sample(np.zeros(shape, np.uint8)))
            kernels = make(op, params, shape)
        except TransformError:  # no op for an image of this shape; the check says so
            break
        for kernel in kernels:
            append(row, kernel, at, shape)
            shape = kernel.result_shape(shape)
    return done + row
