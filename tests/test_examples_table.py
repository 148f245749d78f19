"""The table of examples says of each what the source held, where it is, and so which record is whose."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from augmill.pipeline import Version
from augmill.pipeline.example import COPY, KEY, LABEL, decode_example
from augmill.pipeline.examples_table import EXAMPLES, block_table, read_examples, write_examples
from augmill.pipeline.shard import scan_records

BAD = "cat/half.jpg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Path:
    """Crops of three classes, and a file that is cut short."""
    folder = shutil.copytree(photo_folder, tmp_path_factory.mktemp("examples") / "photos")
    (folder / BAD).write_bytes((folder / "cat/cat-001.jpg").read_bytes()[:100])
    return folder


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, publish_version: Callable[..., Version]
) -> Version:
    from augmill.pipeline import Spec

    shape = {"image": {"size": [24, 24]}, "block_examples": 8, "splits": {"train": 0.7, "test": 0.3}}
    parts = {"name": "crops", "version": "1.0.0", "source": {"folder": str(folder)}, "max_bad_fraction": 0.1}
    spec = Spec(**parts, **shape, augment=["tf.image.random_flip_left_right"])
    return publish_version(spec, tmp_path_factory.mktemp("out"))


def test_it_names_every_example_with_the_digest_of_its_file(published: Version, folder: Path) -> None:
    rows = read_examples(published.path / EXAMPLES).to_pylist()

    assert {row["key"] for row in rows} == {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert {row["key"]: row["content"] for row in rows} == {
        row["key"]: hashlib.sha256((folder / row["key"]).read_bytes()).digest() for row in rows
    }
    assert [row["key"] for row in rows if row["failed"]] == [BAD] == [bad["key"] for bad in published.failures]


def test_its_order_is_that_of_the_records_in_the_shards(published: Version) -> None:
    rows = read_examples(published.path / EXAMPLES).to_pylist()
    first_block = 0
    for name, split in published.manifest.splits.items():
        copies = len({shard.copy_number for shard in split.shards})
        blocks = len(split.shards) // copies
        for number, shard in enumerate(split.shards):
            records = [decode_example(record) for _, record in scan_records(published.path / shard.file)]
            mine = [row for row in rows if row["block"] == first_block + number % blocks and not row["failed"]]
            assert [record[KEY][0].decode() for record in records] == [row["key"] for row in mine]
            assert [record[LABEL][0] for record in records] == [row["label"] for row in mine]
            assert {row["split"] for row in mine} == {name}
            assert {record[COPY][0] for record in records} == {shard.copy_number}
        first_block += blocks


def test_a_block_is_a_row_group(published: Version) -> None:
    file = pq.ParquetFile(published.path / EXAMPLES)

    groups = [file.read_row_group(number).to_pylist() for number in range(file.num_row_groups)]

    assert [{row["block"] for row in group} for group in groups] == [{number} for number in range(len(groups))]
    assert [[row["place"] for row in group] for group in groups] == [list(range(len(group))) for group in groups]


def test_an_example_that_was_not_read_has_no_content(
    folder: Path, tmp_path: Path, publish_version: Callable[..., Version], published: Version
) -> None:
    from augmill.pipeline import Spec
    from augmill.pipeline.listing import list_source
    from augmill.pipeline.materialize import Materializer
    from augmill.pipeline.plan import make_plan
    from augmill.pipeline.workspace import Workspace

    spec = Spec(**published.manifest.spec)
    workspace, plan = Workspace(tmp_path), make_plan(spec, list_source(spec))
    workspace.prepare(spec, plan, {})
    gone = plan.rows_of(0)[3]["key"]
    before = (folder / gone).read_bytes()
    (folder / gone).unlink()
    try:
        row = Materializer(workspace)(0)
    finally:
        (folder / gone).write_bytes(before)

    keys = [planned["key"] for planned in plan.rows_of(0)]
    table = block_table(0, "train", keys, [0] * len(keys), row).to_pylist()
    assert [made["key"] for made in table if made["content"] is None] == [gone]
    with pytest.raises(ValueError, match=r"has 1 examples, and its row is about \d"):
        block_table(0, "train", keys[:1], [0], row)


def test_equal_rows_give_equal_bytes(published: Version, tmp_path: Path) -> None:
    file = pq.ParquetFile(published.path / EXAMPLES)

    write_examples(tmp_path / "again", (file.read_row_group(number) for number in range(file.num_row_groups)))

    assert (tmp_path / "again").read_bytes() == (published.path / EXAMPLES).read_bytes()


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    (tmp_path / EXAMPLES).write_bytes(b"PAR1 and nothing more")

    with pytest.raises(ValueError, match="is no table of examples"):
        read_examples(tmp_path / EXAMPLES)
