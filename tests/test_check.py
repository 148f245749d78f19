"""The check finds what would otherwise be found after training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.check import run_check
from augmill.pipeline.judgement import CheckReport
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan

FUNCTIONS = """
import random

import numpy as np
import tensorflow as tf


def nothing(image: np.ndarray):
    return image


def by_python(image: np.ndarray):
    return np.roll(image, random.randint(1, 20), axis=0)


def by_numpy(image: np.ndarray):
    return np.roll(image, np.random.randint(1, 20), axis=0)


def by_seed(image, seed):
    return tf.image.stateless_random_brightness(image, 0.3, seed)


def fails(image: np.ndarray):
    raise KeyError("bones")


def float_image(image):
    return tf.image.convert_image_dtype(image, tf.float32)


def relabel(image: np.ndarray, label):
    return 255 - image, label + 100
"""


@pytest.fixture(autouse=True)
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "check_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def check(make_spec: Callable[..., Any]) -> Callable[..., CheckReport]:
    def run(*ops: Any, **changes: Any) -> CheckReport:
        spec = make_spec(augment=list(ops), **changes)
        return run_check(spec, make_plan(spec, list_source(spec)))

    return run


def test_ops_that_work_are_passed_with_their_effects(check: Callable[..., CheckReport]) -> None:
    report = check("tf.image.random_flip_left_right", {"tf.image.random_brightness": {"max_delta": 0.2}})

    flip, brightness = report.effects
    assert report.problems == []
    assert report.samples == flip.applied == brightness.applied == 48
    assert 0.25 < flip.changed_fraction < 0.75
    assert -0.2 <= brightness.ranges["delta"][0] < brightness.ranges["delta"][1] < 0.2
    assert report.record_bytes > 100
    assert report.open_seconds > 0
    assert report.copy_seconds > 0


def test_an_op_that_changes_nothing_is_named_with_what_it_drew(check: Callable[..., CheckReport]) -> None:
    report = check({"tf.image.random_crop": {"size": [32, 32, 3]}}, "check_functions:nothing")

    assert len(report.problems) == 2
    assert "augment 0: tf.image.random_crop changes nothing: 48 images" in report.problems[0]
    assert "(drawn: top 0 to 0, left 0 to 0)" in report.problems[0]
    assert "augment 1: check_functions:nothing changes nothing" in report.problems[1]


def test_a_rarely_chosen_op_is_tried_by_itself(check: Callable[..., CheckReport]) -> None:
    report = check({"sometimes": {"p": 0.0001, "do": ["tf.image.random_flip_up_down"]}})

    assert report.problems == []
    assert report.effects.by_place["0.0"].applied == 0
    assert report.alone["0.0"].applied == 48
    assert report.alone["0.0"].changed > 10


def test_a_rarely_chosen_op_that_changes_nothing_does_not_hide(check: Callable[..., CheckReport]) -> None:
    report = check({"sometimes": {"p": 0.0001, "do": ["check_functions:nothing"]}})

    assert "augment 0.0: check_functions:nothing changes nothing" in report.problems[0]


@pytest.mark.parametrize("name", ["by_python", "by_numpy"])
def test_a_function_that_draws_from_a_global_generator_is_refused(check: Callable[..., CheckReport], name: str) -> None:
    (problem,) = check(f"check_functions:{name}").problems

    assert f"check_functions:{name} gives another result each time on the same image" in problem
    assert "take `seed`" in problem


def test_a_function_that_draws_from_its_seed_is_passed(check: Callable[..., CheckReport]) -> None:
    assert check("check_functions:by_seed").problems == []


def test_a_function_that_raises_is_named_once_with_an_image(check: Callable[..., CheckReport]) -> None:
    (problem,) = check("check_functions:fails").problems

    assert "check_functions:fails failed with KeyError: 'bones' (image " in problem


def test_a_function_that_returns_floats_is_told_how_to_end(check: Callable[..., CheckReport]) -> None:
    (problem,) = check("check_functions:float_image").problems

    assert "must return a uint8 image in [0, 255], got float32" in problem
    assert "tf.saturate_cast" in problem


def test_a_label_that_is_no_class_is_refused(check: Callable[..., CheckReport]) -> None:
    (problem,) = check("check_functions:relabel").problems

    assert "which is none of the 3 classes" in problem


def test_a_crop_larger_than_the_image_is_refused_with_both_sizes(check: Callable[..., CheckReport]) -> None:
    (problem,) = check({"tf.image.random_crop": {"size": [40, 40, 3]}}).problems

    assert "size 40x40 is larger than the image, 32x32 here" in problem


def test_a_crop_of_a_crop_is_judged_in_its_place(check: Callable[..., CheckReport]) -> None:
    report = check(
        {"tf.image.random_crop": {"size": [40, 40, 3]}},
        {"tf.image.random_crop": {"size": [36, 36, 3]}},
        image={"size": [32, 32], "work_size": [48, 48]},
    )

    assert report.problems == []


def test_unreadable_samples_are_named_and_the_others_used(
    tmp_path: Path, photo_folder: Path, check: Callable[..., CheckReport]
) -> None:
    import shutil

    folder = tmp_path / "some"
    shutil.copytree(photo_folder, folder)
    (folder / "cat/cat-001.jpg").write_bytes(b"no image at all")

    report = check("tf.image.random_flip_left_right", source={"folder": str(folder)}, splits=None)

    assert report.samples == 47
    assert [key for key, _ in report.unreadable] == ["cat/cat-001.jpg"]
    assert report.problems == []


def test_ops_that_cannot_take_annotations_along_are_all_told_before_a_build(
    make_spec: Callable[..., Any], tmp_path: Path, painted: list[Any]
) -> None:
    from augmill.pipeline import build
    from augmill.pipeline.errors import CheckError
    from augmill.pipeline.image import encode_image
    from augmill.pipeline.mask import encode_mask

    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    for number, drawn in enumerate(painted):
        (tmp_path / f"photos/{number}.png").write_bytes(encode_image(drawn.image, "png"))
        (tmp_path / f"masks/{number}.png").write_bytes(encode_mask(drawn.image[..., 0]))
    source = {"segmentation": str(tmp_path / "photos"), "masks": str(tmp_path / "masks")}
    ops = ["tf.image.random_flip_left_right", "check_functions:by_seed"]
    spec = make_spec(source=source, splits=None, augment=[*ops, {"sometimes": {"p": 0.1, "do": [ops[1]]}}])

    report = run_check(spec, make_plan(spec, list_source(spec)))

    assert [problem.split(":")[0] for problem in report.problems] == ["augment 1", "augment 2.0"]
    assert "check_functions:by_seed cannot be used with masks: they could not follow" in report.problems[0]
    assert report.samples == 12 and report.record_bytes > 0
    with pytest.raises(CheckError, match=r"augment 1: (.|\n)*augment 2\.0: "):
        build(spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()
