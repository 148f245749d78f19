"""A lease tells which build is at work in an object store, and a dead one's is taken over."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from augmill.pipeline import lease as lease_module
from augmill.pipeline.errors import BuildError
from augmill.pipeline.lease import Lease
from augmill.pipeline.object_store import ObjectStore


@pytest.fixture(params=["gcs", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    bucket = request.getfixturevalue(request.param)
    return ObjectStore(f"{bucket.url}/{request.node.name}", bucket.options)


def test_it_is_held_once_and_given_back(store: ObjectStore) -> None:
    with Lease(store) as held:
        held.check()
        with pytest.raises(BuildError, match=r"another build is at work in .*, process \d+ on .*runs out in \d+ s"):
            Lease(store).__enter__()
        assert list(store.listed()) == ["lease/00001"]
    assert store.listed() == {}
    with Lease(store):
        pass


def test_one_of_a_process_that_ended_on_this_machine_is_taken_over_at_once(store: ObjectStore) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    _put(store, machine=lease_module._machine(), pid=ended.pid)

    with Lease(store):
        assert list(store.listed()) == ["lease/00005"]


def test_one_of_another_machine_is_when_it_has_not_been_renewed(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(store, machine="another", pid=1)
    with pytest.raises(BuildError, match=r"process 1 on far; wait for it, if it is dead, its lease runs out in \d+ s"):
        Lease(store).__enter__()
    monkeypatch.setattr(lease_module, "EXPIRES", 1.0)
    time.sleep(2.1)  # S3 tells whole seconds
    with Lease(store):
        assert list(store.listed()) == ["lease/00005"]


def test_whoever_is_taken_over_knows(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEWED", 0.05)
    with Lease(store) as held:
        first = store.read_bytes("lease/00001")
        _wait_until(lambda: store.read_bytes("lease/00001") != first)
        held.check()
        _put(store, machine="another", pid=1)
        _wait_until(lambda: bool(held._lost))
        with pytest.raises(BuildError, match="is lost: another build has taken it over; the same command goes on"):
            held.check()
    assert "lease/00004" in store.listed()


def test_one_that_cannot_be_renewed_in_time_is_lost(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with Lease(store) as held:
        monkeypatch.setattr(lease_module, "EXPIRES", 0.0)
        with pytest.raises(BuildError, match="is lost: the store did not answer for 0 seconds"):
            held.check()


def _put(store: ObjectStore, **holder: Any) -> None:
    store.put("lease/00004", json.dumps({**holder, "host": "far", "id": "theirs"}).encode())


def _wait_until(happened: Any) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
