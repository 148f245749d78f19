"""LATEST says what a dataset's name means: the highest number published, until a person says otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Version, build, load
from augmill.pipeline.errors import VersionError
from augmill.pipeline.latest import LATEST, latest_number, named_latest, update_latest
from augmill.pipeline.manifest import MANIFEST
from augmill.pipeline.remote import RemoteStorage
from augmill.pipeline.storage import LocalStorage
from augmill.pipeline.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder ROOT/name of versions of which only the manifest's name is there, and a LATEST."""

    def make(*numbers: str, latest: str | None = None) -> Path:
        for number in numbers:
            (tmp_path / number).mkdir(exist_ok=True)
            (tmp_path / number / MANIFEST).write_text("")
        if latest is not None:
            (tmp_path / LATEST).write_text(latest)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("latest", "means"),
    [
        ("1.9.0\n", "1.9.0"),  # by a person's hand
        (None, "1.10.0"),
        ("7.0.0\n", "1.10.0"),  # which is gone
        ("../1.9.0", "1.10.0"),
        ("", "1.10.0"),
        ("1.9.0\n1.10.0\n", "1.10.0"),
        ("\N{ARABIC-INDIC DIGIT ONE}.9.0", "1.10.0"),
    ],
)
def test_the_name_means_what_latest_says_or_else_the_highest(root: Any, latest: str | None, means: str) -> None:
    assert latest_number(LocalStorage(root("1.9.0", "1.10.0", latest=latest))) == means


def test_a_name_without_versions_means_none(root: Any, tmp_path: Path) -> None:
    (tmp_path / "1.0.0.building").mkdir()
    (tmp_path / "2.0.0").mkdir()

    assert latest_number(LocalStorage(root(latest="2.0.0"))) is None
    assert latest_number(LocalStorage(tmp_path / "nowhere")) is None


@pytest.mark.parametrize(
    ("before", "published", "after"),
    [
        (None, "2.0.0", "2.0.0"),
        ("1.0.0", "2.0.0", "2.0.0"),
        ("2.0.0", "1.0.1", "2.0.0"),  # a patch of an older one
        ("1.0.0", "1.0.1", "1.0.0"),  # someone has gone back to 1.0.0
        ("9.0.0", "1.0.1", "2.0.0"),  # stale
        (None, "1.0.1", "2.0.0"),
    ],
)
def test_a_publication_moves_it_on(root: Any, before: str | None, published: str, after: str) -> None:
    folder = root("1.0.0", "1.0.1", "2.0.0", latest=before)

    update_latest(folder, published)

    assert (folder / LATEST).read_text() == f"{after}\n" or before == after
    assert named_latest(LocalStorage(folder)) == after
    assert {path.name for path in folder.iterdir()} == {"1.0.0", "1.0.1", "2.0.0", LATEST}


def test_publications_at_the_same_time_leave_the_highest(root: Any) -> None:
    def publish(number: str) -> None:
        update_latest(root(number), number)

    for _ in range(5):
        numbers = [f"1.{minor}.0" for minor in range(12)]
        threads = [threading.Thread(target=publish, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert named_latest(LocalStorage(root())) == "1.11.0"
        (root() / LATEST).unlink()


@pytest.mark.parametrize("store", ["gcs", "s3"])
def test_it_is_kept_in_object_stores_too(store: str, request: pytest.FixtureRequest) -> None:
    bucket = request.getfixturevalue(store)
    root, files = f"{bucket.url}/latest/crops", bucket.file_system()
    for number in ("1.0.0", "1.10.0"):
        files.pipe_file(f"{root}/{number}/{MANIFEST}", b"{}")
        update_latest(root, number, bucket.options)
    files.pipe_file(f"{root}/1.9.0/{MANIFEST}", b"{}")
    update_latest(root, "1.9.0", bucket.options)

    assert files.cat_file(f"{root}/{LATEST}") == b"1.10.0\n"
    assert latest_number(RemoteStorage(root, bucket.options)) == "1.10.0"


def test_a_build_publishes_it_and_the_name_opens_it(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    first = build(make_spec(copies=0, augment=[]), tmp_path, workers=1)
    second = build(make_spec(version="1.1.0", copies=0, augment=[], seed=4), tmp_path, workers=1)
    opened = Version(tmp_path / "crops")

    assert (tmp_path / "crops" / LATEST).read_text() == "1.1.0\n"
    assert (opened.location, opened.manifest) == (str(second.path), second.manifest)
    assert (first.manifest.parent, second.manifest.parent) == (
        None,
        {"version": "1.0.0", "digest": first.manifest.digest},
    )
    keys = [key for batch in load(tmp_path / "crops", split="test", batch_size=4) for key in batch["key"].numpy()]
    assert len(keys) == second.manifest.splits["test"].examples
    built = second.manifest.build
    assert built["hosts"] == 1
    assert 0 < built["processor_seconds"] <= 2 * built["seconds"]


def test_a_build_that_ended_before_it_was_written_is_finished_by_the_same_command(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    spec = make_spec(version="2.0.0", copies=0, augment=[])
    version = publish_version(spec, tmp_path)
    (tmp_path / "crops" / LATEST).write_text("1.0.0\n")
    (tmp_path / "crops/1.0.0").mkdir()
    (tmp_path / "crops/1.0.0" / MANIFEST).write_text("")
    Workspace.beside(version.path).path.mkdir()  # as it stands between publication and tidying up

    build(spec, tmp_path)

    assert (tmp_path / "crops" / LATEST).read_text() == "2.0.0\n"
    (tmp_path / "crops" / LATEST).write_text("1.0.0\n")
    build(spec, tmp_path)
    assert (tmp_path / "crops" / LATEST).read_text() == "1.0.0\n"  # by a person's hand, and it stays


def test_what_latest_names_can_be_damaged_like_any_version(root: Any) -> None:
    with pytest.raises(VersionError, match=r"1\.0\.0/augmill\.json is damaged"):
        Version(root("1.0.0", latest="1.0.0"))
