"""What makes a version directory one that plain TFDS reads: its features and its dataset info."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from augmill.pipeline.example import AUGMENTATION, COPY, IMAGE, KEY, LABEL
from augmill.pipeline.plan import Plan
from augmill.pipeline.spec import Spec
from augmill.pipeline.version import Split
from augmill.transforms.backend import tensorflow


def tfds_features(spec: Spec, classes: list[str] | None) -> Any:
    """The features of a record, as TFDS describes them."""
    tensorflow()
    import tensorflow_datasets as tfds

    height, width = spec.image.size or (None, None)
    image: Any
    if spec.image.encoding == "raw":
        image = tfds.features.Tensor(shape=(height, width, 3), dtype=np.uint8, encoding="bytes")
    else:
        image = tfds.features.Image(shape=(height, width, 3), encoding_format=spec.image.encoding)
    features = {
        IMAGE: image,
        KEY: tfds.features.Text(),
        COPY: tfds.features.Scalar(np.int64),
        AUGMENTATION: tfds.features.Text(),
    }
    if classes is not None:
        features[LABEL] = tfds.features.ClassLabel(names=classes)
    return tfds.features.FeaturesDict(features)


def write_tfds_metadata(spec: Spec, plan: Plan, splits: dict[str, Split], folder: Path) -> None:
    """Write dataset_info.json, features.json and label.labels.txt into `folder`, which holds the shards."""
    tensorflow()
    import tensorflow_datasets as tfds

    infos = [
        tfds.core.SplitInfo(
            name=name,
            shard_lengths=[shard.records for shard in split.shards],
            num_bytes=split.bytes,
            filename_template=tfds.core.ShardedFileTemplate(
                data_dir=folder, dataset_name=spec.name, split=name, filetype_suffix="tfrecord"
            ),
        )
        for name, split in splits.items()
    ]
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=tfds_features(spec, plan.classes),
        version=spec.version,
        split_infos=infos,
        check_data=False,
        description=f"Augmented offline by augmill: {len(spec.train_copies)} renditions of each training example.",
        supervised_keys=(IMAGE, LABEL) if plan.classes is not None else None,
    )
