"""Objects left out of a rendition because too little is left of them, and the count of all that there were."""

from __future__ import annotations

from collections import Counter

import numpy as np

from augmill.pipeline.spec import AnnotationSpec
from augmill.transforms.objects import Objects

# What is counted over all renditions: seen + mixed_in = written + cut_off + too_small + hidden.
# Beside it: renditions drawn anew because they had lost every object, and those given up for the image as it is.
COUNTS = ("seen", "mixed_in", "cut_off", "too_small", "hidden", "written", "redrawn", "given_up")
_ROUNDING = 1e-6  # of a share of an area, lost in floating point


def left_out(objects: Objects, limits: AnnotationSpec) -> tuple[Objects, Counter[str]]:
    """Leave out the objects that are smaller or less visible than `limits` allow, and count them."""
    small = np.asarray(objects.areas < limits.min_area)
    hidden = ~small & np.asarray(objects.visible < limits.min_visibility - _ROUNDING)
    kept = objects.kept(~small & ~hidden)
    return kept, Counter(too_small=int(small.sum()), hidden=int(hidden.sum()))


def storable(objects: Objects, shape: tuple[int, ...]) -> Objects:
    """Leave out boxes so thin that float32, in which records hold them, would make them empty."""
    sides = np.array([shape[1], shape[0], shape[1], shape[0]], np.float64)
    stored = np.clip(objects.boxes / sides, 0, 1).astype(np.float32)
    return objects.kept(np.asarray((stored[:, 2:] > stored[:, :2]).all(axis=1)))


def net(before: int, after: int) -> Counter[str]:
    """Count a change in the number of objects: those that ops mixed in, or cut off, whichever were more."""
    return Counter(mixed_in=max(0, after - before), cut_off=max(0, before - after))
