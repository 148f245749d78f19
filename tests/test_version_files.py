"""An open version's files: given by path, held while they are in use, fetched ahead, and let go of at the end."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.cache import Cache
from augmill.pipeline.errors import CacheError, DownloadError, VersionError
from augmill.pipeline.pins import in_use
from augmill.pipeline.version import Version


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    from augmill.pipeline import Spec

    spec = Spec(
        name="crops",
        version="1.0.0",
        source={"folder": str(photo_folder)},
        image={"size": [24, 24], "encoding": "raw"},
        block_examples=4,
        augment=["tf.image.random_flip_left_right"],
    )
    version: Version = publish_version(spec, tmp_path_factory.mktemp("published"))
    return version


@pytest.fixture(scope="module")
def shards(published: Version) -> list[str]:
    """More than twenty shards of about the same size."""
    return [shard.file for split in published.manifest.splits.values() for shard in split.shards]


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)


def _remote(published: Version) -> Version:
    return Version(published.path.as_uri())


def _largest(published: Version, shards: list[str]) -> int:
    return max(published.manifest.every_file()[name].bytes for name in shards)


def test_a_local_version_gives_its_own_files(published: Version, shards: list[str]) -> None:
    with published.open_files() as files:
        files.prefetch(shards)
        assert files.local_path(shards[0]) == published.path / shards[0]
        with files.held(shards[1]) as path:
            assert path == published.path / shards[1]
        files.release(shards[0])
        assert files.stats is None
        with pytest.raises(VersionError, match="the manifest has no file 'nothing'"):
            files.local_path("nothing")


def test_a_file_is_held_until_it_is_released(published: Version, shards: list[str], tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with _remote(published).open_files(cache=cache) as files:
        cached = cache.files / published.manifest.every_file()[shards[0]].sha256
        first = files.local_path(shards[0])
        assert files.local_path(shards[0]) == first
        with files.held(shards[0]) as path:
            assert path == first
        assert in_use(cached.stat())
        files.release(shards[0])
        files.release(shards[0])
        assert not in_use(cached.stat())
        files.local_path(shards[0])
    assert not in_use(cached.stat())
    assert (cache.stats.misses, cache.stats.hits) == (1, 1)
    with pytest.raises(ValueError, match="are closed"):
        files.local_path(shards[0])


def test_versions_that_share_a_shard_share_its_copy(published: Version, shards: list[str], tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with _remote(published).open_files(cache=cache) as one, _remote(published).open_files(cache=cache) as other:
        one.local_path(shards[0])
        other.local_path(shards[0])
    assert (cache.stats.misses, cache.stats.hits) == (1, 1)


def test_what_is_prefetched_is_there_when_it_is_asked_for(
    published: Version, shards: list[str], tmp_path: Path, serve: Callable[[Path], Any]
) -> None:
    web = serve(published.path)
    with Version(web.url).open_files(cache=tmp_path, ahead=3) as files:
        files.prefetch(shards)
        _until(lambda: len(web.asked) == 4)  # the manifest, and three shards
        time.sleep(0.1)
        assert set(web.asked[1:]) == set(shards[:3])
        for name in shards:
            with files.held(name) as path:
                assert path.read_bytes() == (published.path / name).read_bytes()
    assert sorted(web.asked[1:]) == sorted(shards)


def test_an_error_of_a_prefetch_is_raised_where_the_file_is_asked_for(
    published: Version,
    shards: list[str],
    tmp_path: Path,
    serve: Callable[[Path], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("augmill.pipeline.remote_errors._PAUSE", 0.001)
    web = serve(published.path)
    web.faults[shards[1]] = ["503"] * 4
    with Version(web.url).open_files(cache=tmp_path) as files:
        files.prefetch(shards[:3])
        assert files.local_path(shards[0]).exists()
        assert files.local_path(shards[2]).exists()
        with pytest.raises(DownloadError, match=f"{shards[1]} cannot be reached: 503"):
            files.local_path(shards[1])
        assert files.local_path(shards[1]).exists()


def test_it_works_through_a_version_larger_than_the_cache(
    published: Version, shards: list[str], tmp_path: Path
) -> None:
    """Prefetched files give way to the one that is asked for."""
    cache = Cache(tmp_path, limit_bytes=3 * _largest(published, shards))
    with _remote(published).open_files(cache=cache, ahead=8) as files:
        files.prefetch(shards)
        for name in [shards[-1], shards[-2], *shards]:
            with files.held(name) as path:
                assert path.read_bytes() == (published.path / name).read_bytes()
            assert cache.usage()[1] <= cache.limit_bytes
    assert cache.stats.evictions >= len(shards) - 3


def test_paths_that_are_never_released_fill_the_cache(published: Version, shards: list[str], tmp_path: Path) -> None:
    with (
        _remote(published).open_files(cache=tmp_path, cache_limit=2 * _largest(published, shards)) as files,
        pytest.raises(CacheError, match=r"are in use and it may hold .*; raise cache_limit= or AUGMILL_CACHE_LIMIT"),
    ):
        for name in shards:
            files.local_path(name)


def test_who_finds_no_room_waits_for_others_to_make_it(published: Version, shards: list[str], tmp_path: Path) -> None:
    limit = _largest(published, shards)
    with (
        _remote(published).open_files(cache=tmp_path, cache_limit=limit) as other,
        _remote(published).open_files(cache=tmp_path, cache_limit=limit) as files,
    ):
        other.local_path(shards[0])
        threading.Timer(0.2, other.release, args=[shards[0]]).start()
        assert files.local_path(shards[1]).read_bytes() == (published.path / shards[1]).read_bytes()


def test_threads_take_and_give_back_at_once(published: Version, shards: list[str], tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=6 * _largest(published, shards))
    wrong: list[str] = []

    def work(offset: int) -> None:
        for i in range(3 * len(shards)):
            name = shards[(offset + i * 7) % len(shards)]
            with files.held(name) as path:
                if path.read_bytes() != (published.path / name).read_bytes():
                    wrong.append(name)
        done.append(offset)

    done: list[int] = []
    with _remote(published).open_files(cache=cache) as files:
        threads = [threading.Thread(target=work, args=[5 * i]) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (wrong, sorted(done)) == ([], [0, 5, 10, 15])
    assert cache.usage()[1] <= cache.limit_bytes


def test_two_processes_download_each_file_once(
    published: Version, shards: list[str], tmp_path: Path, serve: Callable[[Path], Any]
) -> None:
    web = serve(published.path)
    code = (
        "from pathlib import Path; from augmill.pipeline import Version\n"
        f"with Version({web.url!r}).open_files(cache={str(tmp_path)!r}) as files:\n"
        f"    names = sorted(files._known); files.prefetch(names)\n"
        "    for name in names:\n"
        f"        assert files.local_path(name).read_bytes() == (Path({str(published.path)!r}) / name).read_bytes()"
    )

    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(2)]

    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    digests = {name: file.sha256 for name, file in published.manifest.every_file().items()}
    asked = [digests[name] for name in web.asked if name in digests]
    assert sorted(asked) == sorted(set(digests.values()))  # equal files are downloaded once too


def test_a_process_killed_in_a_download_holds_nobody_up(
    published: Version, shards: list[str], tmp_path: Path, serve: Callable[[Path], Any]
) -> None:
    web = serve(published.path)
    web.faults[shards[1]] = ["slow"]
    code = (
        "from augmill.pipeline import Version\n"
        f"files = Version({web.url!r}).open_files(cache={str(tmp_path)!r})\n"
        f"files.local_path({shards[0]!r}); print(files.local_path({shards[1]!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    _until(lambda: shards[1] in web.asked and bool(list((tmp_path / "files").glob("*.part"))))
    process.send_signal(signal.SIGKILL)
    process.wait()

    cache = Cache(tmp_path)
    with Version(web.url).open_files(cache=cache) as files:
        assert files.local_path(shards[1]).read_bytes() == (published.path / shards[1]).read_bytes()
        assert files.local_path(shards[0]).exists()
    assert (cache.stats.misses, cache.stats.hits) == (1, 1)
    assert not list(cache.files.glob("*.part"))
    assert list((tmp_path / "pins").iterdir()) == []  # what the dead one had pinned is free too


def test_nothing_goes_on_after_the_end(
    published: Version, shards: list[str], tmp_path: Path, serve: Callable[[Path], Any]
) -> None:
    """Neither a thread nor a download nor what it had written, though the server says nothing for a minute."""
    web = serve(published.path)
    for name in shards:
        web.faults[name] = ["hang"]
    before = {thread.name for thread in threading.enumerate()}
    cache = Cache(tmp_path)
    files = Version(web.url).open_files(cache=cache, ahead=4)
    files.prefetch(shards)
    _until(lambda: len(list(cache.files.glob("*.part"))) == 4)

    begun = time.monotonic()
    files.close()

    assert time.monotonic() - begun < 30  # of sixty
    assert not {thread.name for thread in threading.enumerate() if "prefetch" in thread.name} - before
    assert list(cache.files.iterdir()) == []
    files.close()


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "del files; import gc; gc.collect()"])
def test_the_interpreter_ends_with_downloads_at_work(
    end: str, published: Version, shards: list[str], tmp_path: Path, serve: Callable[[Path], Any]
) -> None:
    web = serve(published.path)
    for name in shards:
        web.faults[name] = ["hang"]
    code = (
        "import time; from augmill.pipeline import Version\n"
        f"files = Version({web.url!r}).open_files(cache={str(tmp_path)!r}); files.prefetch({shards!r})\n"
        f"time.sleep(0.3)\n{end}"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)

    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "files").iterdir()) == []
    assert list((tmp_path / "pins").iterdir()) == []


def test_files_that_nobody_closed_are_closed_when_they_are_forgotten(
    published: Version, shards: list[str], tmp_path: Path
) -> None:
    cache = Cache(tmp_path)
    files = _remote(published).open_files(cache=cache)
    path = files.local_path(shards[0])
    assert path.exists()

    del files
    gc.collect()

    assert not path.exists()
    assert cache.usage()[0] == 1


def test_a_process_that_was_forked_off_goes_on_by_itself(
    published: Version, shards: list[str], tmp_path: Path, serve: Callable[[Path], Any]
) -> None:
    """In an interpreter of its own: one that has TensorFlow's threads is no good to fork."""
    web = serve(published.path)
    code = f"""
import os; from pathlib import Path; from augmill.pipeline import Version
files = Version({web.url!r}).open_files(cache={str(tmp_path)!r}, ahead=2)
files.prefetch({shards[:2]!r}); first = files.local_path({shards[0]!r})
if os.fork() == 0:
    files.prefetch({shards[4:6]!r})
    published = Path({str(published.path)!r})
    same = all(files.local_path(n).read_bytes() == (published / n).read_bytes() for n in {shards[:6]!r})
    files.close()
    os._exit(0 if same and first.exists() else 7)
code = os.waitstatus_to_exitcode(os.wait()[1])
assert first.exists() and files.local_path({shards[1]!r}).exists()
raise SystemExit(code)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "pins").iterdir()) == []
