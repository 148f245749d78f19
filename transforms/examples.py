"""An example of every op: the arguments with which it is shown, where its defaults alone are not enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augmill.transforms.base import Transform
from augmill.transforms.catalog import OPS

_CONTRAST = {"lower": 0.7, "upper": 1.3}
_QUALITY = {"min_jpeg_quality": 20, "max_jpeg_quality": 60}
_WINDOW = {"height": 24, "width": 24}
_TARGET = {"target_height": 24, "target_width": 24}

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "tf.image.random_crop": {"size": [24, 24, 3]},
    "tf.image.stateless_random_crop": {"size": [24, 24, 3]},
    "tf.image.rot90": {"k": [0, 1, 2, 3]},
    "tf.image.central_crop": {"central_fraction": [0.6, 0.9]},
    "tf.image.crop_to_bounding_box": {"offset_height": 4, "offset_width": 6, **_TARGET},
    "tf.image.pad_to_bounding_box": {"offset_height": 8, "offset_width": 12, "target_height": 600, "target_width": 700},
    "tf.image.resize_with_crop_or_pad": {"target_height": 120, "target_width": 40},
    "tf.image.resize": {"size": [48, 40]},
    "tf.image.resize_with_pad": {"target_height": 48, "target_width": 60},
    "tf.image.sample_distorted_bounding_box": {"size": [48, 48]},
    "tf.image.stateless_sample_distorted_bounding_box": {"size": [48, 48]},
    "tf.image.random_brightness": {"max_delta": 0.2},
    "tf.image.stateless_random_brightness": {"max_delta": 0.2},
    "tf.image.random_contrast": _CONTRAST,
    "tf.image.stateless_random_contrast": _CONTRAST,
    "tf.image.random_saturation": {"lower": 0.5, "upper": 1.5},
    "tf.image.stateless_random_saturation": {"lower": 0.5, "upper": 1.5},
    "tf.image.random_hue": {"max_delta": 0.1},
    "tf.image.stateless_random_hue": {"max_delta": 0.1},
    "tf.image.adjust_brightness": {"delta": [-0.2, 0.2]},
    "tf.image.adjust_contrast": {"contrast_factor": [0.7, 1.3]},
    "tf.image.adjust_saturation": {"saturation_factor": [0.5, 1.5]},
    "tf.image.adjust_hue": {"delta": [-0.1, 0.1]},
    "tf.image.adjust_gamma": {"gamma": [0.6, 1.6]},
    "tf.image.random_jpeg_quality": _QUALITY,
    "tf.image.stateless_random_jpeg_quality": _QUALITY,
    "tf.image.adjust_jpeg_quality": {"jpeg_quality": [20, 60]},
    "keras.layers.RandomRotation": {"factor": 0.1},
    "keras.layers.RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "keras.layers.RandomZoom": {"height_factor": 0.3},
    "keras.layers.RandomShear": {"x_factor": 0.3, "y_factor": 0.3},
    "keras.layers.RandomCrop": _WINDOW,
    "keras.layers.CenterCrop": _WINDOW,
    "keras.layers.Resizing": _WINDOW,
    "keras.layers.MaxNumBoundingBoxes": {"max_number": 100},
    "keras.layers.RandomBrightness": {"factor": 0.2},
    "keras.layers.RandomContrast": {"factor": 0.3},
    "keras.layers.RandomSaturation": {"factor": [0.3, 0.7]},
    "keras.layers.RandomHue": {"factor": 0.2},
    "keras.layers.RandomColorJitter": {
        "brightness_factor": 0.2,
        "contrast_factor": 0.2,
        "saturation_factor": [0.3, 0.7],
        "hue_factor": 0.1,
    },
    "keras.layers.RandomColorDegeneration": {"factor": 0.8},
    "keras.layers.RandomInvert": {"factor": 0.5},
    "keras.layers.RandomGaussianBlur": {"kernel_size": 5, "sigma": [0.5, 1.0]},
    "keras.layers.RandomPosterization": {"factor": [3, 6]},
    "keras.layers.RandomSharpness": {"factor": [0.2, 0.9]},
    "keras.layers.Solarization": {"threshold_factor": [0.3, 0.8]},
}


def example_of(name: str) -> Transform:
    """Make the op called `name` with its example's arguments."""
    return OPS[name](**ARGUMENTS.get(name, {}))
