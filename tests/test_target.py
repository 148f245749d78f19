"""Where a version goes: below a folder, below a URL, or nowhere that its workers could not write to."""

from __future__ import annotations

from pathlib import Path

import pytest

from augmill.pipeline.errors import OptionError
from augmill.pipeline.remote_workspace import RemoteWorkspace
from augmill.pipeline.target import open_workspace, overlaps, target_of, workspace_of
from augmill.pipeline.workspace import Workspace


def test_a_path_and_a_url_are_joined_to(tmp_path: Path) -> None:
    assert target_of(tmp_path, "a", "1.0.0") == tmp_path / "a/1.0.0"
    assert target_of("s3://bucket/data/", "a", "1.0.0") == "s3://bucket/data/a/1.0.0"
    assert target_of(f"file://{tmp_path}/with%20space", "a", "1.0.0") == tmp_path / "with space/a/1.0.0"


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("memory://data", "what a process keeps in its memory its workers cannot write to; give a folder"),
        ("https://host/data", "web servers are read from, and not written to"),
        ("simplecache::s3://bucket/data", "goes through another file system"),
    ],
)
def test_what_workers_cannot_write_to_is_refused(output: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        target_of(output, "a", "1.0.0")


def test_a_workspace_is_found_again_by_its_address(tmp_path: Path) -> None:
    local = open_workspace(workspace_of(tmp_path / "a/1.0.0").address)
    remote = open_workspace(workspace_of("s3://bucket/a/1.0.0", {"anon": True}).address)

    assert isinstance(local, Workspace) and local.target == tmp_path / "a/1.0.0"
    assert isinstance(remote, RemoteWorkspace) and remote.address["options"] == {"anon": True}


def test_options_must_suit_the_target(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"storage_options are for URLs, and .* is a path"):
        workspace_of(tmp_path, {"anon": True})
    with pytest.raises(OptionError, match="storage_options of a build must be JSON values"):
        workspace_of("s3://bucket/a/1.0.0", {"session": object()})


def test_a_target_within_the_source_is_seen(tmp_path: Path) -> None:
    assert overlaps(tmp_path / "photos/out/a/1.0.0", tmp_path / "photos")
    assert overlaps("s3://b/photos/out/a/1.0.0", "s3://b/photos")
    assert not overlaps("s3://b/photos2/a/1.0.0", "s3://b/photos")
    assert not overlaps("s3://b/photos/a/1.0.0", tmp_path)
