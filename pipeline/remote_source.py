"""Sources at URLs: class folders and TFRecord files, listed without a request for each file."""

from __future__ import annotations

import io
import re
from collections import Counter
from posixpath import commonpath
from typing import Any

from tqdm import tqdm

from augmill.pipeline.errors import SourceError
from augmill.pipeline.folder_source import SPLIT_FOLDERS, list_classes
from augmill.pipeline.record_annotations import AnnotationScan
from augmill.pipeline.remote import RemoteStorage
from augmill.pipeline.remote_file import RemoteFile
from augmill.pipeline.remote_listing import Listed
from augmill.pipeline.shard import scan_stream
from augmill.pipeline.source import Listing
from augmill.pipeline.source_spec import SourceSpec
from augmill.pipeline.storage import is_url
from augmill.pipeline.tfrecord_source import RecordScan

_SCANNED_AT_ONCE = 8 << 20  # bytes of a record file that are asked for with one request


def check_source_urls(source: SourceSpec) -> None:
    """Refuse a source at a URL that is not read from there.

    Raises:
      SourceError: saying which are.
    """
    for key in ("folder", "tfrecord", "coco", "images", "segmentation", "masks", "tfds"):
        value = getattr(source, key)
        urls = [place for place in places(value) if is_url(place)]
        for url in urls:
            protocol = url.split("://")[0].lower()
            if key not in ("folder", "tfrecord"):
                raise SourceError(
                    f"source.{key} {url}: only folder and tfrecord may be URLs; copy it to this machine, or mount it"
                )
            if protocol == "memory":
                raise SourceError(f"source.{key} {url} is in the memory of one process, and workers are others")
            if protocol in ("http", "https") and (key == "folder" or re.search(r"[*?\[]", url)):
                raise SourceError(
                    f"source.{key} {url}: web servers cannot say which files they have; name each TFRecord file, or "
                    "use a bucket"
                )
        if urls and len(urls) < len(places(value)):
            raise SourceError(f"source.{key} names URLs and paths, such as {urls[0]}; it must be one or the other")


def places(value: Any) -> list[str]:
    """The paths, globs or URLs that a key of a source names, whichever of its forms it has."""
    if isinstance(value, dict):
        return [place for part in value.values() for place in places(part)]
    return [] if value is None else [value] if isinstance(value, str) else value


def list_remote_folder(url: str) -> Listing:
    """List the images in class folders at a URL, by one listing of it; otherwise as `list_folder`.

    Raises:
      SourceError: as `list_folder`. VersionError, DownloadError: the storage cannot be read.
    """
    storage = RemoteStorage(url)
    found = {name: file for name, file in storage.listed().items() if "/." not in f"/{name}".rpartition("/")[0]}
    if not found:
        raise SourceError(f"source folder {storage.location} holds nothing{storage.hint}")
    names = [tuple(name.split("/")) for name in sorted(found)]
    top = {parts[:1] for parts in names if len(parts) > 1}
    below = {parts[:2] for parts in names if len(parts) > 2 and parts[0].lower() in SPLIT_FOLDERS}
    files = ((parts, found["/".join(parts)].bytes) for parts in names)
    return list_classes(storage.location, storage.location, files, top | below, _states(found))


def list_remote_tfrecord(source: SourceSpec, group: str | None = None) -> Listing:
    """List the examples in TFRecord files at URLs, each of which is streamed once; otherwise as `list_tfrecord`.

    Raises:
      SourceError: as `list_tfrecord`. VersionError, DownloadError: the storage cannot be read.
    """
    features, given = source.features, source.tfrecord
    assert features is not None and given is not None, "the spec demands it"
    by_split = given if isinstance(given, dict) else {None: given}
    root = _root(places(given))
    storage = RemoteStorage(root)
    found: dict[str, Listed] = {}
    files: list[tuple[str | None, str]] = []
    for split, patterns in by_split.items():
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            matches = _matches(storage, pattern.removeprefix(f"{root}/"))
            if not matches:
                raise SourceError(f"no file matches source.tfrecord {pattern!r}{storage.hint}")
            found |= matches
            files += [(split, name) for name in sorted(matches)]
    twice = [name for name, count in Counter(name for _, name in files).items() if count > 1]
    if twice:
        raise SourceError(f"source.tfrecord names {root}/{min(twice)} more than once")
    annotations = AnnotationScan(features, box_classes=source.box_classes, keypoint_names=source.keypoint_names)
    scan = RecordScan(features, annotations, group=group)
    for split, name in tqdm(files, desc="scanning", unit="file", leave=False, disable=None):
        with RemoteFile(storage, name, piece=_SCANNED_AT_ONCE, ahead=True) as raw:
            file = io.BufferedReader(raw, 1 << 20)
            scan.add_records(scan_stream(file, raw.size, f"{storage.location}/{name}"), name, split)
    return scan.listing(storage.location, "tfrecord", source.classes, _states(found))


def _matches(storage: RemoteStorage, pattern: str) -> dict[str, Listed]:
    if re.search(r"[*?\[]", pattern):
        return storage.globbed(pattern)
    info = storage.info(pattern)
    return {pattern: Listed(int(info["size"]), str(info.get("ETag") or info.get("etag") or ""))}


def _root(urls: list[str]) -> str:
    """The folder that keys start from; it follows from the patterns alone, as that of local ones does."""
    fixed = [re.split(r"[*?\[]", url, maxsplit=1)[0] for url in urls]
    stores = {url.split("/", 3)[2] for url in fixed if url.count("/") >= 3} | {url.split("://")[0] for url in fixed}
    if len(stores) != 2 or any(url.count("/") < 3 for url in fixed):
        raise SourceError(f"source.tfrecord must name files in one bucket or on one server, got {', '.join(urls[:3])}")
    protocol, rest = fixed[0].split("://")[0], [url.split("://")[1].rpartition("/")[0] for url in fixed]
    return f"{protocol}://{commonpath(rest)}"


def _states(found: dict[str, Listed]) -> dict[str, str]:
    return {name: f"{file.bytes} {file.state}" for name, file in found.items()}
