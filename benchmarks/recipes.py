"""The recipes: what every contender is asked to make, as augmill's own spec has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

PHOTO = (375, 500)  # [height, width] in pixels, the usual size of ImageNet's photos


@dataclass(frozen=True)
class Recipe:
    """One task: sources, ops and the form of the result.

    Attributes:
      title: what it is, in a line.
      source_size: [height, width] of the source images, in pixels.
      source_encoding: "jpeg" (quality 90) or "png".
      copies: augmented renditions of each source image; the image as it is is not written.
      size: [height, width] of every record's image.
      fitted: whether sources are brought to `size` before the ops, or the ops themselves lead to it.
      encoding: of the records' images, "jpeg" (quality 95) or "png".
      boxes: whether the sources have boxes, in a file of COCO's form.
      augment: the ops, as in a spec.
    """

    title: str
    copies: int
    size: tuple[int, int]
    augment: tuple[Any, ...]
    source_size: tuple[int, int] = PHOTO
    source_encoding: str = "jpeg"
    fitted: bool = True
    encoding: str = "jpeg"
    boxes: bool = False

    def spec(self, source: Path, *, kernels: str, more: tuple[Any, ...] = ()) -> dict[str, Any]:
        """The recipe as a spec over the images in `source`, with `more` ops at its end."""
        coco = {"coco": str(source / ANNOTATIONS), "images": str(source)}
        image = {"encoding": self.encoding, **({"size": list(self.size)} if self.fitted else {})}
        return {
            "name": "benchmark",
            "version": "1.0.0",
            "source": coco if self.boxes else {"folder": str(source)},
            "image": image,
            "copies": self.copies,
            "keep_original": False,
            "kernels": kernels,
            "augment": [*self.augment, *more],
        }


ANNOTATIONS = "instances.json"  # beside the class folders
QUALITY = 95  # of the JPEGs that are written

_FLIP = "tf.image.random_flip_left_right"

RECIPES: dict[str, Recipe] = {
    "photo": Recipe(
        title="photos to 224 x 224: flip, brightness, contrast, rotation, zoom; 4 copies, JPEG",
        copies=4,
        size=(224, 224),
        augment=(
            _FLIP,
            {"tf.image.random_brightness": {"max_delta": 0.2}},
            {"tf.image.random_contrast": {"lower": 0.7, "upper": 1.3}},
            {"keras.layers.RandomRotation": {"factor": 0.1}},  # of a turn: 36 degrees
            {"keras.layers.RandomZoom": {"height_factor": 0.2}},
        ),
    ),
    "imagenet": Recipe(
        title="photos to 224 x 224: random-resized crop, flip, colour jitter; 4 copies, JPEG",
        copies=4,
        size=(224, 224),
        fitted=False,  # the crop is of the photo as it is
        augment=(
            {
                "tf.image.sample_distorted_bounding_box": {
                    "min_object_covered": 0.0,
                    "aspect_ratio_range": [0.75, 1.333],
                    "area_range": [0.08, 1.0],
                    "size": [224, 224],
                }
            },
            _FLIP,
            {"tf.image.random_brightness": {"max_delta": 0.125}},
            {"tf.image.random_contrast": {"lower": 0.5, "upper": 1.5}},
            {"tf.image.random_saturation": {"lower": 0.5, "upper": 1.5}},
            {"tf.image.random_hue": {"max_delta": 0.2}},
        ),
    ),
    "cifar": Recipe(
        title="32 x 32: pad to 40 x 40, random crop, flip, cutout of 16 x 16; 4 copies, PNG",
        copies=4,
        size=(32, 32),
        source_size=(32, 32),
        source_encoding="png",
        encoding="png",
        augment=(
            {"tf.image.resize_with_crop_or_pad": {"target_height": 40, "target_width": 40}},
            {"tf.image.random_crop": {"size": [32, 32, 3]}},
            _FLIP,
            {"keras.layers.RandomErasing": {"factor": 1.0, "scale": [0.25, 0.25], "fill_value": 0}},
        ),
    ),
    "randaugment": Recipe(
        title="photos to 224 x 224: flip, RandAugment of 2 ops at magnitude 9; 4 copies, JPEG",
        copies=4,
        size=(224, 224),
        augment=(_FLIP, {"rand_augment": {"num_ops": 2, "magnitude": 9}}),
    ),
    "detection": Recipe(
        title="photos with boxes to 320 x 320: flip, brightness, contrast, translation, zoom; 2 copies, JPEG",
        copies=2,
        size=(320, 320),
        boxes=True,
        augment=(
            _FLIP,
            {"tf.image.random_brightness": {"max_delta": 0.2}},
            {"tf.image.random_contrast": {"lower": 0.7, "upper": 1.3}},
            {"keras.layers.RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1}},
            {"keras.layers.RandomZoom": {"height_factor": 0.2}},
        ),
    ),
}
