"""The vectorised generator is NumPy's."""

from __future__ import annotations

import numpy as np

from augmill.transforms.philox import first_words


def numpy_s(key: np.ndarray) -> np.ndarray:
    return np.random.Philox(key=int(key[0]) | int(key[1]) << 64).random_raw(4)


def test_every_word_is_that_of_numpy_s_generator() -> None:
    keys = np.random.Philox(key=7).random_raw(400).reshape(-1, 2)

    assert np.array_equal(first_words(keys), [numpy_s(key) for key in keys])


def test_words_are_right_where_carries_run_through_all_bits() -> None:
    ends = [0, 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
    keys = np.array([(a, b) for a in ends for b in ends], np.uint64)

    assert np.array_equal(first_words(keys), [numpy_s(key) for key in keys])


def test_blocks_follow_each_other() -> None:
    keys = np.random.Philox(key=8).random_raw(60).reshape(-1, 2)
    words = [np.random.Philox(key=int(low) | int(high) << 64).random_raw(12) for low, high in keys]

    assert np.array_equal(first_words(keys, 3), words)


def test_no_stream_is_no_word() -> None:
    assert first_words(np.zeros((0, 2), np.uint64)).shape == (0, 4)
