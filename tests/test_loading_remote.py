"""A version at a URL is loaded as one on this machine is: the same batches, through the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Loader, Spec, Version, load
from augmill.pipeline.errors import VersionError


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    parts: dict[str, Any] = {"source": {"folder": str(photo_folder)}, "image": {"size": [28, 20], "encoding": "jpeg"}}
    spec = Spec(name="crops", version="1.0.0", copies=2, block_examples=12, augment=["tf.image.flip_up_down"], **parts)
    published: Version = publish_version(spec, tmp_path_factory.mktemp("remote"))
    return published


@pytest.fixture(params=["gcs", "s3", "http", "file"])
def remote(
    request: pytest.FixtureRequest, version: Version, serve: Callable[[Path], Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The version's URL at each kind of storage, and what its file system is to be told."""
    if request.param == "http":
        yield serve(version.path).url, {}
    elif request.param == "file":
        yield version.path.as_uri(), {}
    else:
        bucket = request.getfixturevalue(request.param)
        yield bucket.put(version.path, "loading/1.0.0"), bucket.options


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_its_batches_are_those_of_the_version_on_this_machine(
    remote: tuple[str, dict[str, Any]], version: Version, tmp_path: Path
) -> None:
    url, options = remote
    away: dict[str, Any] = {"cache": tmp_path / "cache", "storage_options": options}
    local, distant = Loader(version.path, batch_size=8, seed=3), Loader(url, batch_size=8, seed=3, **away)

    assert distant.state_dict() == local.state_dict()
    for mine, theirs in zip(local, distant, strict=True):
        assert _same(mine, theirs)
    streams = (load(path, batch_size=8, epoch=2, start_step=4, **more) for path, more in ((version, {}), (url, away)))
    for one, other in zip(*streams, strict=True):
        assert _same({name: part.numpy() for name, part in one.items()}, {n: p.numpy() for n, p in other.items()})


def test_a_second_epoch_downloads_nothing(version: Version, serve: Callable[[Path], Any], tmp_path: Path) -> None:
    web = serve(version.path)
    loader = Loader(web.url, batch_size=8, copies="all", cache=tmp_path / "cache")
    for _ in loader:
        pass
    asked = len(web.asked)
    assert sorted(name for name in web.asked if ".tfrecord-" in name and "index" not in name) == sorted(
        shard.file for shard in version.manifest.splits["train"].shards
    )
    for _ in loader:
        pass
    assert len(web.asked) == asked
    for _ in Loader(web.url, batch_size=8, cache=tmp_path / "cache"):  # another process would find them as well
        pass
    assert web.asked[asked:] == ["augmill.json"]


def test_a_shard_that_is_not_the_published_one_is_named(
    version: Version, serve: Callable[[Path], Any], tmp_path: Path
) -> None:
    import shutil

    copied = shutil.copytree(version.path, tmp_path / "1.0.0")
    shard = version.manifest.splits["train"].shards[0].file
    data = bytearray((copied / shard).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / shard).write_bytes(data)

    loader = Loader(serve(copied).url, batch_size=8, cache=tmp_path / "cache")
    with pytest.raises(VersionError, match=shard):
        list(loader)


def test_what_is_not_there_is_told_by_its_url(serve: Callable[[Path], Any], tmp_path: Path, version: Version) -> None:
    web = serve(version.path)
    with pytest.raises(VersionError, match=r"http://127.0.0.1:\d+ has no split 'val'"):
        Loader(web.url, split="val", cache=tmp_path / "cache")
    with pytest.raises(VersionError, match="is not a version"):
        Loader(serve(tmp_path).url, cache=tmp_path / "cache")


def test_the_shards_to_come_are_asked_for_in_their_order(version: Version) -> None:
    from augmill.pipeline.selection import select

    order = select(version, "train", "all").order(seed=5, epoch=1, shuffle=True)
    total = len(order)
    for start in (0, total // 2, total - 1):
        met = list(dict.fromkeys(shard for shard, _ in order.between(start, total)))
        assert set(met) <= set(order.shards_from(start))
    assert sorted(order.shards_from(0)) == list(range(len(version.manifest.splits["train"].shards)))
