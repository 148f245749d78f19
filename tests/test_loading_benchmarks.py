"""The benchmarks of loaders: that each reads every record once, and that the page tells what was measured."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY))  # benchmarks/ is run from here and installed nowhere

from augmill.pipeline.example import decode_example  # noqa: E402
from augmill.pipeline.shard import scan_records  # noqa: E402
from augmill.pipeline.version import Version  # noqa: E402
from benchmarks import loading_report, turns  # noqa: E402
from benchmarks.contenders import not_installed  # noqa: E402
from benchmarks.forms import FORMS  # noqa: E402
from benchmarks.loaders import LOADERS, TRAINERS  # noqa: E402
from benchmarks.loaders.task import LoadTask, read  # noqa: E402
from benchmarks.measure import RunError  # noqa: E402
from benchmarks.report import between  # noqa: E402
from benchmarks.results import read as read_results  # noqa: E402

RECORDS, BATCH = 48, 10  # so that the last batch is not full


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


@pytest.fixture(scope="module")
def written(work: Path) -> tuple[np.ndarray, list[int]]:
    """The pixels of the version's records, by OpenCV, and their labels."""
    version = Version(FORMS["jpeg"](RECORDS, work))
    records = [
        decode_example(payload)
        for shard in version.manifest.splits["train"].shards
        for _, payload in scan_records(version.path / shard.file)
    ]
    decoded = [cv2.imdecode(np.frombuffer(one["image"][0], np.uint8), cv2.IMREAD_COLOR_RGB) for one in records]
    return np.array(decoded), [one["label"][0] for one in records]


def _task(name: str, work: Path) -> LoadTask:
    loader = LOADERS[name]
    # Processes are forked in the benchmark, but not from a test's, in which TensorFlow has threads.
    options = {**loader.options, **({"start": "spawn"} if loader.module == "webdataset_tars" else {})}
    return LoadTask(FORMS[loader.form](RECORDS, work), BATCH, 2, tuple(options.items()))


def _nearest(image: np.ndarray, originals: np.ndarray) -> tuple[int, float]:
    """Which of the originals an image is, and by how many levels it differs in the mean: decoders are not all alike."""
    differences = [float(cv2.absdiff(image, one).mean()) for one in originals]
    return int(np.argmin(differences)), min(differences)


@pytest.mark.parametrize("name", [name for name in LOADERS if name != "records-alone"])
def test_a_loader_reads_every_record_once_with_its_label(
    name: str, work: Path, written: tuple[np.ndarray, list[int]]
) -> None:
    if lacks := not_installed(LOADERS[name].needs):
        pytest.skip(f"{', '.join(lacks)} is not installed")
    originals, labels = written
    epoch = importlib.import_module(f"benchmarks.loaders.{LOADERS[name].module}").epoch

    for number in (0, 1):
        found = []
        for images, given in epoch(_task(name, work), number):
            assert len(images) == len(given) <= BATCH
            for image, label in zip(np.array(images), np.array(given), strict=True):
                place, difference = _nearest(image, originals)
                # Raw records were never a JPEG: their pixels differ by what the encoder loses.
                assert difference < 3
                assert labels[place] == label
                found.append(place)
        assert sorted(found) == list(range(RECORDS))
        assert found != sorted(found), "the order is mixed"


def test_records_alone_are_all_records(work: Path, written: tuple[np.ndarray, list[int]]) -> None:
    from benchmarks.loaders import records_alone

    batches = [records for records, _ in records_alone.epoch(_task("records-alone", work), 0)]

    assert sum(map(len, batches)) == RECORDS
    assert len({record for batch in batches for record in batch.numpy()}) == RECORDS


@pytest.mark.parametrize("parse", ["one", "many", "whole"])
def test_every_way_to_tune_the_pipeline_reads_every_record(
    parse: str, work: Path, written: tuple[np.ndarray, list[int]]
) -> None:
    from benchmarks.loaders import tfdata_records

    options = {"cycle": "auto", "parse": parse, "calls": "auto", "deterministic": "yes"}
    task = LoadTask(FORMS["jpeg"](RECORDS, work), BATCH, 2, tuple(options.items()))

    found = [
        _nearest(np.array(image), written[0])[0] for images, _ in tfdata_records.epoch(task, 0) for image in images
    ]

    assert sorted(found) == list(range(RECORDS))


@pytest.mark.parametrize("name", [name for name in TRAINERS if name != "augmill"])
def test_online_pipelines_augment_every_photo_anew(name: str, work: Path) -> None:
    from benchmarks.loaders import online

    trainer = TRAINERS[name]
    options = {key: value for key, value in trainer.options.items() if key != "loader"}
    task = LoadTask(FORMS[trainer.form](RECORDS, work), BATCH, 2, tuple(options.items()))

    epochs = [[(images.numpy(), labels.numpy()) for images, labels in online.epoch(task, n)] for n in (0, 1)]

    for batches in epochs:
        images = np.concatenate([images for images, _ in batches])
        assert images.shape == (RECORDS // 4, 224, 224, 3) and images.dtype == np.uint8
        counts = Counter(np.concatenate([labels for _, labels in batches]).tolist())
        assert len(counts) == 8 and set(counts.values()) == {1, 2}, "twelve photos of eight classes"
    pixels = {image.tobytes() for batches in epochs for images, _ in batches for image in images}
    assert len(pixels) == 2 * RECORDS // 4


def test_an_epoch_of_training_reads_one_copy_of_each_photo(work: Path, written: tuple[np.ndarray, list[int]]) -> None:
    from benchmarks.loaders import augmill_load

    task = LoadTask(FORMS["jpeg"](RECORDS, work), BATCH, 2, (("copies", "rotate"),))

    epochs = [
        [_nearest(np.array(image), written[0])[0] for images, _ in augmill_load.epoch(task, number) for image in images]
        for number in range(4)
    ]

    assert [len(set(places)) for places in epochs] == [RECORDS // 4] * 4
    assert sorted(place for places in epochs for place in places) == list(range(RECORDS)), "four epochs see all copies"


def test_the_clock_stops_at_the_last_batch() -> None:
    import time

    class Slow:
        """Three batches, then a long good-bye."""

        def __iter__(self) -> Iterator[tuple[list[int], None]]:
            yield from [([1, 2], None)] * 3
            time.sleep(0.3)

    seen = list[int]()
    done = read(Slow, lambda images, labels: seen.append(len(images)))

    assert (done.records, seen) == (6, [2, 2, 2])
    assert done.seconds < 0.2 <= done.closing_seconds


def test_a_loader_runs_in_a_process_of_its_own(work: Path) -> None:
    data = FORMS["jpeg"](RECORDS, work)

    run = turns.run_loader("records_alone", data, workers=2, batch=BATCH)

    assert run["records"] == RECORDS
    assert min(run["seconds"], run["first_batch_seconds"]) > 0
    assert run["peak"] > 100_000_000, "TensorFlow holds more than 100 MB"
    with pytest.raises(
        RunError, match=r"records_alone ended with code 1:(.|\n)*the first batch has 48 records, not 64$"
    ):
        turns.run_loader("records_alone", data, workers=2)


@pytest.mark.parametrize("under", ["nothing", "network", "wait"])
def test_an_epoch_of_training_counts_its_images(under: str, work: Path) -> None:
    options = {**TRAINERS["augmill"].options, "under": under, "epochs": "2", "milliseconds": "50"}

    run = turns.run_loader("train", FORMS["jpeg"](RECORDS, work), workers=2, batch=BATCH, options=options)

    assert (run["records"], run["epochs"]) == (2 * RECORDS // 4, 2)
    if under == "network":  # the shortest that the system counts is a hundredth of a second
        assert run["cpu_seconds"] > 0
    if under == "wait":
        assert run["seconds"] >= 4 * 0.05, "four batches"


def test_memory_is_told_after_every_epoch(work: Path) -> None:
    run = turns.run_loader(
        "many_epochs", FORMS["jpeg"](RECORDS, work), workers=2, batch=BATCH, options={"epochs": "3", "copies": "rotate"}
    )

    assert run["records"] == RECORDS // 4
    assert len(run["held"]) == 3 and min(run["held"]) > 100_000_000


def test_an_epoch_is_taken_up_in_its_middle(work: Path) -> None:
    from benchmarks.loaders.augmill_load import RESUMES

    if not RESUMES:
        pytest.skip("load has no start_step")
    run = turns.run_loader(
        "first_batch", FORMS["jpeg"](RECORDS, work), workers=2, batch=BATCH, options={"start": "middle"}
    )

    assert run["step"] == 2 and len(run["again_seconds"]) == 5


def test_one_that_fails_is_left_out_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    ran = list[str]()

    def run(name: str) -> dict[str, Any]:
        ran.append(name)
        if name == "b":
            raise RunError("no such thing")
        return {"name": name}

    runs, failed = turns.take_turns(["a", "b", "c"], 2, run, lambda one: one["name"])

    assert ran == ["a", "b", "c", "c", "a"]
    assert runs == {"a": [{"name": "a"}] * 2, "c": [{"name": "c"}] * 2}
    assert failed == {"b": "no such thing"}
    assert "b is left out: no such thing" in capsys.readouterr().err


def _reading(records: int, seconds: float, first: float) -> dict[str, Any]:
    return {
        "records": records,
        "seconds": seconds,
        "closing_seconds": 0.5,
        "cpu_seconds": 2 * seconds,
        "first_batch_seconds": first,
        "peak": 10**9,
    }


def _loading(**rates: float) -> dict[str, Any]:
    loaders = {name.replace("_", "-"): [_reading(1000, 1000 / rate, 0.1)] for name, rate in rates.items()}
    return {"records": 1000, "batch": 64, "rounds": 1, "machine": {"processor": "P"}, "loaders": loaders}


def test_the_table_has_the_fastest_first_and_ratios_to_augmill() -> None:
    rows = [line for line in loading_report.loading_table(_loading(tfds=500, augmill=1000)).splitlines() if "|" in line]

    assert rows[2:] == [
        "| augmill `load`, JPEG | **1,000** (1,000 to 1,000) |  | **100** (100 to 100) ms | 2.000 ms | 0.5 s (0.5) "
        "| 1.00 GB |",
        "| TFDS `as_dataset` | **500** (500 to 500) | 2x | **100** (100 to 100) ms | 4.000 ms | 0.5 s (0.5) "
        "| 1.00 GB |",
    ]


def test_targets_that_are_missed_or_not_measured_say_so() -> None:
    text = loading_report.targets_table(_loading(augmill=1000, tfdata=1250, webdataset=500, webdataset_opencv=800))

    assert "| tf.data tuned by hand, JPEG | at least 1x | 0.80x | **no** |" in text
    assert "| webdataset, by its faster decoder | at least 1.2x | 1.25x | yes |" in text
    assert "| TFDS | at least 1.5x | not measured |  |" in text
    assert "| raw pixels rather than JPEG | at least 3x | not measured |  |" in text
    assert "| first batch, JPEG | under 150 ms | 100 ms | yes |" in text


def test_waiting_is_what_an_epoch_takes_beyond_its_steps() -> None:
    def runs(seconds: float) -> list[dict[str, Any]]:
        return [{**_reading(640, seconds, 0), "epochs": 1}]

    trainers = {
        "augmill": {"nothing": runs(0.1), "wait": runs(0.25)},
        "online": {"nothing": runs(4), "network": runs(6), "wait": runs(4.05)},
    }
    measured = {"images": 640, "batch": 64, "rounds": 1, "milliseconds": 25, "machine": {}, "trainers": trainers}

    ours, theirs = loading_report.training_table(measured).splitlines()[-4:-2]

    assert ours.endswith("| 0.2 s | not measured | **0.2** (0.2 to 0.2) s | 0.0 s |")
    assert "| **160** (160 to 160) | 40x | 8.0 s | **6.0** (6.0 to 6.0) s |" in theirs and theirs.endswith("| 3.8 s |")


def test_growth_is_the_slope_of_the_second_half() -> None:
    assert loading_report.growth_per_epoch([9, 1, 5, 5, 10, 12, 14, 16]) == pytest.approx(2)
    assert loading_report.growth_per_epoch([1, 2, 3, 4, 7, 7, 7, 7]) == 0


def test_every_loader_and_input_is_explained() -> None:
    page = (REPOSITORY / "docs" / loading_report.FILE).read_text("utf-8")

    for loader in LOADERS.values():
        assert f"| {loader.title} |" in page
    for trainer in TRAINERS.values():
        parts = trainer.title.removeprefix("tf.data, ").split(", ") if trainer.title.startswith("tf.data") else []
        assert all(f"| {part} |" in page for part in parts or [trainer.title])


def test_the_page_tells_what_the_results_do() -> None:
    """Made anew by: python -m benchmarks.loading, .resume, .training and .memory."""
    text = (REPOSITORY / "docs" / loading_report.FILE).read_text("utf-8")
    for name, part in loading_report.loading_sections(read_results(REPOSITORY / "docs")).items():
        assert between(text, name, part) == text, name
