"""What a measurement was made on, in words that fit any machine."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import psutil

_LIBRARIES = (
    "augmill",
    "numpy",
    "opencv-python-headless",
    "deflate",
    "tensorflow",
    "keras",
    "apache-beam",
    "tensorflow-datasets",
    "albumentations",
    "Augmentor",
    "webdataset",
    "pillow",
)


def facts(cores: int) -> dict[str, str]:
    """Processor, cores used, memory, Python and the libraries' versions; what is not installed is left out."""
    found = {
        "processor": _processor(),
        "cores used": str(cores),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.system(),
        "Python": platform.python_version(),
    }
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """The model's name as the kernel has it, else the architecture."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
