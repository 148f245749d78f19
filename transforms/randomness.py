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

    def normal(self, mean: float = 0.0, deviation: float = 1.0) -> float:
        """Draw from the normal distribution, by Box and Muller's transform of two uniform draws."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform(0.0, 1.0)))
        return mean + deviation * radius * math.cos(2.0 * math.pi * self.uniform(0.0, 1.0))

    def gamma(self, shape: float) -> float:
        """Draw from the gamma distribution of this shape and scale 1.

        Marsaglia and Tsang, "A simple method for generating gamma variables", TOMS 2000.
        """
        if shape < 1:
            return self.gamma(shape + 1) * (1.0 - self.uniform(0.0, 1.0)) ** (1.0 / shape)
        d = shape - 1.0 / 3.0
        while True:
            x = self.normal()
            v = (1.0 + x / math.sqrt(9.0 * d)) ** 3
            if v > 0 and math.log(1.0 - self.uniform(0.0, 1.0)) < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v

    def beta(self, a: float, b: float) -> float:
        """Draw from the beta distribution, in [0, 1]."""
        first, second = self.gamma(a), self.gamma(b)
        # Both may be too small for a float where a and b are: the draw is then at an end.
        return first / (first + second) if first + second > 0 else float(self.chance(a / (a + b)))

    def dirichlet(self, alpha: float, count: int) -> list[float]:
        """Draw `count` weights that add up to 1 from the symmetric Dirichlet distribution."""
        drawn = [self.gamma(alpha) for _ in range(count)]
        total = sum(drawn)
        return [value / total for value in drawn] if total > 0 else [1.0] + [0.0] * (count - 1)

    def noise_seed(self) -> int:
        """Draw the name of a field of `noise`, a whole number below 2**63: what a record keeps in its stead."""
        return self._word() >> 1


def noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Make the field of independent uniform numbers in [0, 1) that `seed` names: float64 of `shape`."""
    generator = np.random.Philox(key=int.from_bytes(keyed_digest("noise", seed), "little"))
    words = generator.random_raw(math.prod(shape)) >> np.uint64(11)
    return (words * _UNIT).reshape(shape)


def normal_noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Make the field of independent standard normal numbers that `seed` names: float64 of `shape`."""
    pair = noise(seed, (2, *shape))
    return np.sqrt(-2.0 * np.log1p(-pair[0])) * np.cos(2.0 * np.pi * pair[1])
