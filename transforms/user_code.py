"""What a spec names by `module:name`: code of the user's, imported, and what it may say of itself."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from augmill.transforms.backend import tensorflow
from augmill.transforms.base import KEPT, MOVED, REFUSED, Transform, TransformError, plain_value


@dataclass(frozen=True, repr=False)
class UserCode(Transform):
    """What functions and layers of the user's share: their target and the arguments that the spec gives.

    Code that sees the image alone is refused where there are boxes, masks or keypoints, which it might have to move;
    setting its attribute `moves_pixels = False` says that it leaves every pixel where it is.

    Attributes:
      cure: what to do where the code cannot be reproduced.
    """

    target: str
    given: dict[str, Any] = field(default_factory=dict)

    cure: ClassVar[str] = ""

    @property
    def code(self) -> Any:
        """The function or class itself."""
        return import_object(self.target)

    @property
    def moves_pixels(self) -> bool:
        """Whether the code may move pixels: what it says of itself, and otherwise yes."""
        said = getattr(self.code, "moves_pixels", True)
        if not isinstance(said, bool):
            raise TransformError(f"{self.target}.moves_pixels must be True or False, got {said!r}")
        return said

    def takes_along(self, kind: str) -> bool:
        """Tell whether the code is given this kind of annotation and gives it back."""
        return False

    def treatment(self, kind: str) -> str:
        if self.takes_along(kind):
            return MOVED
        return REFUSED if self.moves_pixels else KEPT

    @property
    def spec_name(self) -> str:
        return self.target

    def arguments(self) -> dict[str, Any]:
        return dict(plain_value(self.given))


def import_object(target: str) -> Any:
    """Import `module:name`, where the name is of something that can be called.

    Raises:
      TransformError: naming the module and what is wrong with it.
    """
    module_name, _, name = target.partition(":")
    if module_name == "__main__":
        raise TransformError(f"{target} stands in the script that runs; put it in a module that workers can import")
    _import_tensorflow_first(module_name)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the user's module does as it is imported
        reason = f"{type(error).__name__}: {error}"
        raise TransformError(
            f"module {module_name!r} of {target} can't be imported ({reason}); "
            "put it beside the spec, or install it where augmill runs"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        names = [n for n, v in vars(module).items() if _usable(v, module.__name__) and not n.startswith("_")]
        raise TransformError(
            f"{module_name} ({getattr(module, '__file__', 'built in')}) has nothing called {name!r} that can be used; "
            f"it has {', '.join(names) or 'nothing that can'}"
        )
    return found


def _import_tensorflow_first(module_name: str) -> None:
    """Import TensorFlow quietly where a module is going to, which would let it write its start-up notes."""
    try:
        found = importlib.util.find_spec(module_name)
        source = Path(found.origin).read_text("utf-8") if found and found.origin else ""
    except (ImportError, ValueError, OSError):  # whatever is wrong is told as the module is imported
        return
    if "tensorflow" in source or "keras" in source:
        tensorflow()


def _usable(value: Any, module: str) -> bool:
    """Tell whether a module's value may be meant in a spec: a function or class of its own, or a layer made already."""
    own = (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module
    return own or type(value).__module__.startswith("keras.")


def kind_text(value: Any) -> str:
    """Say what a value is, for a message: its type, and its size or shape."""
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Mapping):
        return f"a dict of {', '.join(map(str, value)) or 'nothing'}"
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}" + (f" of shape {list(shape)}" if shape is not None else "")
