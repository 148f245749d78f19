"""What `tf.data` is handed has the shapes that were told before, and is not copied on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from augmill.pipeline import Loader, Spec, Version
from augmill.pipeline.stream import element_spec, tf_stream


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory, annotated_records: Any, publish_version: Any) -> Version:
    folder = tmp_path_factory.mktemp("stream")
    image = {"size": [48, 64], "encoding": "png", "channels": 1}
    spec = Spec(name="gray", version="1.0.0", source=annotated_records(folder), image=image, copies=0, augment=[])
    version: Version = publish_version(spec, folder / "out")
    return version


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_boxes": 3},
        {"as_supervised": True},
        {"size": (20, 30), "output": (0.0, 1.0)},
        {"remainder": "pad"},
        {"remainder": "pad", "as_supervised": True},
    ],
    ids=str,
)
def test_batches_are_of_the_kind_that_was_told(annotated: Version, options: dict[str, Any]) -> None:
    stream = Loader(annotated, batch_size=5, **options).dataset()
    for batch in stream:
        tf.nest.assert_same_structure(batch, stream.element_spec, expand_composites=True)
        for part, spec in zip(tf.nest.flatten(batch), tf.nest.flatten(stream.element_spec), strict=True):
            assert spec.is_compatible_with(part)


def test_padded_shapes_are_known_before_a_batch_is_read(annotated: Version) -> None:
    spec = element_spec(Loader(annotated, max_boxes=3).decoder, with_valid=False)
    assert {name: part.shape.as_list() for name, part in spec["objects"].items()} == {
        "bbox": [None, 3, 4],
        "label": [None, 3],
        "is_crowd": [None, 3],
        "keypoints": [None, 3, 2, 3],
        "count": [None],
    }
    assert spec["mask"].shape.as_list() == [None, 48, 64, 1]


def test_pixels_are_not_copied(annotated: Version) -> None:
    loader = Loader(annotated, batch_size=4, as_supervised=True)
    given: list[np.ndarray] = []

    def batches() -> Iterator[Any]:
        for images, labels in loader.batches(0, 0):
            given.append(images)
            yield images, labels

    for images, _ in tf_stream(batches, loader.decoder):
        assert any(np.shares_memory(np.asarray(memoryview(images)), one) for one in given)


def test_a_stream_begins_anew_each_time(annotated: Version) -> None:
    stream = Loader(annotated, batch_size=5).dataset(epoch=3)
    first, again = ([batch["key"].numpy().tolist() for batch in stream] for _ in range(2))
    assert first == again and sum(map(len, first)) == 12
