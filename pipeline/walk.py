"""The files below a source's folder, which is not left: what a link may lead to, and what is no file at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from augmill.pipeline.errors import SourceError
from augmill.pipeline.image import EXTENSIONS


def walk_files(root: Path, *, links_outside: bool = False) -> Iterator[tuple[Path, int]]:
    """Walk the files below `root` with their sizes, following links and leaving hidden folders out.

    A link to a folder that it stands in, by whatever way, is not followed: it would be for ever.

    Args:
      root: where to begin.
      links_outside: whether links may lead out of `root`.

    Raises:
      SourceError: a folder or link cannot be read, a link leads out of `root`, or what is called an image is no file.
    """
    try:
        home = Path(os.path.realpath(root))
        yield from _walk(root, home, links_outside, (str(home),))
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}; mend or remove it") from error


def _walk(folder: Path, home: Path, links_outside: bool, above: tuple[str, ...]) -> Iterator[tuple[Path, int]]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    folders = []
    for entry in entries:
        if entry.is_symlink() and not links_outside and not (entry.name.startswith(".") and entry.is_dir()):
            problem = _outside_problem(Path(entry.path), home)
            if problem:
                raise SourceError(f"{entry.path} {problem}")
        if entry.is_dir():
            folders.append(entry)
            continue
        path, status = Path(entry.path), entry.stat()
        if not stat.S_ISREG(status.st_mode) and path.suffix.lower() in EXTENSIONS:
            raise SourceError(f"{path} is no file that could be an image, but a pipe, socket or device; remove it")
        yield path, status.st_size
    for entry in folders:
        real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above[-1], entry.name)  # noqa: PTH118
        if not entry.name.startswith(".") and real not in above:
            yield from _walk(Path(entry.path), home, links_outside, (*above, real))


class Inside:
    """Tells of files named below a folder whether they are in it when all links are followed."""

    def __init__(self, folder: Path) -> None:
        self._home = Path(os.path.realpath(folder))
        self._real: dict[Path, Path] = {}  # of each folder that a file was in

    def problem(self, path: Path) -> str:
        """Say what is wrong with where a file is; nothing if it is inside."""
        if path.parent not in self._real:
            self._real[path.parent] = Path(os.path.realpath(path.parent))
        if self._real[path.parent].is_relative_to(self._home) and not path.is_symlink():
            return ""
        return _outside_problem(path, self._home)


def _outside_problem(link: Path, home: Path) -> str:
    """Say that a link leads out of `home`, and what to do; nothing where it does not."""
    target = os.path.realpath(link)
    if Path(target).is_relative_to(home):
        return ""
    return (
        f"is a link that leads out of the source's folder, to {target}; put there what it leads to, or set "
        "source.links_outside: true"
    )
