"""The loader streams what is stored, in an order that is a function of its arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Spec, Version, load
from augmill.pipeline.errors import VersionError
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
