"""The COCO source: images in a folder, and a JSON file in COCO's form that says what is in them."""

from __future__ import annotations

import json
import math
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from augmill.pipeline.annotation_info import AnnotationInfo
from augmill.pipeline.annotations import AnnotationError, Annotations, box_problem, keypoint_array
from augmill.pipeline.errors import SourceError
from augmill.pipeline.source import NO_LABEL, Address, BadExample, Listing, make_table
from augmill.pipeline.source_spec import SourceSpec
from augmill.pipeline.units import printable
from augmill.pipeline.walk import Inside

_Part = dict[str, list[dict[str, Any]]]  # images, annotations and categories of one file

_PARTS = ("images", "annotations", "categories")
_HALF = (0.5, 0.5, 0.0)  # COCO's keypoints are pixel indices, whose centres are half a pixel further


class _Categories(NamedTuple):
    """What a category id means: its label, and whether its objects have keypoints."""

    labels: dict[int, int]
    with_keypoints: set[int]
    info: AnnotationInfo


def list_coco(source: SourceSpec, base: Path, group: str | None = None) -> Listing:
    """List the images that COCO files name, with their boxes and keypoints; nothing else is read.

    An image's key is its `file_name`, after its split where other splits have the same. Its boxes are taken to be for
    the image as viewers show it. `group` is the field of an image's entry to group examples by.

    Raises:
      SourceError: a file is missing or is not in COCO's form, or two files disagree about categories.
    """
    files = _by_split(source.coco, [None])
    folders = {split: Path(os.path.normpath(base / name)) for split, name in _by_split(source.images, files).items()}
    for folder in folders.values():
        if not folder.is_dir():
            raise SourceError(f"source.images {folder} {'is not a folder' if folder.exists() else 'does not exist'}")
    loaded = {split: _load(Path(os.path.normpath(base / file))) for split, file in files.items()}
    categories = _categories([part["categories"] for part in loaded.values()])
    splits_with = Counter(name for part in loaded.values() for name in {_file_name(image) for image in part["images"]})
    shared = {name for name, count in splits_with.items() if count > 1}
    root = Path(os.path.commonpath(list(folders.values())))
    addresses, bad = list[Address](), list[BadExample]()
    for split, part in loaded.items():
        inside = None if source.links_outside else Inside(folders[split])
        lister = _Lister(part, categories, files[split], split, folders[split], inside, group)
        found, failed = lister.pick(folders[split].relative_to(root), shared)
        addresses += found
        bad += failed
    if not addresses:
        reason = f"; the first of {len(bad)} bad ones, {printable(bad[0].key)}: {bad[0].reason}" if bad else ""
        raise SourceError(f"{', '.join(files.values())} names no image that can be used{reason}")
    return Listing(root, "file", None, make_table(addresses, str(root)), None, bad, annotations=categories.info)


def _by_split(given: Any, splits: Iterable[str | None]) -> dict[str | None, str]:
    """What the spec gives for each split, or for all of them at once."""
    return dict(given) if isinstance(given, dict) else dict.fromkeys(splits, str(given))


def _load(path: Path) -> _Part:
    """Read a COCO file and check its outer form."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SourceError(f"source.coco {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"source.coco {path} is no valid JSON: {error}") from error
    for part in _PARTS:
        items = value.get(part) if isinstance(value, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            got = f"its keys are {', '.join(value)}" if isinstance(value, dict) else f"it is a {type(value).__name__}"
            raise SourceError(f"source.coco {path} must have a list of objects called {part}; {got}")
    return {part: value[part] for part in _PARTS}


def _categories(lists: list[list[dict[str, Any]]]) -> _Categories:
    """Number the categories of all files in the order of their ids, and agree on keypoints."""
    names: dict[int, str] = {}
    points: dict[int, tuple[str, ...]] = {}
    for categories in lists:
        for category in categories:
            number, name = category.get("id"), category.get("name")
            if type(number) is not int or not isinstance(name, str):
                raise SourceError(f"a category needs a whole number as id and a name, got {category!r}"[:200])
            mine = tuple(category.get("keypoints") or ())
            if (names.setdefault(number, name), points.setdefault(number, mine)) != (name, mine):
                raise SourceError(f"category {number} is {names[number]!r} and again {name!r}; one id, one meaning")
        ids = [category["id"] for category in categories]
        if len(set(ids)) < len(ids):
            raise SourceError(f"category id {Counter(ids).most_common(1)[0][0]} is given twice")
    if not names:
        raise SourceError("the COCO file has no categories, which name the classes of its boxes")
    kinds = sorted({mine for mine in points.values() if mine})
    if len(kinds) > 1:
        shown = " and ".join(f"{names[number]}: {len(mine)}" for number, mine in sorted(points.items()) if mine)
        raise SourceError(f"categories with keypoints must all name the same ones; they differ ({shown})")
    info = AnnotationInfo(
        kinds=("boxes", "keypoints") if kinds else ("boxes",),
        classes=tuple(names[number] for number in sorted(names)),
        keypoint_names=kinds[0] if kinds else (),
        crowd=True,
    )
    labels = {number: label for label, number in enumerate(sorted(names))}
    return _Categories(labels, {number for number, mine in points.items() if mine}, info)


def _file_name(image: Mapping[str, Any]) -> str:
    return str(image.get("file_name"))


def _id(value: Any) -> Any:
    """An id that can be looked up, whatever the file has for one."""
    return value if isinstance(value, (int, float, str)) else repr(value)


class _Lister:
    """Lists the images of one COCO file."""

    def __init__(
        self,
        part: _Part,
        categories: _Categories,
        file: str,
        split: str | None,
        folder: Path,
        inside: Inside | None,
        group: str | None,
    ) -> None:
        self._inside, self._group = inside, group
        self._images, self._categories = part["images"], categories
        self._file, self._split, self._folder = file, split, folder
        self._of_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in part["annotations"]:
            self._of_image[_id(annotation.get("image_id"))].append(annotation)
        self._images_with_id = Counter(_id(image.get("id")) for image in self._images)
        self._images_with_name = Counter(map(_file_name, self._images))
        self._annotations_with_id = Counter(_id(one.get("id")) for one in part["annotations"])

    def pick(self, prefix: Path, shared: Container[str]) -> tuple[list[Address], list[BadExample]]:
        """List the images, and those that cannot be used.

        Args:
          prefix: where the images' folder is, seen from the listing's root.
          shared: file names that other splits have too.
        """
        found, bad = list[Address](), list[BadExample]()
        for image in self._images:
            name = _file_name(image)
            readable = name.encode("utf-8", "backslashreplace").decode()
            key = f"{self._split}/{readable}" if name in shared else readable
            uri = (prefix / readable).as_posix()
            try:
                size, said = self._size_of(image), self._annotations(image)
                found.append(Address(key, uri, 0, size, NO_LABEL, self._split, said.to_json(), self._group_of(image)))
            except AnnotationError as error:
                bad.append(BadExample(key, uri, self._split, str(error)))
            except OSError as error:
                bad.append(BadExample(key, uri, self._split, error.strerror or str(error)))
        return found, [*bad, *self._orphans()]

    def _orphans(self) -> Iterator[BadExample]:
        """Images that annotations name and that are not listed."""
        for number, orphans in self._of_image.items():
            if number not in self._images_with_id:
                reason = f"{len(orphans)} annotations name image {number!r}, which is not listed"
                yield BadExample(f"image {number}", self._file, self._split, reason)

    def _size_of(self, image: Mapping[str, Any]) -> int:
        """The size of the image's file in bytes, once its entry is found sound."""
        name, number = image.get("file_name"), image.get("id")
        if not isinstance(name, str) or not isinstance(number, (int, str)):
            raise AnnotationError(f"an image needs an id and a file_name, got {dict(image)!r}"[:200])
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name or name != name.encode("utf-8", "replace").decode():
            raise AnnotationError("its file_name must be the path of a file within source.images, in UTF-8")
        if self._images_with_id[number] > 1:
            raise AnnotationError(f"id {number!r} is that of {self._images_with_id[number]} images")
        if self._images_with_name[name] > 1:
            raise AnnotationError(f"its file_name is that of {self._images_with_name[name]} images")
        return self._file_size(self._folder / name)

    def _file_size(self, path: Path) -> int:
        problem = "" if self._inside is None else self._inside.problem(path)
        if problem:
            raise AnnotationError(f"its file {problem}")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AnnotationError("its file_name is that of a folder, pipe or device, and of no file")
        return status.st_size

    def _group_of(self, image: Mapping[str, Any]) -> str | None:
        if self._group is None:
            return None
        value = image.get(self._group)
        if type(value) not in (int, str):
            raise AnnotationError(f"its {self._group!r}, to group by, must be a text or a whole number, got {value!r}")
        return str(value)

    def _annotations(self, image: Mapping[str, Any]) -> Annotations:
        mine = self._of_image.get(image["id"], [])
        names = self._categories.info.keypoint_names
        boxes = np.array([self._box(one) for one in mine], np.float64).reshape(-1, 4)
        height, width = image.get("height"), image.get("width")
        return Annotations(
            boxes=boxes,
            labels=np.array([self._categories.labels[one["category_id"]] for one in mine], np.int64),
            keypoints=np.concatenate([np.zeros((0, len(names), 3)), *map(self._keypoints, mine)]) if names else None,
            crowd=np.array([bool(one.get("iscrowd", 0)) for one in mine], bool),
            size=(height, width) if type(height) is int and type(width) is int else None,
        )

    def _box(self, annotation: Mapping[str, Any]) -> list[float]:
        """The corners of an annotation's box, once the annotation is found sound."""
        number, category, box = annotation.get("id"), annotation.get("category_id"), annotation.get("bbox")
        called = f"annotation {number}" if number is not None else "an annotation"
        if number is not None and self._annotations_with_id[_id(number)] > 1:
            raise AnnotationError(f"{called} is there {self._annotations_with_id[_id(number)]} times")
        if _id(category) not in self._categories.labels:
            known = ", ".join(map(str, sorted(self._categories.labels)[:12]))
            raise AnnotationError(f"{called} has category_id {category!r}, which is none of the categories ({known})")
        numbers = isinstance(box, list) and len(box) == 4 and all(type(side) in (int, float) for side in box)
        if not isinstance(box, list) or not numbers:
            raise AnnotationError(f"{called} has no bbox of four numbers [x, y, width, height], got {box!r}")
        x, y, width, height = map(float, box)
        corners = [x, y, x + width, y + height]
        # Where the image ends is known when it is decoded; a box beyond every image's edge is known now.
        problem = box_problem(np.array(corners), math.inf, math.inf)
        if problem:
            raise AnnotationError(f"{called} has bbox {box}: it {problem}")
        return corners

    def _keypoints(self, annotation: Mapping[str, Any]) -> np.ndarray:
        names = self._categories.info.keypoint_names
        values = annotation.get("keypoints")
        if values is None or annotation["category_id"] not in self._categories.with_keypoints:
            return np.zeros((1, len(names), 3))
        if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
            raise AnnotationError(f"annotation {annotation.get('id')} has keypoints that are no list of numbers")
        points = keypoint_array(values, 1, names)
        return np.where(points[..., 2:] > 0, points + _HALF, 0.0)
