"""A worker keeps the memory of one image for the next, rather than have the system clear it anew."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, threading
import numpy as np
from augmill.pipeline.memory import keep_freed_memory

def work():
    if {keeps}:
        assert keep_freed_memory()
    def some_images():
        return [np.ones((500, 375, 3), np.uint8) for _ in range(8)]

    some_images()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        some_images()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=work)  # as Beam has its workers work
thread.start()
thread.join()
"""


def _faults(*, keeps: bool, **environment: str) -> int:
    command = [sys.executable, "-c", FAULTS.format(keeps=keeps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_pages_of_a_freed_image_are_used_again() -> None:
    pages = 100 * 8 * 500 * 375 * 3 // 4096

    assert _faults(keeps=True) < pages / 50
    assert _faults(keeps=False) > pages / 10
    assert _faults(keeps=True, MALLOC_MMAP_THRESHOLD_="100000") > pages / 10, "what the environment says stays"
