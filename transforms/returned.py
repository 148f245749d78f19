"""Checks of what a function of the user's gives back, each ending in an error that names it and says what was wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from augmill.transforms.base import Sample, TransformError
from augmill.transforms.objects import HIDDEN, OCCLUDED, VISIBLE, Objects
from augmill.transforms.user_code import kind_text

_SLACK = 0.01  # pixels by which float32 arithmetic may leave the image


def sample_with(who: str, sample: Sample, returned: Mapping[str, Any], *, arrays: bool = False) -> Sample:
    """Put what `who` returned, by name, into the sample that it was called for.

    Args:
      who: the function's name, for the messages.
      sample: what the function was given.
      returned: "image", and "label", "boxes", "box_labels", "mask" and "keypoints" where the function takes them.
      arrays: whether the function works on NumPy arrays, so that messages speak of these.

    Raises:
      TransformError: something has another type, shape or range than it must have.
    """
    image = _image(who, returned["image"], sample.image.shape[2], arrays)
    after = replace(sample, image=image)
    if "label" in returned:
        after = replace(after, label=_label(who, returned["label"], sample))
    if "mask" in returned and sample.mask is not None:
        after = replace(after, mask=_mask(who, returned["mask"], sample.mask, image))
    if sample.objects is not None and returned.keys() & {"boxes", "box_labels", "keypoints"}:
        after = replace(after, objects=_objects(who, returned, sample.objects, image))
    check_size_kept(who, sample, after, returned)
    return after


def check_size_kept(who: str, sample: Sample, after: Sample, returned: Collection[str] = ()) -> None:
    """Refuse another size where annotations stayed as they were because the code says that it moves nothing.

    Raises:
      TransformError: the size changed and there are boxes or a mask that were not among what was returned.
    """
    left = ("boxes" not in returned and sample.objects is not None) or (
        "mask" not in returned and sample.mask is not None
    )
    if left and after.image.shape != sample.image.shape:
        sizes = " to ".join(f"{image.shape[0]}x{image.shape[1]}" for image in (sample.image, after.image))
        raise TransformError(f"{who} says moves_pixels = False, and yet it changed the image's size from {sizes}")


def _image(who: str, value: Any, channels: int, arrays: bool) -> np.ndarray:
    image = np.asarray(value)
    if image.dtype != np.uint8:
        ending = "np.clip(np.rint(image), 0, 255).astype(np.uint8)" if arrays else _SATURATED
        unit = " (of 255 * image where white is 1)" if image.dtype.kind == "f" else ""
        raise TransformError(
            f"{who} must return a uint8 image in [0, 255], got {image.dtype}; end it with {ending}{unit}"
        )
    if image.ndim != 3 or image.shape[2] != channels or 0 in image.shape:
        raise TransformError(f"{who} must return an image [height, width, {channels}], got shape {list(image.shape)}")
    return np.ascontiguousarray(image)


_SATURATED = "tf.saturate_cast(tf.round(image), tf.uint8)"


def _label(who: str, value: Any, sample: Sample) -> int:
    array = np.asarray(value)
    if array.ndim != 0 or not np.issubdtype(array.dtype, np.integer):
        raise TransformError(f"{who} must return a whole number as label, got {kind_text(value)}")
    label = int(array)
    if label < 0:
        raise TransformError(f"{who} must return the index of a class as label, from 0 up, got {label}")
    if sample.mixture is not None and label != sample.label:
        raise TransformError(
            f"{who} changed the label of a mixed image, which has several; put it before the op that mixes"
        )
    return label


def _mask(who: str, value: Any, before: np.ndarray, image: np.ndarray) -> np.ndarray:
    mask = np.asarray(value)
    if mask.dtype.kind not in "iu":
        raise TransformError(
            f"{who} must return ids as mask, whole numbers ({before.dtype}) as it was given, got {mask.dtype}; "
            "interpolate masks by the nearest pixel"
        )
    if mask.shape != image.shape[:2]:
        raise TransformError(
            f"{who} must return a mask [height, width] of the image's size, {list(image.shape[:2])} here, "
            f"got shape {list(mask.shape)}"
        )
    limits = np.iinfo(before.dtype)
    if mask.size and (mask.min() < limits.min or mask.max() > limits.max):
        raise TransformError(
            f"{who} must return ids that fit {before.dtype} as mask, {limits.min} to {limits.max}, "
            f"got {mask.min()} to {mask.max()}"
        )
    return np.ascontiguousarray(mask.astype(before.dtype))


def _objects(who: str, returned: Mapping[str, Any], before: Objects, image: np.ndarray) -> Objects:
    given = before.boxes.astype(np.float32)  # what the function saw
    boxes = _boxes(who, returned["boxes"], given, image) if "boxes" in returned else given
    labels = _box_labels(who, returned["box_labels"]) if "box_labels" in returned else before.labels
    keypoints = before.keypoints
    if "keypoints" in returned and before.keypoints is not None:
        keypoints = _keypoints(who, returned["keypoints"], before.keypoints, image)
    _check_counts(who, returned, before, boxes, labels, keypoints)
    origins = _origins(given, before.labels, boxes, labels)
    fresh = Objects.from_boxes(boxes, labels, keypoints=keypoints, pairs=before.pairs)
    same = [
        origin if origin >= 0 and np.array_equal(boxes[i], given[origin]) else -1 for i, origin in enumerate(origins)
    ]
    after = int(before.numbers.max()) + 1 if len(before) else 0
    return replace(
        fresh,
        # An outline says more than its box, and stays where the box did.
        outlines=tuple(before.outlines[o] if o >= 0 else fresh.outlines[i] for i, o in enumerate(same)),
        visible=np.array([before.visible[o] if o >= 0 else 1.0 for o in origins], np.float64),
        numbers=np.array([before.numbers[o] if o >= 0 else after + i for i, o in enumerate(origins)], np.int64),
        crowd=None if before.crowd is None else np.array([o >= 0 and bool(before.crowd[o]) for o in origins], bool),
    )


def _boxes(who: str, value: Any, given: np.ndarray, image: np.ndarray) -> np.ndarray:
    boxes = np.asarray(value)
    if boxes.size == 0:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "fiu":
        raise TransformError(
            f"{who} must return boxes as numbers [objects, 4] of xmin, ymin, xmax, ymax in pixels, "
            f"got {boxes.dtype} of shape {list(boxes.shape)}"
        )
    boxes = boxes.astype(np.float32)
    height, width = image.shape[:2]
    known = {box.tobytes() for box in given}
    for number, box in enumerate(boxes):
        if box.tobytes() in known:
            continue  # what the source had may lie as it will
        wrong = _fault(box, width, height)
        if wrong:
            listed = ", ".join(f"{end:g}" for end in box)
            raise TransformError(f"{who} returned box {number}, [{listed}], {wrong}")
        boxes[number] = np.clip(box, 0, np.array([width, height, width, height]))
    return boxes


def _fault(box: np.ndarray, width: int, height: int) -> str:
    if not np.isfinite(box).all():
        return "with an end that is not a number (NaN or infinite)"
    if box[0] >= box[2] or box[1] >= box[3]:
        return "whose ends do not go up: boxes are xmin, ymin, xmax, ymax in pixels, and none is empty"
    if box.min() < -_SLACK or (box > np.array([width, height, width, height]) + _SLACK).any():
        return (
            f"which leaves the image of {width} x {height} pixels; cut boxes at its edges, and leave out those wholly "
            "outside (with their `box_labels`)"
        )
    return ""


def _box_labels(who: str, value: Any) -> np.ndarray:
    labels = np.asarray(value)
    if labels.size == 0:
        return np.zeros(0, np.int64)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise TransformError(
            f"{who} must return box_labels as indices of classes, whole numbers [objects] from 0 up, "
            f"got {labels.dtype} of shape {list(labels.shape)}"
            + (f" with {labels.min()} in it" if labels.dtype.kind in "iu" else "")
        )
    return labels.astype(np.int64)


def _keypoints(who: str, value: Any, before: np.ndarray, image: np.ndarray) -> np.ndarray:
    points = np.asarray(value)
    if points.size == 0:
        return np.zeros((0, *before.shape[1:]), np.float64)
    if points.ndim != 3 or points.shape[1:] != before.shape[1:] or points.dtype.kind not in "fiu":
        raise TransformError(
            f"{who} must return keypoints as numbers [objects, {before.shape[1]}, 3] of x, y and visibility, "
            f"got {points.dtype} of shape {list(points.shape)}"
        )
    points = points.astype(np.float64)
    if not np.isfinite(points).all():
        raise TransformError(f"{who} returned keypoints that are not numbers (NaN or infinite)")
    if not np.isin(points[..., 2], (HIDDEN, OCCLUDED, VISIBLE)).all():
        raise TransformError(
            f"{who} must return keypoints with a visibility of 0 (not there), 1 (occluded) or 2 (seen)"
        )
    seen = points[points[..., 2] != HIDDEN]
    size = np.array(image.shape[1::-1])
    if ((seen[:, :2] < -_SLACK) | (seen[:, :2] > size + _SLACK)).any():
        raise TransformError(
            f"{who} returned a keypoint outside the image of {size[0]} x {size[1]} pixels; give it visibility 0"
        )
    points = np.where(points[..., 2:] == HIDDEN, 0.0, points)
    if points.shape != before.shape:
        return points
    return np.where(points == before.astype(np.float32), before, points)  # what the function left keeps all its digits


def _check_counts(
    who: str, returned: Mapping[str, Any], before: Objects, boxes: np.ndarray, labels: np.ndarray, keypoints: Any
) -> None:
    """The number of objects may change, as long as everything that is kept of each of them changes with it."""
    counts = {"boxes": len(boxes), "box_labels": len(labels)}
    if keypoints is not None:
        counts["keypoints"] = len(keypoints)
    if len(set(counts.values())) == 1:
        return
    told = ", ".join(f"{count} {name}{'' if name in returned else ' (as before)'}" for name, count in counts.items())
    names = " and ".join(f"`{name}`" for name in counts)
    raise TransformError(
        f"{who} must return as many of each, got {told}; to change the number of {len(before)} objects, "
        f"take and return {names}"
    )


def _origins(given: np.ndarray, given_labels: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> list[int]:
    """Which object given each object returned is: one that is equal, or the one in its place; -1 for a new one."""
    waiting: dict[tuple[bytes, int], list[int]] = {}
    for i, (box, label) in enumerate(zip(given, given_labels, strict=True)):
        waiting.setdefault((box.tobytes(), int(label)), []).append(i)
    found = []
    for box, label in zip(boxes, labels, strict=True):
        equal = waiting.get((box.tobytes(), int(label)))
        found.append(equal.pop(0) if equal else -1)
    if len(boxes) != len(given):
        return found
    left = iter(sorted(set(range(len(given))) - set(found)))
    return [origin if origin >= 0 else next(left) for origin in found]
