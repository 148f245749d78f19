"""Spec names to transforms: one explicit table, and the grammar of an `augment` list."""

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from augmill.transforms.base import Transform, TransformError
from augmill.transforms.color import RandomBrightness, RandomContrast, RandomHue, RandomSaturation
from augmill.transforms.function import UserFunction
from augmill.transforms.geometry import RandomCrop, RandomFlipLeftRight, RandomFlipUpDown
from augmill.transforms.jpeg import RandomJpegQuality
from augmill.transforms.keras_layer import PREFIX, REFUSED, KerasLayer, layer_names
from augmill.transforms.policy import Node, OneOf, Policy, SomeOf, Sometimes

OPS: dict[str, type[Transform]] = {
    op.name: op
    for op in (
        RandomFlipLeftRight,
        RandomFlipUpDown,
        RandomCrop,
        RandomBrightness,
        RandomContrast,
        RandomSaturation,
        RandomHue,
        RandomJpegQuality,
    )
}

_FUNCTION = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


class Problem(NamedTuple):
    """One thing wrong with a spec: where, as a path of keys and indices, and what."""

    where: tuple[str | int, ...]
    message: str


def parse_policy(entries: Any, where: tuple[str | int, ...] = ("augment",)) -> tuple[Policy, list[Problem]]:
    """Read an `augment` list.

    Returns:
      The policy made of what could be read, and every problem met, in the order of the list.
    """
    problems: list[Problem] = []
    return Policy(tuple(_parse_list(entries, where, problems))), problems


def op_names() -> list[str]:
    """Every name that `augment` knows, the ways of composing included; functions are named `module:function`."""
    layers = [PREFIX + name for name in layer_names() if name not in REFUSED]
    return [*OPS, *layers, *_COMPOSITIONS]


def _parse_list(entries: Any, where: tuple[str | int, ...], problems: list[Problem]) -> list[Node]:
    if not isinstance(entries, (list, tuple)):
        problems.append(Problem(where, f"must be a list of ops, got {entries!r}"))
        return []
    parsed = [_parse_entry(item, (*where, i), problems) for i, item in enumerate(entries)]
    return [node for node in parsed if node is not None]


def _parse_entry(item: Any, where: tuple[str | int, ...], problems: list[Problem]) -> Node | None:
    if isinstance(item, str):
        name, arguments = item, None
    elif isinstance(item, Mapping) and len(item) == 1:
        name, arguments = next(iter(item.items()))
    else:
        rule = "an op is a name, or one name with its arguments under it"
        problems.append(Problem(where, f"{rule}, got {_short(item)}"))
        return None
    here = (*where, name)
    try:
        if name in _COMPOSITIONS:
            return _COMPOSITIONS[name](arguments, here, problems)
        return _parse_op(name, {} if arguments is None else arguments, here, problems)
    except TransformError as error:
        problems.append(Problem(here, str(error)))
        return None


def _parse_op(name: Any, arguments: Any, where: tuple[str | int, ...], problems: list[Problem]) -> Node | None:
    if not isinstance(arguments, Mapping):
        raise TransformError(f"arguments must be given by name, as {{name: value}}, got {_short(arguments)}")
    strange = _not_plain(arguments)
    if strange is not None:
        raise TransformError(
            f"arguments must be numbers, texts, lists and mappings by text, as JSON has them, got {_short(strange)}"
        )
    if name in OPS:
        return _build(OPS[name], dict(arguments), where, problems)
    if isinstance(name, str) and name.startswith(PREFIX):
        return KerasLayer(name[len(PREFIX) :], dict(arguments))
    if isinstance(name, str) and _FUNCTION.match(name):
        return UserFunction(name, dict(arguments))
    near = difflib.get_close_matches(str(name), op_names(), n=1, cutoff=0.5)
    guess = f"did you mean {near[0]}? " if near else ""
    raise TransformError(
        f"unknown op {name!r}; {guess}Choose from {', '.join(OPS)}, {PREFIX}<image layer>, "
        f"<module>:<function>, {', '.join(_COMPOSITIONS)}"
    )


def _build(
    op: type[Transform], arguments: dict[str, Any], where: tuple[str | int, ...], problems: list[Problem]
) -> Node | None:
    """Make `op`, or note each argument that is unknown or missing."""
    parameters = inspect.signature(op).parameters
    before, misspelt = len(problems), set[str]()
    for name in arguments:
        if name not in parameters:
            near = difflib.get_close_matches(str(name), parameters, n=1)
            misspelt.update(near)
            guess = f"did you mean {near[0]}? " if near else ""
            takes = ", ".join(parameters) or "no arguments"
            problems.append(Problem((*where, name), f"unknown argument; {guess}{op.name} takes {takes}"))
    for name, parameter in parameters.items():
        if name not in {*arguments, *misspelt} and parameter.default is inspect.Parameter.empty:
            problems.append(Problem(where, f"{op.name} needs a value for {name}"))
    if len(problems) > before:
        return None
    return op(**arguments)


def _parse_one_of(arguments: Any, where: tuple[str | int, ...], problems: list[Problem]) -> Node | None:
    before = len(problems)
    ops = _parse_list(arguments, where, problems)
    return OneOf(tuple(ops)) if len(problems) == before else None


def _parse_some_of(arguments: Any, where: tuple[str | int, ...], problems: list[Problem]) -> Node | None:
    fields = _fields("some_of", arguments, ("n", "do"))
    before = len(problems)
    ops = _parse_list(fields["do"], (*where, "do"), problems)
    n = fields["n"]
    bounds = list(n) if isinstance(n, (list, tuple)) else [n, n]
    if len(bounds) != 2 or not all(type(bound) is int for bound in bounds):
        problems.append(Problem((*where, "n"), f"must be a whole number or [least, most], got {n!r}"))
    return SomeOf(bounds[0], bounds[1], tuple(ops)) if len(problems) == before else None


def _parse_sometimes(arguments: Any, where: tuple[str | int, ...], problems: list[Problem]) -> Node | None:
    fields = _fields("sometimes", arguments, ("p", "do"))
    before = len(problems)
    ops = _parse_list(fields["do"], (*where, "do"), problems)
    return Sometimes(fields["p"], tuple(ops)) if len(problems) == before else None


def _fields(name: str, arguments: Any, wanted: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(arguments, Mapping) or set(arguments) != set(wanted):
        got = ", ".join(map(str, arguments)) if isinstance(arguments, Mapping) else _short(arguments)
        raise TransformError(f"{name} takes exactly {' and '.join(wanted)}, got {got or 'nothing'}")
    return arguments


def _not_plain(value: Any) -> Any:
    """The first part of a value that would not survive the JSON that carries it to the workers, or None."""
    if isinstance(value, Mapping):
        keys = [key for key in value if not isinstance(key, str)]
        return keys[0] if keys else _not_plain(list(value.values()))
    if isinstance(value, (list, tuple)):
        found = (_not_plain(item) for item in value)
        return next((item for item in found if item is not None), None)
    finite = not isinstance(value, float) or math.isfinite(value)
    return None if value is None or (isinstance(value, (bool, int, float, str)) and finite) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_COMPOSITIONS: dict[str, Callable[[Any, tuple[str | int, ...], list[Problem]], Node | None]] = {
    "one_of": _parse_one_of,
    "some_of": _parse_some_of,
    "sometimes": _parse_sometimes,
}
