"""The table of ops: every one that a module offers, under a name of its own."""

from __future__ import annotations

import importlib
import pkgutil

import augmill.transforms
from augmill.transforms.catalog import OPS, op_names


def test_every_op_that_a_module_offers_is_in_the_table_under_its_own_name() -> None:
    names = [found.name for found in pkgutil.iter_modules(augmill.transforms.__path__)]
    modules = [importlib.import_module(f"augmill.transforms.{name}") for name in names]
    offered = [op for module in modules if isinstance(ops := getattr(module, "OPS", None), tuple) for op in ops]
    assert {op.name: op for op in offered} == OPS
    assert len(offered) == len(OPS)


def test_the_names_are_the_ops_and_the_ways_of_composing() -> None:
    names = op_names()
    assert len(set(names)) == len(names)
    assert set(names) == {*OPS, "one_of", "some_of", "sometimes"}
