"""Ways to read a dataset into training, each a module that runs as `python -m benchmarks.loaders.<module>`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Loader:
    """One way to read.

    Attributes:
      title: what it is called in tables.
      module: of this package.
      form: what it reads, by its name in `benchmarks.forms`.
      needs: the modules that it imports beyond augmill's own.
      options: its own, by name.
    """

    title: str
    module: str
    form: str
    needs: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


# Of each option of `tfdata_records` what may be chosen: python -m benchmarks.loading --tune tries every combination.
TUNED = {
    "cycle": ("1", "4", "16", "auto"),
    "parse": ("one", "many", "whole"),
    "calls": ("2", "4", "auto"),
    "deterministic": ("no", "yes"),
}

LOADERS: dict[str, Loader] = {
    "augmill": Loader("augmill `load`, JPEG", "augmill_load", "jpeg"),
    "augmill-raw": Loader("augmill `load`, raw pixels", "augmill_load", "raw"),
    "tfdata": Loader(
        "tf.data over the same shards, tuned by hand",
        "tfdata_records",
        "jpeg",
        options={"cycle": "4", "parse": "whole", "calls": "4", "deterministic": "no"},
    ),
    "tfdata-raw": Loader(
        "the same, raw pixels",
        "tfdata_records",
        "raw",
        options={"cycle": "4", "parse": "whole", "calls": "4", "deterministic": "no", "encoding": "raw"},
    ),
    "tfds": Loader("TFDS `as_dataset`", "tfds_directory", "jpeg", ("tensorflow_datasets",)),
    "webdataset": Loader(
        "webdataset, a process a worker", "webdataset_tars", "tars", ("webdataset",), {"decoder": "pillow"}
    ),
    "webdataset-opencv": Loader(
        "webdataset, decoding by OpenCV", "webdataset_tars", "tars", ("webdataset",), {"decoder": "opencv"}
    ),
    "files": Loader("tf.data over JPEG files", "loose_files", "files"),
    "records-alone": Loader("records alone, not decoded", "records_alone", "jpeg"),
}


@dataclass(frozen=True)
class Trainer:
    """One way to get images into training.

    Attributes:
      title: what it is called in tables.
      form: what it reads, by its name in `benchmarks.forms`.
      options: of the module `train`: the loader, and the loader's own.
      epochs: read when nothing is done with them; a fast one reads several, so that it is at work for longer.
    """

    title: str
    form: str
    options: Mapping[str, str]
    epochs: int = 1


TRAINERS: dict[str, Trainer] = {
    "augmill": Trainer("augmill `load`, one copy an epoch", "jpeg", {"loader": "augmill_load", "copies": "rotate"}, 4),
    "online": Trainer(
        "tf.data, photos of 500 x 375, op by op on each image",
        "sources",
        {"loader": "online", "photos": "files", "ops": "image"},
    ),
    "online-batched": Trainer(
        "tf.data, photos of 500 x 375, Keras layers on batches",
        "sources",
        {"loader": "online", "photos": "files", "ops": "batch"},
    ),
    "online-small": Trainer(
        "tf.data, records of 224 x 224, op by op on each image",
        "originals",
        {"loader": "online", "photos": "records", "ops": "image"},
    ),
    "online-small-batched": Trainer(
        "tf.data, records of 224 x 224, Keras layers on batches",
        "originals",
        {"loader": "online", "photos": "records", "ops": "batch"},
    ),
}
