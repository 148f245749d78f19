"""augmill's pipeline: `Spec` and `build`, `Version`, `load` and `Loader`, and what a training loop needs besides.

Each is imported when it is first asked for: a training script that loads a version pays neither for Beam nor for the
transforms.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augmill.pipeline.batch_mix import BatchMix
    from augmill.pipeline.builder import build
    from augmill.pipeline.device import to_device
    from augmill.pipeline.engines import Engine
    from augmill.pipeline.errors import AugmillError
    from augmill.pipeline.loader import Loader, load
    from augmill.pipeline.normalize import Normalize
    from augmill.pipeline.resume import resume_callback
    from augmill.pipeline.spec import Spec
    from augmill.pipeline.training import loader_callback
    from augmill.pipeline.version import Version

_HOMES = {
    "AugmillError": "errors",
    "BatchMix": "batch_mix",
    "Engine": "engines",
    "Loader": "loader",
    "Normalize": "normalize",
    "Spec": "spec",
    "Version": "version",
    "build": "builder",
    "load": "loader",
    "loader_callback": "training",
    "resume_callback": "resume",
    "to_device": "device",
}

__all__ = [
    "AugmillError",
    "BatchMix",
    "Engine",
    "Loader",
    "Normalize",
    "Spec",
    "Version",
    "build",
    "load",
    "loader_callback",
    "resume_callback",
    "to_device",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
