"""What is known of the annotations of a whole source: their kinds, and the names that their numbers stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

VOID = (255, 65535)  # ids that may stand for no class, as 255 does in Pascal VOC


@dataclass(frozen=True)
class AnnotationInfo:
    """What is known of a whole source's annotations.

    Attributes:
      kinds: of "boxes", "masks" and "keypoints" those that there are.
      classes: names of the objects' classes in the order of their labels.
      keypoint_names: names of the keypoints that each object has, in their order.
      crowd: whether boxes around groups are marked.
      mask_bits: bits of an id in a mask, 8 or 16.
      mask_classes: names of the ids in masks, or none where they are not known.
      features: for a source of records, the features that hold `boxes`, `box_labels`, `crowd`, `keypoints` and `mask`.
    """

    kinds: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    keypoint_names: tuple[str, ...] = ()
    crowd: bool = False
    mask_bits: int = 8
    mask_classes: tuple[str, ...] = ()
    features: dict[str, list[str]] = field(default_factory=dict)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The keypoints that change places in a mirror, by their names: left_eye and right_eye, wrist_l and wrist_r.

        >>> AnnotationInfo(keypoint_names=("nose", "left_eye", "right_eye")).pairs
        ((1, 2),)
        """
        places = {name.lower(): i for i, name in enumerate(self.keypoint_names)}
        mirrored = {i: places.get(_mirrored(name.lower()), i) for i, name in enumerate(self.keypoint_names)}
        return tuple((i, j) for i, j in mirrored.items() if i < j and mirrored[j] == i)

    def to_json(self) -> dict[str, Any]:
        """This as JSON values; nothing where there are no annotations."""
        return {name: _plain(value) for name, value in asdict(self).items()} if self.kinds else {}

    def public(self) -> dict[str, Any]:
        """What a manifest tells of it, as JSON values: not how the source's records call things."""
        return {name: value for name, value in self.to_json().items() if name != "features"}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AnnotationInfo:
        """Read what `to_json` gave."""
        given: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
        return cls(**given)

    def check_kinds(self, asked: Mapping[str, list[str]]) -> list[str]:
        """Name the settings that are about a kind of annotation that there is none of."""
        there = ", ".join(self.kinds) or "none"
        return [
            f"annotations.{key} is about {kind}, and of these the source has none; its annotations are: {there}"
            for kind, keys in asked.items()
            for key in keys
            if kind not in self.kinds
        ]

    def check_mask_fill(self, fill: int) -> list[str]:
        """Say why masks cannot be filled with an id."""
        highest = 2**self.mask_bits - 1
        if fill > highest:
            return [f"annotations.mask_fill {fill} does not fit masks of {self.mask_bits} bits, with ids to {highest}"]
        if self.mask_classes and fill >= len(self.mask_classes) and fill not in VOID:
            void = " or ".join(str(number) for number in VOID if number <= highest)
            classes = f"0 to {len(self.mask_classes) - 1}"
            return [f"annotations.mask_fill {fill} is no class; choose one of {classes}, or {void} for none"]
        return []


def _mirrored(name: str) -> str:
    """The name of a keypoint on the other side; the same where it says no side."""
    other = {"left": "right", "right": "left", "l": "r", "r": "l"}
    if "left" in name or "right" in name:
        return re.sub("left|right", lambda match: other[match.group()], name, count=1)
    return re.sub(r"(?<![a-z0-9])[lr](?![a-z0-9])", lambda match: other[match.group()], name, count=1)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


NO_ANNOTATIONS = AnnotationInfo()
