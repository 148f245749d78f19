"""What makes a version directory one that plain TFDS reads: its features and its dataset info."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from augmill.pipeline.annotation_info import NO_ANNOTATIONS, AnnotationInfo
from augmill.pipeline.annotations import BOX_LABELS, BOXES, CROWD, KEYPOINTS, MASK, OBJECTS
from augmill.pipeline.example import AUGMENTATION, COPY, IMAGE, KEY, LABEL, SOFT_LABEL
from augmill.pipeline.manifest import Split
from augmill.pipeline.mask import mask_dtype
from augmill.pipeline.plan import Plan
from augmill.pipeline.spec import Spec

_ASIDE = 10  # the niceness of what can wait


def import_tfds() -> None:
    """Import TFDS, which takes most of a second, before it is needed; what is wrong with it is told when it is.

    In a thread of its own: this takes less of the processor then than the workers, whose cores they are.
    """
    aside = threading.current_thread() is not threading.main_thread()
    if aside and sys.platform == "linux":  # where a thread has a priority of its own
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _ASIDE)
    with contextlib.suppress(ImportError):
        importlib.import_module("tensorflow_datasets")


def tfds_features(spec: Spec, classes: list[str] | None, annotations: AnnotationInfo = NO_ANNOTATIONS) -> Any:
    """The features of a record, as TFDS describes them."""
    import tensorflow_datasets as tfds  # which needs no TensorFlow to describe features

    height, width = spec.image.size or (None, None)
    image: Any
    if spec.image.encoding == "raw":
        image = tfds.features.Tensor(shape=(height, width, spec.image.channels), dtype=np.uint8, encoding="bytes")
    else:
        image = tfds.features.Image(shape=(height, width, spec.image.channels), encoding_format=spec.image.encoding)
    features = {
        IMAGE: image,
        KEY: tfds.features.Text(),
        COPY: tfds.features.Scalar(np.int64),
        AUGMENTATION: tfds.features.Text(),
    }
    if classes is not None:
        features[LABEL] = tfds.features.ClassLabel(names=classes)
        if spec.mixes:
            features[SOFT_LABEL] = tfds.features.Tensor(shape=(len(classes),), dtype=np.float32)
    if "boxes" in annotations.kinds:
        features[OBJECTS] = tfds.features.Sequence(_object_features(annotations))
    if "masks" in annotations.kinds:
        features[MASK] = tfds.features.Image(
            shape=(height, width, 1), dtype=mask_dtype(annotations.mask_bits), encoding_format="png"
        )
    return tfds.features.FeaturesDict(features)


def _object_features(annotations: AnnotationInfo) -> dict[str, Any]:
    """The features of one object; their names are those in a record, after "objects/"."""
    import tensorflow_datasets as tfds

    features = {
        BOXES: tfds.features.BBoxFeature(),
        BOX_LABELS: tfds.features.ClassLabel(names=list(annotations.classes)),
    }
    if annotations.crowd:
        features[CROWD] = tfds.features.Scalar(np.bool_)
    if "keypoints" in annotations.kinds:
        features[KEYPOINTS] = tfds.features.Tensor(shape=(len(annotations.keypoint_names), 3), dtype=np.float32)
    return {name.removeprefix(f"{OBJECTS}/"): feature for name, feature in features.items()}


def write_tfds_metadata(spec: Spec, plan: Plan, splits: dict[str, Split], folder: Path) -> None:
    """Write dataset_info.json, features.json and label.labels.txt into `folder`, wherever the shards may be."""
    import tensorflow_datasets as tfds

    # TFDS looks for a shard of each split by its name, and reads nothing of it.
    firsts = [folder / split.shards[0].file for split in splits.values()]
    missing = [path for path in firsts if not path.exists()]
    for path in missing:
        path.touch()
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
        features=tfds_features(spec, plan.classes, plan.annotations),
        version=spec.version,
        split_infos=infos,
        check_data=False,
        description=f"Augmented offline by augmill: {len(spec.train_copies)} renditions of each training example.",
        supervised_keys=(IMAGE, LABEL) if plan.classes is not None else None,
    )
    for path in missing:
        path.unlink()
