"""Albumentations (the MIT release) in a pool of processes: each decodes once, makes all copies and writes its shard."""

from __future__ import annotations

from pathlib import Path

import albumentations as A  # noqa: N812  as its documentation has it
import cv2
import numpy as np

from benchmarks.contenders.opencv import decode
from benchmarks.contenders.records import RecordFile, box_features, features
from benchmarks.contenders.task import Part, Photo, Task, in_pool, main, now, photos
from benchmarks.recipes import QUALITY

_BORDER = cv2.BORDER_REFLECT
_SHOWN = (1 / 1.2, 1 / 0.8)  # a zoom that shows 0.8 to 1.2 of the scene
_TONE = A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.3, p=1)


def _affine(**moves: object) -> A.Affine:
    return A.Affine(**{"interpolation": cv2.INTER_LINEAR, "border_mode": _BORDER, "keep_ratio": True, "p": 1, **moves})


def _photo() -> A.Compose:
    return A.Compose([A.HorizontalFlip(p=0.5), _TONE, _affine(rotate=(-36, 36), scale=_SHOWN)])


def _imagenet() -> A.Compose:
    crop = A.RandomResizedCrop((224, 224), scale=(0.08, 1.0), ratio=(0.75, 1.333), p=1)
    colour = A.ColorJitter((0.875, 1.125), (0.5, 1.5), (0.5, 1.5), (-0.2, 0.2), p=1)
    return A.Compose([crop, A.HorizontalFlip(p=0.5), colour])


def _cifar() -> A.Compose:
    hole = A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(16, 16), hole_width_range=(16, 16), fill=0, p=1)
    pad = A.PadIfNeeded(40, 40, border_mode=cv2.BORDER_CONSTANT, fill=0, p=1)
    return A.Compose([pad, A.RandomCrop(32, 32, p=1), A.HorizontalFlip(p=0.5), hole])


def _randaugment() -> A.Compose:
    """Two of the fourteen ops of RandAugment at magnitude 9, at strengths like the published ones."""

    def warp(**moves: object) -> A.Affine:
        return _affine(**{"interpolation": cv2.INTER_NEAREST, "border_mode": cv2.BORDER_CONSTANT, "fill": 128, **moves})

    def enhanced(*factors: tuple[float, float]) -> A.ColorJitter:
        return A.ColorJitter(*factors, hue=(0, 0), p=1)

    same, strong, shift, shear = (1.0, 1.0), (1.72, 1.72), 0.9 * 100 / 224, np.degrees(np.arctan(0.27))
    ops = [
        A.NoOp(p=1),
        A.AutoContrast(p=1),
        A.Equalize(p=1),
        A.Solarize(threshold_range=(230 / 255, 230 / 255), p=1),
        A.Posterize(num_bits=(3, 3), p=1),
        enhanced(same, same, strong),
        enhanced(same, strong, same),
        enhanced(strong, same, same),
        A.Sharpen(alpha=(0.72, 0.72), lightness=(1, 1), p=1),
        A.OneOf([warp(rotate=(27, 27)), warp(rotate=(-27, -27))], p=1),
        A.OneOf([warp(shear={"x": (s * shear, s * shear)}) for s in (-1, 1)], p=1),
        A.OneOf([warp(shear={"y": (s * shear, s * shear)}) for s in (-1, 1)], p=1),
        A.OneOf([warp(translate_percent={"x": (s * shift, s * shift)}) for s in (-1, 1)], p=1),
        A.OneOf([warp(translate_percent={"y": (s * shift, s * shift)}) for s in (-1, 1)], p=1),
    ]
    return A.Compose([A.HorizontalFlip(p=0.5), A.SomeOf(ops, n=2, replace=True, p=1)])


def _detection() -> A.Compose:
    boxes = A.BboxParams("pascal_voc", label_fields=["labels"])
    return A.Compose(
        [A.HorizontalFlip(p=0.5), _TONE, _affine(translate_percent=(-0.1, 0.1), scale=_SHOWN)], bbox_params=boxes
    )


PIPELINES = {
    "photo": _photo,
    "imagenet": _imagenet,
    "cifar": _cifar,
    "randaugment": _randaugment,
    "detection": _detection,
}


def work(task: Task, worker: int) -> Part:
    """Augment every n-th photo, and write one shard of them."""
    cv2.setNumThreads(0)
    pipeline = PIPELINES[task.name]()
    pipeline.set_random_seed(worker)
    mine, records, started = photos(task)[worker :: task.workers], 0, now()
    with RecordFile(task.output / f"train.tfrecord-{worker:05d}-of-{task.workers:05d}") as shard:
        for photo in mine:
            image = decode(Path(photo.path).read_bytes())
            image, boxes = _fitted(image, photo, task)
            for copy in range(1, task.recipe.copies + 1):
                more = {}
                if task.recipe.boxes:
                    made = pipeline(image=image, bboxes=boxes, labels=photo.box_labels)
                    more = box_features(np.ravel(made["bboxes"]).tolist(), [int(label) for label in made["labels"]])
                else:
                    made = pipeline(image=image)
                shard.write(features(photo, copy, _encoded(made["image"], task)) | more)
                records += 1
    return Part(records, started, now())


def _fitted(image: np.ndarray, photo: Photo, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Bring an image to the recipe's size, and its boxes with it."""
    if not task.recipe.fitted or image.shape[:2] == task.recipe.size:
        return image, photo.boxes
    height, width = task.recipe.size
    scale = np.array([width / image.shape[1], height / image.shape[0]] * 2)
    # As `A.Resize(height, width, interpolation=cv2.INTER_AREA)`, once for all copies.
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), photo.boxes * scale


def _encoded(image: np.ndarray, task: Task) -> bytes:
    """Encode as one does with OpenCV: JPEG of the recipe's quality, PNG as it comes."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if task.recipe.encoding == "jpeg" else []
    found = cv2.imencode(f".{task.recipe.encoding}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)[1]
    return bytes(found)


if __name__ == "__main__":
    main(lambda task: in_pool(work, task))
