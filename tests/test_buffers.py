"""Memory is lent, and comes back when the last view of it is gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from augmill.pipeline.buffers import Buffers


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


def test_an_array_has_the_shape_asked_for_and_begins_at_a_page() -> None:
    array = Buffers().take(3, 50, 7, dtype=np.float32)
    assert array.shape == (3, 50, 7) and array.dtype == np.float32 and array.flags.writeable
    assert address(array) % 4096 == 0
    assert Buffers().take(0, 5).shape == (0, 5)


def test_memory_comes_back_when_the_last_view_of_it_is_gone() -> None:
    buffers = Buffers()
    array = buffers.take(100_000)
    first, view = address(array), memoryview(array[5:].reshape(-1, 5)[2:])
    array[:] = 7
    del array
    other = buffers.take(100_000)
    assert address(other) != first and view[0, 0] == 7 and buffers.ready == 0
    del view
    assert buffers.ready == 131_072  # in whole steps of 64 KiB
    assert address(buffers.take(120_000)) == first


def test_no_more_is_kept_than_was_allowed() -> None:
    buffers = Buffers(kept=200_000)
    lent = [buffers.take(65_536) for _ in range(5)]
    del lent
    assert buffers.ready == 3 * 65_536


def test_threads_never_have_the_same_memory() -> None:
    buffers = Buffers()

    def fill(value: int) -> bool:
        array = buffers.take(70_000)
        array[:] = value % 251
        return bool((array == value % 251).all())

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(fill, range(2_000)))
