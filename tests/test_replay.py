"""Replay: two hundred records of a mixed policy, byte for byte, and what is said where it is not so."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Version
from augmill.pipeline.errors import SourceError, VersionError
from augmill.pipeline.example import COPY, KEY, decode_example
from augmill.pipeline.replay import Replayer, find_record, replay
from augmill.pipeline.shard import scan_records

# Ops of every kind: exact ones, floats in a row, published policies, compositions, mixes and a function.
MIXED: list[Any] = [
    "tf.image.random_flip_left_right",
    {"tf.image.sample_distorted_bounding_box": {"size": [40, 40], "area_range": [0.4, 1.0]}},
    {"keras.layers.RandomRotation": {"factor": 0.1}},
    {"keras.layers.RandomBrightness": {"factor": 0.2}},
    {"keras.layers.RandomContrast": {"factor": 0.3}},
    {"one_of": ["rand_augment", "auto_augment", "trivial_augment_wide", "aug_mix"]},
    {"sometimes": {"p": 0.5, "do": [{"keras.layers.RandomElasticTransform": {"scale": 0.5}}, "my_replay:shade"]}},
    {"some_of": {"n": [0, 2], "do": ["keras.layers.RandomErasing", "keras.layers.RandomGrayscale", "mix_up"]}},
    {"sometimes": {"p": 0.3, "do": [{"cut_mix": {"alpha": 1.0}}]}},
]
SHADE = """
import numpy as np


def shade(image: np.ndarray, seed):
    return image // 2 + np.uint8(abs(int(seed[0])) % 99)
"""


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Callable[..., Version]
) -> Version:
    """A version of the mixed policy, from a spec whose paths are relative to its folder."""
    import yaml

    from augmill.pipeline import Spec

    folder = tmp_path_factory.mktemp("replay")
    shutil.copytree(photo_folder, folder / "photos")
    (folder / "my_replay.py").write_text(SHADE)
    parts = {"name": "mixed", "version": "1.0.0", "seed": 11, "source": {"folder": "photos"}, "copies": 6}
    shape = {"splits": {"train": 0.8, "test": 0.2}, "image": {"size": [48, 48]}, "block_examples": 8}
    (folder / "spec.yaml").write_text(yaml.safe_dump({**parts, **shape, "augment": MIXED}))
    return publish_version(Spec.from_yaml(folder / "spec.yaml"), folder / "data")


def records_of(version: Version) -> list[tuple[str, int]]:
    found = []
    for split in version.manifest.splits.values():
        for shard in split.shards:
            for _, record in scan_records(version.path / shard.file):
                example = decode_example(record)
                found.append((example[KEY][0].decode(), example[COPY][0]))
    return found


def test_two_hundred_records_are_made_again_byte_for_byte(built: Version) -> None:
    records = random.Random(0).sample(records_of(built), 200)
    replayer = Replayer(built)
    steps = 0
    for key, copy in records:
        replayed = replayer(key, copy)
        assert replayed.same, (key, copy, replayed.differing(), replayed.steps)
        assert (replayed.key, replayed.copy, replayed.changes) == (key, copy, [])
        steps += len(replayed.steps)
    assert steps > 1000
    assert {copy for _, copy in records} == set(range(7))


def test_the_record_found_is_the_one_asked_for(built: Version) -> None:
    for key, copy in random.Random(1).sample(records_of(built), 10):
        example = decode_example(find_record(built, key, copy)[1])
        assert (example[KEY], example[COPY]) == ([key.encode()], [copy])


def test_a_record_that_is_not_there_is_told_with_what_is(built: Version) -> None:
    key = records_of(built)[0][0]
    with pytest.raises(VersionError, match=r"has no record of 'cat/none.jpg', copy 1; no example of a split"):
        replay(built, "cat/none.jpg", 1)
    with pytest.raises(VersionError, match=r"copy 7; its copies are 0 to 6$"):
        replay(built, key, 7)


def test_a_changed_source_image_gives_other_bytes_and_says_so(
    built: Version, augmill: Callable[..., Any], tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(built.path.parents[2], moved)
    version = moved / "data" / "mixed" / "1.0.0"
    manifest = (version / "augmill.json").read_text()
    (version / "augmill.json").write_text(manifest.replace(str(built.path.parents[2]), str(moved)))
    key, copy = next(pair for pair in records_of(built) if pair[1] == 2)
    done = augmill("replay", version, key, copy)
    assert (done.code, done.err) == (0, "")
    assert "made again: the same" in done.out and key in done.out

    path = moved / "photos" / key
    Image.fromarray(np.roll(np.asarray(Image.open(path)), 3, axis=0)).save(path)
    done = augmill("replay", version, key, copy)
    assert done.code == 1
    assert f"{key}, copy {copy} is not the same again in its image (" in done.err
    assert "has the source image?" in done.err
    path.unlink()
    done = augmill("replay", version, key, copy)
    assert done.code == 2
    assert f"no longer holds '{key}'" in done.err


def test_a_changed_function_is_named(built: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    from augmill.pipeline import lineage

    monkeypatch.setattr(lineage, "file_sha256", lambda path: "another")
    monkeypatch.setattr(lineage, "library_versions", lambda: {"numpy": "0.1"})
    monkeypatch.setitem(built.manifest.libraries, "numpy", "9.9")
    key, copy = records_of(built)[0]
    assert replay(built, key, copy).changes == ["module my_replay changed", "numpy went from 9.9 to 0.1"]


def test_a_function_that_fails_now_is_told_without_a_traceback(
    built: Version, augmill: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(image: np.ndarray, seed: Any) -> np.ndarray:
        raise ZeroDivisionError("no light")

    shaded = (pair for pair in records_of(built) if b"my_replay:shade" in find_record(built, *pair)[1])
    key, copy = next(shaded)
    replay(built, key, copy)  # the module is imported
    monkeypatch.setattr(sys.modules["my_replay"], "shade", broken)
    done = augmill("replay", built.path, key, copy)
    assert done.code == 1
    assert (
        f"{key}, copy {copy} cannot be made again: my_replay:shade failed with ZeroDivisionError: no light" in done.err
    )


def test_a_replay_is_told_as_json_and_drawn(built: Version, augmill: Callable[..., Any], tmp_path: Path) -> None:
    import json

    key, copy = next(pair for pair in records_of(built) if pair[1] == 3)
    done = augmill("replay", built.path, key, copy, "--json", "-o", tmp_path / "made.png")
    told = json.loads(done.out)
    assert told["same"] and told["key"] == key and told["copy"] == 3 and told["differing"] == []
    assert told["steps"][0]["op"] == "tf.image.random_flip_left_right"
    assert np.asarray(Image.open(tmp_path / "made.png")).std() > 5
    assert augmill("replay", built.path, key, copy, "-o", "made.gif").code == 2


def test_a_source_that_is_gone_is_told(built: Version, tmp_path: Path) -> None:
    copied = tmp_path / "1.0.0"
    shutil.copytree(built.path, copied)
    manifest = (copied / "augmill.json").read_text()
    (copied / "augmill.json").write_text(manifest.replace(str(built.path.parents[2]), str(tmp_path / "nowhere")))
    with pytest.raises(SourceError, match="nowhere"):
        replay(Version(copied), *records_of(built)[0])
