"""What the tests share: real photos, small datasets made of them, and short builds."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
# Read when gcsfs is imported; otherwise it asks by gRPC, which the emulator does not speak, for a minute each time.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

REPOSITORY = Path(__file__).parent.parent


def read_photos() -> dict[str, np.ndarray]:
    from skimage import data

    return {"cat": data.chelsea(), "coffee": data.coffee(), "galaxy": data.hubble_deep_field()}


@pytest.fixture(scope="session")
def photos() -> dict[str, np.ndarray]:
    """Three real photos by class: uint8 [height, width, 3]."""
    return read_photos()


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
    from augmill.pipeline.parent import find_parent, write_reuse
    from augmill.pipeline.plan import make_plan
    from augmill.pipeline.publish import publish, reused
    from augmill.pipeline.workspace import Workspace

    def make(spec: Any, output: Path, *, reuse: bool = False, patch: bool = False) -> Any:
        plan = make_plan(spec, list_source(spec))
        target = output / spec.name / spec.version
        workspace = Workspace.beside(target)
        workspace.prepare(spec, plan, {"spec": spec.digest()})
        lineage = {"libraries": library_versions(), "code": user_code(spec)}
        parent = find_parent(spec, plan, target, **lineage, say=print) if reuse else None
        workspace.reuse_path.unlink(missing_ok=True)
        if parent is not None:
            write_reuse(workspace.reuse_path, parent, spec, plan, patch=patch)
        materialize = Materializer(workspace)
        for block in range(plan.blocks):
            materialize(block)
        facts = {"started": "2001-01-01T00:00:00+00:00", "seconds": 1.0, "workers": 1}
        facts["reused"] = parent and {"from": parent.number, **reused(workspace, plan)}
        version = publish(spec, plan, workspace, build=facts, **lineage)
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


class Bucket(NamedTuple):
    """A folder of a store that runs on this machine."""

    url: str
    options: dict[str, Any]

    def file_system(self) -> Any:
        import fsspec

        return fsspec.filesystem(self.url.split("://")[0], **self.options, use_listings_cache=False)

    def put(self, folder: Path, name: str) -> str:
        """Upload a folder under a name; return its URL."""
        files = self.file_system()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                files.pipe_file(f"{self.url}/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.url}/{name}"


@contextlib.contextmanager
def _serving(module: str, *arguments: str) -> Iterator[int]:
    """Run a server as a process of its own, from when it answers until the end of the block; give its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", module, *(argument.format(port=port) for argument in arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, f"{module} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{module} does not answer"
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def gcs() -> Iterator[Bucket]:
    """A bucket of an emulated Google Cloud Storage."""
    arguments = ("start", "--host=127.0.0.1", "--port={port}", "--in-memory", "--default-bucket=bucket")
    with _serving("gcp_storage_emulator", *arguments) as port, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        yield Bucket("gs://bucket", {"token": "anon"})


@pytest.fixture(scope="session")
def s3() -> Iterator[Bucket]:
    """A bucket of an emulated S3."""
    with _serving("moto.server", "-H", "127.0.0.1", "-p", "{port}") as port:
        bucket = Bucket("s3://bucket", {"endpoint_url": f"http://127.0.0.1:{port}", "key": "any", "secret": "any"})
        bucket.file_system().mkdir("bucket")
        yield bucket


class Web:
    """A web server in threads of this process, which fails as it is told to.

    Attributes:
      url: of the folder that it serves.
      asked: the names that were asked for, in order.
      faults: by name, what goes wrong with its next requests, one after the other: "503", "reset" (the connection),
        "cut" (after half of the file), "hang" (after half of the file), "slow" (a tenth of a second a kilobyte).
    """

    def __init__(self, folder: Path) -> None:
        web = self
        self.asked: list[str] = []
        self.faults: dict[str, list[str]] = {}
        self._ended = threading.Event()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                web.asked.append(name)
                fault = web.faults[name].pop(0) if web.faults.get(name) else ""
                if fault in ("503", "403"):
                    self.send_error(int(fault))
                elif fault == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                elif fault:
                    self._send_half(folder / name, fault)
                else:
                    super().do_GET()

            def _send_half(self, path: Path, fault: str) -> None:
                data = path.read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    if fault == "slow":
                        for start in range(0, len(data), 1024):
                            self.wfile.write(data[start : start + 1024])
                            web._ended.wait(0.1)
                    else:
                        self.wfile.write(data[: len(data) // 2])
                        web._ended.wait(60 if fault == "hang" else 0)
                self.close_connection = True

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], Web]]:
    """Serve folders over HTTP until the end of the test."""
    webs: list[Web] = []

    def start(folder: Path) -> Web:
        webs.append(Web(folder))
        return webs[-1]

    yield start
    for web in webs:
        web.close()
