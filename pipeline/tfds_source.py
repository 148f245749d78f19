"""The TFDS source: a registered dataset or a TFDS directory, read as the record files it is."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from tqdm import tqdm

from augmill.pipeline.errors import SourceError
from augmill.pipeline.source import Listing
from augmill.pipeline.spec import FeatureNames, SourceSpec
from augmill.pipeline.tfrecord_source import RecordScan
from augmill.transforms.backend import tensorflow

# Features that identify an example, whatever shard it is in; `tfds_id` is a shard position and does not.
KEY_FEATURES = ("key", "id", "image/id", "image_id", "filename", "file_name", "image/filename", "image/file_name")


def list_tfds(source: SourceSpec, base: Path) -> Listing:
    """List the examples of a TFDS dataset with its own splits and class names.

    A registered dataset that is not there yet is downloaded and prepared first. An example's key is its identifying
    feature if it has one, else a digest of its image.

    Raises:
      SourceError: no such dataset, it cannot be prepared, or it is not clear which feature is the image.
    """
    builder = _open_builder(source, base)
    features = _feature_names(builder, source.features)
    container = builder.info.file_format.value
    if container not in ("tfrecord", "array_record"):
        raise SourceError(f"{source.tfds} is stored as {container}; augmill reads tfrecord and array_record")
    root = Path(builder.data_path)
    scan = RecordScan(features, key_by_content=True)
    files = [
        (split, Path(path), length)
        for split, info in sorted(builder.info.splits.items())
        for path, length in zip(info.filepaths, info.shard_lengths, strict=True)
    ]
    for split, path, length in tqdm(files, desc="scanning", unit="file", leave=False, disable=None):
        found = scan.add_file(path, path.name, split) if container == "tfrecord" else _scan_array(scan, path, split)
        if found != length:
            raise SourceError(f"{path} holds {found} records, but its dataset says {length}; prepare the dataset again")
    classes = list(builder.info.features[features.label].names) if features.label else None
    return scan.listing(root, container, classes)


def _scan_array(scan: RecordScan, path: Path, split: str) -> int:
    """Scan one ArrayRecord file; return its number of records."""
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(str(path))
        for number in range(reader.num_records()):
            scan.add_record(reader.read([number])[0], f"{path.name}#{number}", path.name, number, split)
        return int(reader.num_records())
    except (RuntimeError, ValueError, IndexError) as error:
        raise SourceError(f"{path} cannot be read as ArrayRecord: {error}") from error


def _open_builder(source: SourceSpec, base: Path) -> Any:
    tensorflow()
    import tensorflow_datasets as tfds

    name = source.tfds
    assert name is not None, "the spec demands it"
    directory = base / name
    try:
        if (directory / "dataset_info.json").exists():
            return tfds.builder_from_directory(str(directory))
        if ("/" in name.strip("/") and directory.is_dir()) or name.startswith((".", "/", "~")):
            raise SourceError(f"{directory} is no TFDS directory: it holds no dataset_info.json")
        builder = tfds.builder(name, data_dir=source.data_dir and str(base / source.data_dir))
        if not builder.data_path.exists():
            with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints; its progress bars go to stderr
                builder.download_and_prepare()
        return builder
    except SourceError:
        raise
    except Exception as error:  # TFDS raises many kinds: an unknown name, no network, a full disk, a builder's own
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise SourceError(f"TFDS dataset {name!r} cannot be opened: {reason}") from error


def _feature_names(builder: Any, given: FeatureNames | None) -> FeatureNames:
    """Which features hold the image, the label and the key: as given, or the only ones there can be."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [name for name, feature in sorted(features.items()) if isinstance(feature, tfds.features.Image)]
    labels = [name for name, feature in sorted(features.items()) if isinstance(feature, tfds.features.ClassLabel)]
    keys = [name for name in KEY_FEATURES if name in features]
    if given is not None:
        wrong = [
            f"{role} {name!r} (choose from {', '.join(choices) or 'none'})"
            for role, name, choices in (
                ("image", given.image, images),
                ("label", given.label, labels),
                ("key", given.key, sorted(features)),
            )
            if name is not None and name not in choices
        ]
        if wrong:
            raise SourceError(f"{builder.info.full_name} has no such feature: {'; '.join(wrong)}")
        return FeatureNames(image=given.image, label=given.label, key=given.key or next(iter(keys), None))
    if len(images) != 1 or len(labels) > 1:
        raise SourceError(
            f"{builder.info.full_name} has the images {', '.join(images) or 'none'} and the labels "
            f"{', '.join(labels) or 'none'}; say which with features: {{image: ..., label: ...}}"
        )
    return FeatureNames(image=images[0], label=next(iter(labels), None), key=next(iter(keys), None))
