"""What is installed: the packages by their real names, typed, and no name that collides."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install .` makes and installs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    tracked = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in tracked.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((REPOSITORY / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_packages_and_nothing_at_top_level(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for package in ("pipeline", "transforms", "scripts"):
        modules = {f"augmill/{package}/{path.name}" for path in (REPOSITORY / package).glob("*.py")}
        assert modules <= set(names)
        assert f"augmill/{package}/py.typed" in names
    assert {name.split("/")[0] for name in names} == {
        "augmill",
        next(n.split("/")[0] for n in names if "dist-info" in n),
    }


def test_it_works_in_a_project_with_folders_of_the_same_names(wheel: Path, tmp_path: Path) -> None:
    """Another project has `transforms/` and `pipeline/` of its own; both sides keep theirs."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv/bin/python"
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    zipfile.ZipFile(wheel).extractall(purelib)
    project = tmp_path / "project"
    for name in ("transforms", "pipeline"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text(f"MINE = {name!r}\n")
    script = (
        "import pipeline, transforms, augmill.pipeline, augmill.transforms\n"
        "from augmill.pipeline import load, Spec, Version\n"
        "assert pipeline.MINE == 'pipeline' and transforms.MINE == 'transforms'\n"
        f"assert augmill.pipeline.__file__.startswith({purelib!r}), augmill.pipeline.__file__\n"
    )
    # The libraries that augmill needs come from this environment, augmill itself from the wheel.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([purelib, *libraries])}

    done = subprocess.run([python, "-c", script], cwd=project, capture_output=True, text=True, env=environment)

    assert done.returncode == 0, done.stderr


def test_setup_maps_the_folders_with_one_dict() -> None:
    text = (REPOSITORY / "setup.py").read_text("utf-8")

    assert text.count('"augmill.') == 3
    assert "package_dir=PACKAGE_DIR" in text
