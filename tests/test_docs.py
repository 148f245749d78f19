"""What the README and the docs show is run here as it stands there."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from augmill.pipeline import Loader, Spec, Version
from augmill.pipeline.check import run_check
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.source_spec import FeatureNames, SourceSpec
from augmill.pipeline.spec import AnnotationSpec, ImageSpec
from augmill.pipeline.version_change import change_text, spec_reasons
from augmill.transforms.base import Sample
from augmill.transforms.catalog import OPS
from augmill.transforms.grammar import parse_policy
from augmill.transforms.objects import Objects

REPOSITORY = Path(__file__).parent.parent


def _blocks(document: str, language: str) -> list[str]:
    text = (REPOSITORY / document).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_readmes_spec_builds_and_its_training_loop_trains(
    tmp_path: Path, photo_folder: Path, publish_version: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    (spec_text,) = _blocks("README.md", "yaml")
    (loop,) = _blocks("README.md", "python")
    assert len(spec_text.splitlines()) <= 10
    assert len([line for line in loop.splitlines() if line.strip()]) <= 10
    shutil.copytree(photo_folder, tmp_path / "photos")
    (tmp_path / "flowers.yaml").write_text(spec_text)
    monkeypatch.chdir(tmp_path)

    publish_version(Spec.from_yaml("flowers.yaml"), tmp_path / "data")
    names: dict[str, Any] = {}
    exec(loop, names)

    assert set(names["model"].history.history) >= {"loss", "accuracy", "val_loss"}


def test_the_page_of_the_loader_shows_what_it_does(
    tmp_path: Path, photo_folder: Path, publish_version: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    (spec_text,) = _blocks("README.md", "yaml")
    by_numpy, by_fit = _blocks("docs/loader.md", "python")
    shutil.copytree(photo_folder, tmp_path / "photos")
    (tmp_path / "flowers.yaml").write_text(spec_text)
    monkeypatch.chdir(tmp_path)
    publish_version(Spec.from_yaml("flowers.yaml"), tmp_path / "data")

    names: dict[str, Any] = {}
    exec(by_numpy, names)
    assert (names["loader"].epoch, names["state"]["epoch"]) == (2, 1)
    assert names["state"]["samples"] == names["loader"].samples_an_epoch
    for _ in range(2):  # the second time there is nothing left to do
        exec(by_fit, names)
        assert names["loader"].epoch == 3
    assert names["model"].history.history == {}


def test_every_argument_of_the_loader_is_on_its_page() -> None:
    text = (REPOSITORY / "docs/loader.md").read_text("utf-8")
    for name in inspect.signature(Loader.__init__).parameters:
        assert name in text or name in ("self", "path"), name


@pytest.fixture(scope="module")
def trained_on(
    tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, annotated_records: Any, publish_version: Any
) -> Path:
    """A folder with the versions that the page on training loads: flowers of three classes, and streets with masks."""
    folder = tmp_path_factory.mktemp("training")
    parts: dict[str, Any] = {"version": "1.0.0", "augment": ["tf.image.random_flip_left_right"]}
    flowers = {"source": {"folder": str(photo_folder)}, "splits": {"train": 0.8, "validation": 0.2}}
    publish_version(Spec(name="flowers", image={"size": [96, 96]}, **flowers, **parts), folder / "data")
    publish_version(Spec(name="streets", source=annotated_records(folder), **parts), folder / "data")
    return folder


@pytest.mark.parametrize("place", range(4))
def test_what_the_docs_train_is_trained(trained_on: Path, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = _blocks("docs/training.md", "python")
    assert len(blocks) == 4
    monkeypatch.chdir(trained_on)
    names: dict[str, Any] = {}

    exec(blocks[place], names)

    assert all(np.isfinite(values).all() for values in names["model"].history.history.values())
    assert names["model"].optimizer.iterations.numpy() > 0


def test_the_docs_function_passes_the_check(tmp_path: Path, photo_folder: Path) -> None:
    (function,) = _blocks("docs/spec.md", "python")
    (augment,) = _blocks("docs/spec.md", "yaml")
    (tmp_path / "my_module.py").write_text(function)
    parts = {"name": "a", "version": "1.0.0", "source": {"folder": str(photo_folder)}, **yaml.safe_load(augment)}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(parts))

    spec = Spec.from_yaml(tmp_path / "spec.yaml")
    report = run_check(spec, make_plan(spec, list_source(spec)))

    assert report.problems == []
    assert report.effects.by_place["0"].changed_fraction > 0.9  # a night sky may be black already


def test_the_docs_own_code_does_its_work(tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = _blocks("docs/own-code.md", "python")
    (augment,) = _blocks("docs/own-code.md", "yaml")
    (tmp_path / "my_code.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    policy, problems = parse_policy(yaml.safe_load(augment)["augment"])
    sample = Sample(photo, objects=Objects.from_boxes(np.array([[10, 20, 60, 90]]), np.array([1])))

    after = [policy.run(sample, seed=0, key=key, copy=1)[0] for key in "abcdefgh"]

    assert problems == []
    assert [op.spec_name for _, op in policy.leaves()][3:] == ["keras.layers.RandomHue", "keras.layers.RandomContrast"]
    assert {tuple(one.objects.boxes[0]) for one in after if one.objects} == {(10, 20, 60, 90), (164, 20, 214, 90)}
    assert len({one.image.tobytes() for one in after}) == 8


def test_the_page_of_versions_shows_commands_that_work(
    tmp_path: Path, photo_folder: Path, publish_version: Any, augmill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command on it, in its order, on two versions of which the second has more copies."""
    text = (REPOSITORY / "docs/versions.md").read_text("utf-8")
    commands = [line.split("#")[0].split() for line in re.findall(r"^    augmill (.*)$", text, flags=re.MULTILINE)]
    parts: dict[str, Any] = {"name": "flowers", "source": {"folder": str(photo_folder)}, "image": {"size": [16, 16]}}
    parts |= {"augment": ["tf.image.random_flip_left_right"], "block_examples": 16}
    monkeypatch.chdir(tmp_path)
    for number, copies in (("1.0.0", 1), ("1.1.0", 2)):
        publish_version(Spec(version=number, copies=copies, **parts), tmp_path / "data")

    done = {" ".join(command): augmill(*command).code for command in commands}

    assert len(done) >= 8
    assert {command: code for command, code in done.items() if code} == {
        "diff data/flowers/1.0.0 data/flowers/1.1.0": 1
    }


def test_the_page_of_versions_shows_what_a_build_says(make_spec: Callable[..., Spec]) -> None:
    before = make_spec()
    after = make_spec(seed=9, augment=[*before.augment[:2], "tf.image.random_flip_up_down"], version="1.0.1")

    reasons = list(spec_reasons(before.canonical(), after.canonical(), mixes=False))
    told = change_text("1.0.0", "1.0.1", reasons).removeprefix("warning: ").removesuffix("; 1.0.1 says less")

    assert f"    {told}\n" in (REPOSITORY / "docs/versions.md").read_text("utf-8")


@pytest.mark.parametrize("model", [Spec, SourceSpec, FeatureNames, ImageSpec, AnnotationSpec])
def test_every_key_of_a_spec_is_explained(model: Any) -> None:
    text = (REPOSITORY / "docs/spec.md").read_text("utf-8")
    for key in model.model_fields:
        assert f"`{key}`" in text or f"`{key}:" in text, key


def test_the_page_of_ops_is_what_the_command_prints(augmill: Callable[..., Any]) -> None:
    """Made anew by: augmill ops --markdown > docs/ops.md"""
    assert augmill("ops", "--markdown").out == (REPOSITORY / "docs/ops.md").read_text("utf-8")


def test_differences_from_keras_are_of_layers_that_exist() -> None:
    rows = re.findall(r"^\| ([A-Z][\w, .]+) \|", (REPOSITORY / "docs/keras.md").read_text("utf-8"), flags=re.MULTILINE)
    told = {layer for row in rows for layer in row.split(", ") if layer[0].isupper()}
    assert len(told) > 15
    assert told <= {name.removeprefix("keras.layers.") for name in OPS}


def test_every_module_has_its_place_in_the_readme() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    for package in ("pipeline", "transforms"):
        for path in (REPOSITORY / package).glob("*.py"):
            if path.name != "__init__.py":
                assert f"`{path.name}`" in text, path


def test_links_lead_somewhere() -> None:
    for document in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document}: {target}"
