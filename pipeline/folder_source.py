"""The class-folder source: `folder/<class>/x.jpg`, or `folder/<split>/<class>/x.jpg`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from augmill.pipeline.errors import SourceError
from augmill.pipeline.image import EXTENSIONS
from augmill.pipeline.source import Address, BadExample, Listing, make_table
from augmill.pipeline.units import some
from augmill.pipeline.walk import walk_files

# What split folders are called, and the name that the split gets.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def list_folder(root: Path, *, links_outside: bool = False) -> Listing:
    """List the images in class folders; an image's key is its path relative to `root`.

    The first level is taken for splits where every folder in it is called as splits are and holds folders. Class names
    are sorted; files without an image's extension are counted and passed over.

    Args:
      root: the folder.
      links_outside: whether links in it may lead out of it.

    Raises:
      SourceError: no such folder, no class folder, an empty class, images outside of class folders, or a link that
        leads out.
    """
    if not root.is_dir():
        raise SourceError(f"source folder {root} {'is not a folder' if root.exists() else 'does not exist'}")
    top = _folders(root)
    splits = _split_folders(top)
    classes = sorted({folder.name for parent in (top if splits else [root]) for folder in _folders(parent)})
    if not classes:
        raise SourceError(f"source folder {root} has no class folders; images belong in {root}/<class>/")
    labels = {name: label for label, name in enumerate(classes)}

    addresses, outside, bad, ignored, filled = [], [], list[BadExample](), Counter[str](), set()
    for path, size in walk_files(root, links_outside=links_outside):
        parts = path.relative_to(root).parts
        depth = 2 if splits else 1
        if path.suffix.lower() not in EXTENSIONS:
            ignored[path.suffix.lower() or path.name] += 1
        elif len(parts) <= depth:
            outside.append("/".join(parts))
        else:
            split = splits[parts[0]] if splits else None
            label = parts[depth - 1]
            filled.add(label)
            key = "/".join(parts)
            readable = key.encode("utf-8", "backslashreplace").decode()
            if readable == key:
                addresses.append(Address(key, key, 0, size, labels[label], split))
            else:
                bad.append(BadExample(readable, readable, split, "its name is no valid UTF-8; rename it"))
    if outside:
        layout = "<split>/<class>/" if splits else "<class>/"
        raise SourceError(
            f"{len(outside)} images in {root} stand outside of a class folder ({some(outside)}); "
            f"move them into {layout}"
        )
    empty = [name for name in classes if name not in filled]
    if not addresses:
        raise SourceError(f"source folder {root} holds no image; it may hold {', '.join(sorted(EXTENSIONS))}")
    if empty:
        raise SourceError(f"class folders of {root} without an image: {some(empty)}; fill or remove them")
    return Listing(root, "file", None, make_table(addresses, str(root)), classes, bad, ignored)


def _split_folders(top: list[Path]) -> dict[str, str] | None:
    """Map the names of split folders to splits, or None where the top level holds classes."""
    if top and all(folder.name.lower() in SPLIT_FOLDERS and _folders(folder) for folder in top):
        return {folder.name: SPLIT_FOLDERS[folder.name.lower()] for folder in top}
    return None


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


