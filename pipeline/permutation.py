"""Permutations that are a pure function of a name: of a few places as a table, of many never written down.

All comes from Philox's raw words, which NumPy promises across releases; its `permutation` it does not promise.
"""

from __future__ import annotations

import hashlib

import numpy as np

_TABLE = 1 << 16  # places up to which a permutation is a table, one of all that there are
_ROUNDS = 8


def keyed_words(name: str, count: int) -> np.ndarray:
    """Draw `count` random words, uint64 [count], that are a pure function of `name`."""
    key = hashlib.blake2b(name.encode(), digest_size=16, person=b"augmill").digest()
    words: np.ndarray = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(count)
    return words


def shuffled(name: str, size: int) -> np.ndarray:
    """A uniform permutation of 0 to size - 1, int64 [size], that is a pure function of `name`."""
    return np.argsort(keyed_words(name, size), kind="stable")


def mixed(values: np.ndarray, key: np.uint64) -> np.ndarray:
    """Hash each of `values`, whole numbers of any shape, to a uint64.

    Source: the finaliser of SplitMix64, https://prng.di.unimi.it/splitmix64.c.
    """
    z = values.astype(np.uint64) + key
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Permutation:
    """A permutation of 0 to size - 1 that gives its value at any place, and the place of any value.

    Up to 65,536 places it is a table. Of more it is a Feistel network over the next power of two, walked on from values
    that lie above `size`, so that it costs neither time nor memory before it is asked.
    """

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self._table = shuffled(name, size) if size <= _TABLE else None
        self._keys = keyed_words(name, _ROUNDS) if self._table is None else np.zeros(0, np.uint64)
        bits = max(2, (size - 1).bit_length())
        self._low, self._high = bits - bits // 2, bits // 2

    def at(self, places: np.ndarray) -> np.ndarray:
        """The values, int64, at `places`, int64."""
        if self._table is not None:
            return self._table[places]
        return self._walk(places, range(_ROUNDS))

    def places_of(self, values: np.ndarray) -> np.ndarray:
        """The places, int64, of `values`, int64."""
        if self._table is not None:
            places = np.empty_like(self._table)
            places[self._table] = np.arange(self.size)
            return places[values]
        return self._walk(values, range(_ROUNDS - 1, -1, -1))

    def _walk(self, numbers: np.ndarray, rounds: range) -> np.ndarray:
        """Go through the rounds, again and again where they lead above `size`; they lead back in the end."""
        found = self._network(numbers.astype(np.uint64), rounds)
        outside = np.flatnonzero(found >= self.size)
        while len(outside):
            found[outside] = self._network(found[outside], rounds)
            outside = outside[found[outside] >= self.size]
        return found.astype(np.int64)

    def _network(self, numbers: np.ndarray, rounds: range) -> np.ndarray:
        low, high = np.uint64(self._low), np.uint64(self._high)
        left, right = numbers >> low, numbers & ((np.uint64(1) << low) - np.uint64(1))
        for number in rounds:  # each changes one half by the other, and so undoes itself
            if number % 2:
                right = right ^ (mixed(left, self._keys[number]) >> (np.uint64(64) - low))
            else:
                left = left ^ (mixed(right, self._keys[number]) >> (np.uint64(64) - high))
        return (left << low) | right
