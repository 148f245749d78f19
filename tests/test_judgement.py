"""What a check says of each op, by itself and among the others, on images with and without annotations."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augmill.pipeline.check import run_check
from augmill.pipeline.judgement import CheckReport
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan

_NUMBERS = itertools.count()
Check = Callable[..., CheckReport]
FLIP = "tf.image.flip_left_right"


@pytest.fixture
def check(make_spec: Callable[..., Any]) -> Check:
    """Check a policy on the photo folder."""

    def check(*augment: Any, **options: Any) -> CheckReport:
        spec = make_spec(augment=list(augment), image={"size": [64, 64], "encoding": "png"})
        return run_check(spec, make_plan(spec, list_source(spec)), samples=24, **options)

    return check


@pytest.fixture
def check_boxes(
    make_spec: Callable[..., Any], annotated_records: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> Check:
    """Check a policy on images with boxes, keypoints and masks."""

    source = annotated_records(tmp_path)

    def check(*augment: Any) -> CheckReport:
        spec = make_spec(source=source, augment=list(augment), image={"encoding": "png"})
        return run_check(spec, make_plan(spec, list_source(spec)))

    return check


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a function and give its name in a spec."""

    def write(source: str) -> str:
        name = f"own_judgement_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text("import numpy as np\n" + textwrap.dedent(source))
        monkeypatch.syspath_prepend(tmp_path)
        return f"{name}:augment"

    return write


def test_ops_that_undo_each_other_are_told_and_stop_nothing(check: Check) -> None:
    report = check(FLIP, FLIP, {"tf.image.random_hue": {"max_delta": 0.2}})
    assert report.problems == []
    assert [line.split(" in ")[0] for line in report.advice] == [f"augment 1: {FLIP} undoes augment 0: {FLIP}"]


def test_an_op_that_burns_pixels_out_is_told_from_the_share_that_is_set(check: Check) -> None:
    burn = {"tf.image.adjust_brightness": {"delta": 0.7}}
    (line,) = check(burn).advice
    assert line.startswith("augment 0: tf.image.adjust_brightness drives ")
    assert line.endswith("more than 20%; a smaller range keeps more of the image")
    assert check(burn, most_saturated=1.0).advice == []
    assert check({"tf.image.adjust_brightness": {"delta": 0.02}}, most_saturated=0.2).advice == []


def test_a_mix_is_judged_with_the_samples_as_partners(check: Check) -> None:
    report = check({"sometimes": {"p": 0.01, "do": ["mix_up"]}}, "cut_mix")
    assert report.problems == []
    assert report.alone["0.0"].changed > 0, "never applied in the policy's run, it was tried by itself"


def test_ops_that_move_annotations_rightly_pass(check_boxes: Check) -> None:
    rotate = {"keras.layers.RandomRotation": {"factor": 0.05, "fill_mode": "constant"}}
    report = check_boxes(FLIP, rotate, {"keras.layers.RandomContrast": {"factor": 0.3}}, {"cut_mix": {"alpha": 1.0}})
    assert report.problems == []


def test_every_op_that_cannot_take_annotations_is_refused_at_once(check_boxes: Check) -> None:
    report = check_boxes("aug_mix", FLIP, "mix_up")
    assert len(report.problems) == 2
    assert report.problems[0].startswith("augment 0: aug_mix cannot be used with boxes and masks and keypoints")
    assert report.problems[1].startswith("augment 2: mix_up cannot be used with masks")


def test_a_function_that_moves_pixels_in_secret_is_found(check_boxes: Check, function: Callable[[str], str]) -> None:
    name = function("""
        def augment(image: np.ndarray):
            return np.roll(image, 30, axis=1)
        augment.moves_pixels = False
        """)
    (problem,) = check_boxes(name).problems
    assert problem.startswith(f"augment 0: {name} moves annotations and pixels apart in ")
    assert "the box is at [" in problem or "the mask and the pixels have only" in problem


def test_a_function_that_moves_boxes_the_wrong_way_is_found(check_boxes: Check, function: Callable[[str], str]) -> None:
    wrong, right = (
        function(f"""
            def augment(image: np.ndarray, boxes, mask, keypoints):
                moved = boxes.copy()
                moved[:, [0, 2]] = {places}
                seen = keypoints.copy()
                seen[..., 0] = np.where(seen[..., 2] > 0, image.shape[1] - seen[..., 0], 0)
                return image[:, ::-1].copy(), moved, mask[:, ::-1].copy(), seen
            """)
        for places in ("boxes[:, [0, 2]] * 0.5", "image.shape[1] - boxes[:, [2, 0]]")
    )
    (problem,) = check_boxes(wrong).problems
    assert problem.startswith(f"augment 0: {wrong} moves annotations and pixels apart in ")
    assert check_boxes(right).problems == []


def test_an_op_that_loses_most_objects_is_told(check_boxes: Check) -> None:
    report = check_boxes({"tf.image.central_crop": {"central_fraction": 0.1}})
    assert report.problems == []
    assert any("tf.image.central_crop loses " in line for line in report.advice)


def test_the_command_tells_rates_and_draws(augmill: Callable[..., Any], write_spec: Callable[..., Path]) -> None:
    hue = {"tf.image.random_hue": {"max_delta": 0.1}}
    path = write_spec(augment=["tf.image.random_flip_left_right", {"sometimes": {"p": 0.5, "do": [hue]}}])
    told = json.loads(augmill("check", path, "--json").out)
    flip, hue_told = told["ops"]
    assert flip["draws"]["flip"]["meant"] == 0.5
    assert flip["draws"]["flip"]["yes"] + flip["draws"]["flip"]["no"] == told["samples"] == flip["applied"]
    assert hue_told["intended"] == told["samples"] / 2
    assert sum(hue_told["draws"]["delta"]["counts"]) == hue_told["applied"]
    shown = augmill("check", path)
    assert shown.code == 0
    assert "yes or no" in shown.out and ", meant 50%" in shown.out and "|" in shown.out
    assert np.isclose(hue_told["draws"]["delta"]["low"], -0.1, atol=0.03)


def test_a_mix_needs_blocks_of_more_than_one_example(make_spec: Callable[..., Any]) -> None:
    spec = make_spec(augment=["mix_up"], block_examples=1)
    (problem,) = run_check(spec, make_plan(spec, list_source(spec))).problems
    assert problem.endswith(
        "mixes examples of a block, and a block of train has one example alone; raise block_examples"
    )


def test_a_function_that_cannot_do_the_painted_image_is_no_fault(
    check_boxes: Check, function: Callable[[str], str]
) -> None:
    name = function("""
        def augment(image: np.ndarray):
            return image // np.uint8(int(255 / int(image.max())) + 1)
        augment.moves_pixels = False
        """)
    assert check_boxes(name).problems == []
