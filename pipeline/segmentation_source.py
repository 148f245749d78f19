"""The segmentation source: a folder of images, and a folder of masks with the same names."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from augmill.pipeline.annotation_info import AnnotationInfo
from augmill.pipeline.errors import SourceError
from augmill.pipeline.folder_source import SPLIT_FOLDERS
from augmill.pipeline.image import EXTENSIONS
from augmill.pipeline.image_header import ImageError
from augmill.pipeline.mask import HEADER_BYTES, mask_bits
from augmill.pipeline.source import NO_LABEL, Address, BadExample, Listing, make_table, mask_address
from augmill.pipeline.source_spec import SourceSpec
from augmill.pipeline.units import printable
from augmill.pipeline.walk import walk_files

_Found = dict[str, list[tuple[Path, int]]]  # files and their bytes, by path below the folder without extension


def list_segmentation(source: SourceSpec, base: Path) -> Listing:
    """List the images with a mask each: the PNG at the same path below `masks`, whatever the image's extension.

    An image's key is its path. The first level is taken for splits where all images stand in folders called as splits
    are. Only the masks' headers are read.

    Raises:
      SourceError: a folder is missing or holds nothing, both are one, or a link leads out of them.
    """
    images, masks = (_folder(base, name, str(getattr(source, name))) for name in ("segmentation", "masks"))
    if images.resolve() == masks.resolve():
        raise SourceError(f"source.segmentation and source.masks are one folder, {images}; give masks one of their own")
    ignored = Counter[str]()
    far = source.links_outside
    pictures, drawn = _by_stem(images, masks, ignored, far), _by_stem(masks, images, Counter(), far)
    lister = _Lister(images, masks, _splits(pictures))
    for stem in sorted({*pictures, *drawn}):
        lister.add(pictures.get(stem, []), drawn.get(stem, []))
    if not lister.addresses:
        first = f"; the first of {len(lister.bad)} bad ones, {printable(lister.bad[0].key)}: {lister.bad[0].reason}"
        raise SourceError(f"{images} holds no image with a mask in {masks}{first if lister.bad else ''}")
    info = AnnotationInfo(kinds=("masks",), mask_bits=lister.bits, mask_classes=tuple(source.classes or ()))
    table = make_table(lister.addresses, str(images))
    return Listing(images, "file", None, table, None, lister.bad, ignored, annotations=info)


def _folder(base: Path, key: str, name: str) -> Path:
    folder = Path(os.path.normpath(base / name))
    if not folder.is_dir():
        raise SourceError(f"source.{key} {folder} {'is not a folder' if folder.exists() else 'does not exist'}")
    return folder


def _by_stem(folder: Path, other: Path, ignored: Counter[str], links_outside: bool) -> _Found:
    """The image files below a folder, less those of the other folder where that lies within."""
    found: _Found = defaultdict(list)
    for path, size in walk_files(folder, links_outside=links_outside):
        if path.is_relative_to(other) and other.is_relative_to(folder):
            continue
        if path.suffix.lower() in EXTENSIONS:
            found[path.relative_to(folder).with_suffix("").as_posix()].append((path, size))
        else:
            ignored[path.suffix.lower() or path.name] += 1
    return found


def _splits(stems: Iterable[str]) -> dict[str, str]:
    """The split that each folder of the first level stands for; none where an image stands in another place."""
    tops = {top if rest else "" for top, _, rest in (stem.partition("/") for stem in stems)}
    all_are = all(top.lower() in SPLIT_FOLDERS for top in tops)
    return {top: SPLIT_FOLDERS[top.lower()] for top in tops} if all_are else {}


class _Lister:
    """Pairs images with masks, and notes those that have no partner or no good one."""

    def __init__(self, images: Path, masks: Path, splits: dict[str, str]) -> None:
        self._images, self._masks, self._splits = images, masks, splits
        self.addresses: list[Address] = []
        self.bad: list[BadExample] = []
        self.bits = 8

    def add(self, images: list[tuple[Path, int]], masks: list[tuple[Path, int]]) -> None:
        """Take the images and the masks of one name."""
        reason = "no image goes with this mask" if not images else self._wrong_with(images, masks)
        if reason:
            for path, _ in images or masks:
                self._note_bad(path, self._images if images else self._masks, reason)
            return
        ((image, size),), ((mask, mask_size),) = images, masks
        key = image.relative_to(self._images).as_posix()
        mask_uri = Path(os.path.relpath(mask, self._images)).as_posix()
        self.addresses.append(Address(key, key, 0, size, NO_LABEL, self._split(key), mask_address(mask_uri, mask_size)))

    def _wrong_with(self, images: list[tuple[Path, int]], masks: list[tuple[Path, int]]) -> str:
        if len(images) > 1:
            return f"{len(images)} images have this name but for the extension; whose is the mask?"
        if not masks:
            return f"it has no mask in {self._masks}"
        if len(masks) > 1:
            return f"it has {len(masks)} masks: {', '.join(path.name for path, _ in masks)}"
        path = masks[0][0]
        for name in (images[0][0], path):
            if str(name) != str(name).encode("utf-8", "replace").decode():
                return "its name is no valid UTF-8; rename it"
        try:
            with path.open("rb") as file:
                self.bits = max(self.bits, mask_bits(file.read(HEADER_BYTES)))
        except ImageError as error:
            return f"{path.name}: {error}"
        except OSError as error:
            return f"{path.name}: {error.strerror}"
        return ""

    def _note_bad(self, path: Path, folder: Path, reason: str) -> None:
        uri = Path(os.path.relpath(path, self._images)).as_posix()
        key, uri = (
            name.encode("utf-8", "backslashreplace").decode() for name in (path.relative_to(folder).as_posix(), uri)
        )
        self.bad.append(BadExample(key, uri, self._split(key), reason))

    def _split(self, key: str) -> str | None:
        return self._splits.get(key.partition("/")[0])
