"""Lineage names every library and every module of the user's that the bytes depend on."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmill.pipeline.errors import BuildError
from augmill.pipeline.lineage import check_same, library_versions, user_code

MODULES = {
    "lineage_ops": "import numpy as np\nimport tensorflow as tf\nimport lineage_helper\n"
    "from lineage_tables import LEVELS, shift\n"
    "def f(image: np.ndarray):\n    return lineage_helper.g(shift(image))\n"
    "@tf.function\ndef compiled(image):\n    return 255 - image\n",
    "lineage_helper": "def g(image):\n    return 255 - image\n",
    "lineage_tables": "LEVELS = 3\ndef shift(image):\n    return image[:, ::-1]\n",
    "lineage_stranger": "X = 1\n",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("lineage_stranger")
    return tmp_path


def test_the_users_modules_are_followed_and_strangers_are_not(modules: Path, make_spec: Callable[..., Any]) -> None:
    assert list(user_code(make_spec(augment=["lineage_ops:f"]))) == ["lineage_helper", "lineage_ops", "lineage_tables"]


@pytest.mark.parametrize("name", ["lineage_ops", "lineage_helper", "lineage_tables"])
def test_a_change_in_any_of_them_shows(modules: Path, make_spec: Callable[..., Any], name: str) -> None:
    spec = make_spec(augment=["lineage_ops:f"])
    before = user_code(spec)
    (modules / f"{name}.py").write_text(MODULES[name] + "# another thought\n")

    after = user_code(spec)

    assert {module for module in after if after[module] != before[module]} == {name}


def test_a_compiled_function_is_named_too(modules: Path, make_spec: Callable[..., Any]) -> None:
    assert "lineage_ops" in user_code(make_spec(augment=["lineage_ops:compiled"]))


def test_a_policy_without_functions_has_no_code_of_the_users(make_spec: Callable[..., Any]) -> None:
    assert user_code(make_spec()) == {}


def test_libraries_are_named_with_their_versions() -> None:
    found = library_versions()

    assert set(found) >= {"augmill", "tensorflow", "keras", "numpy", "opencv-python-headless"}
    assert "not installed" not in found.values()


def test_a_worker_that_is_not_as_its_launcher_refuses_to_work(modules: Path, make_spec: Callable[..., Any]) -> None:
    spec = make_spec(augment=["lineage_ops:f"])
    launcher = {"libraries": library_versions(), "code": user_code(spec), "source": "of no concern here"}
    check_same(launcher, spec)
    check_same({}, spec)

    numpy = launcher["libraries"]["numpy"]
    launcher["libraries"]["numpy"], launcher["code"]["lineage_helper"] = "1.0", "another digest"
    with pytest.raises(
        BuildError, match=f"numpy is {numpy} and not 1.0, module lineage_helper .*install the same on each"
    ):
        check_same(launcher, spec)
