"""The TFRecord source: files of `tf.train.Example`, scanned once for offsets, labels and keys."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from augmill.pipeline.errors import SourceError
from augmill.pipeline.example import decode_example
from augmill.pipeline.record_annotations import AnnotationScan
from augmill.pipeline.shard import RecordError, scan_records
from augmill.pipeline.source import NO_LABEL, Address, BadExample, Listing, make_table
from augmill.pipeline.source_spec import FeatureNames, SourceSpec

_MOST_CLASSES = 1_000_000  # without names for them


def list_tfrecord(source: SourceSpec, base: Path, group: str | None = None) -> Listing:
    """List the examples in TFRecord files.

    An example's key is its `key` feature, or `file#record` without one. Labels are whole numbers, named by `classes` if
    given, or class names as bytes, sorted. `group` is the feature to group examples by.

    Raises:
      SourceError: no file matches, a file is corrupt, or labels do not fit `classes`.
    """
    features = source.features
    assert features is not None, "the spec demands it"
    files = _files_by_split(source.tfrecord, base)
    root = _root(source.tfrecord, base)
    annotations = AnnotationScan(features, box_classes=source.box_classes, keypoint_names=source.keypoint_names)
    scan = RecordScan(features, annotations, group=group)
    for split, path in tqdm(files, desc="scanning", unit="file", leave=False, disable=None):
        scan.add_file(path, path.relative_to(root).as_posix(), split)
    return scan.listing(root, "tfrecord", source.classes)


class RecordScan:
    """Gathers the addresses in record files; labels become numbers when all are known.

    Without a `key` feature a record is known by its file and number, or, with `key_by_content`, by a digest of its
    image, which re-sharding does not move; the second of two equal images is then called digest#2.
    """

    def __init__(
        self,
        features: FeatureNames,
        annotations: AnnotationScan,
        *,
        group: str | None = None,
        key_by_content: bool = False,
    ) -> None:
        self._features, self._group = features, group
        self._annotations = annotations
        self._met: Counter[str] | None = Counter() if key_by_content and features.key is None else None
        self._found: list[tuple[str, str, int, int, Any, str | None, str | None]] = []  # addresses, labels as stored
        self._bad: list[BadExample] = []

    def add_file(self, path: Path, uri: str, split: str | None) -> int:
        """Scan one TFRecord file; return its number of records."""
        try:
            return self.add_records(scan_records(path), uri, split)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error

    def add_records(self, records: Iterator[tuple[int, bytes]], uri: str, split: str | None) -> int:
        """Note the records of one file, each with its offset; return their number."""
        number = 0
        try:
            for offset, payload in records:
                self.add_record(payload, f"{uri}#{number}", uri, offset, split)
                number += 1
        except RecordError as error:
            raise SourceError(str(error)) from error
        return number

    def add_record(self, payload: bytes, default_key: str, uri: str, offset: int, split: str | None) -> None:
        """Note one record, good or bad."""
        names = self._features
        try:
            example = decode_example(payload)
        except ValueError as error:
            self._bad.append(BadExample(default_key, uri, split, str(error)))
            return
        key = _text(_one(example, names.key)) if names.key else self._default_key(default_key, example)
        label = _one(example, names.label) if names.label else None
        wanted = [name for name in (names.image, names.label, names.key, self._group) if name is not None]
        missing = [name for name in wanted if len(example.get(name, [])) != 1]
        if missing:
            has = ", ".join(f"{name} ({len(values)})" for name, values in sorted(example.items())) or "none"
            needed = " and ".join(map(repr, missing))
            reason = f"the record needs one value of {needed}; its features, with their number of values, are {has}"
            self._bad.append(BadExample(key or default_key, uri, split, reason))
            return
        try:
            self._annotations.add(example)
        except ValueError as error:
            self._bad.append(BadExample(key or default_key, uri, split, str(error)))
            return
        group = _text(_one(example, self._group)) if self._group else None
        self._found.append((key or default_key, uri, offset, len(payload), label, split, group))

    def _default_key(self, default_key: str, example: dict[str, list[Any]]) -> str:
        image = _one(example, self._features.image)
        if self._met is None or not isinstance(image, bytes):
            return default_key
        digest = hashlib.blake2b(image, digest_size=16).hexdigest()
        self._met[digest] += 1
        return digest if self._met[digest] == 1 else f"{digest}#{self._met[digest]}"

    def listing(
        self, root: Path | str, container: str, classes: list[str] | None, states: Mapping[str, str] | None = None
    ) -> Listing:
        """Close the scan."""
        labels = [found[4] for found in self._found]
        names, numbers = _number_labels(labels, classes) if self._features.label else (None, [NO_LABEL] * len(labels))
        addresses = [
            Address(*found[:4], number, found[5], group=found[6])
            for found, number in zip(self._found, numbers, strict=True)
            if number is not None
        ]
        for found, number in zip(self._found, numbers, strict=True):
            if number is None:
                reason = f"label {found[4]!r} is none of the {len(names or [])} classes"
                self._bad.append(BadExample(found[0], found[1], found[5], reason))
        if not addresses:
            reason = f"; the first of {len(self._bad)} bad ones: {self._bad[0].reason}" if self._bad else ""
            raise SourceError(f"{root} holds no usable record{reason}")
        return Listing(
            root,
            container,
            self._features.image,
            make_table(addresses, str(root)),
            names,
            self._bad,
            annotations=self._annotations.info(),
            states=states,
        )


def _number_labels(labels: list[Any], classes: list[str] | None) -> tuple[list[str], list[int | None]]:
    """Turn labels as stored into indices of class names; None where one is no class."""
    if all(isinstance(label, bytes) for label in labels):
        texts = [_text(label) for label in labels]
        names = classes if classes is not None else sorted({text for text in texts if text is not None})
        places = {name: place for place, name in enumerate(names)}
        return names, [places.get(text) if text is not None else None for text in texts]
    if not all(isinstance(label, int) for label in labels):
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise SourceError(f"labels must all be whole numbers or all be names, got {kinds}")
    highest = max([*labels, 0])
    if classes is None and highest > _MOST_CLASSES:
        raise SourceError(f"label {highest} is too high to count classes by; name the classes with source.classes")
    names = classes if classes is not None else [str(number) for number in range(highest + 1)]
    return names, [label if 0 <= label < len(names) else None for label in labels]


def _one(example: dict[str, list[Any]], name: str | None) -> Any:
    values = example.get(name or "", [])
    return values[0] if len(values) == 1 else None


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return None if value is None else str(value)


def _root(patterns: Any, base: Path) -> Path:
    """The folder that keys start from. It follows from the globs alone: a new file renames no other's records."""
    by_split = patterns.values() if isinstance(patterns, dict) else [patterns]
    globs = [pattern for given in by_split for pattern in ([given] if isinstance(given, str) else given)]
    fixed = [re.split(r"[*?\[]", pattern, maxsplit=1)[0] for pattern in globs]
    # What stands before the first wild card may end in the middle of a name: the folder is what it stands in.
    return Path(os.path.commonpath([os.path.normpath((base / f"{part}x").parent) for part in fixed]))


def _files_by_split(patterns: Any, base: Path) -> list[tuple[str | None, Path]]:
    by_split = patterns if isinstance(patterns, dict) else {None: patterns}
    files = [(split, path) for split, given in by_split.items() for path in _expand(given, base)]
    twice = [path for path, count in Counter(path for _, path in files).items() if count > 1]
    if twice:
        raise SourceError(f"source.tfrecord names {min(twice)} more than once")
    return files


def _expand(patterns: str | list[str], base: Path) -> Iterator[Path]:
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        # Path.glob takes no absolute pattern, which `base / pattern` is where the spec's is.
        whole = os.path.normpath(Path(glob.escape(str(base))) / pattern)  # the base's own name holds no wild cards
        matches = glob.glob(whole, recursive=True)  # noqa: PTH207
        found = sorted(path for path in matches if Path(path).is_file())
        if not found:
            raise SourceError(f"no file matches source.tfrecord {str(base / pattern)!r}")
        yield from map(Path, found)
