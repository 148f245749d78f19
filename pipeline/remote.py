"""Remote storage, read through fsspec: gs://, s3://, http(s)://, file:// and whatever else it knows.

Every wait has an end and can be broken off, which fsspec's own blocking calls offer for none of them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from augmill.pipeline.errors import MissingFileError, VersionError
from augmill.pipeline.remote_errors import retried, told
from augmill.pipeline.remote_listing import Listed, files_below

TIMEOUT = 60.0  # seconds for one answer: a small file, or one piece of a large one
_PIECE = 8 << 20  # bytes a request, where a file is read by ranges: some tens of milliseconds each, at no great memory
_HTTP_PIECE = 1 << 20  # bytes a read of one long response
_LISTING_TIMEOUT = 1800.0  # seconds for all the answers, of a thousand names each, to one listing
_TICK = 0.1  # seconds between looks at whether to stop


class StoppedError(Exception):
    """A download was broken off because nobody wants it any more."""


class RemoteStorage:
    """A folder behind a URL; `told` has what its errors are. It may be used by threads, and by processes forked off."""

    def __init__(self, url: str, storage_options: Mapping[str, Any] | None = None, *, timeout: float = TIMEOUT) -> None:
        """Prepare to read; nothing is asked of the storage yet.

        Args:
          url: of the folder.
          storage_options: for the fsspec file system, over what fsspec's configuration and environment say.
          timeout: seconds to wait for one answer.
        """
        self.location = re.sub(r"//[^/@]*@", "//", url).rstrip("/")  # a password is nobody's business
        if urllib.parse.urlsplit(url).query or "#" in url:
            raise VersionError(
                f"{self.location.split('?')[0]} must end with the folder's name, without ? or #: names of files are "
                "joined to it; give tokens by storage_options"
            )
        self._url = url.rstrip("/")
        self._options = dict(storage_options or {})
        self._timeout = timeout
        self._opened: tuple[int, Any, str] | None = None
        self._opening = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._url, self._options, self._timeout)

    def read_bytes(self, name: str) -> bytes:
        def read() -> bytes:
            return self._asked(name, lambda fs, path: fs._cat_file(path), lambda fs, path: fs.cat_file(path))

        return retried(read)

    def stream(self, name: str, size: int, *, stop: threading.Event | None = None) -> Iterator[bytes]:
        """Read a file in pieces, once: it is the caller who tries again.

        Raises:
          StoppedError: `stop` was set.
        """
        try:
            fs, path = self._file(name)
            if self._is_http(fs):
                yield from self._stream_response(fs, path, stop)
            elif getattr(fs, "async_impl", False):
                yield from self._stream_ranges(fs, path, size, stop)
            else:
                with fs.open(path, "rb") as file:
                    while chunk := file.read(_PIECE):
                        _check(stop)
                        yield chunk
        except (StoppedError, GeneratorExit):
            raise
        except Exception as error:
            raise told(error, f"{self.location}/{name}") from error

    def _stream_ranges(self, fs: Any, path: str, size: int, stop: threading.Event | None) -> Iterator[bytes]:
        if size == 0:  # of nothing there is no range
            yield self._run(fs, fs._cat_file(path), stop)
            return
        for start in range(0, size + 1, _PIECE):
            end = min(start + _PIECE, size + 1)  # one more than expected, which tells a file that is longer
            try:
                chunk = self._run(fs, fs._cat_file(path, start=start, end=end), stop)
            except OSError as error:
                if "range" in str(error).lower():  # the file ended with the last piece, or is empty
                    return
                raise
            yield chunk
            if len(chunk) < end - start:
                return

    def _stream_response(self, fs: Any, path: str, stop: threading.Event | None) -> Iterator[bytes]:
        """One request a file: not every server knows ranges, and one that does not sends the whole file each time."""
        file = self._run(fs, fs.open_async(path, size=-1), stop)
        try:
            while chunk := self._run(fs, _fill(file), stop):
                yield chunk
        finally:
            with contextlib.suppress(Exception):
                self._run(fs, file.close(), None)

    def has(self, name: str) -> bool:
        def ask() -> bool:
            return bool(self._asked(name, lambda fs, path: fs._exists(path), lambda fs, path: fs.exists(path)))

        return retried(ask)

    def entries(self) -> list[str]:
        def ask() -> list[str]:
            return self._asked(
                "", lambda fs, path: fs._ls(path, detail=False), lambda fs, path: fs.ls(path, detail=False)
            )

        return [PurePosixPath(urllib.parse.unquote(name.rstrip("/"))).name for name in retried(ask)]

    def names(self) -> set[str] | None:
        fs, root = self._file("")
        if self._is_http(fs):  # the links of a page are no listing
            return None
        found = retried(lambda: self._asked("", lambda fs, path: fs._find(path), lambda fs, path: fs.find(path)))
        prefix = fs._strip_protocol(root).rstrip("/") + "/"
        return {str(path).removeprefix(prefix) for path in found}

    @property
    def hint(self) -> str:
        protocol, _, rest = self._url.partition("://")
        bucket = rest.split("/")[0]
        if protocol not in ("gs", "gcs", "s3", "s3a"):
            return ""
        with contextlib.suppress(Exception):
            fs, _ = self._file("")
            if not self._run(fs, fs._exists(bucket), None):
                return f"; there is no bucket {bucket}, or it is not for these credentials to see"
        return ""

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Read a file from `start` up to `end`, or as far as it goes; what may pass is tried again."""

        def read() -> bytes:
            return self._asked(
                name,
                lambda fs, path: fs._cat_file(path, start=start, end=end),
                lambda fs, path: fs.cat_file(path, start=start, end=end),
            )

        found = retried(read) if end > start else b""
        if len(found) > end - start:
            raise VersionError(f"{self.location}/{name} cannot be read in parts, which its server does not give")
        return found

    def size(self, name: str) -> int:
        """The size of a file in bytes."""
        return int(self.info(name)["size"])

    def info(self, name: str) -> dict[str, Any]:
        """What the storage says of a file, in its own words."""
        return retried(lambda: self._asked(name, lambda fs, path: fs._info(path), lambda fs, path: fs.info(path)))

    def listed(self, under: str = "") -> dict[str, Listed]:
        """All files at any depth below `under`, by their names from here on; none where nothing is there."""
        try:
            found = retried(
                lambda: self._asked(
                    under,
                    lambda fs, path: fs._find(path, detail=True),
                    lambda fs, path: fs.find(path, detail=True),
                    timeout=_LISTING_TIMEOUT,
                )
            )
        except MissingFileError:
            return {}
        fs, root = self._file("")
        prefix = fs._strip_protocol(root).rstrip("/") + "/"
        return files_below(prefix, found)

    def globbed(self, pattern: str) -> dict[str, Listed]:
        """The files whose names match a pattern of *, ? and [...], where ** matches folders too."""
        found = retried(
            lambda: self._asked(
                pattern,
                lambda fs, path: fs._glob(path, detail=True),
                lambda fs, path: fs.glob(path, detail=True),
                timeout=_LISTING_TIMEOUT,
            )
        )
        fs, root = self._file("")
        return files_below(fs._strip_protocol(root).rstrip("/") + "/", found)

    def _asked(
        self,
        name: str,
        ask: Callable[[Any, str], Coroutine[Any, Any, Any]],
        ask_plainly: Callable[[Any, str], Any],
        *,
        doing: str = "read",
        timeout: float | None = None,
    ) -> Any:
        try:
            fs, path = self._file(name)
            if getattr(fs, "async_impl", False):
                return self._run(fs, ask(fs, path), None, timeout)
            return ask_plainly(fs, path)
        except Exception as error:
            raise told(error, f"{self.location}/{name}".rstrip("/"), doing) from error

    def _run(
        self,
        fs: Any,
        request: Coroutine[Any, Any, Any],
        stop: threading.Event | None,
        timeout: float | None = None,
    ) -> Any:
        """Wait for an answer: not longer than the timeout, and not when it is no longer wanted."""
        future = asyncio.run_coroutine_threadsafe(request, fs.loop)
        deadline = time.monotonic() + (timeout or self._timeout)
        while True:
            try:
                return future.result(_TICK)
            except (concurrent.futures.TimeoutError, TimeoutError):
                if future.done():  # in this moment, or with a timeout of its own
                    return future.result()
                try:
                    _check(stop)
                    if time.monotonic() > deadline:
                        raise
                except BaseException:
                    future.cancel()
                    raise

    def _file(self, name: str) -> tuple[Any, str]:
        """The file system of this process, and the name in it of a file of the folder."""
        with self._opening:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), *self._open())
            _, fs, root = self._opened
        if self._is_http(fs):
            name = urllib.parse.quote(name)
        return fs, f"{root}/{name}" if name else root

    def _open(self) -> tuple[Any, str]:
        import fsspec

        protocol = self._url.split("://")[0]
        options: dict[str, Any] = {"use_listings_cache": False, **self._options}
        if protocol in ("http", "https"):
            options["client_kwargs"] = {**self._http_limits(), **options.get("client_kwargs", {})}
        if protocol in ("gs", "gcs"):
            # It logs tracebacks of what is told in words here; without a handler Python prints them.
            logging.getLogger("gcsfs").addHandler(logging.NullHandler())
        try:
            fs, root = fsspec.core.url_to_fs(self._url, **options)
        except ValueError as error:
            if "Protocol not known" not in str(error):
                raise
            others = "gs, s3, https, file and what else fsspec knows"
            raise VersionError(f"{self.location}: {protocol}:// is none of {others}") from None
        return fs, root.rstrip("/")

    def _http_limits(self) -> dict[str, Any]:
        """Limits for silence, in place of aiohttp's five minutes for a whole response."""
        import aiohttp

        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=self._timeout)
        return {"timeout": limits, "read_bufsize": _HTTP_PIECE}

    @staticmethod
    def _is_http(fs: Any) -> bool:
        return "http" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def _again(url: str, options: dict[str, Any], timeout: float) -> RemoteStorage:
    return RemoteStorage(url, options, timeout=timeout)


def _check(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise StoppedError


async def _fill(file: Any) -> bytes:
    """Read up to a piece: what arrives at once is small, and each way between threads costs."""
    found = bytearray()
    while len(found) < _HTTP_PIECE and (chunk := await file.read(_HTTP_PIECE - len(found))):
        found += chunk
    return bytes(found)
