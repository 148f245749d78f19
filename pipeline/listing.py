"""Finds the source that a spec names and lists it."""

from __future__ import annotations

import os
from pathlib import Path

from augmill.pipeline.coco_source import list_coco
from augmill.pipeline.errors import SourceError
from augmill.pipeline.folder_source import list_folder
from augmill.pipeline.segmentation_source import list_segmentation
from augmill.pipeline.source import Listing
from augmill.pipeline.spec import Spec
from augmill.pipeline.tfds_source import list_tfds
from augmill.pipeline.tfrecord_source import list_tfrecord


def list_source(spec: Spec) -> Listing:
    """List the examples of the spec's source.

    Raises:
      SourceError: it is missing, empty or not what the spec says it is.
    """
    source, group = spec.source, spec.group_by.feature if spec.group_by is not None else None
    try:
        if source.folder is not None:
            return list_folder(Path(os.path.normpath(spec.base / source.folder)))
        if source.tfrecord is not None:
            return list_tfrecord(source, spec.base, group)
        if source.coco is not None:
            return list_coco(source, spec.base, group)
        if source.segmentation is not None:
            return list_segmentation(source, spec.base)
        return list_tfds(source, spec.base, group)
    except OSError as error:
        raise SourceError(f"the source cannot be read: {error}") from error
