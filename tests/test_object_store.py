"""Objects are put whole, as new ones where asked for, again where that may help, and errors are told in words."""

from __future__ import annotations

import http.client
import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import build
from augmill.pipeline.errors import BuildError, DownloadError, VersionError
from augmill.pipeline.listing import list_source
from augmill.pipeline.materialize import BlockError, Materializer
from augmill.pipeline.object_store import ObjectStore
from augmill.pipeline.plan import make_plan
from augmill.pipeline.remote_workspace import RemoteWorkspace


@pytest.fixture(params=["gcs", "s3"])
def bucket(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_objects_are_put_listed_and_removed(bucket: Any) -> None:
    store = ObjectStore(f"{bucket.url}/objects", bucket.options)
    ObjectStore(f"{bucket.url}/objects.building", bucket.options).put("a", b"of a folder whose name begins alike")

    assert store.put("a", b"one")
    assert store.put("b/c", b"two!")
    first = store.listed()
    assert {name: found.bytes for name, found in first.items()} == {"a": 3, "b/c": 4}
    assert store.listed("b").keys() == {"b/c"}
    store.put("a", b"six")
    assert store.listed()["a"].state != first["a"].state
    store.remove(["a", "b/c", "never/there"])
    assert store.listed() == {}
    assert store.read_if_there("a") is None


def test_a_new_object_leaves_one_that_stands(s3: Any, tmp_path: Path) -> None:
    store = ObjectStore(f"{s3.url}/new", s3.options)
    (tmp_path / "file").write_bytes(b"other")

    assert store.put("a", b"one", new=True)
    assert not store.put("a", b"two", new=True)
    assert not store.put_file("a", str(tmp_path / "file"), 5, new=True)
    assert store.read_bytes("a") == b"one"


def test_whether_a_store_keeps_to_preconditions_is_found_out(gcs: Any, s3: Any) -> None:
    """The emulated S3 does, the emulated Google Cloud Storage does not."""
    assert ObjectStore(f"{s3.url}/probed", s3.options).check_writable()
    assert not ObjectStore(f"{gcs.url}/probed", gcs.options).check_writable()
    assert ObjectStore(f"{s3.url}/probed", s3.options).listed() == {}


def test_a_large_file_goes_by_parts(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augmill.pipeline.object_store._PART", 5 << 20)
    data = bytes(range(251)) * (12_000_000 // 251)
    (tmp_path / "large").write_bytes(data)
    store = ObjectStore(f"{bucket.url}/large", bucket.options)

    assert store.put_file("file", str(tmp_path / "large"), len(data), new=True)

    assert b"".join(store.stream("file", len(data))) == data


def test_a_bucket_that_is_not_there_is_named(bucket: Any) -> None:
    protocol = bucket.url.split("://")[0]
    with pytest.raises(VersionError, match=f"{protocol}://another/data cannot be written"):
        ObjectStore(f"{protocol}://another/data", bucket.options).check_writable()


@pytest.mark.parametrize(("url", "package", "extra"), [("gs://b", "gcsfs", "gcs"), ("s3://b", "s3fs", "s3")])
def test_a_missing_package_is_named_before_anything_is_done(url: str, package: str, extra: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "name: a\nversion: 1.0.0\nsource: {folder: nowhere}\nimage: {size: [8, 8]}\naugment: [tf.image.flip_up_down]\n"
    )
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from augmill.pipeline import AugmillError, Spec, build\n"
        f"try: build(Spec.from_yaml({str(tmp_path / 'spec.yaml')!r}), {url + '/data'!r})\n"
        "except AugmillError as error: print(error)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert f"needs the package {package}: pip install 'augmill[{extra}]'" in done.stdout


class Faulty:
    """Passes requests on to a store, but for those that it is told to answer with an error.

    Attributes:
      url: where it listens. failing: by method and end of the path, how many of the next requests fail.
      failed: how many did.
    """

    def __init__(self, endpoint: str) -> None:
        faulty = self
        self.failing: dict[tuple[str, str], int] = {}
        self.failed = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                told = next((key for key in faulty.failing if key[0] == self.command and path.endswith(key[1])), None)
                if told is not None and faulty.failing[told] > 0:
                    faulty.failing[told] -= 1
                    faulty.failed += 1
                    self._answer(503, [], b"")
                    return
                connection = http.client.HTTPConnection(endpoint.removeprefix("http://"))
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                self._answer(answer.status, answer.getheaders(), answer.read())

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = dict(headers).get("Content-Length") if self.command == "HEAD" else len(body)
                self.send_header("Content-Length", str(length or 0))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def faulty(s3: Any) -> Iterator[tuple[Faulty, dict[str, Any]]]:
    """A store that fails as it is told to, and the options that lead there, with no more tries than ours."""
    server = Faulty(s3.options["endpoint_url"])
    options = {**s3.options, "endpoint_url": server.url, "config_kwargs": {"retries": {"total_max_attempts": 1}}}
    yield server, options
    server.close()


def test_a_put_that_fails_is_tried_again_and_then_told(
    faulty: tuple[Faulty, dict[str, Any]], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augmill.pipeline.remote_errors._PAUSE", 0.01)
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    server, options = faulty
    store = ObjectStore(f"{s3.url}/failing", options)

    server.failing["PUT", "/a"] = 3
    assert store.put("a", b"after three failures")
    assert (store.read_bytes("a"), server.failed) == (b"after three failures", 3)
    server.failing["PUT", "/b"] = 100
    with pytest.raises(DownloadError, match=r"s3://bucket/failing/b cannot be reached: .*; tried 4 times"):
        store.put("b", b"never")
    assert "b" not in store.listed()


def test_a_build_whose_puts_fail_says_that_the_same_command_goes_on(
    faulty: tuple[Faulty, dict[str, Any]], s3: Any, make_spec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augmill.pipeline.remote_errors._PAUSE", 0.01)
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    server, options = faulty
    spec, url = make_spec(), f"{s3.url}/faulty/crops/1.0.0"
    server.failing["PUT", "/spec.json"] = 4
    with pytest.raises(BuildError, match=r"spec\.json cannot be reached: .*; tried 4 times; the same command goes on"):
        build(spec, f"{s3.url}/faulty", workers=1, storage_options=options)

    plan = make_plan(spec, list_source(spec))
    workspace = RemoteWorkspace(url, options)
    assert workspace.prepare(spec, plan, {"spec": spec.digest()}) == []
    materialize, shard = Materializer(workspace), plan.shard_of(spec, 2, 1)
    materialize(0)
    server.failing["PUT", f"/{shard}"] = 4
    with pytest.raises(BlockError, match=rf"^block 2: {url}/{shard} cannot be reached: .*; tried 4 times$"):
        materialize(2)

    assert workspace.finished(plan.blocks).keys() == {0}
    assert shard not in ObjectStore(url, s3.options).listed()
    assert materialize(2)["images"] > 0, "and it can be tried again"
