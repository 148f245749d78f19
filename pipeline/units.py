"""Sizes and times in the units that people read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def size_text(count: float) -> str:
    """A number of bytes in the unit that suits it.

    >>> size_text(1_234_567)
    '1.2 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def parse_size(text: str) -> int:
    """Read a number of bytes, with a unit or without.

    >>> parse_size("1.5 GB"), parse_size("2000")
    (1500000000, 2000)

    Raises:
      ValueError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text.strip())
    if not found:
        raise ValueError(f"a size is a number with B, kB, MB, GB or TB after it, got {text!r}")
    return int(float(found[1]) * 1000 ** ["", "k", "M", "G", "T"].index(found[2]))


def time_text(seconds: float) -> str:
    """A number of seconds in the unit that suits it.

    >>> time_text(7000)
    '1.9 h'
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def count_text(count: int, thing: str) -> str:
    """Write a number of things.

    >>> count_text(1, "block"), count_text(1200, "block")
    ('1 block', '1,200 blocks')
    """
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def printable(text: str, *, lines: bool = False) -> str:
    """Write out as \\n, \\x1b or \\u202e what a terminal would act on rather than show; keep line ends with `lines`.

    >>> printable("a cat\\x1b[2J.png")
    'a cat\\\\x1b[2J.png'
    """
    if text.isprintable():
        return text
    signs = (sign if sign.isprintable() or (lines and sign == "\n") else sign.encode("unicode_escape") for sign in text)
    return "".join(sign if isinstance(sign, str) else sign.decode() for sign in signs)


def some(names: Sequence[str], most: int = 5) -> str:
    """The first few names, as they can be printed, and how many more there are."""
    return ", ".join(map(printable, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def duplicates_text(counts: Mapping[str, Any]) -> str:
    """Write how many images were met more than once, and where; nothing where none was."""
    if not counts["groups"]:
        return ""
    parts = [f"{count:,} within {split}" for split, count in counts["within"].items()]
    parts += [f"{count:,} in both {pair.replace('+', ' and ')}" for pair, count in counts["across"].items()]
    return f"{count_text(counts['groups'], 'image')} met more than once: {', '.join(parts)}"


def drawn_words(params: Mapping[str, Any]) -> Iterator[str]:
    """Say what an op drew, a parameter or a step at a time; seeds, and a partner's own steps, are left out.

    >>> list(drawn_words({"flip": False, "factor": 0.123456, "ops": [["rotate", 27.0]], "seed": [1, 2]}))
    ['no flip', 'factor 0.1235', 'rotate 27']
    """
    for name, value in params.items():
        if name.endswith("seed") or name == "steps":
            continue
        if isinstance(value, bool):
            yield name if value else f"no {name}"
        elif name == "ops" and isinstance(value, list):
            yield from map(_step_text, value)
        elif name == "chains" and isinstance(value, list):
            yield from (" then ".join(map(_step_text, chain)) or "as it is" for chain in value)
        else:
            yield f"{name} {_value_text(value)}"


def _step_text(step: list[Any]) -> str:
    return step[0] if step[1] is None else f"{step[0]} {_value_text(step[1])}"


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value_text, value)) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
