"""The grammar of an `augment` list: what it makes, and every problem at once, each with its path."""

from __future__ import annotations

import difflib
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from augmill.transforms.base import Transform, TransformError
from augmill.transforms.catalog import COMPOSITIONS, OPS, op_names
from augmill.transforms.composition import Node, OneOf, SomeOf, Sometimes
from augmill.transforms.function import UserFunction
from augmill.transforms.keras_config import augmenter_entries
from augmill.transforms.keras_graph import load_model
from augmill.transforms.policy import Policy
from augmill.transforms.user_code import import_object
from augmill.transforms.user_layer import UserLayer

# What Keras layers take and no op does, with the reason.
_LEFT_OUT = {
    "seed": "the spec's own seed rules every draw",
    "data_format": "images are [height, width, channels] here",
    "bounding_box_format": "boxes have one form here, whatever the source's is",
    "dtype": "ops work in uint8 or float32, each as it needs",
}

_TARGET = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")  # code of the user's
_SAVED = ".keras"  # how the path of a saved model ends


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


def files_from(entries: Any, folder: Path) -> Any:
    """Take the relative paths of saved models in an `augment` list from `folder`."""
    if isinstance(entries, (list, tuple)):
        return [files_from(item, folder) for item in entries]
    if isinstance(entries, Mapping):  # the arguments of an op are left as they are
        return {
            files_from(key, folder) if isinstance(key, str) else key: (
                files_from(value, folder) if key in (*COMPOSITIONS, "do") else value
            )
            for key, value in entries.items()
        }
    return str(folder / entries) if isinstance(entries, str) and entries.endswith(_SAVED) else entries


def user_code_in(entries: Any, where: tuple[str | int, ...] = ("augment",)) -> Iterator[Problem]:
    """Find the entries of an `augment` list for which code would be imported or read from a saved model.

    Yields:
      The place and the name of each; nothing is imported.
    """
    if isinstance(entries, (list, tuple)):
        for place, item in enumerate(entries):
            yield from user_code_in(item, (*where, place))
    elif isinstance(entries, Mapping):
        for key, value in entries.items():
            yield from user_code_in(key, where)
            if key in (*COMPOSITIONS, "do"):
                yield from user_code_in(value, (*where, key))
    elif isinstance(entries, str) and (entries.endswith(_SAVED) or _TARGET.match(entries)):
        yield Problem(where, entries)


def _parse_list(entries: Any, where: tuple[str | int, ...], problems: list[Problem]) -> list[Node]:
    """Read ops that are applied one after another; an augmenter's layers are so many ops."""
    return [node for nodes in _parse_each(entries, where, problems) for node in nodes]


def _parse_choices(entries: Any, where: tuple[str | int, ...], problems: list[Problem]) -> list[Node]:
    """Read ops to choose from; an augmenter is one of them, whole."""
    each = _parse_each(entries, where, problems)
    return [nodes[0] if len(nodes) == 1 else Sometimes(1.0, tuple(nodes)) for nodes in each if nodes]


def _parse_each(entries: Any, where: tuple[str | int, ...], problems: list[Problem]) -> list[list[Node]]:
    if not isinstance(entries, (list, tuple)):
        problems.append(Problem(where, f"must be a list of ops, got {entries!r}"))
        return []
    parsed = [_parse_entry(item, (*where, i), problems) for i, item in enumerate(entries)]
    return [[node for node in nodes if node is not None] for nodes in parsed]


def _parse_entry(item: Any, where: tuple[str | int, ...], problems: list[Problem]) -> list[Node | None]:
    if isinstance(item, str):
        name, arguments = item, None
    elif isinstance(item, Mapping) and len(item) == 1:
        name, arguments = next(iter(item.items()))
    else:
        rule = "an op is a name, or one name with its arguments under it"
        problems.append(Problem(where, f"{rule}, got {_short(item)}"))
        return []
    here = (*where, name)
    try:
        if name in COMPOSITIONS:
            return [_PARSERS[name](arguments, here, problems)]
        return _parse_op(name, {} if arguments is None else arguments, here, problems)
    except TransformError as error:
        problems.append(Problem(here, str(error)))
        return []


def _parse_op(name: Any, arguments: Any, where: tuple[str | int, ...], problems: list[Problem]) -> list[Node | None]:
    if not isinstance(arguments, Mapping):
        raise TransformError(f"arguments must be given by name, as {{name: value}}, got {_short(arguments)}")
    strange = _not_plain(arguments)
    if strange is not None:
        raise TransformError(
            f"arguments must be numbers, texts, lists and mappings by text, as JSON has them, got {_short(strange)}"
        )
    if name in OPS:
        return [_build(OPS[name], dict(arguments), where, problems)]
    if isinstance(name, str) and name.endswith(_SAVED):
        return _unrolled(load_model(name), name, arguments, where, problems)
    if isinstance(name, str) and _TARGET.match(name):
        return _user_code(name, arguments, where, problems)
    near = difflib.get_close_matches(str(name), op_names(), n=1, cutoff=0.5)
    guess = f"did you mean {near[0]}? " if near else ""
    raise TransformError(
        f"unknown op {name!r}; {guess}`augmill ops` lists them; a function of yours is <module>:<function>, and "
        f"{', '.join(COMPOSITIONS)} compose"
    )


def _user_code(
    name: str, arguments: Mapping[str, Any], where: tuple[str | int, ...], problems: list[Problem]
) -> list[Node | None]:
    """Make what `module:name` is: a function, a class of layers, or an augmenter made of layers."""
    found = import_object(name)
    keras = sys.modules.get("keras")  # where nothing has imported it, nothing is a layer of it
    if keras is not None and isinstance(found, keras.layers.Layer):
        return _unrolled(found, name, arguments, where, problems)
    if keras is not None and inspect.isclass(found) and issubclass(found, keras.layers.Layer):
        return [UserLayer(name, dict(arguments))]
    return [UserFunction(name, dict(arguments))]


def _unrolled(
    augmenter: Any, name: str, arguments: Mapping[str, Any], where: tuple[str | int, ...], problems: list[Problem]
) -> list[Node | None]:
    """Read an augmenter's layers, each as the op of its own name."""
    if arguments:
        raise TransformError(f"{name} is made already and takes no arguments, got {', '.join(arguments)}")
    return [node for made in augmenter_entries(augmenter, name) for node in _parse_entry(made.entry, where, problems)]


def _build(
    op: type[Transform], arguments: dict[str, Any], where: tuple[str | int, ...], problems: list[Problem]
) -> Node | None:
    """Make `op`, or note each argument that is unknown or missing."""
    parameters = inspect.signature(op).parameters
    before, misspelt = len(problems), set[str]()
    for name in arguments:
        if name not in parameters and name in _LEFT_OUT:
            problems.append(Problem((*where, name), f"leave out {name}: {_LEFT_OUT[name]}"))
        elif name not in parameters:
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
    ops = _parse_choices(arguments, where, problems)
    return OneOf(tuple(ops)) if len(problems) == before else None


def _parse_some_of(arguments: Any, where: tuple[str | int, ...], problems: list[Problem]) -> Node | None:
    fields = _fields("some_of", arguments, ("n", "do"))
    before = len(problems)
    ops = _parse_choices(fields["do"], (*where, "do"), problems)
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


_PARSERS: dict[str, Callable[[Any, tuple[str | int, ...], list[Problem]], Node | None]] = {
    "one_of": _parse_one_of,
    "some_of": _parse_some_of,
    "sometimes": _parse_sometimes,
}
