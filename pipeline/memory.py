"""How memory is handed out: pixels that are freed are kept for the next image, not given back to the system.

The C library takes each block of more than some 100 kB from the system anew and gives it back when it is freed. An
image of 500x375 is 137 pages, and the system clears every page before it hands it over, at the first touch: for photos
that is a fifth of the time that workers and loaders take. What is kept is bounded by the most that was in use at once.
"""

from __future__ import annotations

import ctypes
import os

# Of glibc's malloc.h, with the variable by which whoever starts a process sets each; `man mallopt` explains them.
_TRIM_THRESHOLD = -1, "MALLOC_TRIM_THRESHOLD_"
_TOP_PAD = -2, "MALLOC_TOP_PAD_"
_MMAP_THRESHOLD = -3, "MALLOC_MMAP_THRESHOLD_"
_WANTED = {
    _TRIM_THRESHOLD: 256 << 20,  # bytes kept at the end of the heap; more than that goes back
    _TOP_PAD: 16 << 20,  # by which the heap grows
    _MMAP_THRESHOLD: 32 << 20,  # blocks that do not come from the heap, at the most that malloc allows
}


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees, up to 256 MB, where its C library can be told to.

    What the environment sets stays as it is set.

    Returns:
      Whether it could: glibc can, and others are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    ours = {option: value for (option, variable), value in _WANTED.items() if variable not in os.environ}
    return sum(mallopt(option, value) for option, value in ours.items()) == len(ours)
