"""docs/benchmarks.md: what was measured goes between its markers; the words around them stay as they were."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augmill.pipeline.units import count_text
from benchmarks import results
from benchmarks.contenders import CONTENDERS
from benchmarks.recipes import RECIPES

FILE = "benchmarks.md"
RECIPES_PLOT, CURVE_PLOT = "benchmarks.svg", "benchmarks-curve.svg"
_BASES = ("augmill-fast", "augmill-reference")  # what the others are compared with: the first that was measured
NOT_YET = "Not measured yet."


def write_report(docs: Path, *, template: Path) -> None:
    """Bring the document in `docs` up to what the results there say.

    Args:
      docs: the folder of the results, and of the document.
      template: the folder of the document to begin with, where `docs` has none.

    Raises:
      ValueError: a marker is missing.
    """
    write_page(FILE, sections(results.read(docs)), docs, template=template)


def write_page(file: str, parts: Mapping[str, str], docs: Path, *, template: Path) -> None:
    """Put each part between its markers in a page of `docs`; where it has none, in a copy of the one in `template`.

    Raises:
      ValueError: a marker is missing.
    """
    path = docs / file
    text = (path if path.exists() else template / file).read_text("utf-8")
    for name, part in parts.items():
        text = between(text, name, part)
    path.write_text(text, "utf-8")


def between(text: str, name: str, part: str) -> str:
    """Put `part` between the markers of `name`.

    Raises:
      ValueError: the text has not got both of them once.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page must have the lines {begin} and {end} once each, around what is written there")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{part.strip()}\n{end}", text)


def sections(stored: Mapping[str, Any]) -> dict[str, str]:
    """What stands between each pair of markers, by name."""
    recipes = stored.get("recipes", {})
    plot = f"![Records a second of each contender, by recipe]({RECIPES_PLOT})" if recipes else NOT_YET
    return {
        "plot": plot,
        "machines": _machines(recipes),
        **{name: recipe_table(recipes[name]) if name in recipes else NOT_YET for name in RECIPES},
        "curve": curve_table(stored["curve"]) if stored.get("curve") else NOT_YET,
        "profile": profile_table(stored["profile"]) if stored.get("profile") else NOT_YET,
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column of words and the others of numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def recipe_table(measured: Mapping[str, Any]) -> str:
    """The contenders of one recipe, the fastest at work first."""
    by_name: dict[str, list[dict[str, Any]]] = measured["contenders"]
    base = next((by_name[name] for name in _BASES if name in by_name), None)
    order = sorted(by_name, key=lambda name: -results.work_rate(by_name[name]).median)
    rows = [_recipe_row(name, by_name[name], base) for name in order]
    head = ("contender", "records/s at work", "records/s in all", "augmill is", "peak memory", "a record", "records")
    rounds, workers = count_text(measured["rounds"], "round"), count_text(measured["workers"], "worker")
    return f"{rounds}, {workers}.\n\n{table(head, rows)}"


def _recipe_row(name: str, runs: list[dict[str, Any]], base: list[dict[str, Any]] | None) -> list[str]:
    work, whole = results.work_rate(runs), results.whole_rate(runs)
    times = ""
    if base is not None and base is not runs:
        at_work, in_all = (results.times(base, runs, seconds) for seconds in ("work_seconds", "whole_seconds"))
        times = f"**{times_text(at_work.median)}** ({times_text(at_work.least)} to {times_text(at_work.greatest)})"
        times += f", in all {times_text(in_all.median)}"
    records, written = runs[0]["records"], runs[0]["bytes"]
    return [
        CONTENDERS[name].title,
        spread_text(work),
        spread_text(whole),
        times,
        f"{results.peak_gigabytes(runs):.2f} GB",
        f"{written / records / 1e3:.1f} kB" if written else "",
        f"{records:,}",
    ]


def spread_text(rate: results.Spread) -> str:
    """A median, with the least and the greatest beside it."""
    return f"**{rate.median:,.0f}** ({rate.least:,.0f} to {rate.greatest:,.0f})"


def times_text(ratio: float) -> str:
    """A ratio in two figures."""
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.2g}x"


def _machines(recipes: Mapping[str, Any]) -> str:
    """The machines and libraries that were measured on, each with its recipes."""
    by_facts: dict[str, list[str]] = {}
    for name, measured in recipes.items():
        facts = ", ".join(f"{what} {value}" for what, value in measured["machine"].items())
        by_facts.setdefault(facts, []).append(name)
    return "\n".join(f"- {', '.join(names)}: {facts}." for facts, names in by_facts.items()) or NOT_YET


def curve_table(curve: Mapping[str, Any]) -> str:
    """Rates and peaks of augmill as the dataset grows."""
    rows = []
    for point in sorted(curve.values(), key=lambda one: (one["tensorflow"], one["workers"], one["records"])):
        runs = point["runs"]
        peaks = [results.role_gigabytes(runs, role) for role in ("launcher", "driver", "worker")]
        rows.append(
            [
                "with an op that needs TensorFlow" if point["tensorflow"] else "all by fast kernels",
                str(point["workers"]),
                f"{point['records']:,}",
                spread_text(results.work_rate(runs)),
                spread_text(results.whole_rate(runs)),
                *[f"{peak:.2f} GB" if peak is not None else "" for peak in peaks],
            ]
        )
    head = ("policy", "workers", "records", "records/s at work", "records/s in all", "launcher", "driver", "a worker")
    facts = next(iter(curve.values()))["machine"]
    told = ", ".join(f"{what} {value}" for what, value in facts.items())
    return f"![Records a second and memory by records written]({CURVE_PLOT})\n\n{table(head, rows)}\n\n{told}."


def profile_table(profile: Mapping[str, Any]) -> str:
    """Where the time of a block goes, by stage."""
    parts = []
    for measured in profile.values():
        records, stages = measured["records"], measured["stages"]
        total = sum(stages.values())
        rows = [[name, f"{1e3 * spent / records:.3f}", f"{spent / total:.1%}"] for name, spent in stages.items()]
        rows.append(["all", f"{1e3 * total / records:.3f}", "100%"])
        title = f"`{measured['recipe']}`, {measured['kernels']} kernels, {records:,} records in one process:"
        parts.append(f"{title}\n\n{table(('stage', 'ms a record', 'share'), rows)}")
    return "\n\n".join(parts)
