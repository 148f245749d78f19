"""What goes wrong between here and remote storage: what may pass, and what the reader is told."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from augmill.pipeline.errors import AugmillError, DownloadError, FileStandsError, MissingFileError, VersionError

TRIES = 4  # of one file, where what fails may pass
_PAUSE = 0.5  # seconds before the second try, twice as long before each further one
_PASSING_STATUS = {408, 429, 500, 502, 503, 504}
_PASSING_ERRNO = {errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO), errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT}
# By name, since the libraries that raise them are imported only where they are needed: aiohttp, botocore, requests,
# urllib3 and google.auth. Each says that there was no answer, or half of one.
_PASSING = {
    "ClientConnectionError", "ClientPayloadError", "ConnectionError", "HTTPClientError", "ResponseStreamingError",
    "IncompleteRead", "IncompleteReadError", "ReadTimeoutError", "Timeout", "TimeoutError", "TransportError",
    "ChunkedEncodingError", "ProxyError", "FSTimeoutError", "ServiceUnavailable",
}  # fmt: skip
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "GoogleAuthError", "NoAuthHandlerFound"}
_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3", "http": "http", "https": "http"}
_PACKAGES = {"gcs": "gcsfs", "s3": "s3fs", "http": "aiohttp"}

Result = TypeVar("Result")


def retried(act: Callable[[], Result], pause: Callable[[float], object] = time.sleep) -> Result:
    """Do something that downloads, some times if need be, each time after a longer pause.

    Raises:
      DownloadError: the last try failed too; anything else as soon as it is raised.
    """
    for attempt in range(TRIES):
        try:
            return act()
        except DownloadError as error:
            if attempt == TRIES - 1:
                raise DownloadError(f"{error}; tried {TRIES} times") from error
            pause(_PAUSE * 2**attempt)
    raise AssertionError("a try returns or raises")


def may_pass(error: BaseException) -> bool:
    """Tell whether the same request may succeed later: a connection was lost, nothing came, or the server is busy."""
    status = _status(error)
    if status is not None:
        return status in _PASSING_STATUS
    if isinstance(error, (FileNotFoundError, PermissionError)):
        return False
    if isinstance(error, OSError) and error.errno in _PASSING_ERRNO:
        return True
    return bool(_PASSING & _kinds(error))


def told(error: BaseException, location: str, doing: str = "read") -> AugmillError:
    """Say in words what kept a location from being read, or written, or whatever was being done.

    Returns:
      DownloadError where it may pass, MissingFileError where nothing is there, FileStandsError where something is that
      should not be, VersionError otherwise.
    """
    protocol = location.split("://")[0].split("::")[-1].lower()
    if isinstance(error, AugmillError):
        return error
    if isinstance(error, ImportError):
        return _missing_package(error, location, protocol)
    if isinstance(error, FileNotFoundError) or _status(error) == 404:
        return MissingFileError(f"{location} is not there")
    if _stands(error):
        return FileStandsError(f"{location} stands already")
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if may_pass(error):
        nothing = "no answer in time" if "TimeoutError" in _kinds(error) else reason
        return DownloadError(f"{location} cannot be reached: {nothing}")
    if _denied(error):
        return VersionError(
            f"{location} may not be {doing}: {reason}; give credentials by storage_options={{...}}, by FSSPEC_... in "
            f"the environment, or as {_PACKAGES.get(_EXTRAS.get(protocol, ''), 'its library')} finds them"
        )
    return VersionError(f"{location} cannot be {doing}: {reason}")


def _missing_package(error: ImportError, location: str, protocol: str) -> VersionError:
    extra = _EXTRAS.get(protocol)
    if extra is None:
        return VersionError(f"{location} needs a package that is not installed: {error}")
    return VersionError(f"{location} needs the package {_PACKAGES[extra]}: pip install 'augmill[{extra}]'")


def _denied(error: BaseException) -> bool:
    if _status(error) in (401, 403) or isinstance(error, PermissionError):
        return True
    # gcsfs has no class of its own for it: OSError("Forbidden: ...").
    return bool(_NO_CREDENTIALS & _kinds(error)) or str(error).startswith("Forbidden")


def _stands(error: BaseException) -> bool:
    """Whether a file could not be made anew because there is one; s3fs knows some stores' way of saying so alone."""
    return isinstance(error, FileExistsError) or _status(error) == 412 or "pre-conditions you specified" in str(error)


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _status(error: BaseException) -> int | None:
    """The status of an HTTP response that was made an error: aiohttp calls it status, gcsfs code."""
    for name in ("status", "code"):
        value = getattr(error, name, None)
        if str(value).isdigit():
            return int(str(value))
    return None
