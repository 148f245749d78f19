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

from augmill.pipeline import Version, build, load
from augmill.pipeline.errors import BuildError, OptionError, VersionError
from augmill.pipeline.object_store import ObjectStore
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.version import list_versions

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
