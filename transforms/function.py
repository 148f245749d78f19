"""The user's own augmentation, `module:function`."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.backend import tensorflow
from augmill.transforms.base import Params, Sample, Shape, TransformError
from augmill.transforms.randomness import Draws
from augmill.transforms.returned import sample_with
from augmill.transforms.user_code import UserCode, import_object, kind_text

# What a function may ask for by parameter name: all but the seed it must give back.
CHANGED = ("image", "label", "boxes", "box_labels", "mask", "keypoints")
GIVEN = (*CHANGED, "seed")

_KIND_OF = {"boxes": "boxes", "mask": "masks", "keypoints": "keypoints"}  # parameter -> kind of annotation
_DTYPES = {"label": "int64", "boxes": "float32", "box_labels": "int64", "keypoints": "float32", "seed": "int32"}


@dataclass(frozen=True, repr=False)
class UserFunction(UserCode):
    """Call a function of the user's on each image.

    The function takes `image` (uint8 [height, width, channels]) and may take, by these names, `label` (int64), `boxes`
    (float32 [objects, 4] of xmin, ymin, xmax, ymax in pixels), `box_labels` (int64 [objects]), `mask` (ids, [height,
    width]), `keypoints` (float32 [objects, keypoints, 3] of x, y, visibility) and `seed` (int32 [2], its own in every
    rendition); `given` fills its other parameters. All that it takes but the seed it returns: the image alone, or a
    tuple in the order of its parameters, or a dict by their names. It gets TensorFlow tensors, or NumPy arrays if its
    `image` is annotated `np.ndarray`. Parameters: `seed`, if it takes one.

    Raises:
      TransformError: it can't be imported or called so, or it returns something else than it should.
    """

    name: ClassVar[str] = "function"
    cure: ClassVar[str] = "take `seed` and draw from it alone"

    def __post_init__(self) -> None:
        parameters = self._signature.parameters
        if "image" not in parameters or parameters["image"].kind is inspect.Parameter.POSITIONAL_ONLY:
            raise TransformError(
                f"{self.target} must take the image by the name `image`, got parameters ({', '.join(parameters)})"
            )
        self._check_arguments(parameters)

    def _check_arguments(self, parameters: Any) -> None:
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        own = [
            n for n, p in parameters.items() if n not in GIVEN and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        ]
        for argument in self.given:
            if argument in GIVEN:
                raise TransformError(f"{self.target}: {argument} is given by augmill, leave it out of the spec")
            if argument not in own and not open_ended:
                near = difflib.get_close_matches(str(argument), own, n=1)
                guess = f"did you mean {near[0]}? " if near else ""
                takes = ", ".join(own) or "none of its own"
                raise TransformError(f"{self.target} has no argument {argument!r}; {guess}It takes {takes}")
        missing = [n for n in own if n not in self.given and parameters[n].default is inspect.Parameter.empty]
        if missing:
            raise TransformError(f"{self.target} needs a value for {', '.join(missing)}: give it in the spec")

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function itself, imported."""
        function: Callable[..., Any] = import_object(self.target)
        return function

    @property
    def code(self) -> Any:
        return self.function

    @cached_property
    def _signature(self) -> inspect.Signature:
        function = self.function
        try:
            return inspect.signature(function, eval_str=True)
        except Exception:  # an annotation that can't be evaluated is no reason to refuse the function
            pass
        try:
            return inspect.signature(function)
        except (TypeError, ValueError) as error:  # a function written in C, as OpenCV's are
            raise TransformError(
                f"{self.target} does not tell its parameters; wrap it in a function of yours"
            ) from error

    @property
    def takes_seed(self) -> bool:
        return "seed" in self._signature.parameters

    @property
    def takes_array(self) -> bool:
        """Whether the function asks for NumPy arrays rather than tensors."""
        return self._signature.parameters["image"].annotation in (np.ndarray, "np.ndarray", "numpy.ndarray")

    @cached_property
    def _changes(self) -> list[str]:
        """What the function takes and must give back, in the order of its parameters."""
        return [name for name in self._signature.parameters if name in CHANGED]

    def takes_along(self, kind: str) -> bool:
        return any(_KIND_OF.get(name) == kind for name in self._changes)

    def remedy(self, kind: str) -> str:
        parameter = next(name for name, moved in _KIND_OF.items() if moved == kind)
        return (
            f"let it take `{parameter}` and return it moved, or, if it leaves every pixel in its place, say so by "
            f"{self.target.partition(':')[2]}.moves_pixels = False beside it"
        )

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"seed": list(draws.seed_pair())} if self.takes_seed else {}

    def transform(self, sample: Sample, params: Params) -> Sample:
        returned = self.function(**self.call_arguments(sample, params), **self.given)
        return sample_with(self.target, sample, self._by_name(returned), arrays=self.takes_array)

    def call_arguments(self, sample: Sample, params: Params) -> dict[str, Any]:
        """What augmill fills in: the image and whatever else the function asks for.

        Raises:
          TransformError: it asks for what this source does not have.
        """
        there = {
            "image": sample.image,
            "label": sample.label,
            "mask": sample.mask,
            "boxes": None if sample.objects is None else sample.objects.boxes,
            "box_labels": None if sample.objects is None else sample.objects.labels,
            "keypoints": None if sample.objects is None else sample.objects.keypoints,
            "seed": params.get("seed"),
        }
        wanted = [*self._changes, "seed"] if self.takes_seed else self._changes
        for name in wanted:
            if there[name] is None:
                plural = {"label": "labels", "box_labels": "boxes", "mask": "masks"}.get(name, name)
                raise TransformError(f"{self.target} takes `{name}`, but this source has no {plural}")
        # Arrays are copies: a function that writes into its own must not reach ours.
        make: Callable[..., Any] = np.array if self.takes_array else tensorflow().constant
        return {name: make(there[name], _DTYPES.get(name)) for name in wanted}

    def _by_name(self, returned: Any) -> Mapping[str, Any]:
        """What came back, by name: an image alone, a tuple in the order of the parameters, or a dict."""
        wanted = self._changes
        if isinstance(returned, Mapping) and returned.keys() == set(wanted):
            return returned
        if isinstance(returned, (tuple, list)) and len(returned) == len(wanted) > 1:
            return dict(zip(wanted, returned, strict=True))
        if len(wanted) > 1:
            takes = ", ".join(f"`{name}`" for name in wanted if name != "image")
            raise TransformError(
                f"{self.target} takes {takes}, so it must return ({', '.join(wanted)}), got {kind_text(returned)}"
            )
        if isinstance(returned, (tuple, list, Mapping)) or returned is None:
            raise TransformError(f"{self.target} must return the image, got {kind_text(returned)}")
        return {"image": returned}
