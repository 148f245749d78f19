"""The file of a spec: YAML that is data and nothing else, and no more of it than a spec can be.

A few lines of YAML can stand for billions of values, by aliases of aliases, and for objects of any class, by tags. Tags
of Python are refused by PyYAML's safe loader; what aliases stand for is counted here before it is walked through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from augmill.pipeline.errors import SpecError
from augmill.transforms.grammar import Problem, user_code_in

_MOST_BYTES = 1_000_000  # of the file
_MOST_VALUES = 100_000  # with all that aliases stand for
_COMMUNITY = re.compile(r"^\w+:[A-Za-z_]")  # a namespace before the name, where name:1.0.0 has a version after it
_DEEPEST = 50  # lists and mappings in each other
_MOST_BITS = 4096  # of a whole number; Python refuses to write out one of more than 4,300 digits


def read_yaml(path: Path) -> Any:
    """Read a YAML file of plain data.

    Raises:
      SpecError: it is missing or too large, or is no YAML, or holds a key twice, a tag of a class, or what
        `plain_problems` finds.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SpecError([f"cannot be read: {error.strerror}"], origin=str(path)) from error
    if len(data) > _MOST_BYTES:
        raise SpecError([f"has more than {_MOST_BYTES:,} bytes, which no spec needs"], origin=str(path))
    try:
        value = yaml.load(data.decode("utf-8"), Loader=_UniqueKeyLoader)
    except Exception as error:  # besides its own errors PyYAML raises what a wrong value of a tag makes of its parsers
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise SpecError([f"is no valid YAML: {reason or type(error).__name__}"], origin=str(path)) from error
    problem = next(plain_problems(value), None)
    if problem is not None:
        raise SpecError([f"{dotted(problem.where)}: {problem.message}"], origin=str(path))
    return value


def plain_problems(value: Any) -> Iterator[Problem]:
    """Find what no spec can hold, without following aliases or nesting beyond its measure.

    Yields:
      The first of each: too many values, too deep, a whole number or a text that cannot be written out.
    """
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    seen = 0
    while waiting:
        where, item = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            yield Problem((), f"holds more than {_MOST_VALUES:,} values, those that aliases stand for among them")
            return
        if len(where) > _DEEPEST:
            yield Problem(where[:3], f"is nested more than {_DEEPEST} deep")
            return
        if isinstance(item, Mapping):
            waiting += [((*where, _named(key)), part) for key, inner in item.items() for part in (key, inner)]
        elif isinstance(item, (list, tuple, set, frozenset)):
            waiting += [((*where, place), inner) for place, inner in enumerate(item)]
        elif isinstance(item, int) and item.bit_length() > _MOST_BITS:
            yield Problem(where, f"a whole number may have {_MOST_BITS} bits, got one of {item.bit_length()}")
            return
        elif isinstance(item, str) and ("\0" in item or item != item.encode("utf-8", "replace").decode()):
            yield Problem(where, f"must be text in UTF-8 without NUL, got {item[:80]!r}")
            return


def _named(key: Any) -> str | int:
    return key if isinstance(key, str) else f"a key of type {type(key).__name__}"


def dotted(where: tuple[str | int, ...]) -> str:
    """Write a path as augment[2].one_of[0]; the whole spec is "spec"."""
    path = ""
    for part in where:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "spec"


def refuse_user_code(data: Mapping[Any, Any], origin: str) -> None:
    """Refuse a spec that would import modules of the user's, or of a stranger's who wrote it; none is imported here.

    Raises:
      SpecError: with each place that names such code.
    """
    problems = [
        f"{dotted(where)}: {name} is code, and --no-user-code imports none; take it out, or leave the option out if "
        "you trust the spec and the files beside it"
        for where, name in user_code_in(data.get("augment"))
    ]
    source = data.get("source")
    dataset = source.get("tfds") if isinstance(source, Mapping) else None
    if isinstance(dataset, str) and _COMMUNITY.match(dataset):
        problems.append(
            f"source.tfds: {dataset} comes with code that TFDS would fetch and run, and --no-user-code runs none"
        )
    if problems:
        raise SpecError(problems, origin=origin)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a mapping with a key given twice, of which YAML would keep the last in silence."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put merged mappings, <<: *anchor, in their place; they, too, can be merged from merged ones."""
        super().flatten_mapping(node)
        if len(node.value) > _MOST_VALUES:
            raise yaml.constructor.ConstructorError(None, None, "merged mappings hold too many values", node.start_mark)


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":  # <<: *anchor, whose keys may well be given again
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (list, dict)) and key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
        if not isinstance(key, (list, dict)):
            seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
