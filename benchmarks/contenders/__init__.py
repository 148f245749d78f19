"""The contenders: what is measured, each a module that runs as `python -m benchmarks.contenders.<module>`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """One way to do a recipe.

    Attributes:
      title: what it is called in tables.
      module: of this package.
      images: for each recipe that it can do, how many source images; so many that it is at work for 10 to 30 seconds on
        two cores, so that a slow one is given fewer.
      needs: the modules that it imports beyond augmill's own.
      options: its own, by name.
    """

    title: str
    module: str
    images: Mapping[str, int]
    needs: tuple[str, ...] = ()
    options: Mapping[str, str] | None = None


def _images(photo: int, imagenet: int, cifar: int, randaugment: int, detection: int) -> dict[str, int]:
    return {
        "photo": photo,
        "imagenet": imagenet,
        "cifar": cifar,
        "randaugment": randaugment,
        "detection": detection,
    }


CONTENDERS: dict[str, Contender] = {
    "augmill-fast": Contender(
        "augmill, fast kernels", "augmill_build", _images(8000, 8000, 50000, 8000, 8000), (), {"kernels": "fast"}
    ),
    "augmill-reference": Contender(
        "augmill, reference kernels",
        "augmill_build",
        _images(400, 500, 1500, 1000, 600),
        (),
        {"kernels": "reference"},
    ),
    "tfdata": Contender("tf.data and TFRecordWriter", "tfdata", _images(1000, 2000, 6000, 60, 600), ("tensorflow",)),
    "tfds": Contender(
        "TFDS Beam builder", "tfds_beam", _images(110, 300, 200, 20, 130), ("tensorflow_datasets", "apache_beam")
    ),
    "tfds-processes": Contender(
        "TFDS Beam builder, a process a worker",
        "tfds_beam",
        _images(150, 400, 250, 30, 180),
        ("tensorflow_datasets", "apache_beam"),
        {"processes": "yes"},
    ),
    "albumentations": Contender(
        "Albumentations in a process pool",
        "albumentations_pool",
        _images(6000, 8000, 40000, 7000, 6000),
        ("albumentations",),
    ),
    "augmentor": Contender("Augmentor", "augmentor_files", {"photo": 300, "imagenet": 900}, ("Augmentor",)),
    "kernels-alone": Contender(
        "OpenCV calls alone, nothing written", "kernel_limit", _images(9000, 12000, 120000, 10000, 8000)
    ),
}


def missing(contender: Contender) -> list[str]:
    """The modules that a contender needs and that are not installed."""
    return not_installed(contender.needs)


def not_installed(modules: Iterable[str]) -> list[str]:
    """Those of the modules that are not installed."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def images_of(contender: Contender, recipe: str, *, quick: bool = False) -> int:
    """How many source images a contender is given; 0 where it cannot do the recipe."""
    images = contender.images.get(recipe, 0)
    return min(images, _QUICK) if quick else images


_QUICK = 16
