"""Which ops have a fast kernel: one explicit table, from an op to what it does to pixels."""

from __future__ import annotations

from collections.abc import Mapping

from augmill.transforms.backend import TensorKernel
from augmill.transforms.base import Transform
from augmill.transforms.fast_color import FAST_COLOR
from augmill.transforms.fast_elastic import elastic
from augmill.transforms.fast_filter import FAST_FILTER
from augmill.transforms.fast_geometry import FAST_GEOMETRY, UNLESS
from augmill.transforms.fast_steps import FAST_STEPS
from augmill.transforms.fast_tone import FAST_TONE
from augmill.transforms.function import UserFunction
from augmill.transforms.keras_warp import RandomElasticTransform
from augmill.transforms.kernels import MakeKernels
from augmill.transforms.user_layer import UserLayer

FAST: Mapping[type[Transform], MakeKernels] = {
    **FAST_GEOMETRY,
    RandomElasticTransform: elastic,
    **FAST_TONE,
    **FAST_COLOR,
    **FAST_FILTER,
    **FAST_STEPS,
}


def fast_kernels(op: Transform) -> MakeKernels | None:
    """What makes the fast kernels of an op; None where there is only the reference one."""
    unless = UNLESS.get(type(op))
    return None if unless is not None and unless(op) else FAST.get(type(op))


def kernels_of(op: type[Transform]) -> tuple[str, ...]:
    """The names of the kernels that an op has."""
    return ("fast", "reference") if op in FAST else ("reference",)


def needs_tensorflow(op: Transform, kernels: str) -> bool:
    """Tell whether carrying out an op takes TensorFlow."""
    if kernels == "fast" and fast_kernels(op) is not None:
        return False
    if isinstance(op, UserFunction):
        return not op.takes_array
    return isinstance(op, (TensorKernel, UserLayer))
