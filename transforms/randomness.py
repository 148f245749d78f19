"""The draws: every random number augmill uses is a pure function of what it is for.

A stream is named by (seed, key, copy, position of the op in the policy). The name is hashed with BLAKE2b into the key
of a Philox 4x64 counter generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), so streams
are independent of each other, of the worker that draws and of the order in which examples are met. Only the generator's
raw 64-bit words are used: NumPy promises those for ever, its distributions only within a release.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_UNIT = 2.0**-53  # the spacing of the doubles in [0, 1) that 53 random bits make


def keyed_digest(*parts: str | int, size: int = 16) -> bytes:
    """Hash `parts` to `size` bytes so that different tuples never collide by concatenation.

    >>> keyed_digest("a", "bc") == keyed_digest("ab", "c")
    False
    """
    digest = hashlib.blake2b(digest_size=size, person=b"augmill")
    for part in parts:
        kind = b"s" if isinstance(part, str) else b"i"
        encoded = str(part).encode("utf-8", "surrogateescape")
        digest.update(kind + len(encoded).to_bytes(8, "little") + encoded)
    return digest.digest()


class Draws:
    """One op's stream of random numbers for one copy of one example.

    >>> a = Draws(seed=0, key="rose/1.jpg", copy=1, at="2")
    >>> b = Draws(seed=0, key="rose/1.jpg", copy=1, at="2")
    >>> a.uniform(-1, 1) == b.uniform(-1, 1)
    True
    """

    def __init__(self, *, seed: int, key: str, copy: int, at: str) -> None:
        self._name = ("draws", seed, key, copy, at)

    @cached_property
    def _generator(self) -> np.random.Philox:
        # Made at the first draw: most ops of a `one_of` are never drawn from.
        return np.random.Philox(key=int.from_bytes(keyed_digest(*self._name), "little"))

    def _word(self) -> int:
        return int(self._generator.random_raw())

    def uniform(self, low: float, high: float) -> float:
        """Draw a float64 from [low, high)."""
        drawn = low + (high - low) * ((self._word() >> 11) * _UNIT)
        return drawn if drawn < high or low == high else math.nextafter(high, low)  # where the sum rounds up to high

    def integer(self, low: int, high: int) -> int:
        """Draw an integer from low, ..., high - 1, all equally likely.

        Raises:
          ValueError: the range is empty.
        """
        span = high - low
        if span < 1:
            raise ValueError(f"an integer needs low < high, got low {low}, high {high}")
        # Words above the last whole multiple of span would favour the small results.
        limit = (1 << 64) - (1 << 64) % span
        word = self._word()
        while word >= limit:
            word = self._word()
        return low + word % span

    def chance(self, p: float) -> bool:
        """Draw True with probability p."""
        return self.uniform(0.0, 1.0) < p

    def pick(self, items: Sequence[T], count: int) -> list[T]:
        """Draw `count` different items, each subset equally likely, and keep their order in `items`."""
        places = list(range(len(items)))
        for i in range(count):
            j = self.integer(i, len(places))
            places[i], places[j] = places[j], places[i]
        return [items[i] for i in sorted(places[:count])]

    def seed_pair(self) -> tuple[int, int]:
        """Draw the two int32 that TensorFlow's stateless ops take as `seed`."""
        word = self._word()
        low, high = word & 0xFFFFFFFF, word >> 32
        return low - (low >> 31 << 32), high - (high >> 31 << 32)
