"""What the tests share: real photos, small datasets made of them, and short builds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

REPOSITORY = Path(__file__).parent.parent


def _photos() -> dict[str, np.ndarray]:
    from skimage import data

    return {"cat": data.chelsea(), "coffee": data.coffee(), "galaxy": data.hubble_deep_field()}


@pytest.fixture(scope="session")
def photos() -> dict[str, np.ndarray]:
    """Three real photos by class: uint8 [height, width, 3]."""
    return _photos()


@pytest.fixture(scope="session")
def photo(photos: dict[str, np.ndarray]) -> np.ndarray:
    """One real photo of 224 x 224 pixels: the face of a cat."""
    return np.ascontiguousarray(photos["cat"][30:254, 120:344])


@pytest.fixture(scope="session")
def drawn() -> Callable[..., list[dict[str, Any]]]:
    """Draw an op's parameters for many renditions, always the same ones."""
    from augmill.transforms.randomness import Draws

    def draw(op: Any, shape: tuple[int, ...] = (224, 224, 3), count: int = 3000) -> list[dict[str, Any]]:
        return [op.draw(Draws(seed=0, key=str(i), copy=1, at="0"), shape) for i in range(count)]

    return draw


@pytest.fixture(scope="session")
def follows() -> Callable[..., bool]:
    """Tell by Kolmogorov and Smirnov's test whether values follow a distribution of scipy.stats.

    It is named, with its arguments after it. The draws of a test never change: a right distribution passes for ever, a
    wrong one never.
    """
    from scipy import stats

    def judge(values: list[float], distribution: str, *arguments: float) -> bool:
        return bool(stats.kstest(values, distribution, args=arguments).pvalue > 1e-3)

    return judge


@pytest.fixture(scope="session")
def equally_likely() -> Callable[..., bool]:
    """Tell by the chi-squared test whether `choices`, and nothing else, come up equally often in `values`."""
    from collections import Counter

    from scipy import stats

    def judge(values: list[Any], choices: list[Any]) -> bool:
        counts = Counter(values)
        within = set(counts) <= set(choices)
        return within and bool(stats.chisquare([counts[choice] for choice in choices]).pvalue > 1e-3)

    return judge


@pytest.fixture(scope="session")
def overlaps() -> Callable[..., tuple[float, float]]:
    """Draw a rectangle, transform it, and compare the moved box and mask with the moved pixels."""
    from augmill.transforms.base import Sample
    from augmill.transforms.objects import Objects
    from augmill.transforms.rendering import carry_out, finished

    def measure(
        op: Any, params: dict[str, Any], box: tuple[int, int, int, int], shape: tuple[int, int] = (160, 200)
    ) -> tuple[float, float]:
        """Return (IoU of the box with the tightest box of the bright pixels, IoU of the mask with the bright pixels).

        The rectangle is white on black; keep it away from the edges where the op repeats the image beyond them.
        """
        image = np.zeros((*shape, 3), np.uint8)
        image[box[1] : box[3], box[0] : box[2]] = 255
        sample = Sample(image, objects=Objects.from_boxes(np.array([box]), np.array([7])), mask=image[..., 0] // 255)
        after = finished(carry_out(op, sample, params))
        bright = after.image[..., 0] > 127
        assert after.objects is not None and after.mask is not None
        if not bright.any():
            return (1.0 if len(after.objects) == 0 else 0.0, float(not after.mask.any()))
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
        assert after.objects.labels.tolist() == [7]
        moved = after.objects.boxes[0]
        sides = np.clip(np.minimum(moved[2:], seen[2:]) - np.maximum(moved[:2], seen[:2]), 0, None)
        both = np.prod(sides)
        box_iou = both / (np.prod(moved[2:] - moved[:2]) + np.prod(seen[2:] - seen[:2]) - both)
        mask = after.mask == 1
        return float(box_iou), float((mask & bright).sum() / (mask | bright).sum())

    return measure


def crops(photo: np.ndarray, count: int, *, side: tuple[int, int] = (40, 90)) -> list[np.ndarray]:
    """Cut `count` different windows of varying size out of a photo, always the same ones."""
    generator = np.random.default_rng(count)
    windows = []
    for _ in range(count):
        height, width = generator.integers(*side, size=2)
        top = generator.integers(0, photo.shape[0] - height)
        left = generator.integers(0, photo.shape[1] - width)
        windows.append(photo[top : top + height, left : left + width])
    return windows


class Drawn(NamedTuple):
    """A photo with rectangles painted on it: uint8 [120, 160, 3], and (xmin, ymin, xmax, ymax) by colour."""

    image: np.ndarray
    boxes: dict[str, tuple[int, int, int, int]]


PAINTS = {"magenta": (255, 0, 255), "lime": (0, 255, 0)}  # colours that the photos have nothing of


@pytest.fixture(scope="session")
def painted(photos: dict[str, np.ndarray]) -> list[Drawn]:
    """Twelve photos, each with a magenta and a lime rectangle at other places; the last one has none."""
    generator = np.random.default_rng(7)
    found = []
    for number in range(12):
        image = np.ascontiguousarray(photos["coffee"][60 + number : 180 + number, 100 + 2 * number : 260 + 2 * number])
        boxes = {}
        for i, name in enumerate(PAINTS if number < 11 else []):
            width, height = (int(side) for side in generator.integers(36, 60, size=2))
            left, top = int(generator.integers(80 * i, 80 * i + 80 - width)), int(generator.integers(0, 120 - height))
            image[top : top + height, left : left + width] = PAINTS[name]
            boxes[name] = (left, top, left + width, top + height)
        found.append(Drawn(image, boxes))
    return found


@pytest.fixture(scope="session")
def seen_in() -> Callable[[np.ndarray, str], np.ndarray]:
    """Find the pixels of an image that are painted in a colour of `painted`, after whatever smoothed the edges."""

    def find(image: np.ndarray, name: str) -> np.ndarray:
        return np.asarray((np.abs(image.astype(int) - PAINTS[name]) < 120).all(axis=2))

    return find


@pytest.fixture(scope="session")
def box_iou() -> Callable[[Any, np.ndarray], float]:
    """The IoU of a box (ymin, xmin, ymax, xmax) in fractions with the tightest box around the pixels found."""

    def measure(box: Any, found: np.ndarray) -> float:
        rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
        seen = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], np.float64)
        box = np.asarray(box, np.float64) * (*found.shape, *found.shape)
        both = np.prod(np.clip(np.minimum(box[2:], seen[2:]) - np.maximum(box[:2], seen[:2]), 0, None))
        return float(both / (np.prod(box[2:] - box[:2]) + np.prod(seen[2:] - seen[:2]) - both))

    return measure


@pytest.fixture(scope="session")
def annotated_records(painted: list[Drawn]) -> Callable[[Path], dict[str, Any]]:
    """Write the painted photos as a TFRecord with labels, boxes, keypoints and masks; return them as a source."""
    from augmill.pipeline.example import encode_example
    from augmill.pipeline.image import encode_image
    from augmill.pipeline.mask import encode_mask
    from augmill.pipeline.shard import ShardWriter

    def write(folder: Path) -> dict[str, Any]:
        (folder / "index").mkdir()
        with ShardWriter(folder, folder / "index", "painted.tfrecord") as writer:
            for number, drawn in enumerate(painted):
                height, width = drawn.image.shape[:2]
                mask = np.zeros((height, width), np.uint8)
                boxes, points = [], []
                for i, (left, top, right, bottom) in enumerate(drawn.boxes.values()):
                    mask[top:bottom, left:right] = i + 1
                    boxes += [top / height, left / width, bottom / height, right / width]
                    points += [(top + 2.5) / height, (left + 2.5) / width, 2.0, 0.0, 0.0, 0.0]
                objects = {"box": boxes, "class": [0, 1][: len(drawn.boxes)], "point": points, "crowd": [0, 1]}
                objects["crowd"] = objects["crowd"][: len(drawn.boxes)]
                image = {"image": encode_image(drawn.image, "png"), "mask": encode_mask(mask), "label": number % 3}
                writer.write(encode_example({**image, **objects, "key": f"{number:02d}".encode()}))
            writer.finish()
        names = {"boxes": "box", "box_labels": "class", "crowd": "crowd", "keypoints": "point", "mask": "mask"}
        return {
            "tfrecord": str(folder / "painted.tfrecord"),
            "features": {"image": "image", "label": "label", "key": "key", **names},
            "box_classes": list(PAINTS),
            "keypoint_names": ["left_tip", "right_tip"],
        }

    return write


def write_photo_folder(folder: Path, photos: dict[str, np.ndarray], count: int) -> Path:
    """Write `count` crops a class into class folders, as JPEG and PNG in turn."""
    from PIL import Image

    for name, photo in photos.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, crop in enumerate(crops(photo, count)):
            Image.fromarray(crop).save(folder / name / f"{name}-{i:03d}.{'png' if i % 4 == 0 else 'jpg'}")
    return folder


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, np.ndarray]) -> Path:
    """Three class folders of 16 crops each; not to be written to."""
    return write_photo_folder(tmp_path_factory.mktemp("photos"), photos, 16)


@pytest.fixture
def make_spec(photo_folder: Path) -> Callable[..., Any]:
    """Make a small spec over `photo_folder`; keyword arguments replace its parts."""
    from augmill.pipeline import Spec

    def make(**changes: Any) -> Spec:
        parts: dict[str, Any] = {
            "name": "crops",
            "version": "1.0.0",
            "seed": 3,
            "source": {"folder": str(photo_folder)},
            "splits": {"train": 0.75, "test": 0.25},
            "image": {"size": [32, 32], "encoding": "png"},
            "copies": 2,
            "block_examples": 8,
            "augment": [
                "tf.image.random_flip_left_right",
                {"tf.image.random_brightness": {"max_delta": 0.2}},
                {
                    "one_of": [
                        {"tf.image.random_hue": {"max_delta": 0.1}},
                        {"keras.layers.RandomZoom": {"height_factor": 0.2}},
                    ]
                },
            ],
        }
        return Spec(**{**parts, **changes})

    return make


@pytest.fixture(scope="session")
def publish_version() -> Callable[..., Any]:
    """Build a version block by block in this process: all that a job does, without Beam around it."""
    from augmill.pipeline.lineage import library_versions, user_code
    from augmill.pipeline.listing import list_source
    from augmill.pipeline.materialize import Materializer
    from augmill.pipeline.plan import make_plan
    from augmill.pipeline.publish import publish
    from augmill.pipeline.workspace import Workspace

    def make(spec: Any, output: Path) -> Any:
        plan = make_plan(spec, list_source(spec))
        target = output / spec.name / spec.version
        workspace = Workspace.beside(target)
        workspace.prepare(spec, plan, {"spec": spec.digest()})
        materialize = Materializer(workspace)
        for block in range(plan.blocks):
            materialize(block)
        facts = {"started": "2001-01-01T00:00:00+00:00", "seconds": 1.0, "workers": 1}
        lineage = {"libraries": library_versions(), "code": user_code(spec)}
        version = publish(spec, plan, workspace, target, build=facts, **lineage)
        workspace.remove()
        return version

    return make


class CommandResult(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def augmill(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., CommandResult]:
    """Run the `augmill` command in this process, which has paid for TensorFlow already."""
    from augmill.scripts.cli import main

    def run(*arguments: object) -> CommandResult:
        monkeypatch.setattr("sys.argv", ["augmill", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return CommandResult(code, *capfd.readouterr())

    return run


@pytest.fixture
def write_spec(tmp_path: Path, make_spec: Callable[..., Any]) -> Callable[..., Path]:
    """Write a small spec over `photo_folder` as YAML; keyword arguments replace its parts, None leaves one out."""
    import yaml

    def write(**changes: Any) -> Path:
        parts = make_spec().canonical()
        parts["source"] = {key: value for key, value in parts["source"].items() if value is not None}
        parts |= changes
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in parts.items() if value is not None}))
        return path

    return write
