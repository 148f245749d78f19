"""Carries out the ops of one rendition: one after the other as they are, or by fast kernels that are joined first."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn, Protocol

import numpy as np

from augmill.transforms.backend import to_floats, to_uint8
from augmill.transforms.base import KINDS, REFUSED, Params, Sample, Shape, Transform, TransformError
from augmill.transforms.fast import fast_kernels
from augmill.transforms.fusion import Fused, append, run
from augmill.transforms.motion import Motion
from augmill.transforms.randomness import Draws


class Rendering(Protocol):
    """A rendition in the making."""

    def draw(self, op: Transform, draws: Draws) -> Params:
        """Draw an op's parameters for the sample as it is by now."""

    def apply(self, op: Transform, at: str, params: Params) -> None:
        """Carry out drawn parameters.

        Raises:
          TransformError: the sample has annotations that the op can't take along, or the op failed.
        """

    def sample(self) -> Sample:
        """The sample as it is by now, in uint8 or, after a reference kernel of floats, in float32."""

    def restart(self, sample: Sample) -> None:
        """Go on from another sample."""


class PlainRendering:
    """Carries out each op at once by its reference kernel, which rounds and cuts off as the op itself does."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def draw(self, op: Transform, draws: Draws) -> Params:
        return op.draw_for(draws, self._sample)

    def apply(self, op: Transform, at: str, params: Params) -> None:
        self._sample = _by_reference(op, self._sample, params)

    def sample(self) -> Sample:
        return self._sample

    def restart(self, sample: Sample) -> None:
        self._sample = sample


class FusedRendering:
    """Puts off what ops with fast kernels do until it must be done, joined with its neighbours where it can be.

    Annotations move with the pixels: where two motions become one, theirs do too, and what the first moves out of the
    image the second may bring back. An op without a fast kernel is carried out by its reference one, in its turn.
    """

    def __init__(self, sample: Sample) -> None:
        self.restart(sample)

    def restart(self, sample: Sample) -> None:
        self._sample = self._pixels = sample
        self._shape: Shape = sample.image.shape
        self._annotated = sample.has_annotations
        self._floats = sample.image.dtype != np.uint8  # left by a reference kernel
        self._row: list[Fused] = []  # to be carried out on the image of `_pixels`
        self._motion: Motion | None = None  # to be carried out on the annotations of `_sample`

    def draw(self, op: Transform, draws: Draws) -> Params:
        if type(op).draw_for is Transform.draw_for:  # it looks at no more than the shape
            return op.draw(draws, self._shape)
        return op.draw_for(draws, self.sample())

    def apply(self, op: Transform, at: str, params: Params) -> None:
        make = fast_kernels(op)
        if make is None:
            self.restart(_by_reference(op, self.sample(), params))
            return
        if self._annotated:
            check_kinds(op, self._sample)
        if self._floats:
            self.restart(finished(self._sample))
        for kernel in make(op, params, self._shape):
            joined = append(self._row, kernel, at, self._shape)
            if self._annotated:
                self._put_motion((joined or kernel).motion(self._shape), joined=joined is not None)
            self._shape = kernel.result_shape(self._shape)

    def sample(self) -> Sample:
        self._move_annotations()
        if self._row:
            self.restart(self._sample.showing(run(self._row, self._pixels)))
        return self._sample

    @property
    def put_off(self) -> tuple[list[Fused], Sample]:
        """What is still to be carried out, and on which sample's image; nothing where annotations are to move too."""
        return ([] if self._annotated else self._row), self._pixels

    def carried_out(self, image: np.ndarray) -> None:
        """Go on from what `put_off` made of the image."""
        self.restart(self._sample.showing(image))

    def _put_motion(self, motion: Motion | None, *, joined: bool) -> None:
        """Note where annotations are to go; a motion that was joined with the last one stands for both."""
        if motion is not None:
            if not joined:
                self._move_annotations()
            self._motion = motion

    def _move_annotations(self) -> None:
        if self._motion is not None:
            self._sample = self._sample.moved(self._sample.image, self._motion)
        self._motion = None


def rendering(sample: Sample, kernels: str) -> Rendering:
    """Begin a rendition of a sample with the kernels "fast" or "reference"."""
    return FusedRendering(sample) if kernels == "fast" else PlainRendering(sample)


def draw_and_apply(op: Transform, draws: Draws, sample: Sample, kernels: str = "reference") -> tuple[Params, Sample]:
    """Draw one op's parameters and carry them out.

    Raises:
      TransformError: whatever went wrong, with the op's name.
    """
    by = rendering(sample, kernels)
    try:
        params = by.draw(op, draws)
        by.apply(op, "", params)
        return params, by.sample()
    except FAILURES as error:
        raise_named(op, error)


def carry_out(op: Transform, sample: Sample, params: Params, kernels: str = "reference") -> Sample:
    """Apply one op's drawn parameters to a sample.

    Returns:
      The sample, in uint8 or, after a reference kernel of floats, in float32.

    Raises:
      TransformError: the sample has annotations that the op can't take along, or the op failed.
    """
    by = rendering(sample, kernels)
    try:
        by.apply(op, "", params)
        return by.sample()
    except FAILURES as error:
        raise_named(op, error)


# What an op may raise: a user's function anything, others where the image is not what they were made for.
FAILURES = (Exception, SystemExit)


def raise_named(op: Transform, error: BaseException) -> NoReturn:
    """Raise TransformError for whatever an op raised, with its name."""
    if isinstance(error, TransformError):
        raise error
    reason = str(error).strip().split("\n")[0]
    raise TransformError(f"{op.spec_name} failed with {type(error).__name__}: {reason}") from error


def _by_reference(op: Transform, sample: Sample, params: Params) -> Sample:
    """Carry out an op by its reference kernel, in the number format that it takes."""
    check_kinds(op, sample)
    convert = to_floats if op.in_floats else to_uint8
    after = op.transform(replace(sample, image=convert(sample.image, op.spec_name)), params)
    return replace(after, image=to_floats(after.image, op.spec_name)) if op.in_floats else after


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
