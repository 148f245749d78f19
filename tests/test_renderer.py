"""One opened example to the records of its copies: what is drawn anew, what is mixed, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline import Version, load
from augmill.pipeline.annotation_info import AnnotationInfo
from augmill.pipeline.example import COPY, LABEL, SOFT_LABEL, decode_example
from augmill.pipeline.renderer import Renderer
from augmill.pipeline.shard import scan_records
from augmill.transforms.base import Sample, TransformError
from augmill.transforms.objects import Objects

BOXES = AnnotationInfo(kinds=("boxes",), classes=("face", "ear"))
CORNER = np.array([[2, 2, 22, 22]])  # a small box that most windows of a crop leave out


@pytest.fixture
def render(photo: np.ndarray, make_spec: Callable[..., Any]) -> Callable[..., Any]:
    """Render copies of a photo with a box in its corner through a crop."""

    def render(copies: range, boxes: np.ndarray = CORNER, side: int = 60, **limits: Any) -> tuple[Any, Renderer]:
        spec = make_spec(
            image={"size": [side, side], "work_size": [224, 224], "encoding": "png"},
            augment=[{"tf.image.random_crop": {"size": [side, side, 3]}}],
            copies=200,
            annotations=limits,
        )
        renderer = Renderer(spec, None, annotations=BOXES)
        opened = Sample(photo, objects=Objects.from_boxes(boxes, np.arange(len(boxes))))
        return [renderer.render(opened, "cat.jpg", copy) for copy in copies], renderer

    return render


def test_renditions_that_lose_every_object_are_kept_unless_asked(render: Callable[..., Any]) -> None:
    made, _ = render(range(1, 41))
    assert sum(len(sample.objects) == 0 for sample, _ in made) > 20


def test_renditions_that_lose_every_object_are_drawn_anew(render: Callable[..., Any]) -> None:
    made, renderer = render(range(1, 41), side=160, reject_empty=True)
    plain, _ = render(range(1, 41), side=160)
    assert all(len(sample.objects) == 1 for sample, _ in made)
    for (sample, steps), (before, first) in zip(made, plain, strict=True):
        if len(before.objects):
            assert steps == first and np.array_equal(sample.image, before.image), "a good rendition stays as it was"
        elif steps:
            assert steps != first
    renderer.count([renderer.take()])
    lost = sum(len(sample.objects) == 0 for sample, _ in plain)
    assert renderer.objects["redrawn"] >= lost > 0
    applied = next(iter(renderer.effects)).applied
    assert applied == sum(bool(steps) for _, steps in made), "what was rejected does not count as an effect"


def test_a_rendition_given_up_is_the_image_as_it_is(render: Callable[..., Any], photo: np.ndarray) -> None:
    """No window of 20 pixels shows as much as the limit asks for."""
    made, renderer = render(range(1, 6), side=20, reject_empty=True, min_visibility=0.99)
    for sample, steps in made:
        assert steps == []
        assert len(sample.objects) == 1 and sample.objects.visible[0] == 1.0
    renderer.count([renderer.take()])
    assert (renderer.objects["given_up"], renderer.objects["redrawn"]) == (5, 0)


def test_a_rendition_given_up_keeps_to_the_limits_where_they_leave_an_object(
    render: Callable[..., Any], photo: np.ndarray
) -> None:
    """Of a large box and a tiny one, neither of which a window shows whole, the tiny one is left out all the same."""
    boxes = np.array([[2, 2, 62, 62], [100, 100, 104, 104]])  # 29 and 0.1 square pixels as stored, 16 in a window
    made, renderer = render(range(1, 9), boxes=boxes, side=20, reject_empty=True, min_area=17, min_visibility=0.99)
    opened = Sample(photo, objects=Objects.from_boxes(boxes, np.arange(2)))
    for copy, (sample, steps) in enumerate(made, start=1):
        assert steps == []
        assert sample.objects.labels.tolist() == [0]
        assert renderer.replay(opened, copy, steps).equals(sample)


def test_a_rendition_in_which_nothing_was_drawn_keeps_to_the_limits_too(
    photo: np.ndarray, make_spec: Callable[..., Any]
) -> None:
    rarely = {"sometimes": {"p": 0.001, "do": ["tf.image.flip_up_down"]}}
    spec = make_spec(image={"encoding": "png"}, augment=[rarely], annotations={"min_area": 50, "reject_empty": True})
    renderer = Renderer(spec, None, annotations=BOXES)
    boxes = np.array([[2, 2, 42, 42], [100, 100, 104, 104]])
    opened = Sample(photo, objects=Objects.from_boxes(boxes, np.arange(2)))
    sample, steps = renderer.render(opened, "cat.jpg", 1)
    assert (steps, sample.objects and sample.objects.labels.tolist()) == ([], [0])
    assert renderer.replay(opened, 1, steps).equals(sample)


def test_a_label_or_an_id_that_stands_for_nothing_is_refused(
    photo: np.ndarray, make_spec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_labels.py").write_text("import numpy as np\ndef f(image: np.ndarray):\n    return image\n")
    monkeypatch.syspath_prepend(tmp_path)
    known = AnnotationInfo(kinds=("boxes", "masks"), classes=("face",), mask_classes=("skin", "fur"))
    renderer = Renderer(make_spec(augment=["own_labels:f"]), ["cat", "coffee"], annotations=known)
    boxes = Objects.from_boxes(CORNER, np.array([0]))
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[0] = 255  # none
    good = Sample(photo, 1, mixture=((0, 0.2), (1, 0.8)), objects=boxes, mask=mask)
    renderer.replay(good, 1, [])
    for wrong, what in (
        ({"label": 2}, "label 2"),
        ({"mixture": ((1, 0.9), (99, 0.1))}, "label 99"),
        ({"objects": Objects.from_boxes(CORNER, np.array([1]))}, "box label 1"),
        ({"mask": np.full_like(mask, 7)}, "mask id 7"),
    ):
        with pytest.raises(TransformError, match=rf"^an op returned the {what}, which is none of the \d classes$"):
            renderer.replay(replace(good, **wrong), 1, [])


def test_an_image_without_objects_has_none_to_lose(render: Callable[..., Any]) -> None:
    made, _ = render(range(1, 6), boxes=np.zeros((0, 4)), reject_empty=True)
    assert all(steps for _, steps in made)


def test_a_rendition_is_made_again_from_its_steps(
    render: Callable[..., Any], photo: np.ndarray, make_spec: Callable[..., Any]
) -> None:
    for limits in ({}, {"reject_empty": True}, {"reject_empty": True, "min_visibility": 0.99}, {"min_area": 300}):
        made, renderer = render(range(1, 13), **limits)
        opened = Sample(photo, objects=Objects.from_boxes(CORNER, np.array([0])))
        for copy, (sample, steps) in enumerate(made, start=1):
            assert renderer.replay(opened, copy, steps).equals(sample)


def _records(version: Version, split: str) -> list[dict[str, Any]]:
    shards = [version.path / shard.file for shard in version.manifest.splits[split].shards]
    return [decode_example(record) for shard in shards for _, record in scan_records(shard)]


def test_mixed_records_hold_the_weight_of_each_class(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    augment = ["tf.image.random_flip_left_right", {"one_of": ["mix_up", {"cut_mix": {"alpha": 1.0}}]}]
    version = publish_version(make_spec(augment=augment), tmp_path)
    assert version.manifest.soft_labels
    train = _records(version, "train")
    for record in [*train, *_records(version, "test")]:
        weights = np.array(record[SOFT_LABEL])
        assert weights.sum() == pytest.approx(1)
        assert weights[record[LABEL][0]] == weights.max(), "label is the heaviest class"
        if record[COPY] == [0]:
            assert sorted(weights) == [0, 0, 1]
    assert sum(0.05 < max(record[SOFT_LABEL]) < 0.95 for record in train) > 10


def test_tfds_and_the_loader_give_the_weights(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    import tensorflow_datasets as tfds

    version = publish_version(make_spec(augment=["tf.image.random_flip_up_down", "mix_up"]), tmp_path)
    by_tfds = {
        (row["key"].decode(), int(row["copy"])): row["soft_label"]
        for row in tfds.as_numpy(tfds.builder_from_directory(str(version.path)).as_dataset(split="train"))
    }
    seen = 0
    for batch in load(version.path, batch_size=8).as_numpy_iterator():
        for key, copy, weights in zip(batch["key"], batch["copy"], batch["soft_label"], strict=True):
            assert np.array_equal(by_tfds[key.decode(), int(copy)], weights)
            seen += 1
    assert seen == len(by_tfds) == version.manifest.splits["train"].records
    _, labels = next(iter(load(version.path, batch_size=8, as_supervised=True)))
    assert labels.shape == (8, 3)


def test_a_policy_that_mixes_nothing_stores_no_weights(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    version = publish_version(make_spec(), tmp_path)
    assert not version.manifest.soft_labels
    assert all(SOFT_LABEL not in record for record in _records(version, "train"))


def test_a_mixed_version_does_not_depend_on_the_order_of_the_work(
    tmp_path: Path, make_spec: Callable[..., Any], publish_version: Callable[..., Version]
) -> None:
    """A partner is read by whichever worker needs it: blocks written in another order give the same bytes."""
    from augmill.pipeline.listing import list_source
    from augmill.pipeline.materialize import Materializer
    from augmill.pipeline.plan import make_plan
    from augmill.pipeline.workspace import Workspace

    spec = make_spec(augment=["mix_up"], copies=1)
    version = publish_version(spec, tmp_path / "one")
    workspace = Workspace(tmp_path / "other")
    plan = make_plan(spec, list_source(spec))
    workspace.prepare(spec, plan, {})
    materialize = Materializer(workspace)
    for block in reversed(range(plan.blocks)):
        materialize(block)
    for shard in version.manifest.splits["train"].shards:
        assert (workspace.version / shard.file).read_bytes() == (version.path / shard.file).read_bytes()
