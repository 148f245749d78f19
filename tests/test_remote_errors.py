"""What may pass is tried again, what cannot is told at once, in words."""

from __future__ import annotations

import errno

import aiohttp
import botocore.exceptions
import gcsfs.retry
import google.auth.exceptions
import pytest
import requests.exceptions
from fsspec.exceptions import FSTimeoutError
from yarl import URL

from augmill.pipeline.errors import AugmillError, DownloadError, MissingFileError, VersionError
from augmill.pipeline.remote_errors import TRIES, may_pass, retried, told

URL_OF_IT = "gs://bucket/flowers/1.0.0/a"
_KEY = aiohttp.client_reqrep.ConnectionKey("host", 443, True, True, None, None, None)  # type: ignore[call-arg]


def _response(status: int) -> aiohttp.ClientResponseError:
    url = URL("https://host/a")
    headers = aiohttp.typedefs.CIMultiDict()  # type: ignore[attr-defined]
    info = aiohttp.RequestInfo(url, "GET", headers, url)  # type: ignore[arg-type]
    return aiohttp.ClientResponseError(info, (), status=status, message="why")


PASSING = [
    ConnectionResetError(errno.ECONNRESET, "reset"),
    BrokenPipeError(errno.EPIPE, "pipe"),
    TimeoutError(),
    FSTimeoutError(),
    OSError(errno.EBUSY, "Please reduce your request rate"),  # what s3fs makes of SlowDown
    OSError(getattr(errno, "EREMOTEIO", errno.EIO), "We encountered an internal error"),  # and of InternalError
    *map(_response, (408, 429, 500, 502, 503, 504)),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientPayloadError("cut"),
    aiohttp.ClientConnectorError(_KEY, OSError(errno.ECONNREFUSED, "refused")),
    gcsfs.retry.HttpError({"code": 503, "message": "busy"}),
    botocore.exceptions.EndpointConnectionError(endpoint_url="https://s3"),
    botocore.exceptions.ReadTimeoutError(endpoint_url="https://s3"),
    botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    google.auth.exceptions.TransportError("no answer"),
    requests.exceptions.ConnectionError("no answer"),
]
DENIED = [
    PermissionError("Access Denied"),
    OSError("Forbidden: https://storage.googleapis.com/...\nAnonymous caller"),  # what gcsfs makes of 403
    _response(401),
    _response(403),
    gcsfs.retry.HttpError({"code": 401, "message": "Invalid Credentials"}),
    botocore.exceptions.NoCredentialsError(),
    google.auth.exceptions.DefaultCredentialsError("not found"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: f"{type(error).__name__} {error}"[:40])
def test_what_may_pass(error: Exception) -> None:
    assert may_pass(error)
    assert isinstance(told(error, URL_OF_IT), DownloadError)
    assert str(told(error, URL_OF_IT)).startswith(f"{URL_OF_IT} cannot be reached: ")


@pytest.mark.parametrize("error", DENIED, ids=lambda error: f"{type(error).__name__} {error}"[:40])
def test_what_is_denied(error: Exception) -> None:
    assert not may_pass(error)
    message = told(error, URL_OF_IT)
    assert isinstance(message, VersionError)
    assert str(message).startswith(f"{URL_OF_IT} may not be read: ")
    assert "as gcsfs finds them" in str(message)


@pytest.mark.parametrize("error", [FileNotFoundError("b/a"), _response(404)])
def test_what_is_not_there(error: Exception) -> None:
    assert not may_pass(error)
    assert isinstance(told(error, URL_OF_IT), MissingFileError)
    assert str(told(error, URL_OF_IT)) == f"{URL_OF_IT} is not there"


def test_the_rest_is_told_as_it_is() -> None:
    error = told(ValueError("Bad Request:\n  b"), URL_OF_IT)
    assert (type(error), str(error)) == (VersionError, f"{URL_OF_IT} cannot be read: Bad Request: b")
    assert str(told(ImportError("x"), "abfs://a")) == "abfs://a needs a package that is not installed: x"
    known = DownloadError("as it was")
    assert told(known, URL_OF_IT) is known


def test_failing_downloads_are_tried_again_after_growing_pauses() -> None:
    pauses: list[float] = []
    failing = iter([DownloadError("a"), DownloadError("b")])

    def act() -> str:
        for error in failing:
            raise error
        return "done"

    assert retried(act, pauses.append) == "done"
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize(
    ("error", "tries"), [(DownloadError("no"), TRIES), (MissingFileError("no"), 1), (OSError(), 1)]
)
def test_what_fails_for_good_is_raised(error: Exception, tries: int) -> None:
    tried = []

    def act() -> None:
        tried.append(1)
        raise error

    with pytest.raises(type(error)) as caught:
        retried(act, lambda _: None)
    assert len(tried) == tries
    assert isinstance(caught.value, (AugmillError, OSError))
