"""The user's own augmentation, `module:function`."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augmill.transforms.backend import tensorflow
from augmill.transforms.base import Params, Sample, Shape, Transform, TransformError, plain_value
from augmill.transforms.randomness import Draws

GIVEN = ("image", "label", "seed")  # what a function may ask for by parameter name


@dataclass(frozen=True, repr=False)
class UserFunction(Transform):
    """Call a function of the user's on each image.

    The function takes `image` (uint8 [height, width, 3]) and may take `label` (int64) and `seed` (int32 [2], its own in
    every rendition), by these names; `given` fills its other parameters. It returns `image`, or `(image, label)` if it
    takes `label`. It gets TensorFlow tensors, or NumPy arrays if its `image` is annotated `np.ndarray`. Parameters:
    `seed`, if it takes one.

    Raises:
      TransformError: it can't be imported or called so, or it returns something else than it should.
    """

    target: str
    given: dict[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "function"

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
        return import_function(self.target)

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
    def takes_label(self) -> bool:
        return "label" in self._signature.parameters

    @property
    def takes_seed(self) -> bool:
        return "seed" in self._signature.parameters

    @property
    def takes_array(self) -> bool:
        """Whether the function asks for NumPy arrays rather than tensors."""
        return self._signature.parameters["image"].annotation in (np.ndarray, "np.ndarray", "numpy.ndarray")

    @property
    def spec_name(self) -> str:
        return self.target

    def arguments(self) -> dict[str, Any]:
        return dict(plain_value(self.given))

    def draw(self, draws: Draws, shape: Shape) -> Params:
        return {"seed": list(draws.seed_pair())} if self.takes_seed else {}

    def transform(self, sample: Sample, params: Params) -> Sample:
        if self.takes_label and sample.label is None:
            raise TransformError(f"{self.target} takes `label`, but this source has no labels")
        returned = self.function(**self.call_arguments(sample, params), **self.given)
        return self._checked(returned, sample)

    def call_arguments(self, sample: Sample, params: Params) -> dict[str, Any]:
        """What augmill fills in: the image and, where asked for, the label and the seed."""
        convert: Callable[..., Any] = np.asarray if self.takes_array else tensorflow().constant
        arguments: dict[str, Any] = {"image": convert(sample.image)}
        if self.takes_array:
            arguments["image"] = sample.image.copy()  # a function that writes into its array must not reach ours
        if self.takes_label:
            arguments["label"] = convert(sample.label, "int64")
        if self.takes_seed:
            arguments["seed"] = convert(params["seed"], "int32")
        return arguments

    def _checked(self, returned: Any, sample: Sample) -> Sample:
        label = sample.label
        if self.takes_label:
            if not isinstance(returned, (tuple, list)) or len(returned) != 2:
                raise TransformError(
                    f"{self.target} takes `label`, so it must return (image, label), got {_kind(returned)}"
                )
            returned, new_label = returned
            label = self._checked_label(new_label)
        if isinstance(returned, (tuple, list)) or returned is None:
            raise TransformError(f"{self.target} must return the image, got {_kind(returned)}")
        image = np.asarray(returned)
        if image.dtype != np.uint8:
            raise TransformError(
                f"{self.target} must return a uint8 image in [0, 255], got {image.dtype}; "
                "end it with tf.saturate_cast(tf.round(image), tf.uint8)"
            )
        if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise TransformError(
                f"{self.target} must return an image [height, width, 3], got shape {list(image.shape)}"
            )
        return Sample(np.ascontiguousarray(image), label)

    def _checked_label(self, label: Any) -> int:
        value = np.asarray(label)
        if value.ndim != 0 or not np.issubdtype(value.dtype, np.integer):
            raise TransformError(f"{self.target} must return a whole number as label, got {_kind(label)}")
        return int(value)


def import_function(target: str) -> Callable[..., Any]:
    """Import `module:function`.

    Raises:
      TransformError: naming the module and what is wrong with it.
    """
    module_name, _, function_name = target.partition(":")
    if module_name == "__main__":
        raise TransformError(f"{target} stands in the script that runs; put it in a module that workers can import")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the user's module does as it is imported
        reason = f"{type(error).__name__}: {error}"
        raise TransformError(
            f"module {module_name!r} of {target} can't be imported ({reason}); "
            "put it beside the spec, or install it where augmill runs"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise TransformError(
            f"{module_name} ({getattr(module, '__file__', 'built in')}) has no function {function_name!r}; "
            f"it has {', '.join(names) or 'none'}"
        )
    return function


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}" + (f" of shape {list(shape)}" if shape is not None else "")
