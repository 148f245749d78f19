"""Make a small real photo dataset in class folders: crops of the photos that ship with scikit-image and scikit-learn.

    python examples/make_photos.py data/raw

Writes 400 images of 5 classes, of varying sizes, as JPEG and PNG. The same command makes the same crops.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

CROPS = 80  # a class
SIDES = (96, 224)  # shortest and longest side of a crop, in pixels


def photos() -> dict[str, np.ndarray]:
    """The photo behind each class: uint8 [height, width, 3]."""
    return {
        "cat": data.chelsea(),
        "coffee": data.coffee(),
        "flower": load_sample_image("flower.jpg"),
        "galaxy": data.hubble_deep_field(),
        "temple": load_sample_image("china.jpg"),
    }


def write_crops(folder: Path) -> int:
    """Write the crops below `folder`, and return how many there are."""
    generator = np.random.default_rng(0)
    count = 0
    for name, photo in photos().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(CROPS):
            height, width = generator.integers(*SIDES, size=2)
            top = generator.integers(0, photo.shape[0] - height + 1)
            left = generator.integers(0, photo.shape[1] - width + 1)
            crop = Image.fromarray(photo[top : top + height, left : left + width])
            kind, options = (".png", {}) if number % 8 == 0 else (".jpg", {"quality": 92})
            crop.save(folder / name / f"{name}-{number:03d}{kind}", **options)
            count += 1
    return count


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    print(f"{target}: {write_crops(target)} photos of {len(photos())} classes")
