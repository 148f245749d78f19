"""A few files are made ready ahead, in order; errors wait for who asks; nothing goes on after the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from augmill.pipeline.cache_room import NoRoomError
from augmill.pipeline.prefetch import Prefetcher


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)


def test_no_more_than_asked_for_are_ready_ahead() -> None:
    made: list[str] = []
    prefetcher = Prefetcher(made.append, ahead=3)
    prefetcher.want("abcdefgh")

    _until(lambda: len(made) == 3)
    time.sleep(0.1)
    assert sorted(made) == ["a", "b", "c"]
    assert prefetcher.take("a")
    _until(lambda: len(made) == 4)
    assert made[3] == "d"
    assert not prefetcher.take("h")  # not begun: the caller's to get, and no longer wanted
    for name in "bcdefg":
        _until(lambda name=name: name in made)  # type: ignore[misc]
        assert prefetcher.take(name)
    time.sleep(0.05)
    assert sorted(made) == list("abcdefg")
    prefetcher.close()


def test_a_name_is_made_ready_once_however_often_it_is_wanted() -> None:
    made: list[str] = []
    prefetcher = Prefetcher(made.append, ahead=9)
    for _ in range(3):
        prefetcher.want("aba")
    _until(lambda: len(made) == 2)
    time.sleep(0.05)
    assert sorted(made) == ["a", "b"]
    prefetcher.close()


def test_who_asks_for_what_is_on_its_way_waits_for_it() -> None:
    began, go = threading.Event(), threading.Event()

    def make_ready(name: str) -> None:
        began.set()
        go.wait(30)

    prefetcher = Prefetcher(make_ready, ahead=1)
    prefetcher.want("a")
    began.wait(30)
    threading.Timer(0.1, go.set).start()
    assert prefetcher.take("a")
    assert go.is_set()
    prefetcher.close()


def test_an_error_is_raised_where_the_file_is_asked_for_and_once() -> None:
    tries = []

    def make_ready(name: str) -> None:
        tries.append(name)
        if name == "a":
            raise ValueError("no a")

    prefetcher = Prefetcher(make_ready, ahead=2)
    prefetcher.want("ab")
    _until(lambda: len(tries) == 2 and not prefetcher.busy)

    assert prefetcher.take("b")
    with pytest.raises(ValueError, match="no a"):
        prefetcher.take("a")
    assert not prefetcher.take("a")
    prefetcher.close()


def test_what_finds_no_room_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augmill.pipeline.prefetch._PATIENCE", 0.02)
    room, tries, made = threading.Event(), [], []

    def make_ready(name: str) -> None:
        tries.append(name)
        if not room.is_set():
            raise NoRoomError("full")
        made.append(name)

    prefetcher = Prefetcher(make_ready, ahead=1)
    prefetcher.want("ab")
    _until(lambda: len(tries) >= 3)
    room.set()
    _until(lambda: made == ["a"])
    assert prefetcher.take("a")
    assert set(tries[:-1]) == {"a"}  # it kept its place
    prefetcher.close()


def test_the_last_one_ready_is_given_up_first_and_made_ready_again_later() -> None:
    made: list[str] = []
    prefetcher = Prefetcher(made.append, ahead=1)
    prefetcher.want("a")
    _until(lambda: made == ["a"] and not prefetcher.busy)

    with prefetcher.paused():
        assert prefetcher.give_up_last() == "a"
        assert prefetcher.give_up_last() is None
        time.sleep(0.05)
        assert made == ["a"]
    _until(lambda: made == ["a", "a"])
    prefetcher.close()


def test_no_thread_is_left_after_the_end() -> None:
    stop = threading.Event()
    before = set(threading.enumerate())
    prefetcher = Prefetcher(lambda _: stop.wait(30), ahead=8)
    prefetcher.want("abcdefgh")
    assert len(set(threading.enumerate()) - before) == 4

    stop.set()
    prefetcher.close()

    assert set(threading.enumerate()) <= before
    prefetcher.want("z")
    assert set(threading.enumerate()) <= before
