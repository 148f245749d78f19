"""Collection: old versions of a dataset and what dead builds left are removed, never what someone reads or may expect.

A version goes by one renaming to a hidden name, so that no reader meets half of one; what is under such a name is then
removed, by the next collection where this one is killed. Versions share no files but by hard links: each has all of its
own, whichever others are gone, and that of its `parent` is a name to compare with and nothing more.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augmill.pipeline.build_lock import BuildLock
from augmill.pipeline.errors import BuildError, VersionError
from augmill.pipeline.latest import LATEST, is_number, latest_number, published_numbers, version_key
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.storage import LocalStorage, is_url
from augmill.pipeline.version import Version
from augmill.pipeline.workspace import Workspace

LEFTOVER_DAYS = 7.0  # after which an unfinished build is taken for dead
_BUILDING, _TRASH = ".building", ".trash-"
_TEMPORARY_SECONDS = 3600.0  # after which a half-written LATEST is


@dataclass(frozen=True)
class Removal:
    """Something that goes.

    Attributes:
      path: of the folder or file. kind: "version", "workspace" or "leftover". why: in words.
      bytes: of its files, shared ones too.
    """

    path: Path
    kind: str
    why: str
    bytes: int


@dataclass(frozen=True)
class Collection:
    """What goes and what stays in a folder ROOT/name.

    Attributes:
      removals: what goes, oldest version first.
      kept: the numbers of the versions that stay, and why.
      frees: bytes that the disk gains: of files of which all hard links go.
    """

    root: Path
    removals: list[Removal]
    kept: dict[str, str]
    frees: int


def plan_collection(root: str | Path, keep: int, *, leftover_days: float = LEFTOVER_DAYS) -> Collection:
    """Say what would go; nothing is changed.

    Args:
      root: the folder ROOT/name.
      keep: how many of the versions with the highest numbers stay in any case.
      leftover_days: after how many days without a change an unfinished build goes; one whose version is published goes
        at once, and one at work never.

    Raises:
      VersionError: the folder is none that versions are published in.
    """
    folder = _checked(root)
    numbers = published_numbers(LocalStorage(folder))
    kept = _kept(folder, numbers, keep)
    removals = [
        Removal(folder / number, "version", f"older than the {keep} newest", _size(folder / number))
        for number in numbers
        if number not in kept
    ]
    for path in sorted(folder.iterdir()):
        why = _why_workspace(path, numbers, leftover_days) if path.name.endswith(_BUILDING) else None
        if why:
            removals.append(Removal(path, "workspace", why, _size(path)))
        elif path.name.startswith(_TRASH):
            removals.append(Removal(path, "leftover", "of a collection that was broken off", _size(path)))
        elif path.name.startswith(f".{LATEST}.") and time.time() - path.stat().st_mtime > _TEMPORARY_SECONDS:
            removals.append(Removal(path, "leftover", f"a {LATEST} that was not finished", _size(path)))
    return Collection(folder, removals, kept, _freed(removals))


def collect(collection: Collection, *, progress: Callable[[int], object] = lambda count: None) -> list[Removal]:
    """Remove what a collection names, unless someone has begun to use it meanwhile.

    Args:
      collection: what goes.
      progress: told how many bytes have gone more.

    Returns:
      What has gone.
    """
    gone = []
    for removal in collection.removals:
        trash = _set_aside(removal)
        if trash is not None:
            _remove(trash)
            gone.append(removal)
        progress(removal.bytes)
    return gone


def _checked(root: str | Path) -> Path:
    if is_url(root):
        raise VersionError(f"{root} is at a URL; versions are collected on this machine or a mounted file system alone")
    folder = Path(root)
    if not folder.is_dir():
        raise VersionError(f"{folder} is no folder")
    if (folder / MANIFEST).exists():
        raise VersionError(f"{folder} is one version; give the folder of the dataset that it is in, {folder.parent}")
    names = [path.name for path in folder.iterdir()]
    if not any(name.startswith(_TRASH) or is_number(name.removesuffix(_BUILDING)) for name in names):
        raise VersionError(f"{folder} holds no versions; give a folder ROOT/name that a build has published in")
    return folder


def _kept(folder: Path, numbers: list[str], keep: int) -> dict[str, str]:
    kept = dict.fromkeys(numbers[-keep:], f"one of the {keep} newest")
    latest = latest_number(LocalStorage(folder))
    if latest is not None:
        kept.setdefault(latest, f"{LATEST} names it")
    for number, base in _bases(folder, numbers):
        kept.setdefault(base, f"a build of {number} is at work, which may take records from it")
    for number in numbers:
        if number not in kept and (why := _why_not(folder / number)):
            kept[number] = why
    return {number: kept[number] for number in numbers if number in kept}


def _why_not(path: Path) -> str | None:
    """Why a version must not go: someone reads it, or it is not what its name says."""
    try:
        manifest = Version(path).manifest
    except VersionError as error:
        return f"not known to be a version: {error}"
    if (manifest.name, manifest.version) != (path.resolve().parent.name, path.name):
        return f"its manifest is of {manifest.name} {manifest.version}"
    with _unread(path) as unread:
        return None if unread else "someone reads it"


@contextlib.contextmanager
def _unread(path: Path) -> Iterator[bool]:
    """Hold off new readers of a version, and tell whether there are none: each holds a lock on its manifest."""
    with (path / MANIFEST).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _bases(folder: Path, numbers: list[str]) -> Iterator[tuple[str, str]]:
    """The numbers that are being built, each with the highest published one below it."""
    for path in folder.glob(f"*{_BUILDING}"):
        number = path.name.removesuffix(_BUILDING)
        if is_number(number) and not _is_idle(path):
            below = [other for other in numbers if version_key(other) < version_key(number)]
            if below:
                yield number, below[-1]


def _is_idle(path: Path) -> bool:
    try:
        with Workspace(path).lock():
            return True
    except BuildError:
        return False


def _why_workspace(path: Path, numbers: list[str], days: float) -> str | None:
    number = path.name.removesuffix(_BUILDING)
    if not is_number(number) or not _is_idle(path):
        return None
    if number in numbers:
        return "its version is published"
    age = (time.time() - _changed(path)) / 86400
    return f"unfinished, untouched for {age:.1f} days" if age > days else None


def _changed(path: Path) -> float:
    """When anything in a workspace was last changed; its locks, which have just been taken, say nothing."""
    locks, times = BuildLock(path).files, list[float]()
    for inner in path.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if inner not in locks:
                times.append(inner.lstat().st_mtime)
    return max(times, default=path.stat().st_mtime)


def _set_aside(removal: Removal) -> Path | None:
    """Give what goes a hidden name, in one step; None where it has gone or is in use."""
    path = removal.path
    if removal.kind == "leftover":
        return path
    trash = path.with_name(f"{_TRASH}{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        if removal.kind == "workspace":
            with Workspace(path).lock():
                path.rename(trash)
        else:
            with _unread(path) as unread:
                if not unread:
                    return None
                path.rename(trash)
    except (FileNotFoundError, BuildError):
        return None
    return trash


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _files(path: Path) -> Iterator[Any]:
    for inner in [path, *path.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):
            if inner.is_file() and not inner.is_symlink():
                yield inner.stat()


def _size(path: Path) -> int:
    return sum(status.st_size for status in _files(path))


def _freed(removals: list[Removal]) -> int:
    links: dict[tuple[int, int], list[int]] = {}
    for removal in removals:
        for status in _files(removal.path):
            known = links.setdefault((status.st_dev, status.st_ino), [status.st_size, status.st_nlink])
            known[1] -= 1
    return sum(size for size, left in links.values() if left <= 0)
