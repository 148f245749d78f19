"""The examples in docstrings are true, and what is public is explained."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
MODULES = [
    f"augmill.{package}.{path.stem}"
    for package in ("pipeline", "transforms", "scripts")
    for path in sorted((REPOSITORY / package).glob("*.py"))
    if path.stem != "__init__"
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_such_examples() -> None:
    found = [example for name in MODULES for example in doctest.DocTestFinder().find(importlib.import_module(name))]

    assert sum(len(test.examples) for test in found) >= 5


@pytest.mark.parametrize("name", MODULES)
def test_what_is_public_has_a_docstring(name: str) -> None:
    _, package, module = name.split(".")
    tree = ast.parse((REPOSITORY / package / f"{module}.py").read_text("utf-8"))
    assert ast.get_docstring(tree), name
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}.{node.name}"
