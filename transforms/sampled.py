"""What the transforms made of Keras layers that sample the image at other places share.

Keras samples with TensorFlow's `ImageProjectiveTransformV3`. That repeats an image by fill_mode "wrap" with a period
one pixel too short and never blends over the seam; the pixels of "wrap" are `Motion.move_pixels`'s here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.arguments import Pair, as_floats, check_choice, check_pair
from augmill.transforms.backend import tensorflow
from augmill.transforms.base import GeometricTransform, Params, Shape, Transform, TransformError, check_number
from augmill.transforms.keras_layer import KerasTransform
from augmill.transforms.motion import BEYOND, Motion

SAMPLING: Mapping[str, str] = {
    "fill_mode": "what lies beyond the edges: reflect (d c b a | a b c d | d c b a), constant, wrap or nearest",
    "interpolation": "bilinear or nearest",
    "fill_value": "level of a constant fill, in [0, 255]",
}


class SampledTransform(KerasTransform, GeometricTransform):
    """A layer that samples the image through a matrix and fills what lies beyond its edges.

    Attributes:
      fill_mode, interpolation, fill_value: fields of the layer, as `SAMPLING` has them.
      ranged: the arguments that are ranges, and `lowest` what they may go down to.
      scalar: what a single number in their place is short for, as `check_pair` has it.
    """

    fill_mode: str
    interpolation: str
    fill_value: float

    ranged: ClassVar[tuple[str, ...]] = ()
    lowest: ClassVar[float] = -1.0
    scalar: ClassVar[str] = "around zero"

    def __post_init__(self) -> None:
        check_sampling(self)
        if not any(map(any, self.ranges().values())):
            raise TransformError(f"{' and '.join(self.ranged)} 0 leaves every image as it is; give a number or a range")
        keep_plain(self, *self.ranges())

    def ranges(self) -> dict[str, Pair]:
        """The lowest and highest value of each range that was given."""
        return self._ranges

    @cached_property
    def _ranges(self) -> dict[str, Pair]:
        optional = {field.name for field in fields(self) if field.default is None}
        given = {name: getattr(self, name) for name in self.ranged}
        given = {name: value for name, value in given.items() if value is not None or name not in optional}
        return {
            name: check_pair(name, value, low=self.lowest, high=1, scalar=self.scalar) for name, value in given.items()
        }

    def settings(self) -> dict[str, Any]:
        # The layer's own ranges have no say: its transformation is made here.
        return {field.name: getattr(self, field.name) if field.name in SAMPLING else 0.5 for field in fields(self)}

    def moved_by(self, matrix: np.ndarray, shape: Shape) -> Motion:
        """The motion of an image of `shape` by a matrix from the source to the result, in continuous pixels."""
        return Motion((shape[0], shape[1]), matrix, beyond=self.fill_mode)

    def on_tensor(self, image: Any, params: Params) -> Any:
        if self.fill_mode != "wrap":
            return super().on_tensor(image, params)
        motion = self.motion(params, tuple(image.shape))

        def moved(pixels: np.ndarray) -> np.ndarray:
            return motion.move_pixels(pixels, interpolation=self.interpolation)

        result = tensorflow().numpy_function(moved, [image], image.dtype)
        return tensorflow().ensure_shape(result, image.shape)


def check_sampling(op: Any) -> None:
    """Raise TransformError unless those of an op's fields that `SAMPLING` names are as it says."""
    check_choice("interpolation", op.interpolation, ("bilinear", "nearest"))
    check_choice("fill_mode", getattr(op, "fill_mode", "constant"), BEYOND)
    check_number("fill_value", op.fill_value, low=0, high=255)


def keep_plain(op: Transform, *names: str) -> None:
    """Hold checked arguments as floats and pairs of floats, so that those that mean the same are the same."""
    for name in names:
        object.__setattr__(op, name, as_floats(getattr(op, name)))
