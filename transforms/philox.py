"""The first words of many streams at once: Philox 4x64, a block of each, in NumPy's vector arithmetic.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, with ten rounds. The words are those of
`numpy.random.Philox(key=key).random_raw(4)`, to the bit; to make that generator anew for each stream costs fifty times
as much.
"""

from __future__ import annotations

import numpy as np

_ROUNDS = 10
_MULTIPLIERS = np.array([[0xD2E7470EE14C6C93], [0xCA5A826395121157]], np.uint64)
_KEY_STEPS = np.array([[0x9E3779B97F4A7C15], [0xBB67AE8584CAA73B]], np.uint64)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_BY_LOW, _BY_HIGH = _MULTIPLIERS & _LOW, _MULTIPLIERS >> _HALF


def first_words(keys: np.ndarray, blocks: int = 1) -> np.ndarray:
    """Make the first blocks, of four words each, of many streams.

    Args:
      keys: uint64 [streams, 2].
      blocks: of each stream.

    Returns:
      uint64 [streams, 4 * blocks].
    """
    key = np.repeat(keys.T, blocks, axis=1)
    # The four words of the counter are held as two rows of two: those that are multiplied, and the others. NumPy counts
    # up before it makes a block, so that the first is that of counter 1.
    multiplied, others = np.zeros_like(key), np.zeros_like(key)
    multiplied[0].reshape(-1, blocks)[:] = np.arange(1, blocks + 1)
    for number in range(_ROUNDS):
        if number:
            key += _KEY_STEPS
        high, low = _product(multiplied)
        multiplied, others = high[::-1] ^ others ^ key, low[::-1]
    return np.stack([multiplied[0], others[0], multiplied[1], others[1]], axis=1).reshape(len(keys), 4 * blocks)


def _product(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The high and the low 64 bits of each row times its multiplier, of halves of 32 bits each."""
    low, high = values & _LOW, values >> _HALF
    lowest, crossed = low * _BY_LOW, high * _BY_LOW
    middle = low * _BY_HIGH + (lowest >> _HALF)  # less than 2**64, as is what comes next
    middle_low = (middle & _LOW) + (crossed & _LOW)
    high_bits = high * _BY_HIGH + (crossed >> _HALF) + (middle >> _HALF) + (middle_low >> _HALF)
    return high_bits, values * _MULTIPLIERS
