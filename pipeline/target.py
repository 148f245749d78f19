"""Where a version is to stand, a folder of this machine or a URL, and the workspace that belongs to it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from augmill.pipeline.errors import OptionError
from augmill.pipeline.estimate import Estimate, check_room, check_temporary_room, check_writable
from augmill.pipeline.remote_workspace import RemoteWorkspace
from augmill.pipeline.storage import is_url
from augmill.pipeline.workspace import Workspace

AnyWorkspace = Workspace | RemoteWorkspace

_REFUSED = {
    "memory": "what a process keeps in its memory its workers cannot write to",
    "http": "web servers are read from, and not written to",
    "https": "web servers are read from, and not written to",
}


def target_of(output: str | Path, name: str, version: str) -> Path | str:
    """Where a version goes below ROOT: a path, or a URL; file:// is a path, with all that holds for one.

    Raises:
      OptionError: processes cannot share what is at such a URL.
    """
    if not is_url(output):
        return Path(output).resolve() / name / version
    url = str(output).rstrip("/")
    protocol = url.split("://")[0].lower()
    if protocol in ("file", "local"):
        return Path(urllib.request.url2pathname(url.split("://")[1])).resolve() / name / version
    if "::" in protocol:
        raise OptionError(f"--output {output} goes through another file system; give the store's own URL")
    if protocol in _REFUSED:
        raise OptionError(f"--output {output}: {_REFUSED[protocol]}; give a folder, gs://bucket/... or s3://bucket/...")
    return f"{url}/{name}/{version}"


def workspace_of(target: Path | str, storage_options: Mapping[str, Any] | None = None) -> AnyWorkspace:
    """The workspace of the version that is to stand at a target.

    Raises:
      OptionError: the options are given for a path, or cannot be handed to other processes.
    """
    if isinstance(target, Path):
        if storage_options:
            raise OptionError(f"storage_options are for URLs, and {target} is a path")
        return Workspace.beside(target)
    options = dict(storage_options or {})
    try:
        json.dumps(options)
    except (TypeError, ValueError) as error:
        raise OptionError(f"storage_options of a build must be JSON values, for other processes: {error}") from None
    return RemoteWorkspace(target, options)


def open_workspace(address: Any) -> AnyWorkspace:
    """The workspace at an `address` that a workspace gave."""
    return RemoteWorkspace(**address) if isinstance(address, dict) else Workspace(address)


def check_target(workspace: AnyWorkspace, say: Callable[[str], None]) -> None:
    """Refuse a target that cannot be written to before any work is done for it; a store is written to, to see.

    Raises:
      BuildError, VersionError: a folder, or a store, is not for this process to write to.
    """
    if isinstance(workspace, Workspace):
        check_writable(workspace.target)
    elif not workspace.check_writable():
        say(
            f"note: {workspace.path} is in a store that does not tell a new object from one that is written over: see "
            "to it that no two builds of one version run at once"
        )


def check_room_for(workspace: AnyWorkspace, cost: Estimate, blocks: int) -> None:
    """Refuse a build for which there is no room: where the version is to stand, or here for what is in hand.

    Raises:
      BuildError: saying what is needed and what is there.
    """
    if isinstance(workspace, Workspace):
        check_room(cost, workspace.bytes_done(blocks))
    else:
        check_temporary_room(cost, blocks)


def beside(target: Path | str) -> Path | str:
    """The folder of a dataset's versions, by the target of one of them."""
    return target.parent if isinstance(target, Path) else target.rpartition("/")[0]


def overlaps(target: Path | str, root: Path | str) -> bool:
    """Whether a target lies within a source's folder."""
    if isinstance(target, Path) and isinstance(root, Path):
        return target.is_relative_to(root.resolve())
    return f"{target}/".startswith(f"{root}/")
