"""What docs/security.md promises: no code but what the spec names, no path out, nothing shown that a terminal obeys."""

from __future__ import annotations

import ast
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Spec, Version
from augmill.pipeline.errors import BuildError, SourceError, SpecError
from augmill.pipeline.listing import list_source
from augmill.pipeline.reading import RecordReader
from augmill.pipeline.units import printable

REPOSITORY = Path(__file__).parent.parent
EVIL = "a\x1b[2J\nb\u202e\x9b\u2028.png"  # clears the screen, begins a line, turns text around


@pytest.fixture
def spy(tmp_path: Path) -> Path:
    """A module beside the spec that says when it is imported, under two names, one of which a library looks for."""
    told = tmp_path / "imported"
    for name in ("mine", "IPython"):
        (tmp_path / f"{name}.py").write_text(
            f"open({str(told)!r}, 'a').write({name!r})\ndef f(image): return 255 - image\n"
        )
    return told


@pytest.mark.parametrize("command", ["build", "check", "preview", "plan"])
@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ("mine:f", "augment[0]"),
        ({"mine:f": {"a": 1}}, "augment[0]"),
        ({"one_of": ["tf.image.flip_left_right", {"sometimes": {"p": 1, "do": ["mine:f"]}}]}, "augment[0].one_of[1]"),
        ({"some_of": {"n": 1, "do": [{"mine:f": None}]}}, "augment[0].some_of.do[0]"),
        ("layers.keras", "augment[0]"),
    ],
)
def test_no_user_code_refuses_it_before_it_is_imported(
    command: str, entry: Any, place: str, spy: Path, write_spec: Callable[..., Path], augmill: Callable[..., Any]
) -> None:
    options = {"build": ["--output", spy.parent / "out"], "preview": ["-o", spy.parent / "sheet.png"]}.get(command, [])

    result = augmill(command, write_spec(augment=[entry]), "--no-user-code", *options)

    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert f"spec.yaml: {place}" in result.err
    assert "is code, and --no-user-code imports none; take it out, or leave the option out" in result.err
    assert not spy.exists()


def test_where_the_spec_names_no_code_nothing_beside_it_can_be_imported(
    spy: Path, write_spec: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    path = write_spec(augment=["tf.image.random_flip_left_right"])

    for user_code in (False, True):
        Spec.from_yaml(path, user_code=user_code)
        assert str(spy.parent) not in sys.path and importlib.util.find_spec("mine") is None
    assert not spy.exists()
    Spec.from_yaml(write_spec(augment=["mine:f"]))
    assert str(spy.parent) in sys.path and spy.read_text() == "mine"


def test_no_user_code_builds_what_needs_none(
    write_spec: Callable[..., Path], augmill: Callable[..., Any], tmp_path: Path
) -> None:
    result = augmill("plan", write_spec(), "--no-user-code")
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("name", "refused"), [("lab:cats", True), ("huggingface:cats", True), ("cifar10:3.0.2", False)]
)
def test_no_user_code_takes_no_dataset_that_brings_code(name: str, refused: bool, write_spec: Any) -> None:
    path = write_spec(source={"tfds": name})
    if refused:
        with pytest.raises(SpecError, match=r"source\.tfds: .* comes with code that TFDS would fetch and run"):
            Spec.from_yaml(path, user_code=False)
    else:
        assert Spec.from_yaml(path, user_code=False).source.tfds == name


def test_features_of_a_dataset_import_no_module(
    tmp_path: Path, spy: Path, make_spec: Any, publish_version: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = publish_version(make_spec(copies=0, augment=[]), tmp_path / "out")
    monkeypatch.syspath_prepend(spy.parent)
    path = version.path / "features.json"
    path.write_text(path.read_text().replace("tensorflow_datasets.core.features.text_feature.Text", "mine.Text"))
    assert "mine.Text" in path.read_text()

    with pytest.raises(SourceError, match=r"features.json names the class 'mine\.Text', whose module"):
        list_source(make_spec(source={"tfds": str(version.path)}, splits=None))
    assert not spy.exists()


def test_names_are_printed_escaped_and_kept_as_they_are(
    tmp_path: Path, write_spec: Callable[..., Path], augmill: Callable[..., Any], photo: np.ndarray, make_spec: Any,
    publish_version: Any,
) -> None:  # fmt: skip
    folder = tmp_path / "source/cat\x1b[31m"
    folder.mkdir(parents=True)
    Image.fromarray(photo).save(folder / "good.png")
    (folder / EVIL).write_bytes(b"no image")
    key = f"cat\x1b[31m/{EVIL}"
    spec = write_spec(source={"folder": str(tmp_path / "source")}, splits=None, block_examples=None)

    for arguments in (["plan", spec], ["check", spec], ["check", spec, "--json"], ["plan", spec, "--json"]):
        result = augmill(*arguments)
        for text in (result.out, result.err):
            assert all(sign.isprintable() or sign == "\n" for sign in text), text
    assert printable(key) in augmill("check", spec).out
    with pytest.raises(BuildError) as failed:
        publish_version(make_spec(source={"folder": str(tmp_path / "source")}, splits=None), tmp_path / "out")
    assert printable(key) in str(failed.value) and all(s.isprintable() or s == "\n" for s in str(failed.value))

    parts = {"source": {"folder": str(tmp_path / "source")}, "splits": None, "max_bad_fraction": 1}
    version: Version = publish_version(make_spec(**parts), tmp_path / "out")
    lines = (version.path / "failures.jsonl").read_bytes()
    assert lines.count(b"\n") == 1 and all(32 <= byte < 127 or byte == 10 for byte in lines)
    assert [failure["key"] for failure in version.failures] == [key]
    for name in ("dataset_info.json", "features.json"):
        json.loads((version.path / name).read_text("utf-8"))
    shown = augmill("show", version.path)
    assert shown.code == 0 and "\x1b" not in shown.out and r"cat\x1b[31m" in shown.out


def test_json_says_what_names_are(capsys: pytest.CaptureFixture[str]) -> None:
    from augmill.scripts.table import echo_json

    value = {EVIL: ["\x7f\u202e\U000e0001", "猫"]}
    echo_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert "猫" in out and all(sign.isprintable() or sign == "\n" for sign in out)


def test_no_code_reads_a_pickle() -> None:
    read = {"load", "loads", "Unpickler", "read_pickle"}
    modules = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for package in ("pipeline", "transforms", "scripts"):
        for path in (REPOSITORY / package).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    assert not modules & {alias.name.split(".")[0] for alias in node.names}, path
                if isinstance(node, ast.ImportFrom):
                    assert (node.module or "").split(".")[0] not in modules, path
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = ast.unparse(node.func.value)
                    assert not (owner in ("np", "numpy") and node.func.attr in ("load", "fromfile")), path
                    assert not (owner in modules and node.func.attr in read), path
                    allows = [word for word in node.keywords if word.arg == "allow_pickle"]
                    assert all(isinstance(word.value, ast.Constant) and word.value.value is False for word in allows)
                    if owner == "yaml" and node.func.attr == "load":
                        assert [ast.unparse(w.value) for w in node.keywords if w.arg == "Loader"] == [
                            "_UniqueKeyLoader"
                        ]


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("array", [True, False])
def test_an_index_that_is_a_pickle_is_refused(
    array: bool, tmp_path: Path, make_spec: Any, publish_version: Any
) -> None:
    version = publish_version(make_spec(copies=0, augment=[]), tmp_path / "out")
    shard = version.manifest.splits["train"].shards[0]
    index = version.path / f"index/{shard.file}.npy"
    trap = Trap(tmp_path / "sprung")
    if array:
        np.save(index, np.array([trap], object), allow_pickle=True)
    else:
        index.write_bytes(pickle.dumps(trap))

    with pytest.raises(Exception, match="index"):
        RecordReader(Version(version.path), [shard], verify=None).read(0, np.array([0]))
    assert any("index" in file and problem for file, problem in Version(version.path).verify())
    assert not (tmp_path / "sprung").exists()
