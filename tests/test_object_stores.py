"""Builds into object stores: the bytes of a local build, by processes that share no disk, published with one put."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec.config
import pytest

from augmill.pipeline import Spec, Version, build, load
from augmill.pipeline.errors import BuildError, VersionError
from augmill.pipeline.lineage import library_versions
from augmill.pipeline.listing import list_source
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.materialize import Materializer
from augmill.pipeline.object_store import ObjectStore
from augmill.pipeline.plan import make_plan
from augmill.pipeline.publish import publish
from augmill.pipeline.remote_workspace import RemoteWorkspace
from augmill.pipeline.target import open_workspace
from augmill.pipeline.version import list_versions

SLOW_OP = """
import os, sys, time

def wait(image):
    if "SLOWLY" in os.environ and "apache_beam" in sys.modules:  # in a worker
        time.sleep(0.15)
    return 255 - image
"""
AUGMILL = str(Path(sys.executable).with_name("augmill"))


@pytest.fixture(params=["gcs", "s3"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket of each kind; commands, and what they start, find its options in the environment."""
    return _configured(request.getfixturevalue(request.param), monkeypatch)


@pytest.fixture
def s3_bucket(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    return _configured(s3, monkeypatch)


def _configured(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    protocol = bucket.url.split("://")[0]
    for name, value in bucket.options.items():
        monkeypatch.setenv(f"FSSPEC_{protocol.upper()}_{name.upper()}", value)
    monkeypatch.setitem(fsspec.config.conf, protocol, bucket.options)
    return bucket


@pytest.fixture
def local(make_spec: Callable[..., Any], publish_version: Any, tmp_path: Path) -> Version:
    """The same version, built on this machine."""
    version: Version = publish_version(make_spec(), tmp_path / "local")
    return version


def test_two_workers_build_what_a_local_build_does(
    bucket: Any, local: Version, write_spec: Callable[..., Path], tmp_path: Path, augmill: Any
) -> None:
    root = f"{bucket.url}/two"
    command = [AUGMILL, "build", str(write_spec()), "--output", root, "--workers", "2", "--json"]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    url = f"{root}/crops/1.0.0"
    told = json.loads(done.stdout)
    assert told == {"path": url, "digest": local.manifest.digest, "records": 116}
    version = Version(url)
    assert version.manifest.every_file() == local.manifest.every_file()
    assert f"{url}: all" in augmill("verify", url).out
    assert f"digest: {local.manifest.digest}" in augmill("show", url).out
    assert json.loads(augmill("versions", f"{root}/crops", "--json").out)[0]["path"] == url
    assert ObjectStore(f"{url}.building").listed() == {}
    mine, theirs = (load(place, batch_size=64, cache=tmp_path / "cache") for place in (local.path, url))
    for one, other in zip(mine, theirs, strict=True):
        assert (one["image"].numpy() == other["image"].numpy()).all()
    again = augmill("build", write_spec(), "--output", root)
    assert (again.code, "is already built from this spec" in again.out) == (0, True)


def test_a_killed_build_shows_nothing_keeps_others_out_and_goes_on(
    s3_bucket: Any, write_spec: Callable[..., Path], tmp_path: Path, photo_folder: Path, publish_version: Any
) -> None:
    (tmp_path / "slow_op.py").write_text(SLOW_OP)
    spec = write_spec(augment=["slow_op:wait"], splits=None)
    url = f"{s3_bucket.url}/killed/crops/1.0.0"
    command = [AUGMILL, "build", str(spec), "--output", f"{s3_bucket.url}/killed", "--workers", "2"]

    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = subprocess.Popen(command, env={**os.environ, "SLOWLY": "1"}, start_new_session=True, **quiet)
    try:
        _wait_for(lambda: any("/rows/" in name for name in ObjectStore(f"{url}.building").listed()))
        assert list_versions(url.rpartition("/")[0]) == []
        with pytest.raises(VersionError, match=r"is not a version: it has no augmill\.json"):
            Version(url)
        with pytest.raises(BuildError, match=rf"another build is at work in {url}\.building, process \d+ on .*; wait"):
            build(Spec.from_yaml(spec), f"{s3_bucket.url}/killed", workers=1)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    ObjectStore(url).put("crops-train.tfrecord-00099-of-00100", b"a stray")

    again = subprocess.run(command, capture_output=True, text=True)

    assert again.returncode == 0, again.stderr
    assert "resuming: " in again.stdout
    version = Version(url)
    assert [wrong for _, wrong in version.verify() if wrong] == []
    local = publish_version(Spec.from_yaml(spec), tmp_path / "local")
    assert version.manifest.every_file() == local.manifest.every_file()


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class _Blocks:
    """A build's blocks, written in this process without Beam."""

    def __init__(self, spec: Any, url: str) -> None:
        self.spec, self.plan = spec, make_plan(spec, list_source(spec))
        self.workspace = RemoteWorkspace(url)
        self.fingerprint = {"spec": spec.digest(), "source": self.plan.digest()}

    def write(self, *blocks: int) -> None:
        materialize = Materializer(open_workspace(json.loads(json.dumps(self.workspace.address))))
        for block in blocks or range(self.plan.blocks):
            materialize(block)

    def publish(self, seconds: float = 1.0) -> Version:
        facts = {"started": "2001-01-01T00:00:00+00:00", "seconds": seconds, "workers": 1}
        return publish(self.spec, self.plan, self.workspace, build=facts, libraries=library_versions(), code={})


def test_work_of_another_build_is_swept_and_its_workers_write_over_nothing(
    s3_bucket: Any, make_spec: Callable[..., Any], local: Version
) -> None:
    url = f"{s3_bucket.url}/zombie/crops/1.0.0"
    old, new = _Blocks(make_spec(seed=99), url), _Blocks(make_spec(), url)
    assert old.workspace.prepare(old.spec, old.plan, old.fingerprint) == []
    old.write(0, 1)

    assert new.workspace.prepare(new.spec, new.plan, new.fingerprint) == ["spec", "source"]
    assert ObjectStore(url).listed() == {}
    late = ObjectStore(url)
    new.write(0, 1, 2, 3)
    with pytest.raises(BuildError, match="holds no readable spec"):
        old.write(4)  # a worker that is asked anew finds nothing
    zombie = old.workspace.open_shard(new.plan.shard_of(new.spec, 0, 1))
    zombie.write(b"of the build that was given up")
    with zombie, pytest.raises(VersionError, match="is another build's, which took over from this one"):
        zombie.finish()
    early = old.workspace.open_shard(new.plan.shard_of(new.spec, 4, 1))
    early.write(b"before the block was begun")
    early.finish()
    new.write()

    assert new.publish().manifest.every_file() == local.manifest.every_file()
    assert set(late.listed()) == {*local.manifest.every_file(), MANIFEST}


def test_of_two_builds_at_once_one_publishes(bucket: Any, make_spec: Callable[..., Any], local: Version) -> None:
    """Both write the same bytes, and the second finds the first one's version."""
    url = f"{bucket.url}/both/crops/1.0.0"
    one, other = (_Blocks(make_spec(), url) for _ in range(2))
    for blocks in (one, other):
        assert blocks.workspace.prepare(blocks.spec, blocks.plan, blocks.fingerprint) == []
    one.write(0, 1, 2, 3, 4)
    other.write(3, 4, 5, 6)
    other.workspace.forget(0)
    other.write(0)

    ObjectStore(url).put("index/stray.npy", b"of a build that died")
    published = one.publish()
    before = ObjectStore(url).read_bytes(MANIFEST)
    assert other.publish(seconds=2.0).manifest.digest == published.manifest.digest
    assert ObjectStore(url).read_bytes(MANIFEST) == before
    with pytest.raises(BuildError, match="another build has published"):
        other.workspace.prepare(other.spec, other.plan, {"spec": "another"})

    assert published.manifest.every_file() == local.manifest.every_file()
    assert [wrong for _, wrong in Version(url).verify() if wrong] == []
