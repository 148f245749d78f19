"""The sources: as many different photos as are asked for, cut out of the real ones that scikit-image ships."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.recipes import ANNOTATIONS, Recipe

_JPEG_QUALITY = 90
_SMALLEST = 0.45  # share of a photo's greatest window that a crop shows at least
_CLASSES = ("cup", "face", "leaf", "star")  # what the boxes are said to be around
_BOX_SIDE = (0.1, 0.5)  # least and greatest share of the image's side
_BOXES = (3, 8)


def photos() -> dict[str, np.ndarray]:
    """The photos by class: uint8 [height, width, 3], RGB; they come with scikit-image, so nothing is fetched."""
    from skimage import data

    return {
        "astronaut": data.astronaut(),
        "cat": data.chelsea(),
        "coffee": data.coffee(),
        "galaxy": data.hubble_deep_field(),
        "motorcycle": data.stereo_motorcycle()[0],
        "retina": data.retina(),
        "rocket": data.rocket(),
        "tissue": data.immunohistochemistry(),
    }


def source(recipe: Recipe, images: int, work: Path) -> Path:
    """Make a folder of `images` sources for a recipe, or find the one that an earlier run made.

    Images stand in class folders; boxes, if the recipe has them, in COCO's form beside these. The n-th image is the
    same in every folder, however many there are.

    Returns:
      The folder, below `work`.
    """
    kind = repr((recipe.source_size, recipe.source_encoding, recipe.boxes, _JPEG_QUALITY, _SMALLEST, _BOX_SIDE, _BOXES))
    root = work / "sources" / hashlib.sha256(kind.encode()).hexdigest()[:12]
    folder = root / str(images)
    if not folder.exists():
        making = root / f".{images}-{os.getpid()}"
        shutil.rmtree(making, ignore_errors=True)
        _write(recipe, images, root / "all", making)
        making.rename(folder)
    return folder


def _write(recipe: Recipe, images: int, store: Path, folder: Path) -> None:
    """Fill `folder` with links to images in `store`, which gets those that it lacks."""
    originals = photos()
    names = sorted(originals)
    extension = ".jpg" if recipe.source_encoding == "jpeg" else ".png"
    for name in names:
        (store / name).mkdir(parents=True, exist_ok=True)
        (folder / name).mkdir(parents=True)
    files = []
    for number in range(images):
        name = names[number % len(names)]
        file = f"{name}/{number:06d}{extension}"
        if not (store / file).exists():
            temporary = store / f".{os.getpid()}{extension}"
            temporary.write_bytes(_encoded(crop(originals[name], number, recipe.source_size), extension))
            temporary.replace(store / file)
        os.link(store / file, folder / file)
        files.append(file)
    if recipe.boxes:
        (folder / ANNOTATIONS).write_text(json.dumps(_coco(files, recipe.source_size)))


def crop(photo: np.ndarray, number: int, size: tuple[int, int]) -> np.ndarray:
    """Cut the window of this number out of a photo, mirror every other one, and bring it to `size`: always the same."""
    generator = np.random.default_rng(number)
    height, width = size
    greatest = min(photo.shape[0] / height, photo.shape[1] / width)
    scale = greatest * generator.uniform(_SMALLEST, 1.0)
    rows, columns = int(height * scale), int(width * scale)
    top = generator.integers(0, photo.shape[0] - rows + 1)
    left = generator.integers(0, photo.shape[1] - columns + 1)
    window = photo[top : top + rows, left : left + columns]
    window = window[:, ::-1] if generator.random() < 0.5 else window
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(window), (width, height), interpolation=how)


def _encoded(image: np.ndarray, extension: str) -> bytes:
    flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if extension == ".jpg" else []
    return bytes(cv2.imencode(extension, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)[1])


def _coco(files: list[str], size: tuple[int, int]) -> dict[str, Any]:
    """Boxes at random places, the same ones for the same image, as a COCO file has them."""
    height, width = size
    images, annotations = [], list[dict[str, Any]]()
    for number, file in enumerate(files):
        images.append({"id": number, "file_name": file, "height": height, "width": width})
        generator = np.random.default_rng([number, 1])
        for _ in range(generator.integers(_BOXES[0], _BOXES[1] + 1)):
            sides = generator.uniform(*_BOX_SIDE, size=2) * (width, height)
            corner = generator.uniform(size=2) * ((width, height) - sides)
            box = [round(float(part), 2) for part in (*corner, *sides)]
            category = int(generator.integers(1, len(_CLASSES) + 1))
            annotations.append(
                {"id": len(annotations), "image_id": number, "category_id": category, "bbox": box, "iscrowd": 0}
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(_CLASSES, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}
