"""Annotations of one image: as its source says them, as the sample that ops move, and as the features of a record."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass

import numpy as np

from augmill.pipeline.annotation_info import VOID, AnnotationInfo
from augmill.pipeline.example import FeatureValue
from augmill.pipeline.mask import decode_mask, encode_mask, mask_dtype
from augmill.transforms.base import Sample
from augmill.transforms.objects import HIDDEN, OCCLUDED, VISIBLE, Objects

# The features of a record, beside those in `example`.
OBJECTS, MASK = "objects", "mask"
BOXES, BOX_LABELS, CROWD, KEYPOINTS = (f"{OBJECTS}/{name}" for name in ("bbox", "label", "is_crowd", "keypoints"))
_LEAST_AREA = 1e-6  # square pixels: a box that shows less of itself is outside


class AnnotationError(ValueError):
    """The annotations of an example cannot be right; the message is the reason."""


@dataclass(frozen=True)
class Annotations:
    """What a source says of one image, before that is decoded. All coordinates are continuous, as in `Objects`.

    Attributes:
      boxes: float64 [objects, 4] of (xmin, ymin, xmax, ymax), in pixels or, if `relative`, in fractions of the image.
      labels: int64 [objects].
      keypoints: float64 [objects, keypoints, 3] of (x, y, visibility), in the same unit, or None.
      crowd: bool [objects], or None.
      relative: whether coordinates are fractions.
      size: (height, width) of the image that pixels are counted in, where the source says so.
      mask: an encoded mask, or None.
    """

    boxes: np.ndarray | None = None
    labels: np.ndarray | None = None
    keypoints: np.ndarray | None = None
    crowd: np.ndarray | None = None
    relative: bool = False
    size: tuple[int, int] | None = None
    mask: bytes | None = None

    @property
    def count(self) -> int:
        """The number of objects."""
        return 0 if self.boxes is None else len(self.boxes)

    def to_json(self) -> str:
        """The objects as compact JSON, for the plan; numbers keep every bit."""
        arrays = {"boxes": self.boxes, "labels": self.labels, "keypoints": self.keypoints, "crowd": self.crowd}
        value = {name: array.tolist() for name, array in arrays.items() if array is not None}
        return json.dumps({**value, **({"size": list(self.size)} if self.size else {})}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, info: AnnotationInfo) -> Annotations:
        """Read what `to_json` wrote."""
        value = json.loads(text)
        count = len(value["boxes"])
        return cls(
            boxes=np.array(value["boxes"], np.float64).reshape(-1, 4),
            labels=np.array(value["labels"], np.int64),
            keypoints=np.array(value["keypoints"], np.float64).reshape(count, len(info.keypoint_names), 3)
            if "keypoints" in value
            else None,
            crowd=np.array(value["crowd"], bool) if "crowd" in value else None,
            size=tuple(value["size"]) if "size" in value else None,
        )

    def digest(self) -> bytes:
        """Name all that is said, by SHA-256."""
        digest = hashlib.sha256(repr((self.relative, self.size)).encode())
        for array in (self.boxes, self.labels, self.keypoints, self.crowd):
            digest.update(b"-" if array is None else repr(array.shape).encode() + array.tobytes())
        digest.update(b"-" if self.mask is None else self.mask)
        return digest.digest()

    def attach(self, image: np.ndarray, label: int | None, info: AnnotationInfo, *, mask_fill: int = 0) -> Sample:
        """Make a sample of a decoded image and these.

        Raises:
          AnnotationError: they do not fit the image, or cannot be right.
          ImageError: the mask cannot be decoded.
        """
        objects = None if self.boxes is None else self._objects(image.shape, info)
        mask = None if self.mask is None else _checked_mask(self.mask, image.shape, info)
        return Sample(image, label, objects=objects, mask=mask, mask_fill=mask_fill)

    def _objects(self, shape: tuple[int, ...], info: AnnotationInfo) -> Objects:
        assert self.boxes is not None and self.labels is not None
        height, width = shape[:2]
        if self.size is not None and self.size != (height, width):
            raise AnnotationError(
                f"its boxes are for an image of {self.size[0]}x{self.size[1]} pixels (height x width), and it is shown "
                f"as {height}x{width}{_turned(self.size, shape)}"
            )
        unit = np.array([width, height, width, height] if self.relative else [1, 1, 1, 1], np.float64)
        boxes = self.boxes * unit
        for number, box in enumerate(boxes):
            problem = box_problem(box, width, height)
            if problem:
                raise AnnotationError(f"box {number} {problem}")
        keypoints = None
        if self.keypoints is not None:
            keypoints = self.keypoints * np.array([*unit[:2], 1.0])
            inside = ((keypoints[..., :2] >= 0) & (keypoints[..., :2] < (width, height))).all(axis=-1)
            keypoints = np.where((inside & (keypoints[..., 2] != HIDDEN))[..., None], keypoints, 0.0)
        clipped = np.clip(boxes, 0, [width, height, width, height])
        return Objects.from_boxes(clipped, self.labels, keypoints=keypoints, crowd=self.crowd, pairs=info.pairs)


def box_problem(box: np.ndarray, width: float = np.inf, height: float = np.inf) -> str:
    """Say what is wrong with a box (xmin, ymin, xmax, ymax) in an image of this size; nothing if it can be right."""
    left, top, right, bottom = sides = [float(side) for side in box]
    across, down = min(right, width) - max(left, 0.0), min(bottom, height) - max(top, 0.0)
    if not all(map(math.isfinite, sides)):
        problem = "is not of numbers"
    elif left >= right or top >= bottom:
        problem = "is empty or inverted"
    elif across <= 0 or down <= 0 or across * down < _LEAST_AREA:
        problem = f"lies outside of the image, which is {height:g}x{width:g} (height x width)"
    else:
        return ""
    return f"{problem}: [{', '.join(f'{side:g}' for side in sides)}] (xmin, ymin, xmax, ymax)"


def keypoint_array(values: list[float], count: int, names: tuple[str, ...]) -> np.ndarray:
    """Shape (a, b, visibility) after (a, b, visibility) as float64 [objects, keypoints, 3].

    Raises:
      AnnotationError: too many or too few, no numbers, or a visibility that is not 0, 1 or 2.
    """
    if len(values) != count * len(names) * 3:
        wanted = f"{count} objects with 3 numbers for each of {len(names)} keypoints"
        raise AnnotationError(f"it has {len(values)} numbers of keypoints, not {count * len(names) * 3}: {wanted}")
    points = np.array(values, np.float64).reshape(count, len(names), 3)
    strange = points[~np.isin(points[..., 2], (HIDDEN, OCCLUDED, VISIBLE))]
    if len(strange):
        raise AnnotationError(f"the visibility of a keypoint must be 0, 1 or 2, got {strange[0][2]:g}")
    points[points[..., 2] == HIDDEN] = 0.0
    if not np.isfinite(points).all():
        raise AnnotationError("a keypoint that is visible lies nowhere: its place is not of numbers")
    return points


def _checked_mask(encoded: bytes, shape: tuple[int, ...], info: AnnotationInfo) -> np.ndarray:
    mask = decode_mask(encoded)
    if mask.shape != shape[:2]:
        raise AnnotationError(
            f"its mask has {mask.shape[0]}x{mask.shape[1]} pixels (height x width), and the image is shown as "
            f"{shape[0]}x{shape[1]}{_turned(mask.shape, shape)}"
        )
    strange = mask[mask >= len(info.mask_classes)] if info.mask_classes else mask[:0]
    strange = strange[~np.isin(strange, VOID)]
    if strange.size:
        raise AnnotationError(
            f"its mask has the id {strange[0]}, which is none of the {len(info.mask_classes)} classes"
        )
    return mask.astype(mask_dtype(info.mask_bits))


def _turned(given: tuple[int, ...], shape: tuple[int, ...]) -> str:
    turned = tuple(given) == (shape[1], shape[0])
    return "; annotate images as viewers show them, turned by their EXIF orientation" if turned else ""


def record_features(sample: Sample, info: AnnotationInfo) -> dict[str, FeatureValue]:
    """The annotations of a sample as features of a record; coordinates are fractions of the image, y first."""
    features: dict[str, FeatureValue] = {}
    height, width = sample.image.shape[:2]
    if sample.objects is not None:
        boxes = np.clip(sample.objects.boxes / [width, height, width, height], 0, 1)
        features[BOXES] = boxes[:, [1, 0, 3, 2]].ravel().tolist()
        features[BOX_LABELS] = sample.objects.labels.tolist()
        if sample.objects.crowd is not None:
            features[CROWD] = sample.objects.crowd.astype(int).tolist()
        if sample.objects.keypoints is not None:
            relative = sample.objects.keypoints / [width, height, 1]
            features[KEYPOINTS] = relative[..., [1, 0, 2]].ravel().tolist()
    if sample.mask is not None:
        features[MASK] = encode_mask(sample.mask)
    return features
