"""The corpus's records, and whole sources that are bad or odd: the other tables of docs/bad-input.md."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from corpus import MOST_BYTES, Case, png, saved, seen
from PIL import Image

from augmill.pipeline.example import encode_example
from augmill.pipeline.shard import masked_crc

FEATURES = {"image": "image", "label": "label", "key": "id"}
CLASSES = ["cat", "dog"]


def record(payload: bytes) -> bytes:
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(payload))
    sums = (struct.pack("<I", masked_crc(part)) for part in (length, payload))
    return length + next(sums) + payload + next(sums)


def _cat() -> Image.Image:
    from skimage import data

    return Image.fromarray(data.chelsea()[30:180, 120:331])


def record_cases() -> list[Case]:
    """Payloads of records; `name` is the key by which each is known, its number in its file where it has none."""
    whole = saved(_cat(), "JPEG")
    pixels = seen(whole)

    def example(key: Any, **changes: Any) -> bytes:
        features = {"image": whole, "label": 1, "id": key, **changes}
        return encode_example({name: value for name, value in features.items() if value is not None})

    rows: list[tuple[str, str, bytes, Any]] = [
        ("whole", "whole", example(b"whole"), pixels),
        ("more", "with a feature that nobody asked for", example(b"more", more=[1.5, 2.5]), pixels),
        ("../up", "a key that is a path upwards", example(b"../up"), pixels),
        ('new\nline "quoted"', "a key with a newline and quotes", example(b'new\nline "quoted"'), pixels),
        ("Käthe-猫", "a key in Unicode", example("Käthe-猫".encode()), pixels),
        ("\\xff\\xfe", "a key that is no UTF-8", example(b"\xff\xfe"), pixels),
        ("bad.tfrecord#6", "no bytes", b"", "features, with their number of values, are none"),
        ("bad.tfrecord#7", "no Example", b"\xff" * 40, "not a tf.train.Example"),
        ("bad.tfrecord#8", "no key", example(None), "needs one value of 'id'"),
        ("no-image", "no image", example(b"no-image", image=None), "needs one value of 'image'"),
        ("no-label", "no label", example(b"no-label", label=None), "needs one value of 'label'"),
        ("two", "two images", example(b"two", image=[whole, whole]), "needs one value of 'image'"),
        ("dogs", "two labels", example(b"dogs", label=[1, 1]), "needs one value of 'label'"),
        ("high", "a label beyond the classes", example(b"high", label=2), "label 2 is none of the 2 classes"),
        ("low", "a label below 0", example(b"low", label=-1), "label -1 is none of the 2 classes"),
        ("number", "a number for an image", example(b"number", image=7), "no feature 'image' with one encoded image"),
        ("empty", "an image of no bytes", example(b"empty", image=b""), "the file is empty"),
        ("half", "half a JPEG", example(b"half", image=whole[: len(whole) // 2]), "truncated"),
        ("text", "text for an image", example(b"text", image=b"a cat"), "not an image"),
        (
            "bomb",
            "an image of 30000x30000",
            example(b"bomb", image=png(30_000, 30_000, 1, 0, b"")),
            "30000x30000 pixels",
        ),
        (
            "heavy",
            "an image of more than `max_bytes`",
            example(b"heavy", image=whole + bytes(MOST_BYTES)),
            "source.max_bytes",
        ),
    ]
    return [Case(*row) for row in rows]


class SourceCase(NamedTuple):
    """A whole source and what becomes of it.

    Attributes:
      what: what is odd about it.
      make: makes it in a folder, and returns the source of a spec over it.
      keys: of the examples that are read.
      bad: why others are not, by their keys.
      refused: why the whole is.
    """

    what: str
    make: Callable[[Path], dict[str, Any]]
    keys: tuple[str, ...] = ()
    bad: dict[str, str] = {}  # noqa: RUF012
    refused: str = ""

    @property
    def told(self) -> str:
        """The outcome in words."""
        if self.refused:
            return f"refused: {self.refused}"
        return "; ".join(["read" if not self.bad else "bad", *sorted(set(self.bad.values()))]).replace("bad; ", "bad: ")


def _tfrecord(data: bytes) -> Callable[[Path], dict[str, Any]]:
    def make(folder: Path) -> dict[str, Any]:
        (folder / "a.tfrecord").write_bytes(data)
        return {"tfrecord": str(folder / "*.tfrecord"), "features": FEATURES}

    return make


def _record_files() -> list[SourceCase]:
    small = saved(_cat().crop((0, 0, 30, 20)), "PNG")

    def good(key: str, label: Any = 1) -> bytes:
        return record(encode_example({"image": small, "label": label, "id": key.encode()}))

    one, two = good("1"), good("2")
    vast = struct.pack("<Q", 2**62)
    vast += struct.pack("<I", masked_crc(vast))
    rows = [
        ("cut in a record's header", one + two[:7], "the file ends inside a record's header"),
        ("cut in a record's payload", one + two[:-9], "the file ends inside a record of"),
        ("a bit flipped in a length", one + bytes([two[0] ^ 1]) + two[1:], "the length's checksum is wrong"),
        ("a bit flipped in a payload", one + two[:40] + bytes([two[40] ^ 1]) + two[41:], "payload's checksum is wrong"),
        ("a record of 2^62 bytes by its length", one + vast + bytes(9), f"inside a record of {2**62} bytes"),
        ("compressed", gzip.compress(one + two), "this is no TFRecord, or it is compressed"),
        ("text", b"a cat that sits on a mat\n", "this is no TFRecord"),
        ("no bytes", b"", "holds no usable record"),
        ("two records of one key", one + two + one, "keys must differ, but '1' is met again"),
        ("labels of two kinds", one + good("2", b"dog"), "labels must all be whole numbers or all be names"),
        ("a label of 2^40, without names", one + good("2", 2**40), "name the classes with source.classes"),
    ]
    return [SourceCase(f"TFRecord file, {what}", _tfrecord(data), refused=reason) for what, data, reason in rows]


def _folder(*names: str, also: Callable[[Path], Any] = lambda root: None) -> Callable[[Path], dict[str, Any]]:
    """Make a folder of small images, with something else in it."""
    small = saved(_cat().crop((0, 0, 30, 20)), "PNG")

    def make(folder: Path) -> dict[str, Any]:
        root = folder / "photos"
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(small)
        (folder / "secret.png").write_bytes(small)
        also(root)
        return {"folder": str(root)}

    return make


def _link(name: str, target: str) -> Callable[[Path], None]:
    return lambda root: (root / name).symlink_to(target)


def _folders() -> list[SourceCase]:
    def each_other(root: Path) -> None:
        (root / "cat/dog").symlink_to("../dog")
        (root / "dog/cat").symlink_to("../cat")

    def foreign(root: Path) -> None:
        (root / os.fsdecode(b"cat/\xff.png")).write_bytes(b"")

    one, two = ("cat/1.png",), ("cat/1.png", "dog/1.png")
    out, no_file = "is a link that leads out of the source's folder", "is no file that could be an image"
    return [
        SourceCase("image in no class folder", _folder(*one, "2.png"), refused="stand outside of a class folder"),
        SourceCase("a name that is no UTF-8", _folder(*one, also=foreign), one, {"cat/\\udcff.png": "its name is no"}),
        SourceCase("a hidden folder, which is passed over", _folder(*one, ".cat/2.png"), one),
        SourceCase("a link within the folder", _folder(*one, also=_link("cat/2.png", "1.png")), (*one, "cat/2.png")),
        SourceCase("a link to a folder above", _folder(*two, also=_link("cat/up", "..")), two),
        SourceCase(
            "links that lead to each other",
            _folder(*two, also=each_other),
            ("cat/1.png", "cat/dog/1.png", "dog/1.png", "dog/cat/1.png"),
        ),
        SourceCase("a link to itself", _folder(*one, also=_link("cat/2.png", "2.png")), refused="cannot be read"),
        SourceCase("a link to nothing", _folder(*one, also=_link("cat/2.png", "3.png")), refused="cannot be read"),
        SourceCase("a link to a file outside", _folder(*one, also=_link("cat/2.png", "../../secret.png")), refused=out),
        SourceCase("a link to a folder outside", _folder(*one, also=_link("dog", "../..")), refused=out),
        SourceCase("a pipe", _folder(*one, also=lambda root: os.mkfifo(root / "cat/2.png")), refused=no_file),
    ]


def _coco(**changes: Any) -> Callable[[Path], dict[str, Any]]:
    """Make a COCO file of two images, the second one with changes, beside something that is no part of it."""

    def make(folder: Path) -> dict[str, Any]:
        small = saved(_cat().crop((0, 0, 30, 20)), "PNG")
        (folder / "photos").mkdir()
        (folder / "photos/1.png").write_bytes(small)
        (folder / "secret.png").write_bytes(small)
        (folder / "photos/out.png").symlink_to("../secret.png")
        (folder / "photos/up").symlink_to("..")
        images = [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "2.png", **changes}]
        value = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
        (folder / "a.json").write_text(json.dumps(value))
        return {"coco": str(folder / "a.json"), "images": str(folder / "photos")}

    return make


def _cocos() -> list[SourceCase]:
    within, out = "the path of a file within source.images", "is a link that leads out of the source's folder"
    rows = [
        ("`..`", {"file_name": "../secret.png"}, "../secret.png", within),
        ("`..` in its middle", {"file_name": "up/../../secret.png"}, "up/../../secret.png", within),
        ("an absolute path", {"file_name": "/etc/hostname"}, "/etc/hostname", within),
        ("a link to a file elsewhere", {"file_name": "out.png"}, "out.png", out),
        ("a path through a link to a folder elsewhere", {"file_name": "up/secret.png"}, "up/secret.png", out),
        ("a file that is not there", {"file_name": "3.png"}, "3.png", "No such file"),
        ("a name of another image", {"file_name": "1.png"}, "1.png", "its file_name is that of 2 images"),
        ("no name", {"file_name": None}, "None", "an image needs an id and a file_name"),
    ]
    found = []
    for what, changes, key, reason in rows:
        kept = ("1.png",) if key != "1.png" else ()
        refused = "" if kept else reason
        found.append(SourceCase(f"COCO, {what}", _coco(**changes), kept, {key: reason} if kept else {}, refused))
    return found


def _segmentation() -> list[SourceCase]:
    def make(name: str, target: str) -> Callable[[Path], dict[str, Any]]:
        def made(folder: Path) -> dict[str, Any]:
            mask = io.BytesIO()
            Image.fromarray(np.zeros((20, 30), np.uint8)).save(mask, "PNG")
            for where, data in (("photos", saved(_cat().crop((0, 0, 30, 20)), "PNG")), ("masks", mask.getvalue())):
                (folder / where).mkdir()
                (folder / where / "1.png").write_bytes(data)
            (folder / "secret.png").write_bytes(mask.getvalue())
            (folder / name).symlink_to(target)
            return {"segmentation": str(folder / "photos"), "masks": str(folder / "masks")}

        return made

    out = "is a link that leads out of the source's folder"
    return [
        SourceCase("segmentation, an image that is a link out", make("photos/2.png", "../secret.png"), refused=out),
        SourceCase("segmentation, a mask that is a link out", make("masks/2.png", "../secret.png"), refused=out),
    ]


def source_cases() -> list[SourceCase]:
    """Every source of the corpus."""
    return [*_record_files(), *_folders(), *_cocos(), *_segmentation()]


def record_table() -> str:
    """The records as the page has them."""
    lines = [f"| {case.what} | {case.told} |" for case in record_cases()]
    return "\n".join(["| record | what becomes of it |", "|---|---|", *lines])


def source_table() -> str:
    """The sources as the page has them."""
    lines = [f"| {case.what} | {case.told} |" for case in source_cases()]
    return "\n".join(["| source | what becomes of it |", "|---|---|", *lines])
