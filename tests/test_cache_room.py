"""Who goes first, and what is never removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from augmill.pipeline.cache_room import Entry, NoRoomError, make_room, part_name
from augmill.pipeline.download import Wanted

NEW = Wanted("gs://b/new", "f" * 64, 100)


@pytest.fixture
def entry(tmp_path: Path) -> Callable[..., Entry]:
    """Make a file of the cache: its name, its size, and when it was used."""

    def make(name: str, size: int, used: int, *, pinned: bool = False) -> Entry:
        path = tmp_path / name
        path.write_bytes(bytes(size))
        os.utime(path, ns=(used, used))
        if pinned:
            (tmp_path / f"{name}.pin").hardlink_to(path)
        return Entry.of(path, path.stat())

    return make


def test_nothing_goes_where_there_is_room(entry: Callable[..., Entry], tmp_path: Path) -> None:
    assert make_room(tmp_path, [entry("a", 100, 1), entry("b", 100, 2)], NEW, 300) == []


def test_the_least_recently_used_go_first_and_no_more_than_need_be(entry: Callable[..., Entry], tmp_path: Path) -> None:
    entries = [entry("late", 50, 9), entry("early", 60, 1), entry("middle", 70, 5)]

    assert make_room(tmp_path, entries, NEW, 200) == [60, 70]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["late"]


def test_what_is_in_use_or_coming_stays(entry: Callable[..., Entry], tmp_path: Path) -> None:
    coming = Wanted("gs://b/coming", "a" * 64, 80)
    entries = [entry("pinned", 60, 1, pinned=True), entry(part_name(coming, "x"), 10, 2), entry("free", 60, 3)]

    assert [(one.bytes, one.missing, one.fixed) for one in entries] == [(60, 0, True), (80, 70, True), (60, 0, False)]
    assert make_room(tmp_path, entries, NEW, 240) == [60]
    with pytest.raises(
        NoRoomError, match=r"gs://b/new has 100 B, and of the cache .* 140 B are in use and it may hold"
    ):
        make_room(tmp_path, entries[:2], NEW, 239)


def test_nothing_goes_in_vain(entry: Callable[..., Entry], tmp_path: Path) -> None:
    entries = [entry("pinned", 150, 1, pinned=True), entry("free", 10, 2)]

    with pytest.raises(NoRoomError):
        make_room(tmp_path, entries, NEW, 200)
    assert (tmp_path / "free").exists()


def test_a_file_that_another_has_removed_does_not_count(entry: Callable[..., Entry], tmp_path: Path) -> None:
    entries = [entry("gone", 60, 1), entry("a", 60, 2), entry("b", 60, 3)]
    (tmp_path / "gone").unlink()

    assert make_room(tmp_path, entries, NEW, 220) == [60]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


def test_the_disk_is_a_limit_too(entry: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=70))
    entries = [entry("a", 20, 1), entry("b", 20, 2), entry("c", 20, 3)]

    assert make_room(tmp_path, entries, NEW, 10**9) == [20, 20]
    with pytest.raises(NoRoomError, match="and its disk has 70 B left; make room there"):
        make_room(tmp_path, entries[2:], NEW, 10**9)
