"""Blocks of a version come out of the source again with the same bytes, and what keeps them from it is named."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Version
from augmill.pipeline.examples_table import EXAMPLES, read_examples
from augmill.pipeline.reproduction import Reproduction, choose_blocks

OPS = """
import numpy as np


def shade(image: np.ndarray, seed):
    return image // 2 + np.uint8(abs(int(seed[0])) % 99)
"""


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Callable[..., Version]
) -> Iterator[Version]:
    """A version whose images are mixed with others of their block, by a spec whose paths are relative to its folder."""
    import yaml

    from augmill.pipeline import Spec

    folder = tmp_path_factory.mktemp("reproduction")
    shutil.copytree(photo_folder, folder / "photos")
    (folder / "my_shades.py").write_text(OPS)
    augment = ["tf.image.random_flip_left_right", "my_shades:shade", {"sometimes": {"p": 0.5, "do": ["mix_up"]}}]
    shape = {"splits": {"train": 0.7, "test": 0.3}, "image": {"size": [24, 24]}, "block_examples": 8, "copies": 2}
    parts = {"name": "shaded", "version": "1.0.0", "seed": 5, "source": {"folder": "photos"}, **shape}
    (folder / "spec.yaml").write_text(yaml.safe_dump({**parts, "augment": augment}))
    yield publish_version(Spec.from_yaml(folder / "spec.yaml"), folder / "data")
    sys.modules.pop("my_shades", None)


@pytest.fixture
def source(built: Version) -> Iterator[Path]:
    """The source's folder, which is as it was when the test is over."""
    folder = built.path.parents[2] / "photos"
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    yield folder
    for path in folder.rglob("*.*"):
        path.unlink()
    for path, data in before.items():
        path.write_bytes(data)


def _keys(version: Version, block: int) -> list[str]:
    rows = read_examples(version.path / EXAMPLES).to_pylist()
    return [row["key"] for row in rows if row["block"] == block]


def _differences(version: Version, blocks: list[int]) -> dict[int, str]:
    outcomes = Reproduction(version).run(blocks)
    return {outcome.block: str(outcome.difference) for outcome in outcomes if outcome.difference}


def test_every_block_comes_out_the_same(built: Version, augmill: Callable[..., Any]) -> None:
    done = augmill("reproduce", built.path, "--blocks", 99)

    assert (done.code, done.err) == (0, "")
    blocks = len({row["block"] for row in read_examples(built.path / EXAMPLES).to_pylist()})
    assert f"{blocks} of {blocks} blocks made again, the same {built.records} records" in done.out


def test_blocks_are_drawn_by_the_seed() -> None:
    assert choose_blocks(1000, 3, seed=1) == choose_blocks(1000, 3, seed=1) != choose_blocks(1000, 3, seed=2)
    assert choose_blocks(5, 9, seed=1) == [0, 1, 2, 3, 4]
    assert {block for seed in range(60) for block in choose_blocks(8, 1, seed)} == set(range(8))


def test_a_changed_image_is_named_and_other_blocks_are_the_same(built: Version, source: Path) -> None:
    key = sorted(_keys(built, 1))[0]
    Image.fromarray(255 - np.asarray(Image.open(source / key))).save(source / key)

    wrong = _differences(built, [0, 1, 2])

    # Others are mixed with it, and the first that differs may be one of these.
    assert list(wrong) == [1]
    assert "it differs in its" in wrong[1] and "image" in wrong[1]


def test_a_grown_source_gives_the_old_blocks_and_says_that_it_grew(built: Version, source: Path) -> None:
    for path in sorted((source / "cat").iterdir()):
        shutil.copy(path, source / "cat" / f"a-{path.name}")
    reproduction = Reproduction(built)

    outcomes = list(reproduction.run(list(range(reproduction.blocks))))

    assert [outcome.difference for outcome in outcomes] == [None] * reproduction.blocks
    assert reproduction.changes == ["the source changed (48 examples then, 64 now)"]


def test_what_is_gone_and_what_can_no_longer_be_read_is_named(built: Version, source: Path) -> None:
    gone, broken = _keys(built, 0)[2], _keys(built, 2)[3]
    (source / gone).unlink()
    (source / broken).write_bytes((source / broken).read_bytes()[:60])

    wrong = _differences(built, [0, 1, 2])

    assert wrong[0].startswith(f"{gone} (record 2 of ") and wrong[0].endswith("the source no longer holds it")
    assert list(wrong) == [0, 2]
    assert f"{broken}, copy 0" in wrong[2] or "it differs" in wrong[2]


def test_a_changed_module_is_told_with_the_record(
    built: Version, augmill: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = built.path.parents[2] / "my_shades.py"
    module.write_text(OPS.replace("image // 2", "image // 3"))
    monkeypatch.delitem(sys.modules, "my_shades")
    try:
        done = augmill("reproduce", built.path, "--blocks", 1, "--json")
    finally:
        module.write_text(OPS)
        sys.modules.pop("my_shades", None)

    told = json.loads(done.out)
    assert done.code == 1
    assert (told["same"], told["changed_since"]) == (False, ["module my_shades changed"])
    assert told["blocks"][0]["difference"]["copy"] == 1  # the originals are as they were
    assert "1 of 1 block made again are not the same (module my_shades changed)" in done.err
    assert "it differs in its image" in done.err


def test_a_damaged_shard_is_not_taken_for_the_source(built: Version, tmp_path: Path) -> None:
    copied = Version(shutil.copytree(built.path, tmp_path / "1.0.0"))
    shard = copied.manifest.splits["train"].shards[0]
    data = bytearray((copied.path / shard.file).read_bytes())
    data[50] ^= 1
    (copied.path / shard.file).write_bytes(data)

    assert "it is damaged" in _differences(copied, [0])[0]
