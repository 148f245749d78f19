"""Sources in buckets: the examples, and the bytes, of the same source on this machine."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec.config
import pytest

from augmill.pipeline import Spec
from augmill.pipeline.errors import DownloadError, SourceError
from augmill.pipeline.image import encode_image
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.remote_reader import AHEAD, RemoteReader
from augmill.pipeline.shard import RecordError


@pytest.fixture(params=["gcs", "s3"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    found = request.getfixturevalue(request.param)
    monkeypatch.setitem(fsspec.config.conf, found.url.split("://")[0], found.options)
    return found


def test_a_folder_in_a_bucket_gives_the_same_version(
    bucket: Any, make_spec: Callable[..., Any], photo_folder: Path, publish_version: Any, tmp_path: Path
) -> None:
    url = _put_once(bucket, photo_folder, "photos")

    local, remote = (
        publish_version(make_spec(source={"folder": place}), tmp_path / name)
        for place, name in ((str(photo_folder), "local"), (url, "remote"))
    )

    assert remote.manifest.digest == local.manifest.digest
    assert remote.manifest.source["root"] == url
    for name in ("listing_sha256", "content_sha256"):
        assert remote.manifest.source[name] == local.manifest.source[name]


def _put_once(bucket: Any, folder: Path, name: str) -> str:
    url = f"{bucket.url}/{name}"
    return url if bucket.file_system().exists(f"{url}/cat/cat-000.png") else bucket.put(folder, name)


def test_split_folders_are_found_in_a_bucket_too(bucket: Any, photo_folder: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        shutil.copytree(photo_folder / "cat", tmp_path / "s" / split / "cat")
    (tmp_path / "s/train/cat/notes.txt").write_text("passed over")
    (tmp_path / "s/train/cat/.hidden.jpg").write_text("and this")
    url = bucket.put(tmp_path / "s", "split")

    local, remote = (list_source(_spec(folder=place)) for place in (str(tmp_path / "s"), url))

    assert remote.digest() == local.digest()
    assert remote.ignored == {".txt": 1}
    assert set(remote.addresses.column("split").to_pylist()) == {"train", "validation"}


def _spec(**source: Any) -> Spec:
    parts: dict[str, Any] = {"image": {"size": [8, 8]}, "augment": ["tf.image.flip_up_down"], "source": source}
    return Spec(name="a", version="1.0.0", **parts)


def test_record_files_in_a_bucket_are_scanned_and_read_by_ranges(
    bucket: Any, annotated_records: Callable[[Path], dict[str, Any]], tmp_path: Path, publish_version: Any
) -> None:
    source = annotated_records(tmp_path)
    bucket.file_system().pipe_file(f"{bucket.url}/raw/a/painted.tfrecord", (tmp_path / "painted.tfrecord").read_bytes())
    elsewhere = {**source, "tfrecord": f"{bucket.url}/raw/*/paint*.tfrecord"}

    local, remote = (publish_version(_spec(**one), tmp_path / str(i)) for i, one in enumerate((source, elsewhere)))

    assert remote.manifest.digest == local.manifest.digest
    assert remote.manifest.objects == local.manifest.objects != {}
    assert remote.manifest.source["root"] == f"{bucket.url}/raw"
    with pytest.raises(SourceError, match=r"no file matches source\.tfrecord"):
        list_source(_spec(**{**source, "tfrecord": f"{bucket.url}/raw/*.png"}))


def test_what_is_gone_or_has_another_size_is_a_failure_with_its_name(
    bucket: Any, photo: Any, photo_folder: Path, tmp_path: Path, publish_version: Any
) -> None:
    folder = shutil.copytree(photo_folder, tmp_path / "photos")
    url = bucket.put(folder, f"changing-{bucket.url[:2]}")
    spec = _spec(folder=url)
    listing = list_source(spec)
    before, files = listing.files_digest(), bucket.file_system()
    files.rm_file(f"{url}/cat/cat-001.jpg")
    files.pipe_file(f"{url}/cat/cat-002.jpg", encode_image(photo, "jpeg"))
    files.pipe_file(f"{url}/cat/cat-003.jpg", b"short")
    reader, rows = make_plan(spec, listing).reader(), {row["key"]: row for row in listing.addresses.to_pylist()}
    reader.expect([*rows.values()])

    for name, told in (
        ("cat/cat-001.jpg", "cat-001.jpg is gone since it was listed"),
        ("cat/cat-002.jpg", r"cat-002.jpg changed since it was listed: \d+ bytes then, more now"),
        ("cat/cat-003.jpg", r"cat-003.jpg changed since it was listed: \d+ bytes then, 5 now"),
    ):
        with pytest.raises(RecordError, match=told):
            reader.read_example(rows[name])
    assert reader.read_example(rows["cat/cat-004.png"]).image == (folder / "cat/cat-004.png").read_bytes()
    assert list_source(spec).files_digest() != before


def test_examples_are_fetched_ahead_of_their_turn_and_no_more_than_there_is_room_for(
    bucket: Any, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = list_source(_spec(folder=_put_once(bucket, photo_folder, "photos")))
    rows = listing.addresses.to_pylist()
    reader = RemoteReader(str(listing.root), "file", None)
    fetched, together = [], threading.Barrier(8)
    fetch = RemoteReader._fetch

    def noted(self: RemoteReader, piece: Any) -> bytes:
        if len(fetched) < 8:
            fetched.append(piece.uri)
            together.wait(30)  # eight are under way at once
        else:
            fetched.append(piece.uri)
        return fetch(self, piece)

    monkeypatch.setattr(RemoteReader, "_fetch", noted)
    reader.expect(rows)
    first = reader.read_example(rows[0]).image

    assert first == (photo_folder / rows[0]["uri"]).read_bytes()
    assert len(reader._coming) == AHEAD < len(rows)
    again = reader.read_example(rows[40])  # out of turn, as a partner to mix with
    for row in rows[1:]:
        assert reader.read_example(row).image == (photo_folder / row["uri"]).read_bytes()
    assert again.image == (photo_folder / rows[40]["uri"]).read_bytes()
    assert (len(reader._coming), reader._coming_bytes) == (0, 0)
    assert sorted({*fetched}) == sorted(row["uri"] for row in rows)
    assert len(fetched) <= len(rows) + 1


def test_a_store_that_does_not_answer_ends_the_build_and_drops_nothing(
    serve: Callable[[Path], Any], annotated_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augmill.pipeline.remote_errors._PAUSE", 0.01)
    source = annotated_records(tmp_path)
    web = serve(tmp_path)
    spec = _spec(**{**source, "tfrecord": f"{web.url}/painted.tfrecord"})
    web.faults["painted.tfrecord"] = ["503"] * 8

    with pytest.raises(DownloadError, match=r"painted\.tfrecord cannot be reached: 503"):
        list_source(spec)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"folder": "https://host/photos"}, "web servers cannot say which files they have"),
        ({"folder": "memory://photos"}, "is in the memory of one process"),
        (
            {"coco": "gs://b/a.json", "images": "photos"},
            r"source\.coco gs://b/a\.json: only folder and tfr",
        ),
        ({"segmentation": "s3://b/i", "masks": "s3://b/m"}, r"source\.segmentation s3://b/i: only folder and"),
        ({"tfrecord": ["gs://b/a", "c"], "features": {"image": "i"}}, "must be one or the other"),
    ],
)
def test_what_is_not_read_from_urls_is_refused_before_anything_is_asked(source: dict[str, Any], told: str) -> None:
    with pytest.raises(SourceError, match=told):
        list_source(_spec(**source))


def test_a_bucket_that_is_not_there_or_holds_nothing_is_named(bucket: Any) -> None:
    protocol = bucket.url.split("://")[0]
    with pytest.raises(SourceError, match=f"source folder {bucket.url}/nothing holds nothing"):
        list_source(_spec(folder=f"{bucket.url}/nothing"))
    with pytest.raises(SourceError, match="holds nothing; there is no bucket another"):
        list_source(_spec(folder=f"{protocol}://another/photos"))


def test_the_commands_read_from_a_bucket(
    bucket: Any, photo_folder: Path, write_spec: Callable[..., Path], augmill: Any
) -> None:
    spec = write_spec(source={"folder": _put_once(bucket, photo_folder, "photos")})

    planned = json.loads(augmill("plan", spec, "--output", f"{bucket.url}/out", "--json").out)

    assert (planned["examples"], planned["free_bytes"]) == (48, None)
    assert augmill("check", spec).code == 0
