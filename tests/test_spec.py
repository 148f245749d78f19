"""The spec: what it takes, what it refuses and in which words, and what its digest stands for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.errors import SpecError
from augmill.pipeline.listing import list_source
from augmill.pipeline.spec import Spec

YAML = """
name: flowers
version: 1.2.0
source: {folder: photos}
seed: 7
splits: {train: 0.75, test: 0.25}
image:
  size: [64, 48]
  encoding: png
copies: 3
augment:
  - tf.image.random_flip_left_right
  - tf.image.random_brightness: {max_delta: 0.2}
  - sometimes: {p: 0.5, do: [keras.layers.RandomZoom: {height_factor: 0.2}]}
"""
PARTS: dict[str, Any] = {
    "name": "flowers",
    "version": "1.2.0",
    "source": {"folder": "photos"},
    "seed": 7,
    "splits": {"train": 0.75, "test": 0.25},
    "image": {"size": (64, 48), "encoding": "png"},
    "copies": 3,
    "augment": [
        "tf.image.random_flip_left_right",
        {"tf.image.random_brightness": {"max_delta": 0.2}},
        {"sometimes": {"p": 0.5, "do": [{"keras.layers.RandomZoom": {"height_factor": 0.2}}]}},
    ],
}


@pytest.fixture(autouse=True)
def restored_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a spec puts its folder on Python's path."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Spec]:
    """Write a text to a file and read it as a spec."""

    def read(text: str) -> Spec:
        (tmp_path / "spec.yaml").write_text(text, "utf-8")
        return Spec.from_yaml(tmp_path / "spec.yaml")

    return read


def problems_of(make: Callable[[], Any]) -> list[str]:
    with pytest.raises(SpecError) as error:
        make()
    assert all(problem in str(error.value) for problem in error.value.problems)
    return error.value.problems


def test_yaml_and_python_give_the_same_spec(read: Callable[[str], Spec]) -> None:
    from_yaml, from_python = read(YAML), Spec(**PARTS)
    assert from_yaml.canonical() == from_python.canonical()
    assert from_yaml.digest() == from_python.digest()
    assert from_yaml.policy == from_python.policy


def test_the_canonical_form_has_every_default() -> None:
    canonical = Spec(name="a", version="1.0.0", source={"folder": "b"}, copies=0).canonical()
    keys = ["tfrecord", "tfds", "coco", "segmentation", "features", "images", "masks", "classes", "box_classes"]
    limits = {"max_pixels": 100_000_000, "max_bytes": 100_000_000, "links_outside": False}
    source = {"folder": "b", **dict.fromkeys([*keys, "keypoint_names", "data_dir"]), **limits}
    assert canonical == {
        "name": "a",
        "version": "1.0.0",
        "source": source,
        "seed": 0,
        "splits": None,
        "group_by": None,
        "duplicates": "keep",
        "image": {
            "size": None,
            "work_size": None,
            "fit": "stretch",
            "channels": 3,
            "encoding": "jpeg",
            "quality": 95,
        },
        "annotations": {"min_area": 0.0, "min_visibility": 0.0, "mask_fill": 0, "reject_empty": False},
        "copies": 0,
        "keep_original": True,
        "max_bad_fraction": 0.001,
        "block_examples": None,
        "kernels": "fast",
        "augment": [],
    }


def test_a_spec_made_from_its_canonical_form_is_the_same() -> None:
    spec = Spec(**PARTS)
    again = Spec(**spec.canonical())
    assert (again.canonical(), again.digest()) == (spec.canonical(), spec.digest())


def test_the_order_of_keys_does_not_change_the_digest() -> None:
    def backwards(value: Any) -> Any:
        return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    assert Spec(**backwards(PARTS)).digest() == Spec(**PARTS).digest()


def test_the_place_of_the_file_does_not_change_the_digest(tmp_path: Path) -> None:
    digests = set()
    for folder in (tmp_path, tmp_path / "elsewhere"):
        folder.mkdir(exist_ok=True)
        (folder / "spec.yaml").write_text(YAML)
        digests.add(Spec.from_yaml(folder / "spec.yaml").digest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    "same",
    [
        {"keep_original": True, "max_bad_fraction": 0.001, "kernels": "fast", "block_examples": None},
        {"image": {"size": [64, 48], "encoding": "png", "fit": "stretch", "quality": 95, "work_size": None}},
        {"splits": {"test": 1 / 4, "train": 3 / 4}},
    ],
)
def test_writing_defaults_out_does_not_change_the_digest(same: dict[str, Any]) -> None:
    assert Spec(**{**PARTS, **same}).digest() == Spec(**PARTS).digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"tf.image.random_brightness": {"max_delta": 1}}, {"tf.image.random_brightness": {"max_delta": 1.0}}),
        (
            {"some_of": {"n": 1, "do": ["tf.image.random_flip_up_down"]}},
            {"some_of": {"n": [1, 1], "do": [{"tf.image.random_flip_up_down": {}}]}},
        ),
    ],
    ids=["whole numbers", "some_of"],
)
def test_two_ways_to_write_one_op_have_one_digest(one: Any, other: Any) -> None:
    assert Spec(**{**PARTS, "augment": [one]}).digest() == Spec(**{**PARTS, "augment": [other]}).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "flower"},
        {"version": "1.2.1"},
        {"source": {"folder": "photo"}},
        {"seed": 8},
        {"splits": {"train": 0.5, "test": 0.5}},
        {"splits": None},
        {"image": {"size": [48, 64], "encoding": "png"}},
        {"image": {"size": [64, 48], "encoding": "jpeg"}},
        {"image": {"size": [64, 48], "encoding": "png", "fit": "crop"}},
        {"image": {"size": [64, 48], "encoding": "png", "quality": 90}},
        {"image": {"size": [64, 48], "encoding": "png", "work_size": [64, 48]}},
        {"annotations": {"min_area": 4}},
        {"annotations": {"mask_fill": 255}},
        {"image": {"size": [64, 48], "encoding": "png", "channels": 1}},
        {"copies": 2},
        {"keep_original": False},
        {"block_examples": 100},
        {"augment": PARTS["augment"][:2]},
        {"augment": PARTS["augment"][::-1]},
        {"augment": [PARTS["augment"][0], {"tf.image.random_brightness": {"max_delta": 0.3}}, PARTS["augment"][2]]},
    ],
    ids=str,
)
def test_another_dataset_has_another_digest(change: dict[str, Any]) -> None:
    assert Spec(**{**PARTS, **change}).digest() != Spec(**PARTS).digest()


def test_what_decides_no_byte_has_no_say_in_the_digest() -> None:
    assert Spec(**{**PARTS, "max_bad_fraction": 0.5}).digest() == Spec(**PARTS).digest()


def test_a_bad_spec_is_told_everything_at_once(read: Callable[[str], Spec]) -> None:
    bad = """
    name: Flowers
    version: "1.2"
    source: {folder: photos, data_dir: /data}
    seed: -3
    splits: {train: 0.8, test: 0.1}
    image: {size: [0, 48], encoding: tiff, qualty: 90}
    copys: 3
    augment:
      - tf.image.random_flip_left_rigth
      - tf.image.random_brightness: {max_delta: 2}
      - sometimes: {p: 0.5, do: [tf.image.random_hue: {}]}
    """
    problems = problems_of(lambda: read(bad))
    for where, *words in [
        ("name", "lower-case", "'Flowers'"),
        ("version", "1.0.0", "'1.2'"),
        ("source", "data_dir belongs to a tfds source"),
        ("seed", "greater than or equal to 0", "-3"),
        ("splits", "must add up to 1, got 0.9 (train 0.8, test 0.1)"),
        ("image.size[0]", "greater than or equal to 1", "got 0"),
        ("image.encoding", "'jpeg', 'png' or 'raw'", "'tiff'"),
        ("image.qualty", "unknown key", "did you mean quality?"),
        ("copys", "unknown key", "did you mean copies?"),
        ("augment[0].tf.image.random_flip_left_rigth", "did you mean tf.image.random_flip_left_right?"),
        ("augment[1].tf.image.random_brightness", "max_delta", "got 2"),
        ("augment[2].sometimes.do[0].tf.image.random_hue", "max_delta"),
    ]:
        assert any(p.startswith(f"{where}: ") and all(word in p for word in words) for p in problems), (where, problems)
    assert len(problems) == 12


def _features(**more: Any) -> dict[str, Any]:
    return {"source": {"tfrecord": "a", "features": {"image": "image", **more}}}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"copies": 0, "keep_original": False}, "copies 0 without keep_original writes nothing"),
        ({"augment": []}, "copies 3 without augment"),
        ({"splits": {"Train": 1.0}}, "splits.Train"),
        ({"splits": {"train": 1.0, "test": -0.5}}, "splits.test: .*-0.5"),
        ({"image": {"encoding": "raw"}}, "raw needs size"),
        ({"image": {"work_size": [8, 8]}}, "work_size needs size"),
        ({"image": {"size": [64]}}, r"image.size.*1"),
        ({"version": 1.2}, "version: .*1.2"),
        ({"source": {}}, "exactly one of folder, tfrecord, tfds, coco, segmentation, got none"),
        ({"source": {"folder": "a", "tfds": "b"}}, "exactly one of .* got folder and tfds"),
        ({"source": {"tfrecord": "a/*"}}, "tfrecord needs features"),
        ({"source": {"folder": "a", "classes": ["b"]}}, "classes belongs to a tfrecord or segmentation source"),
        ({"source": {"coco": "a.json", "images": "b", "classes": ["c"]}}, "a coco source; its JSON names its own"),
        ({"source": {"coco": "a.json"}}, "coco needs images"),
        ({"source": {"coco": 3, "images": "b"}}, "source.coco: must be a JSON file, or JSON files by split, got 3"),
        ({"source": {"coco": {"all": "a.json"}, "images": "b"}}, "source.coco: no split may be called all"),
        ({"source": {"coco": {"train": "a"}, "images": {"test": "b"}}}, r"the splits of coco \(train\), got test"),
        ({"source": {"coco": "a.json", "images": {"train": "b"}}}, r"the splits of coco \(none\), got train"),
        ({"source": {"segmentation": "a"}}, "segmentation needs masks"),
        ({"source": {"folder": "a", "masks": "b"}}, "masks belongs to a segmentation source, not to a folder source"),
        (_features(boxes=["y", "x"]), r"source.features.boxes: .*a list of four: .*, got \['y', 'x'\]"),
        (_features(box_labels="c"), "source.features: box_labels needs boxes"),
        (_features(boxes="b", keypoints="k"), "features.keypoints and keypoint_names.* need each other"),
        (_features(box_clases=["cat"]), "source.features.box_clases: unknown key; did you mean box_labels"),
        ({"source": {"tfrecord": "a", "features": {"image": "b"}, "box_classes": ["c"]}}, "box_classes needs features"),
        ({"annotations": {"min_area": -1}}, "annotations.min_area: .*greater than or equal to 0, got -1"),
        ({"annotations": {"min_visibility": 1.5}}, "annotations.min_visibility: .*less than or equal to 1, got 1.5"),
        ({"annotations": {"mask_fill": 70000}}, "annotations.mask_fill: .*less than or equal to 65535, got 70000"),
        ({"annotations": {"reject_empty": "yes"}}, "annotations.reject_empty: .*boolean, got 'yes'"),
        ({"annotations": {"min_visibilty": 1}}, "annotations.min_visibilty: unknown key; did you mean min_visibility?"),
        ({"image": {"channels": 4}}, "image.channels: .*3 or 1, got 4"),
        ({"source": {"folder": "a", "features": {"image": "b"}}}, "features belongs to a tfrecord or tfds source"),
        ({"source": {"tfrecord": 3, "features": {"image": "b"}}}, "source.tfrecord: must be a glob.*got 3"),
        ({"augment": "tf.image.random_hue"}, "augment: must be a list of ops"),
        ({"max_bad_fraction": float("nan")}, "max_bad_fraction: .*nan"),
    ],
    ids=str,
)
def test_a_broken_rule_is_told_with_its_place(change: dict[str, Any], problem: str) -> None:
    problems = problems_of(lambda: Spec(**{**PARTS, **change}))
    assert len(problems) == 1
    assert re.search(problem, problems[0]), problems


def test_a_missing_key_is_named() -> None:
    assert problems_of(Spec) == ["name: is missing", "version: is missing", "source: is missing"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: [flowers", "no valid YAML"),
        ("name: a\n\tversion: 1.0.0", "no valid YAML"),
        ("", "must be a mapping"),
        ("- tf.image.random_hue", "must be a mapping"),
        ("flowers", "must be a mapping"),
        (YAML + "\nseed: 8\n", "'seed' is given twice"),
        (YAML.replace("encoding: png", "size: [8, 8]"), "'size' is given twice"),
        (YAML.replace("name", "self"), "self: unknown key"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_with_its_name(text: str, problem: str, read: Callable[[str], Spec]) -> None:
    with pytest.raises(SpecError, match=r"spec\.yaml") as error:
        read(text)
    assert problem in str(error.value)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.yaml.*No such file"):
        Spec.from_yaml(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['touch {0}']", "!!python/object/apply:pathlib.Path.touch [{0}]"]
)
def test_yaml_that_would_run_code_is_refused_and_not_run(tag: str, read: Callable[[str], Spec], tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no valid YAML"):
        read(YAML + "\nnote: " + tag.format(tmp_path / "touched"))
    assert not (tmp_path / "touched").exists()


def test_yaml_anchors_and_merges_are_read(read: Callable[[str], Spec]) -> None:
    text = YAML.replace("{height_factor: 0.2}", "&zoom {height_factor: 0.2}")
    merged = read(text + "  - keras.layers.RandomZoom: {<<: *zoom, width_factor: 0.1}\n")
    arguments = merged.canonical()["augment"][-1]["keras.layers.RandomZoom"]
    assert (arguments["height_factor"], arguments["width_factor"]) == (0.2, 0.1)


def test_a_users_module_beside_the_file_is_found(read: Callable[[str], Spec], tmp_path: Path) -> None:
    (tmp_path / "augmentations_of_spec_test.py").write_text("def invert(image):\n    return 255 - image\n")
    spec = read(YAML + "  - augmentations_of_spec_test:invert\n")
    assert spec.policy.ops[-1].function(image=7) == 248  # type: ignore[union-attr]


def test_relative_paths_start_at_the_file(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "photos").symlink_to(photo_folder)
    (tmp_path / "specs" / "spec.yaml").write_text(YAML.replace("folder: photos", "folder: ../photos"))
    monkeypatch.chdir(tmp_path)
    spec = Spec.from_yaml("specs/spec.yaml")
    monkeypatch.chdir("/")
    assert spec.base == tmp_path / "specs"
    assert list_source(spec).addresses.num_rows == 48


def test_only_train_is_augmented() -> None:
    spec = Spec(**PARTS)
    assert (list(spec.copies_of("train")), list(spec.copies_of("test"))) == ([0, 1, 2, 3], [0])
    bare = Spec(**{**PARTS, "keep_original": False})
    assert (list(bare.copies_of("train")), list(bare.copies_of("validation"))) == ([1, 2, 3], [0])
    assert bare.train_copies == bare.copies_of("train")
    assert list(Spec(**{**PARTS, "copies": 0}).train_copies) == [0]


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Spec(**PARTS).seed = 8
