"""Memory for records and pixels that is lent, and comes back by itself when nothing refers to it any more.

The system clears each page of new memory before it hands it over, at the first touch. For a batch of pixels that takes
as long as to fill it: what was used once is used again.
"""

from __future__ import annotations

import mmap
import threading
from collections import defaultdict
from typing import Any

import numpy as np

_STEP = 1 << 16  # sizes are rounded up to multiples of this, so that what comes back fits what is asked for next
_KEPT = 512 << 20  # bytes, at most, that lie ready


class Buffers:
    """Lends arrays; many threads may take them at once.

    Attributes:
      ready: bytes that have come back and wait to be lent again.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        """Begin with nothing, and keep up to `kept` bytes of what comes back."""
        self.ready = 0
        self._kept = kept
        self._blocks: defaultdict[int, list[mmap.mmap]] = defaultdict(list)
        self._changing = threading.RLock()  # a block may come back while its own thread takes one

    def take(self, *shape: int, dtype: Any = np.uint8) -> np.ndarray:
        """Lend an array with any values in it; it begins at a page.

        It comes back when it and all its views are gone, so that whoever keeps one may do so for as long as they like.
        """
        dtype = np.dtype(dtype)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        whole = max(-(-size // _STEP), 1) * _STEP
        with self._changing:
            found = self._blocks[whole]
            block = found.pop() if found else None
            self.ready -= whole if block is not None else 0
        if block is None:
            block = mmap.mmap(-1, whole, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        lent = np.asarray(_Lent(self, block, size))
        return lent.view(dtype).reshape(shape)

    def give_back(self, block: mmap.mmap) -> None:
        """Keep a block for whoever takes one of its size next, or leave it to the system where enough is kept."""
        with self._changing:
            if self.ready + len(block) <= self._kept:
                self._blocks[len(block)].append(block)
                self.ready += len(block)


class _Lent:
    """What arrays made of a block refer to: it lives for as long as any of them does."""

    def __init__(self, buffers: Buffers, block: mmap.mmap, size: int) -> None:
        self._buffers, self._block = buffers, block
        self.__array_interface__ = {**np.frombuffer(block, np.uint8).__array_interface__, "shape": (size,)}

    def __del__(self) -> None:
        self._buffers.give_back(self._block)


LENT = Buffers()  # one for the process, as memory is: the next epoch's loader finds what the last one has left
