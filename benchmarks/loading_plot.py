"""The plots of docs/loading-benchmarks.md, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.loaders import LOADERS, TRAINERS
from benchmarks.loading_report import LOADING_PLOT, MEMORY_PLOT, TRAINING_PLOT, rate
from benchmarks.plot import INK, LIMIT, OURS, THEIRS, pyplot, save
from benchmarks.results import Spread

_STEPS = {"network": OURS, "wait": LIMIT}


def draw_loading(measured: Mapping[str, Any], docs: Path) -> None:
    """Draw the rate of every loader; records that are not decoded are left out, as they are many times as fast."""
    rates = {name: rate(runs) for name, runs in measured["loaders"].items() if name != "records-alone"}
    order = sorted(rates, key=lambda name: rates[name].median)
    figure, axis = pyplot().subplots(figsize=(9, 0.42 * len(order) + 1))
    for place, name in enumerate(order):
        _bar(axis, place, rates[name], OURS if name.startswith("augmill") else THEIRS, f"{rates[name].median:,.0f}")
    axis.set_yticks(range(len(order)), [LOADERS[name].title for name in order])
    axis.set_xlabel("records a second; medians, with the least and the greatest")
    _finish(axis)
    save(figure, docs / LOADING_PLOT)


def draw_training(measured: Mapping[str, Any], docs: Path) -> None:
    """Draw the time of an epoch by kind of input, with a network on the same cores and with a GPU's steps."""
    trainers = measured["trainers"]
    names = list(reversed(trainers))
    figure, axis = pyplot().subplots(figsize=(9, 0.6 * len(names) + 1))
    for place, name in enumerate(names):
        for above, (under, color) in zip((0.2, -0.2), _STEPS.items(), strict=True):
            if under in trainers[name]:
                spread = Spread.of(run["seconds"] / run["epochs"] for run in trainers[name][under])
                _bar(axis, place + above, spread, color, f"{spread.median:.1f} s", height=0.36)
    axis.set_yticks(range(len(names)), [TRAINERS[name].title for name in names])
    steps = f"orange: with {measured['milliseconds']} ms a batch for a GPU's step"
    axis.set_xlabel(f"seconds an epoch of {measured['images']:,} images; blue: with a network on the cores, {steps}")
    _finish(axis)
    save(figure, docs / TRAINING_PLOT)


def draw_memory(measured: Mapping[str, Any], docs: Path) -> None:
    """Draw the memory after each epoch, a line a run."""
    figure, axis = pyplot().subplots(figsize=(9, 3))
    epochs = range(1, measured["epochs"] + 1)
    for run in measured["runs"]:
        axis.plot(epochs, [held / 1e6 for held in run["held"]], color=OURS, marker="o", markersize=3, alpha=0.6)
    axis.set(xlabel="epoch", ylabel="resident, MB", xticks=[1, *range(5, measured["epochs"] + 1, 5)])
    axis.set_ylim(bottom=0)
    save(figure, docs / MEMORY_PLOT)


def _bar(axis: Any, place: float, spread: Spread, color: str, text: str, *, height: float = 0.6) -> None:
    error = [[spread.median - spread.least], [spread.greatest - spread.median]]
    axis.barh(place, spread.median, height, color=color)
    axis.errorbar(spread.median, place, xerr=error, color=INK, linewidth=0.8, capsize=2)
    axis.annotate(text, (spread.greatest, place), (6, 0), textcoords="offset points", va="center")


def _finish(axis: Any) -> None:
    axis.margins(x=0.12)
    axis.grid(False, axis="y")
