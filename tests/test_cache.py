"""The cache gives whole files or none, downloads each once, and keeps to its limit whoever else uses it."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from augmill.pipeline import cache as cache_module
from augmill.pipeline.cache import Cache, default_folder
from augmill.pipeline.cache_room import NoRoomError
from augmill.pipeline.download import Wanted
from augmill.pipeline.errors import CacheError, VersionError


def _data(name: str, size: int = 1000) -> bytes:
    return (hashlib.sha256(name.encode()).digest() * (size // 32 + 1))[:size]


def _wanted(name: str, size: int = 1000) -> Wanted:
    return Wanted(f"gs://b/{name}", hashlib.sha256(_data(name, size)).hexdigest(), size)


def _stream(name: str, size: int = 1000) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([_data(name, size)])


def _refuse() -> Iterator[bytes]:
    raise AssertionError("nothing is to be downloaded")


class User:
    """Takes files from a cache and counts as one who uses them."""

    def __init__(self, cache: Cache) -> None:
        self.cache, self.pins, self.stop = cache, cache.pins(), threading.Event()

    def take(self, name: str, size: int = 1000, stream: Callable[[], Iterator[bytes]] | None = None) -> Path:
        return self.cache.fetch(_wanted(name, size), stream or _stream(name, size), self.pins, self.stop)

    def give_back(self, name: str, size: int = 1000) -> None:
        self.pins.remove(_wanted(name, size).sha256)


def _kept(cache: Cache) -> set[str]:
    return {path.name for path in cache.files.iterdir()}


def test_a_file_is_downloaded_once_and_then_there(tmp_path: Path) -> None:
    first, second = User(Cache(tmp_path)), User(Cache(tmp_path))

    assert first.take("a").read_bytes() == _data("a")
    assert second.take("a", stream=_refuse).read_bytes() == _data("a")

    assert _kept(first.cache) == {_wanted("a").sha256}
    assert (first.cache.stats.misses, first.cache.stats.hits, first.cache.stats.bytes_downloaded) == (1, 0, 1000)
    assert (second.cache.stats.misses, second.cache.stats.hits, second.cache.stats.bytes_downloaded) == (0, 1, 0)
    assert second.cache.usage() == (1, 1000)


def test_a_failed_download_leaves_nothing(tmp_path: Path) -> None:
    user = User(Cache(tmp_path))

    with pytest.raises(VersionError, match="gs://b/a: expected"):
        user.take("a", stream=_stream("b"))

    assert _kept(user.cache) == set()
    assert user.cache.usage() == (0, 0)


def test_a_full_disk_is_told_of_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    user = User(Cache(tmp_path))
    monkeypatch.setattr(cache_module, "download", download)

    with pytest.raises(CacheError, match=r"cannot write to the cache .*: No space left on device"):
        user.take("a")
    assert _kept(user.cache) == set()


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    user = User(Cache(tmp_path, limit_bytes=3000))
    for name in "abc":
        user.take(name)
        user.give_back(name)
    user.take("a", stream=_refuse)  # used again: b is the oldest now
    user.give_back("a")

    user.take("d")

    assert _kept(user.cache) == {_wanted(name).sha256 for name in "acd"}
    assert (user.cache.stats.evictions, user.cache.stats.bytes_evicted) == (1, 1000)


def test_what_another_uses_stays(tmp_path: Path) -> None:
    mine, other = User(Cache(tmp_path, limit_bytes=2500)), User(Cache(tmp_path, limit_bytes=2500))
    path = other.take("a")
    mine.take("b")

    with pytest.raises(NoRoomError, match=r"gs://b/c has 1\.0 kB, and of the cache .* 2\.0 kB are in use"):
        mine.take("c")
    mine.give_back("b")
    mine.take("c")

    assert path.read_bytes() == _data("a")
    assert _kept(mine.cache) == {_wanted("a").sha256, _wanted("c").sha256}


def test_an_open_file_can_be_read_on_after_it_is_evicted(tmp_path: Path) -> None:
    user = User(Cache(tmp_path, limit_bytes=1000))
    with user.take("a").open("rb") as file:
        user.give_back("a")
        user.take("b")
        assert _kept(user.cache) == {_wanted("b").sha256}
        assert file.read() == _data("a")


def test_a_file_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"a has 1\.0 kB, and the cache .* no more than 999 B; raise cache_limit="):
        User(Cache(tmp_path, limit_bytes=999)).take("a", stream=_refuse)


def test_only_a_digest_names_a_file(tmp_path: Path) -> None:
    user = User(Cache(tmp_path / "cache"))

    for digest in ("../../stolen", "A" * 64, ""):
        with pytest.raises(CacheError, match="has no SHA-256 of 64 hex digits"):
            user.cache.fetch(Wanted("gs://b/a", digest, 5), _refuse, user.pins, user.stop)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_cached_file_that_was_cut_is_downloaded_again(tmp_path: Path) -> None:
    user = User(Cache(tmp_path))
    user.take("a")
    user.give_back("a")
    (user.cache.files / _wanted("a").sha256).write_bytes(b"cut")

    assert user.take("a").read_bytes() == _data("a")


def test_threads_that_want_the_same_file_download_it_once(tmp_path: Path) -> None:
    user, began, go = User(Cache(tmp_path)), threading.Event(), threading.Event()
    times = []

    def slowly() -> Iterator[bytes]:
        times.append(1)
        began.set()
        go.wait(30)
        yield _data("a")

    threads = [threading.Thread(target=user.take, args=("a", 1000, slowly)) for _ in range(5)]
    for thread in threads:
        thread.start()
    began.wait(30)
    time.sleep(0.2)
    go.set()
    for thread in threads:
        thread.join()

    assert len(times) == 1
    assert (user.cache.stats.misses, user.cache.stats.hits) == (1, 4)


def test_a_download_that_stalls_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process lives, stopped perhaps: another downloads the file too, and either may finish first."""
    user, began, go = User(Cache(tmp_path)), threading.Event(), threading.Event()

    def stalled() -> Iterator[bytes]:
        began.set()
        go.wait(30)
        yield _data("a")

    thread = threading.Thread(target=User(Cache(tmp_path)).take, args=("a", 1000, stalled))
    thread.start()
    began.wait(30)
    monkeypatch.setattr(cache_module, "STALLED", 0.3)

    assert user.take("a").read_bytes() == _data("a")
    go.set()
    thread.join()
    assert _kept(user.cache) == {_wanted("a").sha256}
    assert user.take("a", stream=_refuse).read_bytes() == _data("a")


def test_a_killed_download_is_begun_anew_and_its_rest_removed(tmp_path: Path) -> None:
    code = (
        "import sys, time, threading; from augmill.pipeline.cache import *\n"
        f"cache = Cache({str(tmp_path)!r}, limit_bytes=2000)\n"
        "def stream():\n"
        f"    yield {_data('a')[:500]!r}; print('half', flush=True); time.sleep(60)\n"
        f"cache.fetch(Wanted(*{tuple(_wanted('a'))!r}), stream, cache.pins(), threading.Event())"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "half\n"
    user = User(Cache(tmp_path, limit_bytes=2000))
    (part,) = user.cache.files.iterdir()
    assert part.stat().st_size == 500
    assert user.cache.usage() == (1, 1000)  # what will come counts from the start

    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()

    assert user.take("a").read_bytes() == _data("a")
    assert _kept(user.cache) == {_wanted("a").sha256}
    user.take("b")  # which needs the room that the rest had taken


def test_many_processes_keep_to_the_limit_and_lose_nothing(tmp_path: Path) -> None:
    """Each takes files at random, reads them by path after all others had time to evict, and gives them back."""
    code = f"""
import hashlib, random, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cache import Cache, User, _data
user = User(Cache({str(tmp_path)!r}, limit_bytes=8000))
generator = random.Random(int(sys.argv[1]))
for _ in range(150):
    name = str(generator.randrange(20))
    path = user.take(name)
    time.sleep(generator.random() / 1000)
    assert path.read_bytes() == _data(name)
    user.give_back(name)
assert user.cache.stats.evictions > 0
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(i)], stderr=subprocess.PIPE) for i in range(4)]
    cache, most = Cache(tmp_path), 0
    while any(process.poll() is None for process in processes):
        most = max(most, cache.usage()[1])
        time.sleep(0.01)

    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert 0 < most <= 8000
    assert not list(cache.files.glob("*.part"))


def test_where_the_cache_is_and_what_it_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUGMILL_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache/augmill"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_folder() == tmp_path / "x/augmill"
    monkeypatch.setenv("AUGMILL_CACHE", str(tmp_path / "mine"))
    assert Cache().folder == tmp_path / "mine"

    monkeypatch.delenv("AUGMILL_CACHE_LIMIT", raising=False)
    assert Cache().limit_bytes == 100_000_000_000
    monkeypatch.setenv("AUGMILL_CACHE_LIMIT", "2.5 GB")
    assert Cache().limit_bytes == 2_500_000_000
    assert Cache(limit_bytes=7).limit_bytes == 7
    monkeypatch.setenv("AUGMILL_CACHE_LIMIT", "plenty")
    with pytest.raises(CacheError, match="AUGMILL_CACHE_LIMIT: a size is a number with B, kB, MB, GB or TB"):
        Cache()
    with pytest.raises(CacheError, match="must be above 0 bytes, got 0"):
        Cache(limit_bytes=0)
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"cannot write to the cache .*file: Not a directory"):
        Cache(tmp_path / "file", limit_bytes=5)
