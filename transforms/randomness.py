"""The draws: every random number augmill uses is a pure function of what it is for.

A stream is named by (seed, key, copy, position of the op in the policy). The name is hashed with BLAKE2b into the key
of a Philox 4x64 counter generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), so streams
are independent of each other, of the worker that draws and of the order in which examples are met. Only the generator's
raw 64-bit words are used: NumPy promises those for ever, its distributions only within a release.
"""

from __future__ import annotations

import hashlib
import math
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

_UNIT = 2.0**-53  # the spacing of the doubles in [0, 1) that 53 random bits make
_WORDS = 1 << 64  # as many words there are


def keyed_digest(*parts: str | int, size: int = 16) -> bytes:
    """Hash `parts` to `size` bytes so that different tuples never collide by concatenation.

    >>> keyed_digest("a", "bc") == keyed_digest("ab", "c")
    False
    """
    digest = hashlib.blake2b(digest_size=size, person=b"augmill")
    for part in parts:
        digest.update(_tagged(part))
    return digest.digest()


@lru_cache(maxsize=1024, typed=True)
def _tagged(part: str | int) -> bytes:
    """The bytes of one part of a name, with its kind and its length before them."""
    encoded = str(part).encode("utf-8", "surrogateescape")
    return (b"s" if isinstance(part, str) else b"i") + len(encoded).to_bytes(8, "little") + encoded


@lru_cache(maxsize=16, typed=True)
def _build_digest(seed: int) -> Any:
    """The digest of what the streams of one build share; to be copied, never updated."""
    digest = hashlib.blake2b(digest_size=16, person=b"augmill")
    digest.update(_tagged("draws") + _tagged(seed))
    return digest


def stream_keys(seed: int, renditions: Iterable[tuple[str, int]], places: Sequence[str]) -> Iterator[bytes]:
    """The keys of the generators of streams: 128 bits, two words of 64 with the lowest byte first.

    Args:
      seed: of the build.
      renditions: (key, copy) of each.
      places: of the ops in the policy, for each rendition.
    """
    build, ends = _build_digest(seed), [_tagged(at) for at in places]
    for key, copy in renditions:
        rendition = build.copy()
        rendition.update(_tagged(key) + _tagged(copy))
        for end in ends:
            digest = rendition.copy()
            digest.update(end)
            yield digest.digest()


_KEY = struct.Struct("<2Q")

# One generator for all streams, put where a stream stands before each use. To make one for each stream costs ten times
# as much: NumPy asks the system for randomness first, and then does not use it.
_philox = np.random.Philox(key=0)
_in_use = threading.Lock()


def _four_words(key: tuple[int, ...], block: int) -> list[int]:
    """The `block`-th four 64-bit words, counted from 0, of the Philox generator with a key of two such words."""
    state: Any = {
        "bit_generator": "Philox",
        "state": {"counter": (block, 0, 0, 0), "key": key},
        "buffer": (0, 0, 0, 0),
        "buffer_pos": 4,  # used up
        "has_uint32": 0,
        "uinteger": 0,
    }
    with _in_use:
        _philox.state = state
        words: list[int] = _philox.random_raw(4).tolist()
    return words


class Draws:
    """One op's stream of random numbers for one copy of one example.

    >>> a = Draws(seed=0, key="rose/1.jpg", copy=1, at="2")
    >>> b = Draws(seed=0, key="rose/1.jpg", copy=1, at="2")
    >>> a.uniform(-1, 1) == b.uniform(-1, 1)
    True
    """

    __slots__ = ("_block", "_key", "_name", "_words")

    def __init__(self, *, seed: int, key: str, copy: int, at: str, first: list[int] | None = None) -> None:
        """Name a stream; `first`, if given, holds the words of its first blocks, the next one last."""
        self._name = (seed, key, copy, at)
        self._key: tuple[int, ...] = ()  # made when needed: most ops of a `one_of` are never drawn from
        self._words = [] if first is None else first  # those that are made and not drawn, the next one last
        self._block = len(self._words) // 4  # the number of the next one to be made

    def _word(self) -> int:
        return (self._words or self._next_words()).pop()

    def _next_words(self) -> list[int]:
        if not self._key:
            seed, key, copy, at = self._name
            self._key = _KEY.unpack(next(stream_keys(seed, [(key, copy)], [at])))
        self._words = _four_words(self._key, self._block)[::-1]
        self._block += 1
        return self._words

    def uniform(self, low: float, high: float) -> float:
        """Draw a float64 from [low, high)."""
        word = (self._words or self._next_words()).pop()
        drawn = low + (high - low) * ((word >> 11) * _UNIT)
        return drawn if drawn < high or low == high else math.nextafter(high, low)  # where the sum rounds up to high

    def integer(self, low: int, high: int) -> int:
        """Draw an integer from low, ..., high - 1, all equally likely.

        Raises:
          ValueError: the range is empty.
        """
        span = high - low
        if span < 1:
            raise ValueError(f"an integer needs low < high, got low {low}, high {high}")
        word = (self._words or self._next_words()).pop()
        # Words above the last whole multiple of span would favour the small results. Few are as high as to ask.
        while word >= _WORDS - span and word >= _WORDS - _WORDS % span:
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


def noise(seed: int, shape: tuple[int, ...], dtype: type[np.floating] = np.float64) -> np.ndarray:
    """Make the field of independent uniform numbers in [0, 1) that `seed` names, of `shape`.

    Args:
      seed: its name, of `Draws.noise_seed`.
      shape: its shape.
      dtype: np.float64, or np.float32 for the highest 24 bits of the same numbers.
    """
    bits = np.finfo(dtype).nmant + 1
    generator = np.random.Philox(key=int.from_bytes(keyed_digest("noise", seed), "little"))
    words = generator.random_raw(math.prod(shape)) >> np.uint64(64 - bits)
    return (words.astype(dtype) * dtype(2.0**-bits)).reshape(shape)


def normal_noise(seed: int, shape: tuple[int, ...], dtype: type[np.floating] = np.float64) -> np.ndarray:
    """Make the field of independent standard normal numbers that `seed` names, of `shape`.

    In float32 it is made several times as fast, and is the same field but for rounding: to some 0.0001, and more only
    beyond 4 or so, where 24 bits tell few numbers apart.
    """
    pair = noise(seed, (2, *shape), dtype)
    # For float32 1 - u is exact, and its logarithm much cheaper.
    logarithm = np.log1p(-pair[0]) if dtype == np.float64 else np.log(1 - pair[0])
    return np.asarray(np.sqrt(dtype(-2.0) * logarithm) * np.cos(dtype(2.0 * np.pi) * pair[1]))
