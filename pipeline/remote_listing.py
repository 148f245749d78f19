"""What a listing of remote storage says of its files; stores call the same things by different names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_STATES = ("ETag", "etag", "md5Hash", "generation", "LastModified", "mtime")


class Listed(NamedTuple):
    """A file as a listing has it: its size, and what changes whenever its content does."""

    bytes: int
    state: str


def files_below(prefix: str, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Listed]:
    """The files of a listing by their names after `prefix`, without what only stands for a folder."""
    return {
        path.removeprefix(prefix): Listed(int(info["size"] or 0), _state(info))
        for path, info in found.items()
        if info.get("type") == "file" and path.startswith(prefix) and not path.endswith("/")
    }


def _state(info: Mapping[str, Any]) -> str:
    return str(next((info[name] for name in _STATES if info.get(name)), ""))
