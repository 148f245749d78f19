"""docs/loading-benchmarks.md: what was measured of loaders, between its markers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from augmill.pipeline.units import count_text
from benchmarks import results
from benchmarks.loaders import LOADERS, TRAINERS
from benchmarks.report import NOT_YET, spread_text, table, times_text, write_page
from benchmarks.results import Spread
from benchmarks.run import DOCS

FILE = "loading-benchmarks.md"
LOADING_PLOT, TRAINING_PLOT, MEMORY_PLOT = "loading.svg", "loading-training.svg", "loading-memory.svg"
_FIRST_BATCH = 0.15  # seconds, wanted at most
_TOLD_EPOCHS = (1, 2, 5, 10, 20)


def write_loading_report(docs: Path) -> None:
    """Bring the page in `docs` up to what the results there say.

    Raises:
      ValueError: a marker is missing.
    """
    write_page(FILE, loading_sections(results.read(docs)), docs, template=DOCS)


def loading_sections(stored: Mapping[str, Any]) -> dict[str, str]:
    """What stands between each pair of markers, by name."""
    loading, training = stored.get("loading", {}).get("photo"), stored.get("training", {}).get("photo")
    resume, memory = stored.get("resume", {}).get("small"), stored.get("memory", {}).get("photo")
    return {
        "loading": loading_table(loading) if loading else NOT_YET,
        "targets": targets_table(loading) if loading else NOT_YET,
        "resume": resume_table(resume) if resume else NOT_YET,
        "training": training_table(training) if training else NOT_YET,
        "memory": memory_table(memory) if memory else NOT_YET,
    }


def rate(runs: Iterable[Mapping[str, Any]]) -> Spread:
    """Records a second."""
    return Spread.of(run["records"] / run["seconds"] for run in runs)


def loading_table(measured: Mapping[str, Any]) -> str:
    """The loaders, the fastest first."""
    loaders = measured["loaders"]
    base = loaders.get("augmill")
    rows = []
    for name in sorted(loaders, key=lambda name: -rate(loaders[name]).median):
        runs = loaders[name]
        first = Spread.of(1e3 * run["first_batch_seconds"] for run in runs)
        cpu = Spread.of(1e3 * run["cpu_seconds"] / run["records"] for run in runs)
        closing = Spread.of(run["closing_seconds"] for run in runs)
        times = times_text(results.times(base, runs, "seconds").median) if base and name != "augmill" else ""
        peak = results.peak_gigabytes(runs)
        more = [f"{cpu.median:.3f} ms", f"{closing.median:.1f} s ({closing.greatest:.1f})", f"{peak:.2f} GB"]
        rows.append([LOADERS[name].title, spread_text(rate(runs)), times, f"{spread_text(first)} ms", *more])
    head = ("loader", "records/s", "augmill is", "first batch", "processor a record", "closing", "peak memory")
    told = f"{count_text(measured['records'], 'record')}, batches of {measured['batch']}, {_rounds(measured)}."
    return f"![Records a second of each loader]({LOADING_PLOT})\n\n{told}\n\n{table(head, rows)}\n\n{_facts(measured)}"


def targets_table(measured: Mapping[str, Any]) -> str:
    """What augmill's loader is to reach, and whether it does; what was not measured is said to be so."""
    loaders = measured["loaders"]

    def ratio(words: str, wanted: float, of: str, to: tuple[str, ...]) -> list[str]:
        others = [loaders[name] for name in to if name in loaders]
        if of not in loaders or not others:
            return [words, f"at least {wanted:g}x", "not measured", ""]
        found = min(results.times(loaders[of], other, "seconds").median for other in others)
        return [words, f"at least {wanted:g}x", f"{found:.2f}x", "yes" if found >= wanted else "**no**"]

    rows = [
        ratio("tf.data tuned by hand, JPEG", 1.0, "augmill", ("tfdata",)),
        ratio("TFDS", 1.5, "augmill", ("tfds",)),
        ratio("webdataset, by its faster decoder", 1.2, "augmill", ("webdataset", "webdataset-opencv")),
        ratio("raw pixels rather than JPEG", 3.0, "augmill-raw", ("augmill",)),
    ]
    if "augmill" in loaders:
        first = Spread.of(run["first_batch_seconds"] for run in loaders["augmill"]).median
        met = "yes" if first < _FIRST_BATCH else "**no**"
        rows.append(["first batch, JPEG", f"under {1e3 * _FIRST_BATCH:.0f} ms", f"{1e3 * first:.0f} ms", met])
    return table(("augmill beside", "wanted", "measured", "reached"), rows)


def resume_table(measured: Mapping[str, Any]) -> str:
    """The time to the first batch, at the start of an epoch and in its middle."""
    rows = []
    for runs in measured["starts"].values():
        first = Spread.of(1e3 * run["seconds"] for run in runs)
        again = Spread.of(1e3 * seconds for run in runs for seconds in run["again_seconds"])
        rows.append([f"step {runs[0]['step']:,}", f"{spread_text(first)} ms", f"{spread_text(again)} ms"])
    told = f"{count_text(measured['records'], 'record')}, {_rounds(measured)}."
    return f"{told}\n\n{table(('from', 'in a fresh process', 'in later epochs'), rows)}\n\n{_facts(measured)}"


def training_table(measured: Mapping[str, Any]) -> str:
    """The ways to feed training: images a second by themselves, and the time of an epoch."""
    trainers = {name: runs for name, runs in measured["trainers"].items() if "nothing" in runs}
    base = rate(trainers["augmill"]["nothing"]).median if "augmill" in trainers else None
    least = measured["milliseconds"] * -(-measured["images"] // measured["batch"]) / 1e3
    rows = []
    for name in sorted(trainers, key=lambda name: -rate(trainers[name]["nothing"]).median):
        runs = trainers[name]
        alone = rate(runs["nothing"])
        times = times_text(base / alone.median) if base and name != "augmill" else ""
        busy = Spread.of(run["cpu_seconds"] / run["epochs"] for run in runs["nothing"]).median
        epochs = [_epoch_text(runs.get(under)) for under in ("network", "wait")]
        stalled = ""
        if "wait" in runs:
            stalled = f"{max(0.0, Spread.of(run['seconds'] for run in runs['wait']).median - least):.1f} s"
        rows.append([TRAINERS[name].title, spread_text(alone), times, f"{busy:.1f} s", *epochs, stalled])
    step = f"{measured['milliseconds']} ms"
    head = (
        "input",
        "images/s",
        "augmill is",
        "processor an epoch",
        "epoch, network on the cores",
        f"epoch, {step} steps",
    )
    told = f"Epochs of {measured['images']:,} images in batches of {measured['batch']}, {_rounds(measured)}. "
    told += f"Steps of {step} alone take {least:.2f} s an epoch; what is above that is waiting for images."
    plot = f"![Time of an epoch by kind of input]({TRAINING_PLOT})"
    return f"{plot}\n\n{told}\n\n{table((*head, 'of it waiting'), rows)}\n\n{_facts(measured)}"


def _epoch_text(runs: list[dict[str, Any]] | None) -> str:
    if not runs:
        return "not measured"
    spread = Spread.of(run["seconds"] / run["epochs"] for run in runs)
    return f"**{spread.median:.1f}** ({spread.least:.1f} to {spread.greatest:.1f}) s"


def memory_table(measured: Mapping[str, Any]) -> str:
    """The memory that the process held after some of the epochs."""
    runs = measured["runs"]
    told = [number for number in _TOLD_EPOCHS if number <= measured["epochs"]]
    rows = [["resident, MB", *[spread_text(Spread.of(run["held"][n - 1] / 1e6 for run in runs)) for n in told]]]
    growth = Spread.of(growth_per_epoch(run["held"]) / 1e6 for run in runs)
    words = f"Over the second half it changes by {growth.median:+.2f} MB an epoch "
    words += f"({growth.least:+.2f} to {growth.greatest:+.2f})."
    head = ("after epoch", *map(str, told))
    text = f"{count_text(runs[0]['records'], 'record')} an epoch, {_rounds(measured)}. {words}"
    plot = f"![Resident memory after each epoch]({MEMORY_PLOT})"
    return f"{plot}\n\n{text}\n\n{table(head, rows)}\n\n{_facts(measured)}"


def growth_per_epoch(held: list[int]) -> float:
    """Bytes an epoch over the second half of a run: the slope of the line through these points."""
    tail = held[len(held) // 2 :]
    places = [number - (len(tail) - 1) / 2 for number in range(len(tail))]
    return sum(place * one for place, one in zip(places, tail, strict=True)) / sum(place**2 for place in places)


def _rounds(measured: Mapping[str, Any]) -> str:
    return count_text(measured["rounds"], "round")


def _facts(measured: Mapping[str, Any]) -> str:
    return ", ".join(f"{what} {value}" for what, value in measured["machine"].items()) + "."
