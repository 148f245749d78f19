"""Lineage: the libraries and the user's own modules that a version's bytes depend on."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from augmill.pipeline.errors import BuildError
from augmill.pipeline.shard import file_sha256
from augmill.pipeline.spec import Spec
from augmill.pipeline.version import Version
from augmill.transforms.user_code import UserCode

# What can change a byte of a shard, and is therefore recorded.
LIBRARIES = ("augmill", "tensorflow", "keras", "opencv-python-headless", "deflate", "numpy", "Pillow", "protobuf")


def library_versions() -> dict[str, str]:
    """The versions of the libraries that decide a shard's bytes."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def user_code(spec: Spec) -> dict[str, str]:
    """The SHA-256 of each module of the user's that the spec names, and of those that these use."""
    found: dict[str, str] = {}
    waiting = [op.target.partition(":")[0] for _, op in spec.policy.leaves() if isinstance(op, UserCode)]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if name in found or module is None or file is None or _is_library(file):
            continue
        found[name] = file_sha256(Path(file))
        waiting += _used_by(module)
    return dict(sorted(found.items()))


def changes_since(version: Version, spec: Spec) -> list[str]:
    """What has changed since a version was built, of the code and the libraries that its bytes depend on."""
    code = user_code(spec)
    changed = [f"module {name} changed" for name in code if version.manifest.code.get(name) != code[name]]
    return changed + library_changes(version)


def library_changes(version: Version) -> list[str]:
    """The libraries that have other versions now than when a version was built."""
    before = version.manifest.libraries
    return [
        f"{name} went from {before[name]} to {number}"
        for name, number in library_versions().items()
        if before.get(name, number) != number
    ]


def check_same(launcher: Mapping[str, Any], spec: Spec) -> None:
    """Refuse to work for a launcher that has other libraries, or other code of the user's, than this process.

    Args:
      launcher: what decides the bytes of its build: `libraries` and `code`, where it has noted them.
      spec: that is being built, as this process has it.

    Raises:
      BuildError: naming what differs.
    """
    here = {"libraries": library_versions(), "code": user_code(spec)}
    differing = []
    for kind, found in here.items():
        wanted = launcher.get(kind, found)
        for name in sorted(found.keys() | wanted.keys()):
            ours, theirs = (of.get(name, "none") for of in (found, wanted))
            if ours != theirs:
                differing.append(f"module {name}" if kind == "code" else f"{name} is {ours} and not {theirs}")
    if differing:
        raise BuildError(
            f"a worker on {platform.node()} is not as the launcher: {', '.join(differing)} (where {sys.executable} "
            "runs): install the same on each machine"
        )


def _used_by(module: ModuleType) -> list[str]:
    """The modules whose names, or the names in which, a module uses."""
    values = list(vars(module).values())
    return [
        str(getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", "") or "") for value in values
    ]


def _is_library(file: str) -> bool:
    """Tell whether a file came with Python or was installed: its distribution's version then stands for it."""
    homes = [sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    path = Path(file).resolve()
    return any(path.is_relative_to(Path(home).resolve()) for home in homes)
