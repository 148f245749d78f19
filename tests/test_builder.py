"""What a build decides around the job: stand, resume, start anew, refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmill.pipeline import Version, build
from augmill.pipeline.errors import BuildError, VersionError
from augmill.pipeline.example import decode_example, encode_example
from augmill.pipeline.image import decode_image, encode_image
from augmill.pipeline.lineage import library_versions
from augmill.pipeline.listing import list_source
from augmill.pipeline.materialize import Materializer
from augmill.pipeline.plan import make_plan
from augmill.pipeline.shard import ShardWriter, scan_records
from augmill.pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def files_of() -> Callable[[Path], dict[str, bytes]]:
    def files(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return files


def test_a_build_ends_in_a_version_that_verifies(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    told: list[str] = []

    version = build(make_spec(), tmp_path, workers=1, say=told.append)

    assert version.path == tmp_path / "crops/1.0.0"
    assert [wrong for _, wrong in version.verify() if wrong] == []
    assert version.manifest.source["examples"] == 48
    assert told == ["48 examples in 7 blocks, 116 records to write"]
    assert not (tmp_path / "crops/1.0.0.building").exists()
    assert version.manifest.libraries["tensorflow"].count(".") == 2
    assert 0 < version.manifest.build["job_seconds"] <= version.manifest.build["seconds"]
    assert [effect["measured"] for effect in version.manifest.effects[:2]] == [68, 68], "all of so few"


def test_a_build_by_fast_kernels_imports_no_tensorflow(tmp_path: Path, photo_folder: Path) -> None:
    """Neither the command's own process nor a worker, which notes what it has imported in a file."""
    (tmp_path / "spec.yaml").write_text(
        f"name: a\nversion: 1.0.0\nsource: {{folder: {photo_folder}}}\nimage: {{size: [32, 32]}}\n"
        "augment: [tf.image.random_flip_left_right, {keras.layers.RandomRotation: {factor: 0.1}}, 'own_note:note']\n"
    )
    (tmp_path / "own_note.py").write_text(
        "import pathlib\nimport sys\n\nimport numpy as np\n\n\ndef note(image: np.ndarray):\n"
        f"    pathlib.Path({str(tmp_path)!r}, 'worker').write_text(str('tens' + 'orflow' in sys.modules))\n"
        "    return 255 - image\n"
    )
    code = (
        "import sys; from augmill.pipeline import Spec, build\n"
        f"version = build(Spec.from_yaml({str(tmp_path / 'spec.yaml')!r}), {str(tmp_path / 'out')!r}, workers=2)\n"
        "print(version.records, 'tensorflow' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("96 False\n", "")
    assert (tmp_path / "worker").read_text() == "False"


def test_an_unfinished_build_of_the_same_is_taken_up(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    spec, told = make_spec(), list[str]()
    _build_some_blocks(spec, tmp_path, 3)

    version = build(spec, tmp_path, workers=1, say=told.append)

    assert "resuming: 63 records stand already" in told  # 21 of the 34 training examples, three times
    assert version.manifest.build["resumed_records"] == 63
    assert [wrong for _, wrong in version.verify() if wrong] == []


def test_an_unfinished_build_of_something_else_is_thrown_away(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    told: list[str] = []
    _build_some_blocks(make_spec(seed=99), tmp_path, 3)

    version = build(make_spec(), tmp_path, workers=1, say=told.append)

    assert told[-1].startswith("an interrupted build was of something else (spec, source differ)")
    assert version.manifest.build["resumed_records"] == 0
    assert [wrong for _, wrong in version.verify() if wrong] == []


def _build_some_blocks(spec: Any, output: Path, blocks: int) -> None:
    """Leave what a build leaves that is killed after some blocks, a half-written shard of another among it."""
    listing = list_source(spec)
    plan = make_plan(spec, listing)
    workspace = Workspace.beside(output / spec.name / spec.version)
    lineage = {"libraries": library_versions(), "code": {}, "files": listing.files_digest()}
    workspace.prepare(spec, plan, {"spec": spec.digest(), "source": plan.digest(), **lineage})
    for block in range(blocks):
        Materializer(workspace)(block)
    (workspace.version / ".crops-train.tfrecord-00004-of-00015.deadbeef.tmp").write_bytes(b"half")
    workspace.note_progress(blocks, 5, 1)


def test_two_builds_of_one_version_do_not_meet(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    workspace = Workspace.beside(tmp_path / "crops/1.0.0")

    with workspace.lock(), pytest.raises(BuildError, match="another build is at work"):
        build(make_spec(), tmp_path, workers=1)


def test_a_folder_that_is_no_version_is_not_written_into(tmp_path: Path, make_spec: Callable[..., Any]) -> None:
    (tmp_path / "crops/1.0.0").mkdir(parents=True)
    (tmp_path / "crops/1.0.0/mine.txt").write_text("mine")

    with pytest.raises(VersionError, match="is in the way"):
        build(make_spec(), tmp_path)

    assert (tmp_path / "crops/1.0.0/mine.txt").read_text() == "mine"


def test_the_output_may_not_lie_inside_the_source(make_spec: Callable[..., Any], photo_folder: Path) -> None:
    with pytest.raises(BuildError, match="lies inside the source folder"):
        build(make_spec(), photo_folder / "out")

    assert not (photo_folder / "out").exists()


def test_bad_images_are_named_counted_and_the_rest_published(
    tmp_path: Path, make_spec: Callable[..., Any], spoilt_folder: Path
) -> None:
    spec = make_spec(source={"folder": str(spoilt_folder)}, max_bad_fraction=0.1)

    version = build(spec, tmp_path / "out", workers=1)

    assert [failure["key"] for failure in version.failures] == ["cat/cat-001.jpg", "galaxy/galaxy-003.jpg"]
    assert version.failures[0]["reason"] == "not an image: it is an HTML page"
    assert version.failures[1]["reason"] == "the file is empty"
    assert version.manifest.source["examples"] == 48
    written = sum(split.examples for split in version.manifest.splits.values())
    assert written + version.manifest.source["failed"] == 48
    assert [wrong for _, wrong in version.verify() if wrong] == []


def test_too_many_bad_images_end_the_build_and_a_mended_source_ends_it_well(
    tmp_path: Path, make_spec: Callable[..., Any], spoilt_folder: Path, photo_folder: Path
) -> None:
    spec = make_spec(source={"folder": str(spoilt_folder)})

    with pytest.raises(BuildError) as failed:
        build(spec, tmp_path / "out", workers=1)

    assert "2 of 48 examples failed (4.17%), more than max_bad_fraction 0.001 allows" in str(failed.value)
    assert "cat/cat-001.jpg: not an image" in str(failed.value)
    assert "galaxy/galaxy-003.jpg: the file is empty" in str(failed.value)
    assert failed.value.exit_code == 3
    assert not (tmp_path / "out/crops/1.0.0").exists()

    for name in ("cat/cat-001.jpg", "galaxy/galaxy-003.jpg"):
        (spoilt_folder / name).write_bytes((photo_folder / name).read_bytes())
    assert build(spec, tmp_path / "out", workers=1).failures == []


@pytest.fixture
def spoilt_folder(tmp_path: Path, photo_folder: Path) -> Path:
    """The photos with one file that is text and one that is empty."""
    folder = tmp_path / "spoilt"
    shutil.copytree(photo_folder, folder)
    (folder / "cat/cat-001.jpg").write_text("<html>404</html>")
    (folder / "galaxy/galaxy-003.jpg").write_bytes(b"")
    return folder


def test_a_source_file_of_equal_size_that_changed_is_not_taken_for_the_old_one(
    tmp_path: Path, make_spec: Callable[..., Any], bmp_folder: Path
) -> None:
    spec, told = make_spec(source={"folder": str(bmp_folder)}, splits=None, block_examples=4), list[str]()
    _build_some_blocks(spec, tmp_path / "out", 2)
    first = make_plan(spec, list_source(spec)).table.column("uri")[0].as_py()
    data = bytearray((bmp_folder / first).read_bytes())
    data[-300:] = bytes(300)
    (bmp_folder / first).write_bytes(data)

    version = build(spec, tmp_path / "out", workers=1, say=told.append)

    assert told[-1] == "an interrupted build was of something else (files differ): starting anew"
    from augmill.pipeline.renderer import Renderer

    opened = Renderer(spec, None).open(bytes(data), 0)
    shard = version.path / version.manifest.splits["train"].shards[0].file
    record = decode_example(next(scan_records(shard))[1])
    assert record["key"] == [first.encode()]
    assert np.array_equal(decode_image(record["image"][0]), opened.image)


@pytest.fixture
def bmp_folder(tmp_path: Path, photo: np.ndarray) -> Path:
    """Twelve uncompressed crops: a changed pixel leaves the file's size as it is."""
    folder = tmp_path / "bmp"
    (folder / "cat").mkdir(parents=True)
    for i in range(12):
        Image.fromarray(photo[9 * i : 9 * i + 40, :50]).save(folder / "cat" / f"{i}.bmp")
    return folder


def test_a_higher_max_bad_fraction_lets_the_build_go_on(
    tmp_path: Path, make_spec: Callable[..., Any], spoilt_folder: Path
) -> None:
    source, told = {"folder": str(spoilt_folder)}, list[str]()
    with pytest.raises(BuildError, match="raise max_bad_fraction, and the build goes on"):
        build(make_spec(source=source), tmp_path / "out", workers=1)

    version = build(make_spec(source=source, max_bad_fraction=0.1), tmp_path / "out", workers=1, say=told.append)

    assert any(line.startswith("resuming: ") for line in told)
    assert any("of the 48 images sampled cannot be read" in line for line in told)
    assert len(version.failures) == 2


def test_records_known_to_be_bad_end_the_build_before_the_job(
    tmp_path: Path, make_spec: Callable[..., Any], photo: np.ndarray
) -> None:
    (tmp_path / "index").mkdir()
    with ShardWriter(tmp_path, tmp_path / "index", "raw.tfrecord") as writer:
        for i in range(10):
            features = {"img": encode_image(photo[i : i + 40, :40], "png")} if i % 2 else {"nothing": 1}
            writer.write(encode_example(features))
        writer.finish()
    source = {"tfrecord": str(tmp_path / "raw.tfrecord"), "features": {"image": "img"}}

    with pytest.raises(BuildError, match=r"5 of 10 examples failed \(50\.00%\)"):
        build(make_spec(source=source, splits=None), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_resume_needs_room_for_what_is_missing_alone(
    tmp_path: Path, make_spec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec()
    _build_some_blocks(spec, tmp_path, 6)
    free = shutil.disk_usage(tmp_path)._replace(free=60_000)
    monkeypatch.setattr("augmill.pipeline.estimate.shutil.disk_usage", lambda path: free)

    assert build(spec, tmp_path, workers=1).records == 116
    with pytest.raises(BuildError, match=r"needs about .* more and 60\.0 kB are free"):
        build(spec, tmp_path / "elsewhere", workers=1)


def test_the_module_beside_the_spec_is_used_and_not_one_in_the_current_folder(
    tmp_path: Path, photo_folder: Path
) -> None:
    for folder, level in (("spec", 250), ("current", 200)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same_name.py").write_text(f"def invert(image):\n    return {level} - image // 2\n")
    (tmp_path / "current/signal.py").write_text("raise RuntimeError('not the library')\n")
    (tmp_path / "spec/spec.yaml").write_text(
        f"name: a\nversion: 1.0.0\nsource: {{folder: {photo_folder}}}\nimage: {{size: [8, 8], encoding: png}}\n"
        "augment: ['same_name:invert']\n"
    )
    augmill = str(Path(sys.executable).with_name("augmill"))
    command = [augmill, "build", str(tmp_path / "spec/spec.yaml"), "--output", str(tmp_path / "out"), "--workers", "2"]

    done = subprocess.run(command, cwd=tmp_path / "current", capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    version = Version(tmp_path / "out/a/1.0.0")
    first = next(shard for shard in version.manifest.splits["train"].shards if shard.copy_number == 1)
    pixels = decode_image(decode_example(next(scan_records(version.path / first.file))[1])["image"][0])
    assert pixels.min() >= 250 - 127
