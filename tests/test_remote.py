"""A version in a bucket or behind a web server is opened, read, listed and verified as one on this machine is."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.errors import DownloadError, MissingFileError, VersionError
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.remote import RemoteStorage, StoppedError
from augmill.pipeline.replay import find_record
from augmill.pipeline.version import Version, list_versions


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    from augmill.pipeline import Spec

    spec = Spec(
        name="crops",
        version="1.0.0",
        source={"folder": str(photo_folder)},
        image={"size": [24, 24]},
        splits={"train": 0.8, "validation": 0.2},
        block_examples=16,
        augment=["tf.image.random_flip_left_right"],
    )
    version: Version = publish_version(spec, tmp_path_factory.mktemp("published"))
    return version


@pytest.fixture(params=["gs", "s3", "http", "file"])
def remote(
    request: pytest.FixtureRequest, published: Version, tmp_path: Path, serve: Callable[[Path], Any]
) -> tuple[str, dict[str, Any]]:
    """The URL of a copy of the version, and its storage options; a bucket's is uploaded once for all tests."""
    if request.param in ("gs", "s3"):
        bucket = request.getfixturevalue("gcs" if request.param == "gs" else "s3")
        if not bucket.file_system().exists(f"{bucket.url}/crops/1.0.0/{MANIFEST}"):
            bucket.put(published.path, "crops/1.0.0")
        return f"{bucket.url}/crops/1.0.0", bucket.options
    if request.param == "http":
        return f"{serve(published.path.parent).url}/1.0.0", {}
    return published.path.as_uri(), {}


def _names(version: Version) -> list[str]:
    return sorted(version.manifest.every_file())


def test_every_file_comes_through_the_cache_as_it_was_published(
    remote: tuple[str, dict[str, Any]], published: Version, tmp_path: Path
) -> None:
    url, options = remote
    version = Version(url, storage_options=options)

    with version.open_files(cache=tmp_path) as files:
        for name in _names(version):
            assert files.local_path(name).read_bytes() == (published.path / name).read_bytes(), name
        assert files.stats is not None
        assert files.stats.bytes_downloaded >= version.bytes

    assert version.manifest == published.manifest
    assert version.failures == published.failures
    assert version.location == url


def test_a_remote_version_is_verified_without_being_kept(
    remote: tuple[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGMILL_CACHE", str(tmp_path / "cache"))
    url, options = remote
    version = Version(url, storage_options=options)

    checked = dict(version.verify())

    assert checked == dict.fromkeys([MANIFEST, *_names(version)])
    assert not (tmp_path / "cache").exists()


def test_remote_versions_are_listed(remote: tuple[str, dict[str, Any]], published: Version) -> None:
    url, options = remote

    (listed,) = list_versions(url.removesuffix("/1.0.0"), storage_options=options)

    assert (listed.location, listed.manifest.digest) == (url, published.manifest.digest)


def test_what_is_no_version_is_refused_with_a_hint(remote: tuple[str, dict[str, Any]]) -> None:
    url, options = remote
    root = url.removesuffix("/1.0.0")

    with pytest.raises(VersionError, match=rf"^{root}/9\.9\.9 is not a version: it has no augmill\.json, and no"):
        Version(f"{root}/9.9.9", storage_options=options)


@pytest.mark.parametrize("store", ["gcs", "s3"])
def test_a_bucket_that_is_not_there_is_named(store: str, request: pytest.FixtureRequest) -> None:
    bucket = request.getfixturevalue(store)
    protocol = bucket.url.split("://")[0]

    with pytest.raises(VersionError, match="there is no bucket another, or it is not for these credentials"):
        Version(f"{protocol}://another/crops/1.0.0", storage_options=bucket.options)


@pytest.mark.parametrize("store", ["gcs", "s3"])
def test_a_flipped_byte_a_longer_and_a_missing_object_are_found(
    store: str, request: pytest.FixtureRequest, published: Version, tmp_path: Path
) -> None:
    bucket = request.getfixturevalue(store)
    url = bucket.put(published.path, "spoilt/1.0.0")
    files = bucket.file_system()
    first, second, third, fourth = _names(published)[-4:]
    data = bytearray((published.path / first).read_bytes())
    data[len(data) // 2] ^= 1
    files.pipe_file(f"{url}/{first}", bytes(data))
    files.pipe_file(f"{url}/{second}", (published.path / second).read_bytes() + b"and more")
    files.pipe_file(f"{url}/{third}", (published.path / third).read_bytes()[:-7])
    files.rm_file(f"{url}/{fourth}")
    files.pipe_file(f"{url}/notes.txt", b"mine")

    version = Version(url, storage_options=bucket.options)
    wrong = {file: problem for file, problem in version.verify() if problem}

    assert sorted(wrong) == sorted([first, second, third, fourth, "notes.txt"])
    assert "has sha256" in wrong[first]
    size = version.manifest.every_file()[second].bytes
    assert wrong[second] == f"has {size + 1} bytes, not {size}"  # more are not fetched
    assert wrong[fourth] == f"cannot be read: {url}/{fourth} is not there"
    with version.open_files(cache=tmp_path) as opened:
        for name, told in ((first, "found [0-9,]+ bytes with"), (second, "found more than"), (third, "found [0-9,]+")):
            with pytest.raises(VersionError, match=f"{name}: expected .*{told}"):
                opened.local_path(name)
        with pytest.raises(MissingFileError, match=f"{url}/{fourth} is not there"):
            opened.local_path(fourth)
    assert list((tmp_path / "files").iterdir()) == []


def test_a_file_of_several_pieces_is_put_together(
    gcs: Any, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that ends with a piece, where there is nothing to be asked of the next one."""
    monkeypatch.setattr("augmill.pipeline.remote._PIECE", 1000)
    for bucket in (gcs, s3):
        for size in (0, 1, 999, 1000, 1001, 3000, 3210):
            data = bytes(i * 7 % 251 for i in range(size))
            bucket.file_system().pipe_file(f"{bucket.url}/pieces/{size}", data)
            storage = RemoteStorage(f"{bucket.url}/pieces", bucket.options)
            assert b"".join(storage.stream(str(size), size)) == data
            assert b"".join(storage.stream(str(size), size + 1)) == data
            assert b"".join(storage.stream(str(size), size + 5000)) == data


def test_a_record_of_a_remote_version_is_found(
    remote: tuple[str, dict[str, Any]], published: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGMILL_CACHE", str(tmp_path))
    url, options = remote

    found = find_record(Version(url, storage_options=options), "cat/cat-001.jpg", 0)

    assert found == find_record(published, "cat/cat-001.jpg", 0)


def test_there_is_no_path_of_a_remote_version(remote: tuple[str, dict[str, Any]]) -> None:
    url, options = remote

    with pytest.raises(VersionError, match=r"is not on this machine: Version\.open_files\(\) gives paths"):
        _ = Version(url, storage_options=options).path


def test_the_commands_take_urls(
    s3: Any, published: Version, augmill: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials and the endpoint come from fsspec's configuration, as they do from its files and environment."""
    import fsspec.config

    url = s3.put(published.path, "commands/crops/1.0.0")
    monkeypatch.setitem(fsspec.config.conf, "s3", s3.options)

    shown = augmill("show", url)
    verified = augmill("verify", url)
    (listed,) = json.loads(augmill("versions", url.removesuffix("/1.0.0"), "--json").out)

    assert (shown.code, verified.code) == (0, 0), shown.err + verified.err
    assert f"digest: {published.manifest.digest}" in shown.out
    assert f"{url}: all" in verified.out
    assert listed["path"] == url
    missing = augmill("show", f"{url}0")
    assert missing.code == 2
    assert missing.err == f"augmill: {url}0 is not a version: it has no augmill.json, and no versions in it\n"


def test_two_failures_in_a_row_are_borne(
    published: Version, serve: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augmill.pipeline.remote_errors._PAUSE", 0.01)
    web = serve(published.path)
    web.faults[MANIFEST] = ["503", "503"]
    first, second, third = _names(published)[-3:]
    web.faults[first] = ["503", "reset"]
    web.faults[second] = ["cut", "cut"]

    with Version(web.url).open_files(cache=tmp_path) as files:
        for name in (first, second, third):
            assert files.local_path(name).read_bytes() == (published.path / name).read_bytes()

    assert [web.asked.count(name) for name in (MANIFEST, first, second, third)] == [3, 3, 3, 1]


def test_a_server_that_fails_for_good_is_told_of(
    published: Version, serve: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augmill.pipeline.remote_errors._PAUSE", 0.01)
    web = serve(published.path)
    first, second = _names(published)[-2:]
    web.faults[first] = ["503"] * 4
    web.faults[second] = ["403"]

    with Version(web.url).open_files(cache=tmp_path) as files:
        with pytest.raises(DownloadError, match=f"{first} cannot be reached: 503.*tried 4 times"):
            files.local_path(first)
        with pytest.raises(VersionError, match=f"{second} may not be read: 403.*give credentials"):
            files.local_path(second)
        assert (web.asked.count(first), web.asked.count(second)) == (4, 1)
        assert files.local_path(first).read_bytes() == (published.path / first).read_bytes()  # it answers again


def test_a_server_that_says_nothing_more_is_not_waited_for_for_ever(
    published: Version, serve: Callable[[Path], Any]
) -> None:
    web = serve(published.path)
    name = _names(published)[-1]
    web.faults[name] = ["hang"]
    storage = RemoteStorage(web.url, timeout=0.3)

    with pytest.raises(DownloadError, match=f"{name} cannot be reached: no answer in time"):
        list(storage.stream(name, published.manifest.every_file()[name].bytes))
    assert b"".join(storage.stream(name, 1)) == (published.path / name).read_bytes()


def test_a_bucket_that_says_nothing_is_not_waited_for_for_ever(tmp_path: Path, s3: Any, gcs: Any) -> None:
    """The file systems try again by themselves, each time with their own patience; the limit is over all of that."""
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = {"endpoint_url": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        for bucket in (gcs, s3):
            storage = RemoteStorage(f"{bucket.url}/crops/1.0.0", {**bucket.options, **endpoint}, timeout=0.3)
            with pytest.raises(DownloadError, match="no answer in time"):
                list(storage.stream("any", 100))


def test_a_wait_can_be_broken_off(published: Version, serve: Callable[[Path], Any]) -> None:
    web = serve(published.path)
    name = _names(published)[-1]
    web.faults[name] = ["hang"]
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()

    with pytest.raises(StoppedError):
        list(RemoteStorage(web.url).stream(name, 1000, stop=stop))
    assert time.monotonic() - begun < 30  # of sixty


def test_a_silent_address_a_strange_protocol_and_a_query_are_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augmill.pipeline.remote_errors._PAUSE", 0.01)
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/flowers/1\.0\.0/augmill\.json cannot be reached"):
        Version("http://name:secret@127.0.0.1:9/flowers/1.0.0")
    with pytest.raises(VersionError, match=r"gcp://a/b: gcp:// is none of gs, s3, https, file"):
        Version("gcp://a/b")
    with pytest.raises(VersionError, match=r"^https://host/v must end with the folder's name.*storage_options"):
        Version("https://host/v?token=secret")
    with pytest.raises(VersionError, match="storage_options are for URLs, and data is a path"):
        Version("data", storage_options={"token": "anon"})
    with pytest.raises(VersionError, match="give a URL as a str: a Path loses one of its slashes"):
        Version(Path("gs://bucket/flowers/1.0.0"))


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("gs://b/v", "gcsfs", "gcs"), ("s3://b/v", "s3fs", "s3"), ("https://host/v", "aiohttp", "http")],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(url: str, package: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from augmill.pipeline import AugmillError, Version\n"
        f"try: Version({url!r})\n"
        "except AugmillError as error: print(error)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == f"{url}/augmill.json needs the package {package}: pip install 'augmill[{extra}]'\n"


def test_a_manifest_that_leads_out_of_the_version_is_refused(published: Version, tmp_path: Path) -> None:
    root = shutil.copytree(published.path, tmp_path / "1.0.0")
    stored = json.loads((root / MANIFEST).read_text())
    stored["files"]["../../secrets"] = stored["files"].pop("features.json")
    (root / MANIFEST).write_text(json.dumps(stored))

    for place in (root, root.as_uri()):
        with pytest.raises(VersionError, match=r"is not a manifest: files.*'\.\./\.\./secrets' is no name within"):
            Version(place)


def test_it_can_be_pickled(published: Version) -> None:
    storage = pickle.loads(pickle.dumps(RemoteStorage(published.path.as_uri(), timeout=5)))

    assert storage.read_bytes(MANIFEST) == (published.path / MANIFEST).read_bytes()


def test_the_docs_example_reads_a_bucket(
    gcs: Any, published: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parent.parent / "docs/remote.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    gcs.put(published.path, "flowers/1.0.0")
    monkeypatch.chdir(tmp_path)

    exec(example, {})

    sizes = [int(line) for line in capsys.readouterr().out.split()]
    assert sizes == [shard.bytes for shard in published.manifest.splits["train"].shards]
    assert sum(path.stat().st_size for path in (tmp_path / "cache/files").iterdir()) == sum(sizes)


def test_a_datasets_url_means_its_latest_version(remote: tuple[str, dict[str, Any]], published: Version) -> None:
    url, options = remote
    root = url.removesuffix("/1.0.0")

    opened = Version(root, storage_options=options)  # there is no LATEST: the highest that is listed

    assert (opened.location, opened.manifest) == (url, published.manifest)


@pytest.mark.parametrize("listed", [True, False])
def test_a_web_server_is_asked_for_latest_first(
    published: Version, serve: Callable[[Path], Any], tmp_path: Path, listed: bool
) -> None:
    for number in ("1.0.0", "2.0.0"):
        shutil.copytree(published.path, tmp_path / "crops" / number)
    (tmp_path / "crops/LATEST").write_text("1.0.0\n")
    web = serve(tmp_path)
    if not listed:
        web.faults["crops/"] = ["403"] * 9

    assert Version(f"{web.url}/crops").location == f"{web.url}/crops/1.0.0"
    (tmp_path / "crops/LATEST").unlink()
    if listed:
        assert Version(f"{web.url}/crops").location == f"{web.url}/crops/2.0.0"
    else:
        with pytest.raises(VersionError, match=r"has no augmill\.json, and no versions in it"):
            Version(f"{web.url}/crops")
