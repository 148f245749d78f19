"""Every name that an `augment` list knows: one explicit table of ops, and the ways of composing them."""

from __future__ import annotations

from augmill.transforms import (
    adjust,
    aug_mix,
    auto_augment,
    box_limit,
    color,
    crop,
    erase,
    geometry,
    jpeg,
    keras_affine,
    keras_color,
    keras_crop,
    keras_filter,
    keras_tone,
    keras_warp,
    mix,
    rand_augment,
    random_resized_crop,
    resize,
    trivial_augment,
)
from augmill.transforms.base import Transform

OPS: dict[str, type[Transform]] = {
    op.name: op
    for family in (
        geometry,
        crop,
        random_resized_crop,
        resize,
        color,
        adjust,
        jpeg,
        keras_affine,
        keras_warp,
        keras_crop,
        box_limit,
        keras_color,
        keras_tone,
        keras_filter,
        erase,
        rand_augment,
        auto_augment,
        trivial_augment,
        aug_mix,
        mix,
    )
    for op in family.OPS
}

# The ways of composing ops, in words; `grammar` reads them.
COMPOSITIONS: dict[str, str] = {
    "one_of": "one of a list of ops, each equally likely",
    "some_of": "of the ops under `do`, `n` or [least, most] of them; they keep their order",
    "sometimes": "all ops under `do`, with probability `p`",
}


def op_names() -> list[str]:
    """Every name that `augment` knows, the ways of composing included; functions are named `module:function`."""
    return [*OPS, *COMPOSITIONS]
