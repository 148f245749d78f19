"""The house's rules: which floor may import which, and what is light to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent

# A module imports from lower floors only. transforms/ stands below pipeline/, which stands below scripts/.
FLOORS: dict[str, list[set[str]]] = {
    "transforms": [
        {"randomness", "philox", "polygon", "gather", "curves", "lookup"},
        {"levels", "ahead", "hsv"},
        {"objects"},
        {"motion"},
        {"base"},
        {"backend", "arguments", "keras_resolved"},
        {"keras_layer", "window", "user_code"},
        {"sampled", "augment_ops", "keras_graph", "returned", "copying"},
        {"kernels"},
        {"geometry", "random_resized_crop", "color", "jpeg", "keras_affine", "keras_warp", "keras_crop", "keras_color"}
        | {"keras_tone", "keras_filter", "erase", "rand_augment", "auto_augment", "trivial_augment", "aug_mix", "mix"}
        | {"function", "crop", "resize", "adjust", "box_limit", "user_layer", "keras_config"},
        {"fusion", "fast_geometry", "fast_elastic", "fast_tone", "fast_color", "fast_adaptive"},
        {"fast_filter"},
        {"fast_steps"},
        {"fast"},
        {"rendering", "composition"},
        {"policy", "together"},
        {"catalog", "audit", "repeatable"},
        {"grammar", "examples", "findings", "joins"},
        {"__init__"},
    ],
    "pipeline": [
        {"fast_resize", "png", "image_header"},
        {"decoder"},
        {
            "errors",
            "example",
            "examples_table",
            "image",
            "permutation",
            "shard",
            "units",
            "source_spec",
            "annotation_info",
            "training",
            "model_rewrite",
            "steps",
            "notes",
            "memory",
            "device",
            "normalize",
            "batch_mix",
            "buffers",
            "job_log",
            "pixels",
            "process_environment",
        },
        {"group_spec", "record_image", "spec_file", "beam_options", "flink", "worker_pool"},
        {
            "build_lock",
            "remote_errors",
            "remote_listing",
            "pins",
            "spec",
            "mask",
            "model_front",
            "opening",
            "order",
            "faults",
        }
        | {"state", "walk", "build_facts", "shard_check"},
        {"remote", "annotations"},
        {"storage", "download", "object_store", "remote_file"},
        {"manifest", "cache_room", "lease", "remote_shard"},
        {"cache", "prefetch", "latest", "counts_check", "record_check"},
        {"holdings", "verification"},
        {"version_files"},
        {"version"},
        {"raw_cost", "drawing", "model_compare", "adopted_spec", "share", "reading"} | {"selection", "record_compare"},
        {"record_annotations", "object_counts", "labels", "decoding", "peers", "strip", "batches", "version_diff"},
        {"reuse"},
        {"linking"},
        {"source", "adopt", "decoded", "stream", "loader_options"},
        {"epoch_reader"},
        {"folder_source", "tfrecord_source", "coco_source", "tfds_features", "lineage", "loader"},
        {"splits"},
        {"remote_reader", "remote_source"},
        {"segmentation_source", "tfds_source", "plan", "renderer", "resume", "doctor", "read_ahead"},
        {"duplicates"},
        {"listing", "workspace", "tfds_metadata", "judgement", "making", "diagnosis"},
        {"remote_workspace", "estimate", "check", "preview", "replay", "collection", "version_change"},
        {"target"},
        {"materialize", "publish", "standing", "stall"},
        {"job", "reproduction", "engines"},
        {"driver", "parent", "retry"},
        {"runner", "sdk_worker", "increment"},
        {"builder"},
        {"__init__"},
    ],
    "scripts": [
        {"__init__", "table"},
        {"adopt", "build", "check", "diff", "doctor", "gc", "ops", "plan", "preview", "replay", "reproduce", "show"}
        | {"verify", "versions", "worker_pool"},
        {"cli"},
    ],
}
PACKAGES = {f"augmill.{package}" for package in FLOORS}
BELOW = {"transforms": set(), "pipeline": {"transforms"}, "scripts": {"transforms", "pipeline"}}


def _modules(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).glob("*.py"))


def _imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere in it, but for what only a type checker reads."""
    found = set()
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            modules = {alias.name for alias in node.names} if node.module in PACKAGES else set()
            found |= {f"{node.module}.{name}" for name in modules} or {node.module or ""}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("package", FLOORS)
def test_every_module_has_its_floor(package: str) -> None:
    named = [name for floor in FLOORS[package] for name in floor]

    assert sorted(named) == sorted(path.stem for path in _modules(package))


@pytest.mark.parametrize("package", FLOORS)
def test_imports_go_down(package: str) -> None:
    floor_of = {name: i for i, floor in enumerate(FLOORS[package]) for name in floor}
    for path in _modules(package):
        for imported in _imports(path):
            if not imported.startswith("augmill"):
                continue
            _, other, *rest = [*imported.split("."), "__init__"]
            if other == package:
                assert floor_of[rest[0]] < floor_of[path.stem], f"{path.name} imports {imported}"
            else:
                assert other in BELOW[package], f"{path.name} imports {imported}"


def test_transforms_know_neither_beam_nor_the_pipeline() -> None:
    for path in _modules("transforms"):
        assert not any(name.startswith(("apache_beam", "augmill.pipeline")) for name in _imports(path)), path


def test_the_loader_needs_neither_beam_nor_transforms() -> None:
    names = ["load", "Loader", "Version", "loader_callback", "BatchMix", "to_device"]
    loaded = _loaded_by(f"from augmill.pipeline import {', '.join(names)}")

    assert {"augmill.pipeline.loader", "augmill.pipeline.decoding"} <= loaded
    assert not {"apache_beam", "augmill.transforms", "tensorflow", "keras", "pyarrow"} & loaded


def test_a_version_on_this_machine_needs_no_file_system_but_its_own(tmp_path: Path) -> None:
    """Whoever trains from a local folder pays nothing for remote ones: neither fsspec nor the cache is imported."""
    loaded = _loaded_by(f"import augmill.pipeline as p\ntry: p.Version({str(tmp_path)!r})\nexcept p.AugmillError: pass")

    assert "augmill.pipeline.version" in loaded
    assert not {"fsspec", "aiohttp", "augmill.pipeline.remote", "augmill.pipeline.cache"} & loaded


def test_help_does_not_wait_for_tensorflow() -> None:
    loaded = _loaded_by("import augmill.scripts.cli as c; c.cli.main(['--help'], standalone_mode=False)")

    assert not {"tensorflow", "apache_beam", "keras", "cv2"} & loaded


def test_the_public_face_is_listed() -> None:
    import augmill.pipeline

    names = [
        "AugmillError",
        "BatchMix",
        "Engine",
        "Loader",
        "Normalize",
        "Spec",
        "Version",
        "build",
        "load",
        "loader_callback",
        "resume_callback",
        "to_device",
    ]
    assert sorted(dir(augmill.pipeline)) == names
    for name in augmill.pipeline.__all__:
        assert getattr(augmill.pipeline, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'biuld'"):
        augmill.pipeline.biuld  # noqa: B018


def test_modules_are_short() -> None:
    for package in FLOORS:
        for path in _modules(package):
            assert len(path.read_text("utf-8").splitlines()) <= 300, path


def _loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
