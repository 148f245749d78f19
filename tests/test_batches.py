"""Batches of serialized records: those that the order names, window after window, however many threads read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline import Loader, Version, batches
from augmill.pipeline.batches import Payloads, read_batches
from augmill.pipeline.errors import VersionError
from augmill.pipeline.manifest import Shard
from augmill.pipeline.order import Order
from augmill.pipeline.reading import RecordReader
from augmill.pipeline.shard import ShardWriter
from augmill.pipeline.share import Share
from augmill.pipeline.version_files import VersionFiles

LENGTHS = [70, 0, 3, 41, 16]
TOTAL = sum(LENGTHS)


class Folder:
    """As much of a version as is read here: shards whose records say which they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "index").mkdir()
        self.shards = []
        for shard, length in enumerate(LENGTHS):
            with ShardWriter(path, path / "index", f"shard-{shard}") as writer:
                for number in range(length):
                    writer.write(f"{shard} {number}".encode())
                self.shards.append(Shard(**writer.finish()._asdict(), copy=0))

        self.location = str(path)

    def open_files(self, cache: None = None) -> VersionFiles:
        return VersionFiles(self.path, [name for one in self.shards for name in (one.file, f"index/{one.file}.npy")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("batches"))


def read(folder: Any, share: Share, *, window: int = 2) -> Iterator[Payloads]:
    return read_batches(Order(LENGTHS, seed=2, window=window), share, RecordReader(folder, folder.shards))


def names(payloads: list[Payloads]) -> list[list[tuple[int, ...]]]:
    return [[tuple(map(int, bytes(record).split())) for record in batch.records] for batch in payloads]


@pytest.mark.parametrize("window", [1, 2, 100])
def test_batches_are_the_order_cut_in_pieces(folder: Folder, window: int) -> None:
    order = Order(LENGTHS, seed=2, window=window).between(0, TOTAL)
    for start in range(TOTAL + 1):
        found = names(list(read(folder, Share(TOTAL, 9, start=start), window=window)))
        assert found == [order[first : first + 9] for first in range(start, TOTAL, 9)]


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_ranks_read_their_own_records_alone(folder: Folder, world_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    of_shard = RecordReader.read
    monkeypatch.setattr(
        RecordReader, "read", lambda self, shard, numbers: asked.extend(numbers) or of_shard(self, shard, numbers)
    )
    ranks = [list(read(folder, Share(TOTAL, 4, rank, world_size, 5, "pad"))) for rank in range(world_size)]
    alone = list(read(folder, Share(TOTAL, 4 * world_size, 0, 1, 5, "pad")))

    steps = [[record for batch in step for record in batch] for step in zip(*map(names, ranks), strict=True)]
    assert steps == names(alone)
    assert len(asked) == 2 * len(alone) * 4 * world_size


def test_the_number_of_threads_has_no_say(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for threads in (1, 2, 7):
        monkeypatch.setattr(batches, "_READERS", threads)
        monkeypatch.setattr(batches, "_TASK", 1 + threads)
        found.append(names(list(read(folder, Share(TOTAL, 9)))))
    assert found[0] == found[1] == found[2]


def test_a_shard_that_is_missing_ends_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (folder.path / "shard-3").unlink()
    with pytest.raises(VersionError, match="shard-3 or its index cannot be read"):
        list(read(folder, Share(TOTAL, 9)))


def test_a_loader_goes_through_many_windows(
    photo_folder: Path, tmp_path: Path, publish_version: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augmill.pipeline import Spec

    parts = {"image": {"size": [28, 20], "encoding": "png"}, "copies": 2, "block_examples": 20, "augment": []}
    parts["augment"] = ["tf.image.random_flip_left_right"]
    spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, **parts)
    version: Version = publish_version(spec, tmp_path)
    monkeypatch.setattr("augmill.pipeline.selection.WINDOW", 2)
    for copies in ("all", "rotate"):
        loader = Loader(version, batch_size=7, seed=1, copies=copies)
        whole = [(key, copy) for batch in loader for key, copy in zip(batch["key"], batch["copy"], strict=True)]
        assert len(set(whole)) == len(whole) == loader.samples_an_epoch
        for start in range(0, len(whole), 5):
            loader.seek(epoch=0, samples=start)
            streamed = loader.dataset().as_numpy_iterator()
            rest = [(key, copy) for b in streamed for key, copy in zip(b["key"], b["copy"], strict=True)]
            assert rest == whole[start:]
