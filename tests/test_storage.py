"""Names of files stay within their version, and a path is told from a URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from augmill.pipeline.errors import VersionError
from augmill.pipeline.remote import RemoteStorage
from augmill.pipeline.storage import LocalStorage, is_url, open_storage, safe_name


@pytest.mark.parametrize("name", ["a", "index/a.npy", "flowers-train.tfrecord-00000-of-00040", "..a", "a..b", "é/ü"])
def test_plain_names_pass(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "//host/a",
        "../a",
        "a/../../b",
        "a/..",
        "a//b",
        "./a",
        "a/",
        "a\\..\\b",
        "C:a",
        "a\0b",
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name within a version"):
        safe_name(name)


@pytest.mark.parametrize("url", ["gs://b/a", "S3://b/a", "https://host", "file:///data", "simplecache::gs://b/a"])
def test_urls(url: str) -> None:
    assert is_url(url)
    assert isinstance(open_storage(url), RemoteStorage)


@pytest.mark.parametrize("path", ["data/flowers", "/data", "C:\\data", "C:/data", "a:b", Path("data"), "://x"])
def test_paths(path: str | Path) -> None:
    assert not is_url(path)
    assert isinstance(open_storage(path), LocalStorage)


def test_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index/a").write_bytes(b"first")
    (tmp_path / "b").write_bytes(b"x" * 3_000_000)
    storage = LocalStorage(tmp_path)

    assert storage.read_bytes("index/a") == b"first"
    assert [len(chunk) for chunk in storage.stream("b", 3)] == [1 << 20, 1 << 20, 3_000_000 - (2 << 20)]
    assert sorted(storage.entries()) == ["b", "index"]
    assert storage.names() == {"b", "index/a"}
    assert (storage.has("b"), storage.has("c")) == (True, False)
    with pytest.raises(VersionError, match="nowhere cannot be read: No such file or directory"):
        LocalStorage(tmp_path / "nowhere").entries()
