"""What is in use is counted, by file and not by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from augmill.pipeline.cache import Cache
from augmill.pipeline.download import Wanted
from augmill.pipeline.errors import MissingFileError
from augmill.pipeline.holdings import Holdings
from augmill.pipeline.pins import in_use
from augmill.pipeline.remote import RemoteStorage


@pytest.fixture
def holdings(tmp_path: Path) -> Holdings:
    """Three files, of which the last two are equal, and one that is missing."""
    folder, known = tmp_path / "version", {}
    folder.mkdir()
    for name, data in (("a", b"first"), ("b", b"same"), ("c", b"same"), ("lost", b"lost")):
        (folder / name).write_bytes(data)
        known[name] = Wanted(name, hashlib.sha256(data).hexdigest(), len(data))
    (folder / "lost").unlink()
    return Holdings(RemoteStorage(folder.as_uri()), known, Cache(tmp_path / "cache"))


def _in_use(holdings: Holdings, name: str) -> bool:
    return in_use((holdings.cache.files / holdings.known[name].sha256).stat())


def test_a_file_is_in_use_until_the_last_user_gives_it_back(holdings: Holdings) -> None:
    assert holdings.take("a") == holdings.take("a") == holdings.path("a")
    holdings.give_back("a")
    assert _in_use(holdings, "a")
    holdings.give_back("a")
    assert not _in_use(holdings, "a")


def test_equal_files_are_one(holdings: Holdings) -> None:
    assert holdings.take("b") == holdings.take("c")
    assert holdings.cache.stats.misses == 1
    holdings.give_back("b")
    assert holdings.path("c").read_bytes() == b"same"


def test_what_could_not_be_taken_is_not_counted(holdings: Holdings) -> None:
    with pytest.raises(MissingFileError):
        holdings.take("lost")
    assert not holdings._uses


def test_nothing_is_in_use_after_the_end(holdings: Holdings) -> None:
    for name in "aab":
        holdings.take(name)
    holdings.close()
    assert not _in_use(holdings, "a")
    assert not _in_use(holdings, "b")
