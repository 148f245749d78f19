"""A shard is a function of spec, source and libraries: not of the workers, the mode, the order of work or a crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Spec, Version, build, folder_source


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Version:
    """The version that one worker builds."""
    return build(_spec(photo_folder), tmp_path_factory.mktemp("reference"), workers=1)


def _spec(folder: Path) -> Spec:
    return Spec(
        name="crops",
        version="1.0.0",
        seed=3,
        source={"folder": str(folder)},
        splits={"train": 0.75, "test": 0.25},
        image={"size": [32, 32], "encoding": "jpeg"},
        copies=2,
        block_examples=8,
        augment=[
            "tf.image.random_flip_left_right",
            {"tf.image.random_saturation": {"lower": 0.5, "upper": 1.5}},
            {"sometimes": {"p": 0.5, "do": [{"keras.layers.RandomRotation": {"factor": 0.1}}]}},
            {"keras.layers.RandomErasing": {"factor": [1.0, 1.0]}},
        ],
    )


@pytest.mark.parametrize(
    ("workers", "beam_options"),
    [
        (2, []),
        (1, ["--direct_running_mode=multi_processing"]),
        (1, ["--direct_running_mode=multi_threading"]),
        (2, ["--direct_running_mode=multi_threading"]),
        (2, ["--direct_runner_bundle_repeat=1"]),
    ],
)
def test_workers_and_modes_have_no_say(
    reference: Version, photo_folder: Path, tmp_path: Path, workers: int, beam_options: list[str]
) -> None:
    version = build(_spec(photo_folder), tmp_path, workers=workers, beam_options=beam_options)

    assert _shard_digests(version) == _shard_digests(reference)
    assert version.manifest.effects == reference.manifest.effects


def test_the_order_of_the_listing_and_the_place_of_the_source_have_no_say(
    reference: Version,
    photo_folder: Path,
    tmp_path: Path,
    publish_version: Callable[..., Version],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved = shutil.copytree(photo_folder, tmp_path / "moved")
    files = folder_source.walk_files
    monkeypatch.setattr(folder_source, "walk_files", lambda root, **how: reversed(list(files(root, **how))))

    version = publish_version(_spec(moved), tmp_path / "out")

    assert _shard_digests(version) == _shard_digests(reference)


def test_another_seed_gives_other_bytes(
    reference: Version, photo_folder: Path, tmp_path: Path, publish_version: Callable[..., Version]
) -> None:
    spec = Spec(**{**_spec(photo_folder).canonical(), "seed": 4})

    version = publish_version(spec, tmp_path)

    assert set(_shard_digests(version).values()).isdisjoint(_shard_digests(reference).values())


def _shard_digests(version: Any) -> dict[str, str]:
    return {shard.file: shard.sha256 for split in version.manifest.splits.values() for shard in split.shards}
