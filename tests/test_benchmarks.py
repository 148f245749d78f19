"""The benchmarks: that they ask everyone for the same, and tell what was measured. Nothing is timed here."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY))  # benchmarks/ is run from here and installed nowhere

from augmill.pipeline.spec import Spec  # noqa: E402
from benchmarks import dataset, report, results, run, shuffle, stages  # noqa: E402
from benchmarks.contenders import CONTENDERS, Contender, images_of, missing  # noqa: E402
from benchmarks.measure import RunError, run_contender  # noqa: E402
from benchmarks.recipes import ANNOTATIONS, RECIPES  # noqa: E402


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_specs(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    spec = Spec(**recipe.spec(tmp_path, kernels="reference", more=("benchmarks.own_op:darken",)))

    assert len(list(spec.policy.leaves())) == len(recipe.augment) + 1
    assert list(spec.train_copies) == list(range(1, recipe.copies + 1))
    assert spec.source.kind == ("coco" if recipe.boxes else "folder")


def test_every_contender_is_listed_and_explained() -> None:
    modules = {
        path.stem for path in (REPOSITORY / "benchmarks/contenders").glob("*.py") if "__main__" in path.read_text()
    }
    page = (REPOSITORY / "docs/benchmarks.md").read_text("utf-8")

    assert {contender.module for contender in CONTENDERS.values()} == modules
    for contender in CONTENDERS.values():
        assert f"| {contender.title} |" in page
        assert set(contender.images) <= set(RECIPES)
    for name, recipe in RECIPES.items():
        assert f"### {name}\n" in page and f"| {name} |" in page
        assert len([one for one in CONTENDERS.values() if images_of(one, name)]) >= 6, recipe.title


def test_a_contender_whose_library_is_missing_says_which() -> None:
    assert missing(Contender("Nobody", "nobody", {"photo": 8}, ("numpy", "no_such_library"))) == ["no_such_library"]


def test_each_round_begins_with_another_contender() -> None:
    orders = [run.rotated(["a", "b", "c"], turn) for turn in range(4)]

    assert orders == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


def test_sources_differ_from_each_other_and_are_the_same_in_every_folder(tmp_path: Path) -> None:
    few, many = (dataset.source(RECIPES["photo"], count, tmp_path) for count in (24, 40))
    again = dataset.source(RECIPES["photo"], 24, tmp_path / "elsewhere")

    def files(folder: Path) -> dict[str, str]:
        paths = folder.rglob("*.jpg")
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    assert len(set(files(many).values())) == 40
    assert len(files(few)) == 24
    assert files(few).items() <= files(many).items()
    assert files(few) == files(again)
    assert {cv2.imread(str(path)).shape for path in few.rglob("*.jpg")} == {(375, 500, 3)}
    assert len(list(few.iterdir())) == 8, "a folder for each class"


def test_boxes_lie_on_their_images(tmp_path: Path) -> None:
    folder = dataset.source(RECIPES["detection"], 20, tmp_path)
    coco = json.loads((folder / ANNOTATIONS).read_text())
    boxes = np.array([annotation["bbox"] for annotation in coco["annotations"]])
    counts = np.unique([annotation["image_id"] for annotation in coco["annotations"]], return_counts=True)[1]

    assert all((folder / image["file_name"]).is_file() for image in coco["images"])
    assert len(counts) == 20 and counts.min() >= 3 and counts.max() <= 8 and len(set(counts)) > 2
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= (500.01, 375.01)).all()
    assert (boxes[:, 2:] >= (50, 37.5)).all()


def test_a_contender_is_run_in_a_process_of_its_own(tmp_path: Path) -> None:
    source = dataset.source(RECIPES["cifar"], 6, tmp_path)

    done = run_contender("kernel_limit", "cifar", source, tmp_path / "out", workers=1)

    assert (done.records, done.bytes) == (24, 0)
    assert 0 < done.work_seconds < done.whole_seconds
    assert done.peaks[0][0] == "contender"
    assert done.peak >= done.peaks[0][1] > 20_000_000, "Python with OpenCV holds more than 20 MB"


def test_a_contender_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"kernel_limit ended with code 1:(.|\n)*No such file or directory: '.*nowhere'"):
        run_contender("kernel_limit", "cifar", tmp_path / "nowhere", tmp_path / "out", workers=1)


def _run(records: int, work: float, whole: float, *, peaks: tuple[tuple[str, int], ...] = ()) -> dict[str, Any]:
    return {
        "records": records,
        "work_seconds": work,
        "whole_seconds": whole,
        "bytes": 20_000 * records,
        "peak": 1_500_000_000,
        "peaks": peaks,
    }


def test_a_table_has_medians_spreads_and_ratios_fastest_first() -> None:
    contenders = {
        "tfdata": [_run(400, seconds, 8) for seconds in (4, 5, 2)],
        "augmill-fast": [_run(4000, seconds, 10) for seconds in (4, 5, 8)],
    }
    measured = {"rounds": 3, "workers": 2, "machine": {}, "contenders": contenders}

    lines = report.recipe_table(measured).splitlines()

    assert lines[0] == "3 rounds, 2 workers."
    assert lines[4:] == [
        "| augmill, fast kernels | **800** (500 to 1,000) | **400** (400 to 400) |  | 1.50 GB | 20.0 kB | 4,000 |",
        "| tf.data and TFRecordWriter | **100** (80 to 200) | **50** (50 to 50) | **10x** (2.5x to 10x), in all 8x "
        "| 1.50 GB | 20.0 kB | 400 |",
    ]


def test_the_curve_tells_the_processes_apart() -> None:
    peaks = (("worker", 300_000_000), ("worker", 400_000_000), ("driver", 200_000_000))
    runs = [_run(1000, 2, 4, peaks=peaks)]
    point = {"records": 1000, "workers": 2, "tensorflow": False, "machine": {"processor": "P"}, "runs": runs}

    text = report.curve_table({"a": point})

    row = "| all by fast kernels | 2 | 1,000 | **500** (500 to 500) | **250** (250 to 250) |  | 0.20 GB | 0.40 GB |"
    assert row in text


def test_a_result_takes_the_place_of_its_own_and_leaves_the_words_around_it(tmp_path: Path) -> None:
    (tmp_path / report.FILE).write_text((REPOSITORY / "docs" / report.FILE).read_text("utf-8"))
    prose = "Contenders take turns"
    for seconds, rate in ((2, "**50**"), (1, "**100**")):
        measured = {"rounds": 1, "workers": 2, "machine": {"processor": "P"}, "contenders": {}}
        measured["contenders"] = {"tfdata": [_run(100, seconds, 9)]}
        results.merge(tmp_path, "recipes", "photo", measured)
        other = results.merge(tmp_path, "recipes", "cifar", {**measured, "rounds": 7})
        report.write_report(tmp_path, template=tmp_path)

        text = (tmp_path / report.FILE).read_text("utf-8")
        assert text.count(rate) == 2 and prose in text
        assert "7 rounds, 2 workers" in text
    assert set(other["recipes"]) >= {"photo", "cifar"}
    assert "**50**" not in text


def test_a_page_without_its_markers_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="must have the lines <!-- photo: begin --> and <!-- photo: end --> once each"):
        report.between("<!-- photo: begin -->\nwords", "photo", "table")


def test_the_page_tells_what_the_results_do() -> None:
    """Made anew by: python -m benchmarks.run, .curve and .profile."""
    text = (REPOSITORY / "docs" / report.FILE).read_text("utf-8")
    for name, part in report.sections(results.read(REPOSITORY / "docs")).items():
        assert report.between(text, name, part) == text, name


def test_a_stack_has_the_stage_of_its_innermost_telling_frame(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augmill.pipeline import image
    from augmill.transforms.base import Sample
    from augmill.transforms.geometry import RandomFlipLeftRight
    from augmill.transforms.randomness import Draws

    seen = list[str]()

    class Watched:
        def __getattr__(self, name: str) -> Any:
            if name in ("imencode", "resize"):
                seen.append(stages.stage_of(sys._getframe(1)))
            return getattr(cv2, name)

    class WatchedDraws(Draws):
        def chance(self, probability: float) -> bool:
            seen.append(stages.stage_of(sys._getframe(1)))
            return True

    monkeypatch.setattr(image, "cv2", Watched())
    image.encode_image(photo, "jpeg")
    image.fit_image(photo, (50, 50))
    RandomFlipLeftRight().draw_for(WatchedDraws(seed=0, key="a", copy=1, at="0"), Sample(photo))

    assert seen == ["encode", "resize", "draw"]
    assert stages.stage_of(sys._getframe()) == "other"


def test_the_page_of_the_loader_has_the_figures_of_mixing() -> None:
    """Made anew by: python -m benchmarks.shuffle"""
    assert shuffle.table() in (REPOSITORY / "docs/loader.md").read_text("utf-8")


def test_mixing_is_measured_right() -> None:
    records = shuffle.CLASSES * shuffle.OF_A_CLASS
    sorted_twice = shuffle.measure(iter([np.arange(records)] * 2))
    assert sorted_twice.classes[64] == 1.0 and sorted_twice.fewest[1024] == 1
    assert (sorted_twice.moved, sorted_twice.together) == (0.0, 1e6)
    back = shuffle.measure(iter([np.arange(records), np.arange(records)[::-1]]))
    assert abs(back.moved - 0.5) < 1e-6
