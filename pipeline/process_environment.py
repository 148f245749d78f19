"""The environment of a process that runs a part of a job: its modules, no GPU, one thread an op, quiet."""

from __future__ import annotations

import os
import sys


def process_environment() -> dict[str, str]:
    """This process's environment as another is to have it, which finds the modules that this one finds."""
    paths = [path for path in sys.path if path and os.pathsep not in path]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "OPENCV_LOG_LEVEL": "SILENT",
    }


def starting(call: str) -> list[str]:
    """The command that starts a process with a function of this package: `driver.main`, say.

    `-m` and `-c` would import what stands in the current folder before the libraries of the same name.
    """
    module, _, function = call.rpartition(".")
    start = (
        f"import sys; sys.path[:] = filter(None, sys.path); "
        f"from augmill.pipeline.{module} import {function}; {function}(sys.argv[1:])"
    )
    return [sys.executable, "-c", start]
