"""The part of a spec that says where the raw images and their annotations are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from augmill.pipeline.image_header import LIMITS, Limits

SPLIT_NAME = r"^[a-z][a-z0-9_]*$"
RESERVED_SPLITS = ("all",)  # TFDS means every split by it
SOURCE_KINDS = ("folder", "tfrecord", "tfds", "coco", "segmentation")

SplitName = Annotated[str, Field(pattern=SPLIT_NAME)]
Limit = Annotated[int, Field(strict=True, ge=1, le=2**30)]  # OpenCV decodes no more pixels
Four = Annotated[list[str], Field(min_length=4, max_length=4)]
Three = Annotated[list[str], Field(min_length=3, max_length=3)]

# What a key with several forms may be; each form would complain by itself.
FORMS = {
    "tfrecord": "a glob, a list of globs, or globs by split",
    "coco": "a JSON file, or JSON files by split",
    "images": "a folder, or folders by split",
    "boxes": "the name of a feature, or a list of four: ymin, xmin, ymax, xmax",
    "keypoints": "the name of a feature, or a list of three: y, x, visibility",
}
# Which kinds of source a key belongs to, and which of them can't do without it.
_BELONGS = {
    "features": ("tfrecord", "tfds"),
    "classes": ("tfrecord", "segmentation"),
    "box_classes": ("tfrecord",),
    "keypoint_names": ("tfrecord", "tfds"),
    "data_dir": ("tfds",),
    "images": ("coco",),
    "masks": ("segmentation",),
    "links_outside": ("folder", "coco", "segmentation"),
}
_NEEDS = {
    "tfrecord": ("features", "features: {image: <feature name>, label: <feature name>}"),
    "coco": ("images", "images: <the folder that file_name starts from>"),
    "segmentation": ("masks", "masks: <the folder of the masks>"),
}


class SpecModel(BaseModel):
    """A part of a spec: no unknown keys, and nothing to be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class FeatureNames(SpecModel):
    """Which features of a `tf.train.Example` hold what.

    Attributes:
      image: the encoded image. label, key: of the whole example.
      boxes: one feature of [ymin, xmin, ymax, xmax] after another, or the four features ymin, xmin, ymax, xmax; as
        fractions of the image.
      box_labels: the class of each box.
      crowd: whether each box is around a group.
      keypoints: one feature of [y, x, visibility] after another, or these three features; places as fractions.
      mask: a PNG of ids.
    """

    image: str
    label: str | None = None
    key: str | None = None
    boxes: str | Four | None = None
    box_labels: str | None = None
    crowd: str | None = None
    keypoints: str | Three | None = None
    mask: str | None = None

    @model_validator(mode="after")
    def _boxes_come_first(self) -> FeatureNames:
        for name in ("box_labels", "crowd", "keypoints"):
            if getattr(self, name) is not None and self.boxes is None:
                raise ValueError(f"{name} needs boxes: <feature name>, to say which object each belongs to")
        return self


class SourceSpec(SpecModel):
    """Where the raw images are: exactly one of folder, tfrecord, tfds, coco and segmentation.

    Attributes:
      folder: class folders, `folder/<class>/x.jpg` or `folder/<split>/<class>/x.jpg`.
      tfrecord: a glob, a list of globs, or globs by split; `features` says what its examples hold.
      tfds: a registered dataset's name ("tf_flowers", "cifar10:3.0.2") or a TFDS directory.
      coco: a JSON file in COCO's form, or one by split; `images` is the folder of its images, or folders by split.
      segmentation: a folder of images; `masks` is the folder of their masks, PNGs of the same names.
      classes: class names in the order of their numbers: of a TFRecord source's labels, or of the ids in masks.
      box_classes: class names in the order of the numbers in a TFRecord source's box_labels.
      keypoint_names: the names of each object's keypoints, in their order, for a TFRecord or TFDS source.
      data_dir: where TFDS keeps its datasets, if not in its usual place.
      max_pixels, max_bytes: what one image, or mask, may have, by its header and encoded; one that has more is bad.
      links_outside: whether symbolic links in a folder of images or masks may lead out of it.
    """

    folder: str | None = None
    tfrecord: str | list[str] | dict[SplitName, str | list[str]] | None = None
    tfds: str | None = None
    coco: str | dict[SplitName, str] | None = None
    segmentation: str | None = None
    features: FeatureNames | None = None
    images: str | dict[SplitName, str] | None = None
    masks: str | None = None
    classes: list[str] | None = None
    box_classes: list[str] | None = None
    keypoint_names: list[str] | None = None
    data_dir: str | None = None
    max_pixels: Limit = LIMITS.max_pixels
    max_bytes: Limit = LIMITS.max_bytes
    links_outside: Annotated[bool, Field(strict=True)] = False

    @property
    def limits(self) -> Limits:
        return Limits(self.max_pixels, self.max_bytes)

    @property
    def kind(self) -> str:
        return next(kind for kind in SOURCE_KINDS if getattr(self, kind) is not None)

    @field_validator("tfrecord", "coco", "images")
    @classmethod
    def _splits_may_be_called_so(cls, value: Any) -> Any:
        if isinstance(value, dict):
            check_split_names(value)
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> SourceSpec:
        kinds = [kind for kind in SOURCE_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of {', '.join(SOURCE_KINDS)}, got {' and '.join(kinds) or 'none'}")
        (kind,) = kinds
        for key, homes in _BELONGS.items():
            if getattr(self, key) not in (None, False) and kind not in homes:
                own = "; its JSON names its own" if kind == "coco" and "classes" in key else ""
                raise ValueError(f"{key} belongs to a {' or '.join(homes)} source, not to a {kind} source{own}")
        needed, how = _NEEDS.get(kind, (None, ""))
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"{kind} needs {how}")
        self._check_parts()
        return self

    def _check_parts(self) -> None:
        """Raise ValueError where keys that are right by themselves do not go together."""
        features = self.features
        if self.box_classes is not None and (features is None or features.box_labels is None):
            raise ValueError("box_classes needs features: {box_labels: <feature name>}")
        if (self.keypoint_names is None) != (features is None or features.keypoints is None):
            raise ValueError("features.keypoints and keypoint_names: [left_eye, right_eye, ...] need each other")
        if isinstance(self.images, dict) and (not isinstance(self.coco, dict) or set(self.images) != set(self.coco)):
            splits = ", ".join(self.coco) if isinstance(self.coco, dict) else "none"
            raise ValueError(f"images by split must name the splits of coco ({splits}), got {', '.join(self.images)}")


def check_split_names(splits: Mapping[str, Any]) -> None:
    """Raise ValueError for a split that may not be called so."""
    for name in RESERVED_SPLITS:
        if name in splits:
            raise ValueError(f"no split may be called {name}: TFDS means every split by it")
