"""The plots beside docs/benchmarks.md, as SVG: the same numbers give the same file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.contenders import CONTENDERS
from benchmarks.recipes import RECIPES
from benchmarks.report import CURVE_PLOT, RECIPES_PLOT

OURS, THEIRS, LIMIT = "#1f6f8b", "#8a8f98", "#d9a441"
INK, _WHOLE = "#22262b", 0.35  # the whole command's bars are as much paler
_BAR = 0.36


def check_matplotlib() -> None:
    """End the command before any work is done, where there is nothing to draw its results with."""
    if importlib.util.find_spec("matplotlib") is None:
        sys.exit("the plots need matplotlib, which is not installed; scripts/environment benchmarks installs it")


def draw_recipes(recipes: Mapping[str, Any], docs: Path) -> None:
    """Draw the rates of every recipe measured so far: a bar at work, a paler one of the whole command."""
    plt = pyplot()
    names = [name for name in RECIPES if name in recipes]
    heights = [len(recipes[name]["contenders"]) + 1 for name in names]
    figure, axes = plt.subplots(
        len(names), 1, figsize=(9, 0.42 * sum(heights) + 0.6), height_ratios=heights, squeeze=False
    )
    for axis, name in zip(axes[:, 0], names, strict=True):
        _draw_recipe(axis, name, recipes[name]["contenders"])
    axes[-1, 0].set_xlabel("records a second at work, paler: in all; medians, with the least and the greatest")
    save(figure, docs / RECIPES_PLOT)


def _draw_recipe(axis: Any, name: str, contenders: Mapping[str, Any]) -> None:
    order = sorted(contenders, key=lambda one: results.work_rate(contenders[one]).median)
    for place, contender in enumerate(order):
        runs = contenders[contender]
        for rate, above, alpha in (
            (results.work_rate(runs), _BAR / 2, 1.0),
            (results.whole_rate(runs), -_BAR / 2, _WHOLE),
        ):
            error = [[rate.median - rate.least], [rate.greatest - rate.median]]
            axis.barh(place + above, rate.median, _BAR, color=_color(contender), alpha=alpha)
            axis.errorbar(rate.median, place + above, xerr=error, color=INK, linewidth=0.8, capsize=2)
        rate = results.work_rate(runs)
        axis.annotate(
            f"{rate.median:,.0f}", (rate.greatest, place + _BAR / 2), (6, 0), textcoords="offset points", va="center"
        )
    axis.set_yticks(range(len(order)), [CONTENDERS[one].title for one in order])
    axis.set_title(f"{name}: {RECIPES[name].title}", loc="left", fontsize=9)
    axis.margins(x=0.12)
    axis.grid(False, axis="y")


def _color(contender: str) -> str:
    if contender == "kernels-alone":
        return LIMIT
    return OURS if contender.startswith("augmill") else THEIRS


def draw_curve(curve: Mapping[str, Any], docs: Path) -> None:
    """Draw augmill's rates, and the peak of a worker, by records written."""
    plt = pyplot()
    figure, (rates, memory) = plt.subplots(1, 2, figsize=(9, 3.4))
    for tensorflow, color in ((False, OURS), (True, LIMIT)):
        for workers, dashes in ((1, "--"), (2, "-")):
            points = sorted(
                (one for one in curve.values() if (one["tensorflow"], one["workers"]) == (tensorflow, workers)),
                key=lambda one: one["records"],
            )
            if not points:
                continue
            title = f"{workers} worker{'s' * (workers > 1)}{', with TensorFlow' * tensorflow}"
            records = [one["records"] for one in points]
            work = [results.work_rate(one["runs"]).median for one in points]
            whole = [results.whole_rate(one["runs"]).median for one in points]
            held = [results.peak_gigabytes(one["runs"]) for one in points]
            rates.plot(records, work, dashes, color=color, marker="o", markersize=3, label=title)
            rates.plot(records, whole, dashes, color=color, marker="o", markersize=3, alpha=_WHOLE)
            memory.plot(records, held, dashes, color=color, marker="o", markersize=3)
    written = sorted({one["records"] for one in curve.values()})
    rates.set_title("records a second at work, paler: in all", loc="left", fontsize=9)
    memory.set_title("peak memory of all processes, GB", loc="left", fontsize=9)
    for axis in (rates, memory):
        axis.set(xscale="log", xlabel="records written")
        axis.set_xticks(written, [f"{count:,}" for count in written])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
    memory.legend(
        handles=rates.lines[::2], fontsize=7, loc="lower right", handlelength=3
    )  # each second line is of the whole command
    save(figure, docs / CURVE_PLOT)


def pyplot() -> Any:
    """Matplotlib, imported late: the tables do without it."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "svg.hashsalt": "augmill",  # names inside the file, which would be random
            "font.size": 8,
            "axes.edgecolor": "#b9bec6",
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e6e8eb",
        }
    )
    return plt


def save(figure: Any, path: Path) -> None:
    """Write a figure as SVG, the same file for the same figure, and close it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    pyplot().close(figure)
