"""The class-folder source: `folder/<class>/x.jpg`, or `folder/<split>/<class>/x.jpg`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

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
    folders = {(top.name,): _folders(top) if top.name.lower() in SPLIT_FOLDERS else [] for top in _folders(root)}
    below = [(*top, folder.name) for top, inner in folders.items() for folder in inner]
    files = ((path.relative_to(root).parts, size) for path, size in walk_files(root, links_outside=links_outside))
    return list_classes(str(root), root, files, [*folders, *below])


def list_classes(
    root_name: str,
    root: Path | str,
    files: Iterable[tuple[tuple[str, ...], int]],
    folders: Iterable[tuple[str, ...]],
    states: Mapping[str, str] | None = None,
) -> Listing:
    """List images by their files' paths and sizes, whatever they were found by.

    Args:
      root_name, root: where the paths start from.
      files: each file's path, as its parts, and its size.
      folders: the paths of the folders in the root, and of those in folders that are called as splits are.
      states: as `Listing` has them.

    Raises:
      SourceError: as `list_folder`.
    """
    folders = [*folders]
    splits = _split_folders(folders)
    depth = 2 if splits else 1
    classes = sorted({folder[-1] for folder in folders if len(folder) == depth})
    if not classes:
        raise SourceError(f"source folder {root_name} has no class folders; images belong in {root_name}/<class>/")
    labels = {name: label for label, name in enumerate(classes)}

    addresses, outside, bad, ignored, filled = [], [], list[BadExample](), Counter[str](), set()
    for parts, size in files:
        suffix = PurePath(parts[-1]).suffix.lower()
        if suffix not in EXTENSIONS:
            ignored[suffix or parts[-1]] += 1
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
            f"{len(outside)} images in {root_name} stand outside of a class folder ({some(outside)}); "
            f"move them into {layout}"
        )
    empty = [name for name in classes if name not in filled]
    if not addresses:
        raise SourceError(f"source folder {root_name} holds no image; it may hold {', '.join(sorted(EXTENSIONS))}")
    if empty:
        raise SourceError(f"class folders of {root_name} without an image: {some(empty)}; fill or remove them")
    return Listing(root, "file", None, make_table(addresses, root_name), classes, bad, ignored, states=states)


def _split_folders(folders: Iterable[tuple[str, ...]]) -> dict[str, str] | None:
    """Map the names of split folders to splits, or None where the top level holds classes."""
    top = {folder[0] for folder in folders}
    holding = {folder[0] for folder in folders if len(folder) > 1}
    if top and holding == top and all(name.lower() in SPLIT_FOLDERS for name in top):
        return {name: SPLIT_FOLDERS[name.lower()] for name in top}
    return None


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))
