"""AugMix: several chains of ops on the same image, mixed with each other and with the image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.arguments import VALUE_RANGE_IS, check_choice, check_value_range, check_whole
from augmill.transforms.augment_ops import (
    ENHANCEMENTS,
    FILL_IS,
    INTERPOLATION_IS,
    INTERPOLATIONS,
    SCALED,
    Ranges,
    carry_out_step,
    check_warp,
    draw_scaled,
    moves,
)
from augmill.transforms.backend import to_uint8
from augmill.transforms.base import (
    KEPT,
    REFUSED,
    Params,
    PixelTransform,
    Shape,
    Transform,
    TransformError,
    check_number,
)
from augmill.transforms.randomness import Draws

RANGES = Ranges(
    rotate=(0, 30),
    shear=(0, 0.3),
    translate=(0, 1 / 3),
    posterize=(4, 0),
    solarize=(256, 0),
    enhance=(0.1, 1.9),
    whole_degrees=True,
)
_MAX_LEVEL, _LEAST_LEVEL = 10, 0.1
_DEEPEST = 3  # where depth is -1
_MIXED_IS = {
    "weights": "of the chains, adding up to 1, from the symmetric Dirichlet distribution of alpha",
    "m": "weight of the image itself, from Beta(alpha, alpha)",
}


class _Chains(PixelTransform):
    """What both forms of AugMix share: params {"chains": [[[name, value], ...], ...], "weights": [...], "m": m}."""

    alpha: float
    interpolation: str
    fill: int

    @property
    @abstractmethod
    def choices(self) -> tuple[str, ...]:
        """The ops that chains are made of."""

    @abstractmethod
    def draw_chain(self, draws: Draws, shape: Shape) -> list[Any]:
        """Draw the steps of one chain."""

    def draw_chains(self, draws: Draws, count: int, shape: Shape) -> Params:
        """Draw all that an image is mixed by."""
        weights, m = draws.dirichlet(self.alpha, count), draws.beta(self.alpha, self.alpha)
        return {"chains": [self.draw_chain(draws, shape) for _ in range(count)], "weights": weights, "m": m}

    def apply(self, image: np.ndarray, params: Params) -> np.ndarray:
        mixed = np.zeros(image.shape, np.float32)
        for chain, weight in zip(params["chains"], params["weights"], strict=True):
            link = image
            for step in chain:
                link = carry_out_step(link, step, fill=self.fill, interpolation=self.interpolation)
            mixed += np.float32(weight) * link
        m = params["m"]
        return to_uint8(np.float32(m) * image + np.float32(1.0 - m) * mixed, self.name)

    def treatment(self, kind: str) -> str:
        return REFUSED if any(map(moves, self.choices)) else KEPT


@dataclass(frozen=True, repr=False)
class AugMix(_Chains):
    """Mix an image with `width` chains of one to three ops, at strengths up to `severity`.

    The result is m image + (1 - m) (w1 chain1 + w2 chain2 + ...), rounded. Source: Hendrycks et al., "AugMix: a simple
    data processing method to improve robustness and uncertainty", ICLR 2020; the figures are those of the authors'
    code, google-research/augmix. At level L, drawn for each op: rotate 3 L degrees, shear 0.03 L, translate L / 30 of
    the side, posterize to 4 - 0.4 L bits, solarize from level 256 - 25.6 L up, and with `all_ops` color, contrast,
    brightness and sharpness 0.1 + 0.18 L. Degrees, pixels, and what is taken off bits and levels, are truncated.
    Rotations, shears and translations go either way, equally likely. Interpolation and fill are by default those of
    that code too.

    Chains move pixels apart, so that boxes, masks and keypoints can follow only with `moving_ops: false`. The code's
    loss between an image and two renditions of it belongs to training: make the copies and compare them there.

    Parameters: `chains`, lists of [name, value]; their `weights`; `m`.
    """

    severity: float = 3
    width: int = 3
    depth: int = -1
    alpha: float = 1.0
    all_ops: bool = False
    moving_ops: bool = True
    interpolation: str = "bilinear"
    fill: int = 0

    name: ClassVar[str] = "aug_mix"
    takes: ClassVar[Mapping[str, str]] = {
        "severity": "greatest level of an op, 1 to 10",
        "width": "number of chains, a whole number of at least 1",
        "depth": "ops in a chain, a whole number of at least 1; -1 draws 1, 2 or 3 for each chain",
        "alpha": "of the Dirichlet and Beta distributions of the weights, above 0",
        "all_ops": "whether also color, contrast, brightness and sharpness, to which ImageNet-C's corruptions are akin",
        "moving_ops": "whether also rotate, shear_x, shear_y, translate_x, translate_y; false keeps annotations",
        "interpolation": INTERPOLATION_IS,
        "fill": FILL_IS,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "chains": "of depth ops, each equally likely, at levels uniform in [0.1, severity); signs equally likely",
        **_MIXED_IS,
    }

    def __post_init__(self) -> None:
        check_number("severity", self.severity, low=1, high=_MAX_LEVEL)
        check_whole("width", self.width, low=1)
        if type(self.depth) is not int or (self.depth < 1 and self.depth != -1):
            raise TransformError(f"depth must be a whole number of at least 1, or -1 to draw it, got {self.depth!r}")
        check_number("alpha", self.alpha, low=0, open_low=True)
        check_choice("all_ops", self.all_ops, (False, True))
        check_choice("moving_ops", self.moving_ops, (True, False))
        check_warp(self.fill, self.interpolation)

    @property
    def choices(self) -> tuple[str, ...]:
        still = ("autocontrast", "equalize", "posterize", "solarize")
        moving = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
        return still + (moving if self.moving_ops else ()) + (ENHANCEMENTS if self.all_ops else ())

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return self.draw_chains(draws, self.width, shape)

    def draw_chain(self, draws: Draws, shape: Shape) -> list[Any]:
        depth = self.depth if self.depth > 0 else draws.integer(1, _DEEPEST + 1)
        chain = []
        for _ in range(depth):
            name = self.choices[draws.integer(0, len(self.choices))]
            level = draws.uniform(_LEAST_LEVEL, self.severity)
            chain.append(RANGES.draw(draws, name, level / _MAX_LEVEL, shape))
        return chain


@dataclass(frozen=True, repr=False)
class KerasAugMix(_Chains):
    """Mix an image with `num_chains` chains of up to `chain_depth` ops, at strengths up to `factor`.

    The result is m image + (1 - m) (w1 chain1 + w2 chain2 + ...), rounded. Ops and strengths are those of
    `keras.layers.RandAugment` here; without `all_ops` color, contrast, brightness and sharpness are left out. A chain
    of no ops is the image.

    Equivalent: `keras.layers.AugMix`, whose documentation this follows. The layer gives a whole batch the same chains;
    it picks their ops from Python's global generator, whatever its seed, and in a graph once for ever; it leaves ops
    out of a chain by chance, where their number is documented to be drawn; and it takes `factor` as its RandAugment
    does. Boxes, masks and keypoints are refused, for the chains move pixels apart: the layer leaves boxes where they
    were and mixes the ids of masks.

    Parameters: `chains`, lists of [name, value]; their `weights`; `m`.
    """

    value_range: tuple[int, int] = (0, 255)
    num_chains: int = 3
    chain_depth: int = 3
    factor: float = 0.3
    alpha: float = 1.0
    all_ops: bool = True
    interpolation: str = "bilinear"

    fill = 128
    name: ClassVar[str] = "keras.layers.AugMix"
    takes: ClassVar[Mapping[str, str]] = {
        "value_range": VALUE_RANGE_IS,
        "num_chains": "number of chains, a whole number of at least 1",
        "chain_depth": "most ops in a chain, a whole number of at least 1",
        "factor": "greatest strength of an op, above 0 and up to 1",
        "alpha": "of the Dirichlet and Beta distributions of the weights, above 0",
        "all_ops": "whether also color, contrast, brightness and sharpness",
        "interpolation": INTERPOLATION_IS,
    }
    draws: ClassVar[Mapping[str, str]] = {
        "chains": "of 0, ..., chain_depth ops, equally likely; the ops too; strengths uniform in [-factor, factor)",
        **_MIXED_IS,
    }

    def __post_init__(self) -> None:
        check_whole("num_chains", self.num_chains, low=1)
        check_whole("chain_depth", self.chain_depth, low=1)
        check_number("factor", self.factor, low=0, high=1, open_low=True)
        check_number("alpha", self.alpha, low=0, open_low=True)
        check_choice("all_ops", self.all_ops, (True, False))
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        object.__setattr__(self, "value_range", check_value_range(self.value_range))

    @property
    def choices(self) -> tuple[str, ...]:
        return SCALED if self.all_ops else tuple(name for name in SCALED if name not in ENHANCEMENTS)

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return self.draw_chains(draws, self.num_chains, shape)

    def draw_chain(self, draws: Draws, shape: Shape) -> list[Any]:
        depth = draws.integer(0, self.chain_depth + 1)
        return [draw_scaled(draws, self.choices, self.factor, shape) for _ in range(depth)]


OPS: tuple[type[Transform], ...] = (AugMix, KerasAugMix)
