"""The same records in every form that a loader reads: versions of augmill, tar shards, and files by themselves."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from augmill.pipeline.example import decode_example
from augmill.pipeline.shard import scan_records
from augmill.pipeline.version import Version
from benchmarks import dataset
from benchmarks.measure import RunError
from benchmarks.recipes import RECIPES, Recipe

SPLIT = "train"
_PHOTO = RECIPES["photo"]
_SMALL = replace(RECIPES["cifar"], copies=100)
_SMALL_BLOCK = 250  # examples, so that there are hundreds of shards


def jpeg(records: int, work: Path) -> Path:
    """A version of `records` photos of 224 x 224 as JPEGs of quality 95, the recipe photo with its 4 copies."""
    return _built(_PHOTO, records, work)


def raw(records: int, work: Path) -> Path:
    """The same with pixels as they are, which takes seven times the room."""
    return _built(replace(_PHOTO, encoding="raw"), records, work)


def small(records: int, work: Path) -> Path:
    """A version of PNGs of 32 x 32, 100 copies each, in many small shards."""
    return _built(_SMALL, records, work, block=_SMALL_BLOCK)


def tars(records: int, work: Path) -> Path:
    """The JPEGs of the version as tar shards: one for each of its own, in the same order."""
    return _beside(jpeg(records, work), "tars", _write_tars)


def files(records: int, work: Path) -> Path:
    """The JPEGs of the version as files in class folders."""
    return _beside(jpeg(records, work), "files", _write_files)


def sources(records: int, work: Path) -> Path:
    """The photos of 500 x 375 that the version was made of, in class folders: what an online pipeline begins with."""
    return dataset.source(_PHOTO, records // _PHOTO.copies, work)


def originals(records: int, work: Path) -> Path:
    """A version of those photos brought to 224 x 224 once and not augmented: what spares an online pipeline most."""
    return _built(replace(_PHOTO, copies=1, augment=()), records // _PHOTO.copies, work)


FORMS: dict[str, Callable[[int, Path], Path]] = {
    form.__name__: form for form in (jpeg, raw, small, tars, files, sources, originals)
}


def _built(recipe: Recipe, records: int, work: Path, *, block: int | None = None) -> Path:
    """Build a version of this many records by the `augmill` command, or find the one that an earlier run built.

    Raises:
      RunError: the number is no multiple of the copies, or the build failed.
    """
    if records % recipe.copies:
        raise RunError(f"{records} records are no multiple of {recipe.copies} copies; give another number")
    source = dataset.source(recipe, records // recipe.copies, work).resolve()
    spec = recipe.spec(source, kernels="fast")
    if block is not None:
        spec["block_examples"] = block
    if not recipe.augment:
        spec |= {"copies": 0, "keep_original": True}
    text = yaml.safe_dump(spec)
    folder = work / "versions" / f"{records}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    version = folder / "benchmark/1.0.0"
    if not version.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.yaml").write_text(text)
        command = [sys.executable, "-m", "augmill.scripts.cli", "build", str(folder / "spec.yaml")]
        done = subprocess.run([*command, "--output", str(folder)], capture_output=True, text=True)
        if done.returncode:
            raise RunError(f"the version to read could not be built:\n{done.stderr.strip()}")
    return version


def _beside(version: Path, name: str, write: Callable[[Path, Path], None]) -> Path:
    """Write another form of a version once, whole or not at all."""
    folder = version.parent.parent / name
    if not folder.exists():
        making = folder.with_name(f".{name}-{os.getpid()}")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        write(version, making)
        making.rename(folder)
    return folder


def _write_tars(version: Path, folder: Path) -> None:
    for shard in Version(version).manifest.splits[SPLIT].shards:
        with tarfile.open(folder / f"{shard.file}.tar", "w") as tar:
            for name, label, image in _records(version / shard.file):
                for extension, data in (("jpg", image), ("cls", str(label).encode())):
                    entry = tarfile.TarInfo(f"{name}.{extension}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))


def _write_files(version: Path, folder: Path) -> None:
    manifest = Version(version).manifest
    assert manifest.classes is not None
    for name in manifest.classes:
        (folder / name).mkdir()
    for shard in manifest.splits[SPLIT].shards:
        for name, label, image in _records(version / shard.file):
            (folder / manifest.classes[label] / f"{name}.jpg").write_bytes(image)


def _records(shard: Path) -> Iterator[tuple[str, int, bytes]]:
    """(name that no other record has, label, encoded image) of each record."""
    for _, payload in scan_records(shard):
        record = decode_example(payload)
        key = record["key"][0].decode().replace("/", "-").rpartition(".")[0]
        yield f"{key}-{record['copy'][0]}", record["label"][0], record["image"][0]
