"""What the README and the docs show is run here as it stands there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from augmill.pipeline import Spec, Version
from augmill.pipeline.check import run_check
from augmill.pipeline.listing import list_source
from augmill.pipeline.plan import make_plan
from augmill.pipeline.spec import ImageSpec, SourceSpec
from augmill.transforms.catalog import OPS

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


@pytest.mark.parametrize("model", [Spec, SourceSpec, ImageSpec])
def test_every_key_of_a_spec_is_explained(model: Any) -> None:
    text = (REPOSITORY / "docs/spec.md").read_text("utf-8")
    for key in model.model_fields:
        assert f"`{key}`" in text or f"`{key}:" in text, key


def test_every_op_is_listed() -> None:
    text = (REPOSITORY / "docs/spec.md").read_text("utf-8")
    for name in OPS:
        assert f"| `{name}` |" in text


def test_every_module_has_its_place_in_the_readme() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    for package in ("pipeline", "transforms"):
        for path in (REPOSITORY / package).glob("*.py"):
            if path.name not in ("__init__.py", "errors.py", "units.py", "backend.py"):
                assert f"`{path.name}`" in text, path


def test_links_lead_somewhere() -> None:
    for document in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document}: {target}"
