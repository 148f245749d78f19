"""The loader streams what is stored, in an order that is a function of its arguments."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Loader, Spec, Version, load
from augmill.pipeline.errors import StateError, VersionError
from augmill.pipeline.example import decode_example
from augmill.pipeline.image import decode_image
from augmill.pipeline.mask import decode_mask
from augmill.pipeline.shard import scan_records


def _spec(photo_folder: Path, **changes: Any) -> Spec:
    parts: dict[str, Any] = {
        "name": "crops",
        "version": "1.0.0",
        "source": {"folder": str(photo_folder)},
        "image": {"size": [28, 20], "encoding": "png"},
        "splits": {"train": 0.8, "test": 0.2},
        "copies": 3,
        "block_examples": 12,
        "augment": ["tf.image.random_flip_left_right", {"tf.image.random_hue": {"max_delta": 0.2}}],
    }
    return Spec(**{**parts, **changes})


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Any) -> Version:
    published: Version = publish_version(_spec(photo_folder), tmp_path_factory.mktemp("loader"))
    return published


def _ids(dataset: Any) -> list[tuple[str, int]]:
    """The (key, copy) of every record, in order."""
    return [
        (key.decode(), int(copy))
        for batch in dataset.as_numpy_iterator()
        for key, copy in zip(batch["key"], batch["copy"], strict=True)
    ]


def _stored(version: Version, split: str) -> dict[tuple[str, int], dict[str, list[Any]]]:
    records = {}
    for shard in version.manifest.splits[split].shards:
        for _, payload in scan_records(version.path / shard.file):
            record = decode_example(payload)
            records[record["key"][0].decode(), record["copy"][0]] = record
    return records


def test_an_epoch_holds_every_record_once_with_its_own_pixels_and_label(version: Version) -> None:
    stored = _stored(version, "train")

    met = []
    for batch in load(version.path, batch_size=10).as_numpy_iterator():
        for i, key in enumerate(batch["key"]):
            record = stored[key.decode(), int(batch["copy"][i])]
            met.append((key, int(batch["copy"][i])))
            np.testing.assert_array_equal(batch["image"][i], decode_image(record["image"][0]))
            assert batch["label"][i] == record["label"][0]
            assert batch["augmentation"][i] == record["augmentation"][0]
    assert len(met) == len(set(met)) == len(stored)


def test_the_order_is_a_function_of_seed_and_epoch(version: Version) -> None:
    first = _ids(load(version, seed=1, epoch=0))

    assert _ids(load(version, seed=1, epoch=0)) == first
    assert _ids(load(version, seed=1, epoch=0, batch_size=7)) == first
    for other in (_ids(load(version, seed=1, epoch=1)), _ids(load(version, seed=2, epoch=0))):
        assert other != first
        assert Counter(other) == Counter(first)


def test_train_is_mixed_and_other_splits_are_not(version: Version) -> None:
    stored_train, stored_test = list(_stored(version, "train")), list(_stored(version, "test"))

    assert _ids(load(version, split="test")) == stored_test
    assert _ids(load(version, split="train", shuffle=False)) == stored_train
    assert _ids(load(version)) != stored_train


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_see_together_what_one_sees_with_the_larger_batch(version: Version, world_size: int) -> None:
    whole = list(load(version, batch_size=4 * world_size, remainder="drop").as_numpy_iterator())
    parts = [
        list(load(version, batch_size=4, rank=rank, world_size=world_size).as_numpy_iterator())
        for rank in range(world_size)
    ]

    assert {len(part) for part in parts} == {len(whole)}
    for step, batch in enumerate(whole):
        together = np.concatenate([part[step]["image"] for part in parts])
        np.testing.assert_array_equal(together, batch["image"])


Ids = list[tuple[str, int]]


def _together(version: Version, world_size: int, **options: Any) -> list[Ids]:
    """What all ranks see, a list a step."""
    ranks = [load(version, rank=rank, world_size=world_size, seed=4, **options) for rank in range(world_size)]
    steps = zip(*([_batch_ids(batch) for batch in rank.as_numpy_iterator()] for rank in ranks), strict=True)
    return [[one for batch in step for one in batch] for step in steps]


def _batch_ids(batch: dict[str, Any]) -> Ids:
    return [(key.decode(), int(copy)) for key, copy in zip(batch["key"], batch["copy"], strict=True)]


@pytest.mark.parametrize("world_size", [1, 3])
def test_every_step_can_be_begun_at(version: Version, world_size: int) -> None:
    whole = _together(version, world_size, batch_size=7, epoch=2)
    for step in range(len(whole) + 1):
        assert _together(version, world_size, batch_size=7, epoch=2, start_step=step) == whole[step:]


def test_what_comes_before_a_start_is_not_read(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    from augmill.pipeline.reading import RecordReader

    read: list[int] = []
    of_shard = RecordReader.read
    monkeypatch.setattr(
        RecordReader, "read", lambda self, shard, numbers: read.extend(numbers) or of_shard(self, shard, numbers)
    )
    assert len(_ids(load(version, batch_size=16, start_step=7))) == len(read) == 140 - 7 * 16


def test_eight_samples_a_step_are_the_same_for_any_number_of_ranks(version: Version) -> None:
    steps = [_together(version, ranks, batch_size=8 // ranks, remainder="drop") for ranks in (1, 2, 4, 8)]
    assert all(one == steps[0] for one in steps)
    assert len(steps[0]) == 140 // 8


def test_another_number_of_ranks_goes_on_in_mid_epoch(version: Version) -> None:
    whole = _ids(load(version, seed=4, epoch=1))
    met: Ids = []
    state: dict[str, Any] = {}
    for world_size, steps in ((2, 3), (8, 1), (3, 4), (1, 20)):
        ranks = [Loader(version, seed=4, batch_size=5, rank=rank, world_size=world_size) for rank in range(world_size)]
        for loader in ranks:
            loader.load_state_dict(state) if state else loader.seek(epoch=1)
        for step in zip(*ranks, strict=True):
            met += [one for batch in step for one in _batch_ids(batch)]
            steps -= 1
            if steps == 0:
                break
        states = [json.loads(json.dumps(loader.state_dict())) for loader in ranks]
        assert all(one == states[0] for one in states)
        state = states[0]
    assert met == whole


def test_a_padded_epoch_says_which_samples_count(version: Version) -> None:
    batches = [
        list(load(version, batch_size=20, rank=rank, world_size=3, remainder="pad").as_numpy_iterator())
        for rank in range(3)
    ]
    assert [len(rank) for rank in batches] == [3, 3, 3]
    seen = [pair for rank in batches for b in rank for pair in zip(_batch_ids(b), b["valid"].tolist(), strict=True)]
    assert Counter(one for one, valid in seen if valid) == Counter(_ids(load(version)))
    assert [valid for _, valid in seen].count(False) == 180 - 140

    *_, last = load(version, batch_size=30, remainder="pad", as_supervised=True).as_numpy_iterator()
    assert [part.dtype.name for part in last] == ["uint8", "int64", "float32"]
    assert last[2].tolist() == [1.0] * 20 + [0.0] * 10


def test_copies_take_turns(version: Version) -> None:
    epochs = [_ids(load(version, copies="rotate", seed=2, epoch=epoch, batch_size=16)) for epoch in range(4)]

    keys = sorted(key for key, copy in _stored(version, "train") if copy == 0)
    for met in epochs:
        assert sorted(key for key, _ in met) == keys
        assert len({copy for _, copy in met}) > 1
    assert Counter(one for met in epochs for one in met) == Counter(list(_stored(version, "train")))
    assert _ids(load(version, copies="rotate", seed=2, epoch=4)) != epochs[0]  # in another order


def test_copies_of_a_block_hold_the_same_examples_in_the_same_order(version: Version) -> None:
    """What taking turns rests on."""
    shards = version.manifest.splits["train"].shards
    keys = [[decode_example(data)["key"][0] for _, data in scan_records(version.path / one.file)] for one in shards]
    blocks = len(shards) // 4
    assert blocks == 3
    assert [keys[copy * blocks : (copy + 1) * blocks] for copy in range(4)] == [keys[:blocks]] * 4


@pytest.mark.parametrize("begin", [Loader, load])
def test_an_iteration_that_is_left_leaves_no_thread_behind(version: Version, begin: Callable[..., Any]) -> None:
    for _ in range(5):
        batches = iter(begin(version, batch_size=2))
        next(batches)
        del batches
    gc.collect()
    for _ in range(100):  # a tenth of a second each, for as long as threads end
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith("augmill")]
        if not left:
            break
        time.sleep(0.1)
    assert not left


def test_copies_can_be_chosen(version: Version) -> None:
    originals = _ids(load(version, copies=0))
    some = _ids(load(version, copies=[1, 3]))

    assert {copy for _, copy in originals} == {0}
    assert Counter(copy for _, copy in some) == {1: len(originals), 3: len(originals)}


def test_float_output_spans_the_range_asked_for(version: Version) -> None:
    pixels = next(load(version, shuffle=False).as_numpy_iterator())["image"]
    scaled = next(load(version, shuffle=False, output=(-1.0, 1.0)).as_numpy_iterator())["image"]

    assert pixels.dtype == np.uint8
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, pixels / 127.5 - 1.0, atol=1e-6)


def test_the_dataset_knows_its_length_and_shape(version: Version) -> None:
    records = version.manifest.splits["train"].records
    dataset = load(version, batch_size=16)

    assert int(dataset.cardinality()) == -(-records // 16)
    assert dataset.element_spec["image"].shape.as_list() == [None, 28, 20, 3]
    assert int(load(version, batch_size=16, remainder="drop").cardinality()) == records // 16


def test_a_model_trains_on_it(version: Version) -> None:
    import keras

    keras.utils.set_random_seed(1)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.AveragePooling2D(4), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = []
    for epoch in range(4):
        train = load(version, batch_size=16, seed=1, epoch=epoch, as_supervised=True)
        losses += model.fit(train, verbose=0, shuffle=False).history["loss"]

    assert losses[-1] < 0.8 * losses[0]
    _, accuracy = model.evaluate(load(version, split="test", as_supervised=True), verbose=0)
    assert accuracy > 0.6


@pytest.mark.parametrize("encoding", ["jpeg", "raw"])
def test_every_encoding_decodes_to_what_is_stored(
    encoding: str, photo_folder: Path, tmp_path: Path, publish_version: Callable[..., Version]
) -> None:
    import tensorflow as tf

    image = {"size": [28, 20], "encoding": encoding}
    version = publish_version(_spec(photo_folder, image=image, copies=1), tmp_path)
    stored = list(_stored(version, "test").values())

    batch = next(load(version, split="test").as_numpy_iterator())

    for pixels, record in zip(batch["image"], stored, strict=False):
        data = record["image"][0]
        is_raw = encoding == "raw"
        jpeg = tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE") if encoding == "jpeg" else None
        expected = np.frombuffer(data, np.uint8).reshape(28, 20, 3) if is_raw else np.asarray(jpeg)
        np.testing.assert_array_equal(pixels, expected)


def test_images_of_varying_size_need_a_size_and_get_it(
    photo_folder: Path, tmp_path: Path, publish_version: Callable[..., Version]
) -> None:
    version = publish_version(_spec(photo_folder, image={"encoding": "png"}, copies=0, augment=[]), tmp_path)

    with pytest.raises(VersionError, match=r"vary in size: give size=\(height, width\)"):
        load(version)
    assert next(load(version, size=(16, 12)).as_numpy_iterator())["image"].shape[1:] == (16, 12, 3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1, got 2.5"),
        ({"size": 32}, r"size must be \(height, width\) in whole pixels, got 32"),
        ({"size": (0, 10)}, r"size must be \(height, width\)"),
        ({"batch_size": 1000, "world_size": 2}, "records do not fill one batch of 1000 on each of 2 ranks"),
        ({"rank": 2, "world_size": 2}, "rank must lie in 0 to world_size - 1"),
        ({"world_size": 2, "remainder": "keep"}, "unequal steps"),
        ({"remainder": "wrap"}, 'remainder must be "keep", "drop" or "pad"'),
        ({"copies": None}, 'copies must be "all", "rotate"'),
        ({"start_step": 200}, "start_step must be a whole number from 0 to 3, got 200"),
        ({"epoch": -1}, "epoch must be a whole number of at least 0, got -1"),
        ({"seed": 1.5}, "seed must be a whole number of at least 0, got 1.5"),
        ({"verify": True}, 'verify must be "counts", "full" or None'),
        ({"on_error": "ignore"}, 'on_error must be "raise" or "skip"'),
        ({"max_skipped": 2}, "a share of the records, from 0 to 1"),
        ({"output": "float"}, 'output must be "uint8" or'),
        ({"output": (1.0, 0.0)}, "low < high"),
    ],
)
def test_wrong_arguments_are_refused(version: Version, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        load(version, **arguments)


def test_what_a_version_does_not_have_is_named_with_what_it_has(version: Version, tmp_path: Path) -> None:
    with pytest.raises(VersionError, match="has no split 'val'; it has train, test"):
        load(version, split="val")
    with pytest.raises(VersionError, match="has no copy 7; it has 0 to 3"):
        load(version, copies=7)
    with pytest.raises(VersionError, match="has no copy in an empty list"):
        load(version, copies=[])
    with pytest.raises(VersionError, match="is not a version"):
        load(tmp_path)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory, annotated_records: Any, publish_version: Any) -> Version:
    """A version of gray images with labels, boxes, keypoints and masks."""
    folder = tmp_path_factory.mktemp("annotated")
    image = {"size": [48, 64], "encoding": "png", "channels": 1}
    published: Version = publish_version(
        _spec(folder, source=annotated_records(folder), splits=None, image=image, augment=FLIP), folder / "out"
    )
    return published


FLIP = ["tf.image.random_flip_left_right"]


def test_every_records_annotations_come_with_it(annotated: Version) -> None:
    stored, met = _stored(annotated, "train"), 0
    for batch in load(annotated, batch_size=7):
        objects, size = batch["objects"], batch["image"].shape[0]
        assert {name: part.dtype.name for name, part in objects.items()} == {
            "bbox": "float32",
            "label": "int64",
            "is_crowd": "bool",
            "keypoints": "float32",
        }
        assert batch["image"].shape[1:] == (48, 64, 1) and batch["mask"].shape == (size, 48, 64, 1)
        for i in range(size):
            record = stored[batch["key"][i].numpy().decode(), int(batch["copy"][i])]
            assert objects["bbox"][i].numpy().ravel().tolist() == record["objects/bbox"]
            assert objects["label"][i].numpy().tolist() == record["objects/label"]
            assert objects["is_crowd"][i].numpy().tolist() == [bool(crowd) for crowd in record["objects/is_crowd"]]
            assert objects["keypoints"][i].shape[1:] == (2, 3)
            assert objects["keypoints"][i].numpy().ravel().tolist() == record["objects/keypoints"]
            np.testing.assert_array_equal(batch["mask"][i, ..., 0], decode_mask(record["mask"][0]))
            np.testing.assert_array_equal(batch["image"][i], decode_image(record["image"][0], 1))
            met += 1
    assert met == len(stored) == 48


def test_ranks_share_ragged_batches_too(annotated: Version) -> None:
    whole = list(load(annotated, batch_size=8, remainder="drop"))
    parts = [list(load(annotated, batch_size=4, rank=rank, world_size=2)) for rank in range(2)]
    for step, batch in enumerate(whole):
        together = [boxes for part in parts for boxes in part[step]["objects"]["bbox"].to_list()]
        assert together == batch["objects"]["bbox"].to_list()


def test_a_supervised_stream_leaves_annotations_out(annotated: Version) -> None:
    image, label = next(load(annotated, as_supervised=True, batch_size=5, output=(0.0, 1.0)).as_numpy_iterator())
    assert (image.shape, label.shape) == ((5, 48, 64, 1), (5,))


def test_a_resized_mask_holds_no_new_id_and_its_boxes_stay(annotated: Version) -> None:
    plain, resized = (next(iter(load(annotated, shuffle=False, size=size))) for size in (None, (30, 30)))
    assert resized["mask"].shape[1:] == (30, 30, 1) and resized["mask"].dtype.name == "uint8"
    assert set(np.unique(resized["mask"])) == {0, 1, 2}
    assert resized["objects"]["bbox"].to_list() == plain["objects"]["bbox"].to_list()
    assert abs(float(np.mean(resized["mask"] == 1)) - float(np.mean(plain["mask"] == 1))) < 0.01


def test_a_loader_goes_from_epoch_to_epoch_by_numpy_batches(version: Version) -> None:
    loader = Loader(version, batch_size=16, seed=1)
    assert len(loader) == 9
    for epoch in range(3):
        assert (loader.epoch, loader.samples) == (epoch, 0)
        met = [one for batch in loader for one in _batch_ids(batch)]
        assert met == _ids(load(version, seed=1, epoch=epoch))


def test_a_loader_goes_on_where_it_was_left(version: Version) -> None:
    whole = _ids(load(version, seed=1, epoch=5))
    loader = Loader(version, batch_size=16, seed=1)
    loader.seek(epoch=5, samples=3)
    first = next(iter(loader))
    assert (loader.epoch, loader.samples) == (5, 19)
    assert _ids(loader.dataset()) == whole[19:]
    assert _ids(loader.dataset(epoch=5, start_step=2)) == whole[32:]
    assert loader.samples == 19  # which a dataset leaves as it is
    rest = [one for batch in loader for one in _batch_ids(batch)]
    assert _batch_ids(first) + rest == whole[3:]
    assert (loader.epoch, loader.samples) == (6, 0)


@pytest.mark.parametrize("options", [{}, {"copies": "rotate"}, {"copies": [2, 0]}, {"split": "test"}], ids=str)
def test_any_record_can_be_had_by_its_number(version: Version, options: dict[str, Any]) -> None:
    loader = Loader(version, **options)
    wanted = [0, 2] if options.get("copies") == [2, 0] else [0, 1, 2, 3]
    stored = [one for one in _stored(version, options.get("split", "train")).values() if one["copy"][0] in wanted]
    assert loader.records == len(stored)
    for number in (0, 1, 9, len(stored) - 1, -1, -len(stored)):
        record = loader[number]
        assert record["key"] == stored[number]["key"][0] and record["copy"] == stored[number]["copy"][0]
        np.testing.assert_array_equal(record["image"], decode_image(stored[number]["image"][0]))
    for number in (len(stored), -len(stored) - 1):
        with pytest.raises(IndexError, match=f"record {number} of {len(stored)}"):
            loader[number]


def test_a_state_is_short_and_is_refused_where_it_does_not_belong(version: Version) -> None:
    loader = Loader(version, batch_size=16, seed=1, copies=[0, 2])
    next(iter(loader))
    state = json.loads(json.dumps(loader.state_dict()))
    assert len(json.dumps(state)) < 400
    assert (state["epoch"], state["samples"], state["global_batch"]) == (0, 16, 16)

    other = Loader(version, split="test", seed=2)
    with pytest.raises(StateError) as told:
        other.load_state_dict(state)
    assert str(told.value) == (
        "the state is another loader's: split is 'train' in the state and 'test' here; copies is [0, 2] in the state "
        "and 'all' here; shuffle is True in the state and False here; seed is 1 in the state and 2 here"
    )
    assert (other.epoch, other.samples) == (0, 0)


def test_a_place_that_an_epoch_does_not_have_is_refused(version: Version) -> None:
    loader = Loader(version)
    with pytest.raises(ValueError, match="samples must be a whole number from 0 to 140, got 153"):
        loader.seek(epoch=0, samples=153)
    with pytest.raises(ValueError, match="epoch must be a whole number of at least 0, got -1"):
        loader.seek(epoch=-1)


def test_an_input_context_tells_the_place_and_shares_steps_among_replicas(version: Version) -> None:
    import tensorflow as tf

    def told(pipeline: int, pipelines: int, replicas: int) -> Any:
        context = tf.distribute.InputContext(pipelines, pipeline, replicas)
        return load(version, batch_size=5, seed=4, input_context=context)

    whole = _together(version, 4, batch_size=5)
    pipelines = [list(told(pipeline, 2, 4).as_numpy_iterator()) for pipeline in range(2)]
    assert [len(batches) for batches in pipelines] == [2 * len(whole)] * 2
    for step, expected in enumerate(whole):
        of_step = [batch for batches in pipelines for batch in batches[2 * step : 2 * step + 2]]
        assert [len(batch["key"]) for batch in of_step] == [5] * 4
        assert [one for batch in of_step for one in _batch_ids(batch)] == expected
    with pytest.raises(ValueError, match="3 replicas cannot be shared evenly by 2 input pipelines"):
        told(0, 2, 3)
    with pytest.raises(ValueError, match="leave rank and world_size out"):
        load(version, rank=1, world_size=2, input_context=tf.distribute.InputContext())


def test_a_manifest_from_before_there_were_annotations_is_read(version: Version, tmp_path: Path) -> None:
    import json
    import shutil

    copied = shutil.copytree(version.path, tmp_path / "1.0.0")
    manifest = json.loads((copied / "augmill.json").read_text())
    for key in ("annotations", "objects"):
        del manifest[key]
    del manifest["image"]["channels"]
    (copied / "augmill.json").write_text(json.dumps(manifest))

    assert _ids(load(copied, seed=1)) == _ids(load(version, seed=1))
