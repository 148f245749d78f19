"""The TFDS source: a registered dataset or a TFDS directory, read as the record files it is."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from augmill.pipeline.errors import SourceError
from augmill.pipeline.record_annotations import AnnotationScan
from augmill.pipeline.source import Listing
from augmill.pipeline.source_spec import SourceSpec
from augmill.pipeline.tfds_features import class_names, find_features
from augmill.pipeline.tfrecord_source import RecordScan
from augmill.transforms.backend import tensorflow


def list_tfds(source: SourceSpec, base: Path, group: str | None = None) -> Listing:
    """List the examples of a TFDS dataset with its own splits and class names.

    A registered dataset that is not there yet is downloaded and prepared first. An example's key is its identifying
    feature if it has one, else a digest of its image. Boxes and masks are found where there is one choice of them.
    `group` is the feature to group examples by.

    Raises:
      SourceError: no such dataset, it cannot be prepared, or it is not clear which feature is which.
    """
    builder = _open_builder(source, base)
    features = find_features(builder, source.features)
    container = builder.info.file_format.value
    if container not in ("tfrecord", "array_record"):
        raise SourceError(f"{source.tfds} is stored as {container}; augmill reads tfrecord and array_record")
    root = Path(builder.data_path)
    annotations = AnnotationScan(
        features,
        box_classes=class_names(builder, features.box_labels),
        keypoint_names=source.keypoint_names,
        mask_classes=class_names(builder, features.mask),
    )
    scan = RecordScan(features, annotations, group=group, key_by_content=True)
    files = [
        (split, Path(path), length)
        for split, info in sorted(builder.info.splits.items())
        for path, length in zip(info.filepaths, info.shard_lengths, strict=True)
    ]
    for split, path, length in tqdm(files, desc="scanning", unit="file", leave=False, disable=None):
        found = scan.add_file(path, path.name, split) if container == "tfrecord" else _scan_array(scan, path, split)
        if found != length:
            raise SourceError(f"{path} holds {found} records, but its dataset says {length}; prepare the dataset again")
    return scan.listing(root, container, class_names(builder, features.label))


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
            _refuse_foreign_features(directory)
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


def _refuse_foreign_features(directory: Path) -> None:
    """Refuse a TFDS directory whose features are classes of others, whose modules TFDS would import.

    Raises:
      SourceError: naming the class.
    """
    waiting: list[Any] = [json.loads((directory / "features.json").read_text("utf-8"))]
    while waiting:
        value = waiting.pop()
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        name = value.get("pythonClassName") if isinstance(value, dict) else None
        if name is not None and not str(name).startswith("tensorflow_datasets."):
            raise SourceError(
                f"{directory}/features.json names the class {name!r}, whose module would be imported; augmill reads "
                "features of TFDS alone, so give the files as source.tfrecord"
            )
