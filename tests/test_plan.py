"""The plan: splits, blocks and shards, decided from keys alone."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from augmill.pipeline.annotation_info import AnnotationInfo
from augmill.pipeline.errors import SourceError
from augmill.pipeline.folder_source import list_folder
from augmill.pipeline.plan import BlockReader, Plan, make_plan
from augmill.pipeline.source import Address, BadExample, Listing, make_table
from augmill.pipeline.splits import split_by_key

SHARES = {"train": 0.75, "validation": 0.15, "test": 0.1}
MakeSpec = Callable[..., Any]


def listing_of(count: int, classes: int = 4, split: Callable[[int], str | None] = lambda i: None) -> Listing:
    """A listing sorted by class, as a folder's is."""
    each = -(-count // classes)
    addresses = [
        Address(f"class{i // each}/{i:06d}.jpg", f"class{i // each}/{i:06d}.jpg", 0, 900 + i % 77, i // each, split(i))
        for i in range(count)
    ]
    names = [f"class{i}" for i in range(classes)]
    return Listing(Path("/photos"), "file", None, make_table(addresses, "photos"), names)


def parquet_bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def keys_by_split(plan: Plan) -> dict[str, set[str]]:
    keys, blocks = (plan.table.column(name).to_pylist() for name in ("key", "block"))
    found: dict[str, set[str]] = {name: set() for name in plan.splits}
    for key, block in zip(keys, blocks, strict=True):
        found[plan.split_of(block)].add(key)
    return found


def test_every_photo_of_a_folder_stands_in_the_plan_once(make_spec: MakeSpec, photo_folder: Path) -> None:
    listing = list_folder(photo_folder)
    plan = make_plan(make_spec(), listing)
    columns = ["key", "uri", "offset", "length", "label"]
    assert plan.table.select(columns).sort_by("key").equals(listing.addresses.select(columns))
    assert (plan.root, plan.container, plan.classes) == (str(photo_folder), "file", ["cat", "coffee", "galaxy"])
    assert plan.examples == 48 and list(plan.splits) == ["train", "test"]


def test_the_order_of_the_listing_has_no_say(make_spec: MakeSpec) -> None:
    spec, listing = make_spec(splits=SHARES), listing_of(500)
    expected = make_plan(spec, listing)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(500)
        shuffled = make_plan(spec, replace(listing, addresses=listing.addresses.take(pa.array(order))))
        assert parquet_bytes(shuffled.table) == parquet_bytes(expected.table)
        assert shuffled.splits == expected.splits


def test_a_keys_split_is_the_same_in_every_release() -> None:
    found = split_by_key([f"cat/{i}.jpg" for i in range(12)], SHARES).tolist()
    assert found == ["train"] * 4 + ["test"] + ["train"] * 3 + ["validation"] + ["train"] * 3


def test_splits_come_near_their_shares() -> None:
    keys = [f"class{i % 10}/IMG_{i:05d}.jpg" for i in range(20_000)]
    found = Counter(split_by_key(keys, SHARES).tolist())
    expected = [share * len(keys) for share in SHARES.values()]
    assert stats.chisquare([found[name] for name in SHARES], expected).pvalue > 0.01


def test_splits_come_near_their_shares_within_every_class() -> None:
    for label in range(5):
        keys = [f"class{label}/IMG_{i:05d}.jpg" for i in range(4_000)]
        found = Counter(split_by_key(keys, SHARES).tolist())
        assert stats.chisquare([found[n] for n in SHARES], [s * 4_000 for s in SHARES.values()]).pvalue > 0.001


@pytest.mark.parametrize(
    "shares", [{"train": 0.0, "test": 1.0}, {"train": 1.0, "zoo": 0.0}, {"a": 0.5, "b": 0, "c": 0.5}]
)
def test_a_split_with_no_share_gets_nothing(shares: dict[str, float]) -> None:
    found = set(split_by_key([f"{i}.jpg" for i in range(3_000)], shares).tolist())
    assert found == {name for name, share in shares.items() if share > 0}


def test_what_rounding_leaves_over_goes_to_a_split_that_has_a_share() -> None:
    keys = [f"{i}.jpg" for i in range(3_000)]
    assert set(split_by_key(keys, {"a": 0.5, "b": 0.4, "zoo": 0.0}).tolist()) == {"a", "b"}


def test_the_order_in_which_splits_are_written_says_nothing() -> None:
    keys = [f"{i}.jpg" for i in range(1_000)]
    backwards = dict(reversed(SHARES.items()))
    assert split_by_key(keys, SHARES).tolist() == split_by_key(keys, backwards).tolist()


def test_the_seed_moves_no_example_to_another_split(make_spec: MakeSpec) -> None:
    plans = [make_plan(make_spec(splits=SHARES, seed=seed), listing_of(600)) for seed in (0, 1, 12345)]
    assert keys_by_split(plans[0]) == keys_by_split(plans[1]) == keys_by_split(plans[2])
    orders = [plan.table.column("key").to_pylist() for plan in plans]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_more_examples_move_no_other_to_another_split(make_spec: MakeSpec) -> None:
    listing = listing_of(600)
    few = replace(listing, addresses=listing.addresses.take(pa.array(range(0, 600, 3))))
    all_of_them, some = (keys_by_split(make_plan(make_spec(splits=SHARES), each)) for each in (listing, few))
    for name, keys in some.items():
        assert keys <= all_of_them[name]


def test_the_sources_own_splits_are_kept(make_spec: MakeSpec) -> None:
    listing = listing_of(90, split=lambda i: ["test", "train", "validation"][i % 3])
    plan = make_plan(make_spec(splits=None), listing)
    assert list(plan.splits) == ["train", "test", "validation"]
    rows = listing.addresses.to_pylist()
    for name, keys in keys_by_split(plan).items():
        assert keys == {row["key"] for row in rows if row["split"] == name}


def test_splits_in_both_the_source_and_the_spec_are_refused(make_spec: MakeSpec) -> None:
    listing = listing_of(9, split=lambda i: ["test", "train"][i % 2])
    with pytest.raises(SourceError, match=r"splits of its own \(test, train\)"):
        make_plan(make_spec(splits=SHARES), listing)


def test_without_splits_anywhere_all_is_train(make_spec: MakeSpec) -> None:
    assert {
        name: split.examples for name, split in make_plan(make_spec(splits=None), listing_of(50)).splits.items()
    } == {"train": 50}


def test_settings_about_annotations_that_are_not_there_are_refused(make_spec: MakeSpec) -> None:
    masks = replace(listing_of(9), annotations=AnnotationInfo(kinds=("masks",), mask_classes=("sky", "sea")))
    with pytest.raises(SourceError, match=r"annotations.min_area is about boxes, and of these .* are: none"):
        make_plan(make_spec(annotations={"min_area": 3}), listing_of(9))
    with pytest.raises(SourceError, match=r"min_visibility is about boxes.* are: masks; annotations.reject_empty"):
        make_plan(make_spec(annotations={"min_visibility": 0.5, "reject_empty": True}), masks)
    with pytest.raises(SourceError, match="mask_fill 256 does not fit masks of 8 bits, with ids to 255"):
        make_plan(make_spec(annotations={"mask_fill": 256}), masks)
    with pytest.raises(SourceError, match="mask_fill 2 is no class; choose one of 0 to 1, or 255 for none"):
        make_plan(make_spec(annotations={"mask_fill": 2}), masks)
    assert make_plan(make_spec(annotations={"mask_fill": 255}), masks).annotations == masks.annotations


def test_nothing_to_train_on_is_refused(make_spec: MakeSpec) -> None:
    with pytest.raises(SourceError, match="train"):
        make_plan(make_spec(splits={"test": 1.0}), listing_of(20))
    assert make_plan(make_spec(splits={"test": 1.0}, copies=0), listing_of(20)).splits["test"].examples == 20


@pytest.mark.parametrize("wanted", [1, 7, 10, 64, 1000])
def test_blocks_are_even_and_no_larger_than_asked_for(wanted: int, make_spec: MakeSpec) -> None:
    plan = make_plan(make_spec(splits=SHARES, block_examples=wanted), listing_of(300))
    sizes = Counter(plan.table.column("block").to_pylist())
    assert sorted(sizes) == list(range(plan.blocks))
    for split in plan.splits.values():
        mine = [sizes[block] for block in range(split.first_block, split.first_block + split.blocks)]
        assert sum(mine) == split.examples
        assert max(mine) <= wanted and max(mine) - min(mine) <= 1
        assert split.blocks == -(-split.examples // wanted)


@pytest.mark.parametrize(("examples", "blocks"), [(1, 1), (32, 1), (33, 2), (1_024, 32), (20_000, 32), (32_001, 33)])
def test_blocks_are_sized_to_keep_a_few_workers_busy(examples: int, blocks: int, make_spec: MakeSpec) -> None:
    plan = make_plan(make_spec(splits=None, block_examples=None), listing_of(examples))
    assert plan.blocks == blocks


def test_examples_sorted_by_class_are_mixed_within_each_block(make_spec: MakeSpec) -> None:
    plan = make_plan(make_spec(splits=None, block_examples=250), listing_of(2_000))
    blocks, labels = (plan.table.column(name).to_numpy() for name in ("block", "label"))
    for block in range(plan.blocks):
        mine = labels[blocks == block]
        assert stats.chisquare(np.bincount(mine, minlength=4)).pvalue > 0.001
        neighbours_alike = (mine[1:] == mine[:-1]).mean()
        assert 0.1 < neighbours_alike < 0.4  # a quarter by chance, nearly all in the listing


def test_shards_are_copy_major_and_named_for_their_block(make_spec: MakeSpec) -> None:
    spec = make_spec(splits=SHARES, copies=2, block_examples=40)
    plan = make_plan(spec, listing_of(300))
    train = plan.splits["train"]
    names = [plan.shard_of(spec, block, copy) for copy in (0, 1, 2) for block in range(train.blocks)]
    assert names == plan.shards(spec, "train")
    assert names[train.blocks + 1] == f"crops-train.tfrecord-{train.blocks + 1:05d}-of-{3 * train.blocks:05d}"


def test_without_originals_the_first_shards_are_copy_1(make_spec: MakeSpec) -> None:
    spec = make_spec(splits=None, copies=2, keep_original=False, block_examples=40)
    plan = make_plan(spec, listing_of(80))
    assert [plan.shard_of(spec, block, copy) for copy in (1, 2) for block in (0, 1)] == plan.shards(spec, "train")
    with pytest.raises(ValueError, match="0"):
        plan.shard_of(spec, 0, 0)


def test_only_train_has_more_than_copy_0(make_spec: MakeSpec) -> None:
    spec = make_spec(splits=SHARES, copies=2, block_examples=10)
    plan = make_plan(spec, listing_of(300))
    for name in ("validation", "test"):
        split = plan.splits[name]
        blocks = range(split.first_block, split.first_block + split.blocks)
        assert [plan.shard_of(spec, block, 0) for block in blocks] == plan.shards(spec, name)
        with pytest.raises(ValueError, match="1"):
            plan.shard_of(spec, split.first_block, 1)
    examples = {name: split.examples for name, split in plan.splits.items()}
    assert plan.records(spec) == {**examples, "train": 3 * examples["train"]}


def test_a_block_on_disk_is_a_row_group_of_exactly_its_rows(make_spec: MakeSpec, tmp_path: Path) -> None:
    plan = make_plan(make_spec(splits=SHARES, block_examples=30), listing_of(300))
    plan.write(tmp_path / "plan.parquet")
    assert pq.ParquetFile(tmp_path / "plan.parquet").num_row_groups == plan.blocks
    rows = plan.table.to_pylist()
    for block in range(plan.blocks):
        assert BlockReader(tmp_path / "plan.parquet").read(block) == [row for row in rows if row["block"] == block]
    assert [path.name for path in tmp_path.iterdir()] == ["plan.parquet"]


def test_the_head_of_a_plan_is_read_back_as_written(make_spec: MakeSpec, tmp_path: Path) -> None:
    bad = [BadExample("b", "b.rec", "train", "größe"), BadExample("a", "a.rec", None, 'no "image"')]
    known = AnnotationInfo(kinds=("boxes",), classes=("cat",), features={"boxes": ["a", "b", "c", "d"]})
    plan = make_plan(make_spec(splits=SHARES), replace(listing_of(100), bad=bad, annotations=known))
    plan.write(tmp_path / "plan.parquet")
    read = Plan.read(tmp_path / "plan.parquet")
    assert plan.bad == bad[::-1]
    assert read == replace(plan, table=read.table)
    assert read.table.num_rows == 0 and read.examples == 100


def test_a_plans_digest_follows_seed_keys_labels_and_sizes(make_spec: MakeSpec) -> None:
    spec, listing = make_spec(splits=SHARES), listing_of(100)

    def with_column(name: str, values: list[Any]) -> Listing:
        place = listing.addresses.schema.get_field_index(name)
        column = pa.array(values, listing.addresses.schema.field(name).type)
        return replace(listing, addresses=listing.addresses.set_column(place, name, column))

    def with_last(name: str, value: Any) -> list[Any]:
        return [*listing.addresses.column(name).to_pylist()[:-1], value]

    plans = [
        make_plan(spec, listing),
        make_plan(make_spec(splits=SHARES, seed=4), listing),
        make_plan(make_spec(splits=SHARES, block_examples=9), listing),
        make_plan(make_spec(splits={"train": 0.5, "test": 0.5}), listing),
        make_plan(spec, listing_of(101)),
        *(
            make_plan(spec, with_column(name, with_last(name, value)))
            for name, value in (("key", "class3/last.jpg"), ("label", 0), ("length", 5))
        ),
        make_plan(spec, replace(listing, classes=["a", "b", "c", "d"])),
    ]
    assert len({plan.digest() for plan in plans}) == len(plans)
    assert make_plan(spec, listing_of(100)).digest() == plans[0].digest()
