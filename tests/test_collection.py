"""Old versions go whole, and nothing goes that someone reads, names or is building."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Version
from augmill.pipeline.collection import collect, plan_collection
from augmill.pipeline.errors import VersionError
from augmill.pipeline.latest import LATEST
from augmill.pipeline.manifest import MANIFEST, Manifest
from augmill.pipeline.shard import file_sha256
from augmill.pipeline.version import list_versions
from augmill.pipeline.workspace import Workspace

NUMBERS = ("1.0.0", "1.1.0", "1.10.0", "2.0.0")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    from augmill.pipeline import Spec

    spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, image={"size": [8, 8]}, copies=0)
    version: Version = publish_version(spec, tmp_path_factory.mktemp("collection"))
    return version


@pytest.fixture
def root(published: Version, tmp_path: Path) -> Path:
    """Four versions of one dataset, and LATEST."""
    for number in NUMBERS:
        path = shutil.copytree(published.path, tmp_path / "crops" / number)
        info = path / "dataset_info.json"
        info.write_text(info.read_text().replace('"version": "1.0.0"', f'"version": "{number}"'))
        value = {**json.loads((path / MANIFEST).read_text()), "version": number}
        value["files"][info.name] = {"bytes": info.stat().st_size, "sha256": file_sha256(info)}
        (path / MANIFEST).write_text(Manifest(**value).to_text())
    (tmp_path / "crops" / LATEST).write_text("2.0.0\n")
    return tmp_path / "crops"


def _going(root: Path, keep: int = 1, **how: Any) -> list[str]:
    return [removal.path.name for removal in plan_collection(root, keep, **how).removals]


def _numbers(root: Path) -> list[str]:
    return [version.number for version in list_versions(root)]


def test_the_oldest_numbers_go_and_leave_nothing(root: Path) -> None:
    gone = collect(plan_collection(root, 2))

    assert [removal.path.name for removal in gone] == ["1.0.0", "1.1.0"]
    assert sorted(path.name for path in root.iterdir()) == ["1.10.0", "2.0.0", LATEST]
    assert all(wrong is None for version in list_versions(root) for _, wrong in version.verify())


def test_what_latest_names_stays(root: Path) -> None:
    (root / LATEST).write_text("1.1.0\n")

    found = plan_collection(root, 1)

    assert [removal.path.name for removal in found.removals] == ["1.0.0", "1.10.0"]
    assert found.kept == {"1.1.0": "LATEST names it", "2.0.0": "one of the 1 newest"}


def test_what_is_read_stays_and_goes_when_it_no_longer_is(root: Path) -> None:
    files = Version(root / "1.0.0").open_files()
    other = Version(root / "1.0.0").open_files()

    assert plan_collection(root, 1).kept["1.0.0"] == "someone reads it"
    files.close()
    assert plan_collection(root, 1).kept["1.0.0"] == "someone reads it"
    other.close()
    assert "1.0.0" in _going(root)


def test_a_reader_that_comes_between_the_plan_and_the_removal_keeps_its_version(root: Path) -> None:
    found = plan_collection(root, 1)
    with Version(root / "1.1.0").open_files():
        gone = collect(found)

    assert [removal.path.name for removal in gone] == ["1.0.0", "1.10.0"]
    assert _numbers(root) == ["1.1.0", "2.0.0"]


def test_what_a_build_at_work_may_take_records_from_stays(root: Path) -> None:
    with Workspace(root / "1.2.0.building").lock():
        found = plan_collection(root, 1)

    assert found.kept["1.1.0"] == "a build of 1.2.0 is at work, which may take records from it"
    assert [removal.path.name for removal in found.removals] == ["1.0.0", "1.10.0"]


def test_dead_builds_go_when_they_are_old_or_published_and_live_ones_never(root: Path) -> None:
    for name in ("3.0.0", "4.0.0", "2.0.0", "5.0.0"):
        (root / f"{name}.building/rows").mkdir(parents=True)
    week = time.time() - 8 * 86400
    for name in ("3.0.0", "5.0.0"):
        for path in (root / f"{name}.building/rows", root / f"{name}.building"):
            os.utime(path, (week, week))
    with Workspace(root / "5.0.0.building").lock():
        going = {removal.path.name: removal.why for removal in plan_collection(root, 4).removals}

    assert going["2.0.0.building"] == "its version is published"
    assert "5.0.0.building" not in going and "4.0.0.building" not in going
    assert set(_going(root, 4, leftover_days=0)) >= {"3.0.0.building", "4.0.0.building"}


def test_a_collection_that_was_broken_off_is_finished_by_the_next(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path) -> None:
        (path / MANIFEST).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        collect(plan_collection(root, 1))
    monkeypatch.undo()

    assert _numbers(root) == ["1.1.0", "1.10.0", "2.0.0"]
    assert Version(root).number == "2.0.0"
    collect(plan_collection(root, 3))
    assert sorted(path.name for path in root.iterdir()) == ["1.1.0", "1.10.0", "2.0.0", LATEST]


def test_no_reader_sees_half_a_version(root: Path) -> None:
    """Whoever lists versions while they go finds each whole, or not at all."""
    seen, wrong, over, whole = [], [], threading.Event(), len(list((root / "2.0.0").iterdir()))

    def read() -> None:
        while not over.is_set():
            for path in sorted(root.glob("[0-9]*")):
                with contextlib.suppress(FileNotFoundError):  # it has gone in this moment
                    before, names = (path / MANIFEST).exists(), list(path.iterdir())
                    if before and (path / MANIFEST).exists() and len(names) < whole:
                        wrong.append(path)
                    seen.append(path.name)

    reader = threading.Thread(target=read)
    reader.start()
    collect(plan_collection(root, 1))
    over.set()
    reader.join()

    assert seen and not wrong
    assert _numbers(root) == ["2.0.0"]


def test_files_that_others_link_to_free_nothing(root: Path) -> None:
    for inner in (root / "1.0.0").glob("*.tfrecord-*"):
        (root / "2.0.0" / inner.name).unlink()
        (root / "2.0.0" / inner.name).hardlink_to(inner)
        (root / "1.1.0" / inner.name).unlink()
        (root / "1.1.0" / inner.name).hardlink_to(inner)
    found = plan_collection(root, 2)
    shards = sum(path.stat().st_size for path in (root / "2.0.0").glob("*.tfrecord-*"))

    assert found.frees == sum(removal.bytes for removal in found.removals) - 2 * shards
    collect(found)
    assert all(wrong is None for _, wrong in Version(root / "2.0.0").verify())


def test_what_is_no_version_is_refused_or_left(root: Path, tmp_path: Path) -> None:
    (root / "0.1.0").mkdir()
    (root / "0.1.0/photo.jpg").write_text("mine")
    (root / "0.2.0").mkdir()
    (root / "0.2.0" / MANIFEST).write_text("{}")
    (root / "notes").mkdir()
    shutil.copytree(root / "1.0.0", root / "0.3.0")

    found = plan_collection(root, 1)

    assert [removal.path.name for removal in found.removals] == ["1.0.0", "1.1.0", "1.10.0"]
    assert found.kept["0.2.0"].startswith("not known to be a version")
    assert found.kept["0.3.0"] == "its manifest is of crops 1.0.0"
    for place, told in (
        (root / "1.0.0", "is one version; give the folder of the dataset"),
        (tmp_path, "holds no versions"),
        (tmp_path / "nowhere", "is no folder"),
        ("gs://bucket/crops", "is at a URL"),
    ):
        with pytest.raises(VersionError, match=told):
            plan_collection(place, 1)


def test_the_command_asks_tells_and_removes(root: Path, augmill: Callable[..., Any]) -> None:
    dry = augmill("gc", root, "--keep", 3, "--dry-run")
    unasked = augmill("gc", root, "--keep", 3)
    as_json = augmill("gc", root, "--keep", 3, "--yes", "--json")
    nothing = augmill("gc", root, "--keep", 3, "--yes")

    assert dry.code == 0 and "1.0.0" in dry.out and "older than the 3 newest" in dry.out
    assert unasked.code == 2 and "nobody can be asked here" in unasked.err
    (removed,) = json.loads(as_json.out)["removals"]
    assert (removed["kind"], removed["removed"], removed["path"]) == ("version", True, str(root / "1.0.0"))
    assert "nothing to remove" in nothing.out
    assert _numbers(root) == ["1.1.0", "1.10.0", "2.0.0"]
    assert augmill("gc", root, "--keep", 0).code == 2
