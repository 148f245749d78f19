"""How far fast kernels are from the reference ones, and how much faster: the tables of docs/kernels.md.

    python -m benchmarks.parity

Both kernels get the same photos and the same drawn parameters; their results are compared level by level.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from augmill.transforms.base import MixTransform, Sample, Transform
from augmill.transforms.catalog import OPS
from augmill.transforms.examples import ARGUMENTS
from augmill.transforms.fast import fast_kernels
from augmill.transforms.randomness import Draws
from augmill.transforms.rendering import carry_out, finished

PAGE = Path(__file__).parent.parent / "docs" / "kernels.md"
BEGIN, END = "<!-- differences: begin -->", "<!-- differences: end -->"
DRAWS = 8  # renditions of each photo
_BINS = np.arange(257)
# Results as large as in use, where the examples of the ops are small enough for small images.
_LARGER: Mapping[str, Mapping[str, Any]] = {
    "tf.image.resize": {"size": [160, 200]},
    "tf.image.resize_with_pad": {"target_height": 200, "target_width": 256},
    "tf.image.sample_distorted_bounding_box": {"size": [192, 192]},
    "tf.image.stateless_sample_distorted_bounding_box": {"size": [192, 192]},
    "tf.image.random_crop": {"size": [192, 192, 3]},
    "tf.image.stateless_random_crop": {"size": [192, 192, 3]},
    "keras.layers.RandomCrop": {"height": 192, "width": 192},
    "keras.layers.CenterCrop": {"height": 192, "width": 192},
    "keras.layers.Resizing": {"height": 160, "width": 200},
}


class Difference(NamedTuple):
    """What was measured of one op.

    Attributes:
      op: its name.
      mean, high, most: the mean, the 99.9th percentile and the largest difference, in levels of 255.
      reference, fast: milliseconds an image of 224x224, the median over photos and draws.
    """

    op: str
    mean: float
    high: int
    most: int
    reference: float
    fast: float


def photos() -> list[np.ndarray]:
    """Three photos of 224 x 224 pixels: a cat's face, a cup of coffee, galaxies."""
    from skimage import data

    found = (
        data.chelsea()[30:254, 120:344],
        data.coffee()[60:284, 200:424],
        data.hubble_deep_field()[300:524, 300:524],
    )
    return [np.ascontiguousarray(photo) for photo in found]


def ops_with_fast_kernels() -> list[str]:
    """The names of all ops that have a fast kernel with the arguments that they are measured with."""
    return [
        name for name, op in OPS.items() if not issubclass(op, MixTransform) and fast_kernels(_made(name)) is not None
    ]


def measure(name: str, draws: int = DRAWS) -> Difference:
    """Compare both kernels of one op on all photos."""
    op = _made(name)
    counts = np.zeros(256, np.int64)
    spent: dict[str, list[float]] = {"reference": [], "fast": []}
    for photo in photos():
        for params in _drawn(op, photo, draws):
            results = {}
            for kernels in spent:
                start = time.perf_counter()
                results[kernels] = finished(carry_out(op, Sample(photo), params, kernels)).image
                spent[kernels].append(1e3 * (time.perf_counter() - start))
            apart = np.abs(results["fast"].astype(np.int16) - results["reference"])
            counts += np.histogram(apart, _BINS)[0]
    share = np.cumsum(counts) / counts.sum()
    mean = float(counts @ np.arange(256) / counts.sum())
    high, most = int(np.argmax(share >= 0.999)), int(np.flatnonzero(counts)[-1])
    return Difference(name, mean, high, most, *(statistics.median(spent[kernels]) for kernels in ("reference", "fast")))


def _made(name: str) -> Transform:
    return OPS[name](**_LARGER.get(name, ARGUMENTS.get(name, {})))


def _drawn(op: Transform, photo: np.ndarray, draws: int) -> Iterator[dict[str, Any]]:
    for copy in range(draws):
        yield op.draw_for(Draws(seed=0, key="photo", copy=copy, at="0"), Sample(photo))


def table(found: list[Difference]) -> str:
    """What was measured, in Markdown."""
    lines = [
        "| op | mean | 99.9 % within | largest | reference, ms | fast, ms | times as fast |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        mean = "0" if one.mean == 0 else f"{one.mean:.3f}"
        times = f"{one.reference:.2f} | {one.fast:.2f} | {one.reference / one.fast:.0f}"
        lines.append(f"| `{one.op}` | {mean} | {one.high} | {one.most} | {times} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every op and write the table into the page."""
    cv2.setNumThreads(1)
    found = [measure(name) for name in ops_with_fast_kernels()]
    page = PAGE.read_text("utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", "utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
