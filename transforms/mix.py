"""Transforms that mix two examples, MixUp and CutMix, and their labels with them.

The partner is another example of the same block, chosen by the op's own draw. It goes through the ops that stand before
the mix in the policy, by its own draws for the same copy, so that what is mixed is two renditions. Neither the choice
nor the result depends on a batch, a worker or an order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from augmill.transforms.arguments import Pair, as_floats, check_pair
from augmill.transforms.base import (
    MIXED,
    REFUSED,
    MixTransform,
    Params,
    Sample,
    Shape,
    Transform,
    TransformError,
    check_number,
)
from augmill.transforms.objects import HIDDEN, Objects
from augmill.transforms.polygon import clip_to_side, clip_to_window, polygon_area
from augmill.transforms.randomness import Draws

_LEAST_AREA = 1e-6  # square pixels
Patch = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True, repr=False)
class MixUp(MixTransform):
    """Blend an image with another one of its block, and their labels by the same weights.

    The objects of both images are kept; a mask can't be blended, so it is refused. Source: Zhang et al., "mixup: beyond
    empirical risk minimization", ICLR 2018. Parameters: `partner`, `weight` of the image itself, and `steps`, the ops
    that the partner went through.
    """

    alpha: float = 0.2

    name: ClassVar[str] = "mix_up"
    takes: ClassVar[Mapping[str, str]] = {"alpha": "of the Beta distribution of the weight, above 0; 0.2 for ImageNet"}
    draws: ClassVar[Mapping[str, str]] = {"weight": "Beta(alpha, alpha)"}

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, low=0, open_low=True)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"weight": draws.beta(self.alpha, self.alpha)}

    def mix(self, sample: Sample, partner: Sample, params: Params) -> Sample:
        weight = params["weight"]
        check_partner(self, sample, partner)
        blend = weight * sample.image.astype(np.float32) + (1.0 - weight) * partner.image.astype(np.float32)
        objects = sample.objects
        if objects is not None and partner.objects is not None:
            objects = objects.joined(partner.objects)
        mixed = replace(sample, image=np.rint(blend).astype(np.uint8), objects=objects)
        return mix_labels(mixed, partner, weight)

    def treatment(self, kind: str) -> str:
        return REFUSED if kind == "masks" else MIXED


@dataclass(frozen=True, repr=False)
class KerasMixUp(MixUp):
    """Blend an image with another one of its block, and their labels by the same weights.

    Equivalent: `keras.layers.MixUp`, which returns a single image unchanged and mixes only within a batch. Parameters:
    those of `mix_up`.
    """

    name: ClassVar[str] = "keras.layers.MixUp"


@dataclass(frozen=True, repr=False)
class _Pasting(MixTransform):
    """What both forms of CutMix share: a window of the partner, `top`, `left`, `bottom` and `right` in pixels."""

    def mix(self, sample: Sample, partner: Sample, params: Params) -> Sample:
        check_partner(self, sample, partner)
        patch = (params["top"], params["left"], params["bottom"], params["right"])
        window = np.s_[patch[0] : patch[2], patch[1] : patch[3]]
        image = sample.image.copy()
        image[window] = partner.image[window]
        mask = sample.mask
        if mask is not None and partner.mask is not None:
            mask = mask.copy()
            mask[window] = partner.mask[window]
        objects = sample.objects
        if objects is not None and partner.objects is not None:
            objects = objects_outside(objects, patch).joined(objects_inside(partner.objects, patch))
        share = (patch[2] - patch[0]) * (patch[3] - patch[1]) / (image.shape[0] * image.shape[1])
        return mix_labels(replace(sample, image=image, mask=mask, objects=objects), partner, 1.0 - share)

    def treatment(self, kind: str) -> str:
        return MIXED


@dataclass(frozen=True, repr=False)
class CutMix(_Pasting):
    """Paste a window of another image of the block at the same place, and weigh the labels by area.

    The window has the area 1 - Beta(alpha, alpha) and the image's proportions; its centre is uniform over the image,
    and what of it lies outside is cut off, as in the paper. Objects, keypoints and masks are those that can be seen
    afterwards. Source: Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable
    features", ICCV 2019. Parameters: `partner`, `top`, `left`, `bottom` and `right` in pixels, and `steps`, the ops
    that the partner went through.
    """

    alpha: float = 1.0

    name: ClassVar[str] = "cut_mix"
    takes: ClassVar[Mapping[str, str]] = {"alpha": "of the Beta distribution of the area that stays, above 0"}
    draws: ClassVar[Mapping[str, str]] = {
        "top": "the centre uniform over the image, the height sqrt(1 - Beta(alpha, alpha)) of its height",
        "left": "likewise, of its width",
        "bottom": "as top",
        "right": "as left",
    }

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, low=0, open_low=True)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        ratio = (1.0 - draws.beta(self.alpha, self.alpha)) ** 0.5
        rows, columns = (_around(draws.integer(0, length), ratio, length) for length in shape[:2])
        return {"top": rows[0], "left": columns[0], "bottom": rows[1], "right": columns[1]}


def _around(centre: int, ratio: float, length: int) -> tuple[int, int]:
    side = round(ratio * length)
    low = centre - side // 2
    return max(0, low), min(length, low + side)


@dataclass(frozen=True, repr=False)
class KerasCutMix(_Pasting):
    """Paste a window of another image of the block at the same place, and weigh the labels by area.

    An alpha is drawn from `factor`; the window has the area 1 - Beta(alpha, alpha), the image's proportions and a
    uniformly drawn place wholly inside. Equivalent: `keras.layers.CutMix`, which returns a single image unchanged.
    Parameters: those of `cut_mix`.
    """

    factor: float | Pair = 1.0

    name: ClassVar[str] = "keras.layers.CutMix"
    takes: ClassVar[Mapping[str, str]] = {
        "factor": "range of alpha, within [0, 1]; a number f means [0, f]; [1, 1] is the paper's alpha"
    }
    draws: ClassVar[Mapping[str, str]] = {
        "top": "uniform where the window fits, which has sqrt(1 - Beta(alpha, alpha)) of the height",
        "left": "likewise, of the width",
        "bottom": "as top",
        "right": "as left",
    }

    def __post_init__(self) -> None:
        if self._alphas[1] == 0:
            raise TransformError(f"factor must reach above 0, or nothing is ever pasted, got {self.factor!r}")
        object.__setattr__(self, "factor", as_floats(self.factor))

    @property
    def _alphas(self) -> Pair:
        return check_pair("factor", self.factor, low=0, high=1, scalar="from zero")

    def draw(self, draws: Draws, shape: Shape) -> Params:
        alpha = max(draws.uniform(*self._alphas), 1e-6)  # as Keras keeps it from 0, where no Beta is
        ratio = (1.0 - draws.beta(alpha, alpha)) ** 0.5
        rows, columns = (_within(draws, round(ratio * length), length) for length in shape[:2])
        return {"top": rows[0], "left": columns[0], "bottom": rows[1], "right": columns[1]}


def _within(draws: Draws, side: int, length: int) -> tuple[int, int]:
    low = draws.integer(0, length - side + 1)
    return low, low + side


def check_partner(op: MixTransform, sample: Sample, partner: Sample) -> None:
    """Raise TransformError unless both images have one shape."""
    mine, theirs = sample.image.shape, partner.image.shape
    if mine != theirs:
        raise TransformError(
            f"{op.spec_name} mixes images of one size, got {mine[0]}x{mine[1]} and {theirs[0]}x{theirs[1]}; "
            "set image.size (and work_size where a crop comes first)"
        )


def mix_labels(sample: Sample, partner: Sample, weight: float) -> Sample:
    """Weigh the labels of both: `label` becomes the heavier class."""
    if sample.label is None or partner.label is None:
        return sample
    shares: defaultdict[int, float] = defaultdict(float)
    for one, share in ((sample, weight), (partner, 1.0 - weight)):
        for label, part in one.mixture or ((int(one.label or 0), 1.0),):
            shares[label] += part * share
    mixture = tuple(sorted(shares.items()))
    heaviest = max(mixture, key=lambda item: (item[1], item[0] == sample.label))[0]
    return replace(sample, label=heaviest, mixture=mixture)


def objects_inside(objects: Objects, patch: Patch) -> Objects:
    """What is seen of objects through a window."""
    top, left, bottom, right = patch
    seen = [clip_to_window(outline, (left, top), (right, bottom)) for outline in objects.outlines]
    return _with_outlines(objects, seen, [polygon_area(outline) if len(outline) else 0.0 for outline in seen], patch)


def objects_outside(objects: Objects, patch: Patch) -> Objects:
    """What is seen of objects where a window has been pasted over them."""
    top, left, bottom, right = patch
    sides = (((-1, 0), -left), ((1, 0), right), ((0, -1), -top), ((0, 1), bottom))
    seen, areas = [], []
    for outline in objects.outlines:
        hidden = clip_to_window(outline, (left, top), (right, bottom))
        parts = [part for part in (clip_to_side(outline, *side) for side in sides) if len(part)]
        corners = np.concatenate(parts) if parts else np.zeros((0, 2))
        # The outline cut down to the tightest box of what is left of it.
        seen.append(
            clip_to_window(outline, tuple(corners.min(axis=0)), tuple(corners.max(axis=0))) if parts else corners
        )
        areas.append(polygon_area(outline) - (polygon_area(hidden) if len(hidden) else 0.0))
    return _with_outlines(objects, seen, areas, patch, inside=False)


def _with_outlines(
    objects: Objects, outlines: list[np.ndarray], areas: list[float], patch: Patch, *, inside: bool = True
) -> Objects:
    before = np.array([polygon_area(outline) for outline in objects.outlines])
    shares = np.divide(areas, before, out=np.zeros(len(before)), where=before > 0)
    keypoints = objects.keypoints
    if keypoints is not None:
        top, left, bottom, right = patch
        within = ((keypoints[..., :2] >= (left, top)) & (keypoints[..., :2] < (right, bottom))).all(axis=-1)
        keypoints = np.where(((within == inside) & (keypoints[..., 2] != HIDDEN))[..., None], keypoints, 0.0)
    moved = replace(objects, outlines=tuple(outlines), visible=objects.visible * shares, keypoints=keypoints)
    return moved.kept(np.array(areas) > _LEAST_AREA)


OPS: tuple[type[Transform], ...] = (KerasMixUp, KerasCutMix, MixUp, CutMix)
