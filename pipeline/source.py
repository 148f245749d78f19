"""Sources: every example as an address (file, offset, length), found without reading a pixel."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from augmill.pipeline.annotation_info import NO_ANNOTATIONS, AnnotationInfo
from augmill.pipeline.annotations import Annotations
from augmill.pipeline.errors import SourceError
from augmill.pipeline.example import decode_example
from augmill.pipeline.record_annotations import read_annotations
from augmill.pipeline.shard import RecordError, read_record

NO_LABEL = -1


class Address(NamedTuple):
    """Where one example is.

    Attributes:
      key: its identity; never a position that re-sharding moves, where the source offers better.
      uri: the file, relative to the listing's root.
      offset: where it begins: a byte, or a record's number in an ArrayRecord file.
      length: its size in bytes.
      label: index of its class, or -1.
      split: the split that the source puts it in, or None.
      annotations: compact JSON of what the source says of the image, or None where a record says it.
      group: the value of the feature by which the spec groups examples, or None.
    """

    key: str
    uri: str
    offset: int
    length: int
    label: int
    split: str | None
    annotations: str | None = None
    group: str | None = None


ADDRESS_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("uri", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("label", pa.int32()),
        ("split", pa.string()),
        ("annotations", pa.string()),
        ("group", pa.string()),
    ]
)


class BadExample(NamedTuple):
    """An example that cannot be used, and why."""

    key: str
    uri: str
    split: str | None
    reason: str


class Dropped(NamedTuple):
    """An example that is left out because another one has the same image, and that one."""

    key: str
    split: str
    kept: str
    kept_split: str


@dataclass(frozen=True)
class Listing:
    """All that a source holds.

    Attributes:
      root: the folder that addresses start from.
      container: "file", "tfrecord" or "array_record": how an address is read.
      image_feature: the feature of a record that holds the encoded image; None for files.
      addresses: a table of `Address`, sorted by key.
      classes: class names in the order of their labels, or None without labels.
      bad: examples that were found but cannot be used.
      ignored: files passed over because they are no images, counted by extension.
      annotations: what is known of the annotations.
      states: of files at a URL, what changes whenever their content does, by uri; None for files of this machine.
      dropped: duplicates that were left out, by key.
    """

    root: Path | str
    container: str
    image_feature: str | None
    addresses: pa.Table
    classes: list[str] | None
    bad: list[BadExample] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    annotations: AnnotationInfo = NO_ANNOTATIONS
    states: Mapping[str, str] | None = None
    dropped: list[Dropped] = field(default_factory=list)

    def __post_init__(self) -> None:
        for names in (self.classes or [], self.annotations.classes, self.annotations.mask_classes):
            _check_class_names(names)

    def files_digest(self) -> str:
        """Name the files as they are now by size and time of change, in hex: what a resume must find unchanged."""
        digest = hashlib.sha256()
        masks = [found[0] for found in map(mask_of, self.addresses.column("annotations").to_pylist()) if found]
        for uri in sorted({*self.addresses.column("uri").to_pylist(), *masks}):
            if self.states is not None:
                digest.update(repr((uri, self.states.get(uri))).encode())
                continue
            try:
                status = Path(self.root, uri).stat()
                digest.update(repr((uri, status.st_size, status.st_mtime_ns)).encode())
            except OSError as error:
                digest.update(repr((uri, error.errno)).encode())
        return digest.hexdigest()

    def ignored_text(self) -> str:
        """The files passed over, in words; nothing where there were none."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.ignored.items()))
        return f"files passed over, no images by their names: {kinds}" if kinds else ""

    def digest(self) -> str:
        """Name this listing by its keys, sizes, labels, splits and annotations, in hex."""
        digest = hashlib.sha256()
        names = ["key", "length", "label", "split", *(["annotations"] if self.annotations.kinds else [])]
        names += ["group"] if self.addresses.column("group").null_count < self.addresses.num_rows else []
        columns = [self.addresses.column(name).to_pylist() for name in names]
        for row in zip(*columns, strict=True):
            digest.update(repr(row).encode("utf-8", "surrogateescape"))
        digest.update(repr(self.classes).encode())
        if self.annotations.kinds:
            digest.update(json.dumps(self.annotations.to_json(), sort_keys=True).encode())
        return digest.hexdigest()


def _check_class_names(names: Sequence[str]) -> None:
    """Refuse names that TFDS, which keeps one a line and strips it, would read as others.

    Raises:
      SourceError: naming them.
    """
    twice = sorted(name for name, count in Counter(name.strip() for name in names).items() if count > 1)
    if twice:
        raise SourceError(f"class names must differ, but for spaces around them too; {twice[0]!r} is met again")
    for name in names:
        if not name.strip() or len(name.splitlines()) != 1 or name != name.encode("utf-8", "replace").decode():
            raise SourceError(f"class name {name!r} must be one line of text in UTF-8, and not empty; rename it")


def make_table(addresses: Iterable[Address], source: str) -> pa.Table:
    """Put addresses in a table sorted by key.

    Raises:
      SourceError: there are none, or two share a key.
    """
    rows = sorted(addresses, key=lambda address: address.key)
    if not rows:
        raise SourceError(f"{source} holds no example")
    twice = [a.key for a, b in pairwise(rows) if a.key == b.key]
    if twice:
        raise SourceError(f"{source}: keys must differ, but {twice[0]!r} is met again ({len(twice)} repeats in all)")
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]
    try:
        return pa.table(columns, schema=ADDRESS_SCHEMA)
    except UnicodeEncodeError as error:
        raise SourceError(f"{source}: {error.object!r} is no text in UTF-8; rename it") from error


class Encoded(NamedTuple):
    """An example as its source has it: the encoded image, and what the source says of it."""

    image: bytes
    annotations: Annotations | None = None

    def digest(self, image: bytes | None = None) -> bytes:
        """Name the bytes and the annotations, by SHA-256; `image` is the `image_digest`, where it is known."""
        image = image or self.image_digest()
        return image if self.annotations is None else hashlib.sha256(image + self.annotations.digest()).digest()

    def image_digest(self) -> bytes:
        """Name the bytes of the image alone, by SHA-256."""
        return hashlib.sha256(self.image).digest()


def mask_address(uri: str, length: int) -> str:
    """Say in an address's `annotations` where the mask is and how many bytes it has."""
    return json.dumps({"mask": uri, "bytes": length}, separators=(",", ":"), ensure_ascii=False)


def mask_of(annotations: str | None) -> tuple[str, int] | None:
    """Where the mask is by an address's `annotations`, and its bytes; None where there is none."""
    if annotations is None or not annotations.startswith('{"mask"'):
        return None
    value = json.loads(annotations)
    return value["mask"], value["bytes"]


class Reader:
    """Reads the encoded image behind an address, and its annotations."""

    def __init__(
        self,
        root: Path | str,
        container: str,
        image_feature: str | None,
        annotations: AnnotationInfo = NO_ANNOTATIONS,
    ) -> None:
        self._root, self._container, self._image_feature = root, container, image_feature
        self._folder = str(root).rstrip("/")
        self._info = annotations
        self._array_record: tuple[str, Any] | None = None  # the file read last, open

    def expect(self, addresses: Sequence[Mapping[str, Any]]) -> None:
        """Be told which examples will be read, in their order: files of this machine are read when they are."""

    def read_example(self, address: Mapping[str, Any]) -> Encoded:
        """Return the encoded image and the annotations of an `Address`, as a row of the plan has it.

        Raises:
          OSError: a file cannot be read.
          RecordError: a file or the record is not what it was when the source was listed.
          AnnotationError: the record's annotations cannot be right.
        """
        uri, offset, length = address["uri"], address["offset"], address["length"]
        if self._container != "file":
            example = self._example(uri, offset, length)
            found = read_annotations(example, self._info) if self._info.kinds else None
            return Encoded(self._image_of(example), found)
        text = address.get("annotations")
        mask = mask_of(text)
        if mask is not None:
            return Encoded(self._file(uri, length), Annotations(mask=self._file(*mask)))
        return Encoded(self._file(uri, length), Annotations.from_json(text, self._info) if text is not None else None)

    def read(self, uri: str, offset: int, length: int) -> bytes:
        """Return the encoded image.

        Raises:
          OSError: the file cannot be read.
          RecordError: the record is not what it was when the source was listed.
        """
        if self._container == "file":
            return self._file(uri, length)
        return self._image_of(self._example(uri, offset, length))

    def _file(self, uri: str, length: int) -> bytes:
        # Bare system calls: Python's own file takes longer to make than a small image to read.
        file = os.open(f"{self._folder}/{uri}", os.O_RDONLY)
        try:
            data = os.read(file, length + 1)  # a byte more, to see whether there is one
            while len(data) < length and (more := os.read(file, length - len(data))):
                data += more
            if len(data) == length:
                return data
            size = os.fstat(file).st_size
        finally:
            os.close(file)
        raise RecordError(f"{Path(uri).name} changed since it was listed: {length} bytes then, {size} now")

    def _example(self, uri: str, offset: int, length: int) -> dict[str, list[Any]]:
        path = Path(self._root, uri)
        array = self._container == "array_record"
        return decode_example(self._read_array_record(path, offset) if array else read_record(path, offset))

    def _image_of(self, example: Mapping[str, list[Any]]) -> bytes:
        image = example.get(self._image_feature or "", [])
        if len(image) != 1 or not isinstance(image[0], bytes):
            raise RecordError(f"the record has no feature {self._image_feature!r} with one encoded image")
        return image[0]

    def _read_array_record(self, path: Path, number: int) -> bytes:
        if self._array_record is None or self._array_record[0] != str(path):
            from array_record.python.array_record_module import ArrayRecordReader

            self._array_record = (str(path), ArrayRecordReader(str(path)))
        record: bytes = self._array_record[1].read([number])[0]
        return record
