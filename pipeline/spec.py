"""The spec: what to build, validated whole before any work."""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, field_validator, model_validator

from augmill.pipeline.errors import SpecError
from augmill.pipeline.group_spec import WITH_FEATURES, GroupBy
from augmill.pipeline.source_spec import FORMS, SPLIT_NAME, FeatureNames, SourceSpec, SpecModel, check_split_names
from augmill.pipeline.spec_file import dotted, plain_problems, read_yaml, refuse_user_code
from augmill.transforms.base import MixTransform
from augmill.transforms.grammar import Problem, files_from, parse_policy, user_code_in
from augmill.transforms.policy import Policy

DECIDES_NO_BYTE = ("max_bad_fraction",)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Pixels = Annotated[int, Field(strict=True, ge=1, le=65500)]  # libjpeg takes no more
Size = tuple[Pixels, Pixels]


class ImageSpec(SpecModel):
    """How images are stored.

    Attributes:
      size: [height, width] of every stored image, in pixels; without it images keep the size they have.
      work_size: [height, width] at which the ops see them, if not `size`; what they leave is brought to `size`.
      fit: "stretch" to the size, "crop" the middle, or "pad" with black.
      channels: 3 for RGB, or 1 for grey.
      encoding: "jpeg" at `quality`, lossless "png", or "raw" pixels, which need no decoding and the most room.
      quality: of the JPEG encoder, 1 to 100.
    """

    size: Size | None = None
    work_size: Size | None = None
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    channels: Literal[3, 1] = 3
    encoding: Literal["jpeg", "png", "raw"] = "jpeg"
    quality: Annotated[int, Field(strict=True, ge=1, le=100)] = 95

    @model_validator(mode="after")
    def _sizes_agree(self) -> ImageSpec:
        if self.size is None and self.encoding == "raw":
            raise ValueError("encoding raw needs size: [height, width], since raw pixels do not say their shape")
        if self.size is None and self.work_size is not None:
            raise ValueError("work_size needs size: [height, width], the size to store")
        return self


class AnnotationSpec(SpecModel):
    """What becomes of boxes, masks and keypoints in augmented copies.

    Attributes:
      min_area: objects whose box is smaller are left out, in square pixels of the stored image.
      min_visibility: objects of which a smaller share of the area is still inside the image are left out.
      mask_fill: the id that stands in a mask where ops and `fit: pad` fill the image with a constant.
      reject_empty: whether a rendition that lost every object is drawn anew.
    """

    min_area: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    min_visibility: Annotated[float, Field(ge=0, le=1)] = 0.0
    mask_fill: Annotated[int, Field(strict=True, ge=0, le=65535)] = 0
    reject_empty: Annotated[bool, Field(strict=True)] = False

    def asks_for(self) -> dict[str, list[str]]:
        """The keys that have been set, by the kind of annotation that they are about."""
        kinds = {"min_area": "boxes", "min_visibility": "boxes", "reject_empty": "boxes", "mask_fill": "masks"}
        found: dict[str, list[str]] = {}
        for key, kind in kinds.items():
            if getattr(self, key):
                found.setdefault(kind, []).append(key)
        return found


class Spec(SpecModel):
    """One version of one dataset: its source and everything that decides its bytes.

    Attributes are those of the YAML file; `augment` keeps the entries as they are written there.

    Raises:
      SpecError: with every problem found, each with its path and the value.
    """

    name: Name
    version: Annotated[str, Field(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")]
    source: SourceSpec
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 0
    splits: dict[Annotated[str, Field(pattern=SPLIT_NAME)], Annotated[float, Field(ge=0, le=1)]] | None = None
    group_by: GroupBy | None = None
    duplicates: Literal["keep", "drop", "error"] = "keep"
    image: ImageSpec = ImageSpec()
    annotations: AnnotationSpec = AnnotationSpec()
    copies: Annotated[int, Field(strict=True, ge=0, le=1000)] = 1
    keep_original: bool = True
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)] = 0.001
    block_examples: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    kernels: Literal["fast", "reference"] = "fast"
    augment: list[Any] = Field(default_factory=list)

    _base: Path = PrivateAttr(default_factory=Path.cwd)

    def __init__(self, /, **data: Any) -> None:
        problems = list(plain_problems(data))
        if problems:
            raise SpecError([f"{dotted(where)}: {message}" for where, message in problems])
        try:
            super().__init__(**data)
        except ValidationError as error:
            problems += _field_problems(error, data)
        problems += parse_policy(data.get("augment", []))[1]
        if problems:
            raise SpecError([f"{dotted(where)}: {message}" for where, message in problems])

    @field_validator("splits")
    @classmethod
    def _splits_add_up(cls, splits: dict[str, float] | None) -> dict[str, float] | None:
        check_split_names(splits or {})
        if splits is not None and abs(sum(splits.values()) - 1) > 1e-9:
            parts = ", ".join(f"{name} {share:g}" for name, share in splits.items()) or "none"
            raise ValueError(f"splits must add up to 1, got {sum(splits.values()):g} ({parts})")
        return splits

    @model_validator(mode="after")
    def _writes_something(self) -> Spec:
        if self.copies == 0 and not self.keep_original:
            raise ValueError("copies 0 without keep_original writes nothing; set copies: 1, or keep_original: true")
        if self.copies and not self.augment:
            raise ValueError(f"copies {self.copies} without augment writes the same image again; set copies: 0")
        return self

    @model_validator(mode="after")
    def _groups_by_what_there_is(self) -> Spec:
        if self.group_by is not None and self.group_by.feature is not None and self.source.kind not in WITH_FEATURES:
            homes = f"{', '.join(WITH_FEATURES[:-1])} or {WITH_FEATURES[-1]}"
            cure = "use group_by: {key: '<regular expression>'}"
            raise ValueError(
                f"group_by.feature belongs to a {homes} source, not to a {self.source.kind} source; {cure}"
            )
        return self

    @classmethod
    def from_yaml(cls, path: str | Path, *, user_code: bool = True) -> Spec:
        """Read a spec from a YAML file; paths in it are relative to the file's folder.

        Args:
          path: the file.
          user_code: whether it may name code of the user's; otherwise nothing beside the file is imported.

        Raises:
          SpecError: the file is missing, is no YAML, breaks rules, or names code that it may not.
        """
        path = Path(path)
        data = read_yaml(path)
        if not isinstance(data, dict):
            raise SpecError(
                [f"must be a mapping that begins with name: and version:, got {data!r}"[:200]], origin=str(path)
            )
        if not user_code:
            refuse_user_code(data, str(path))
        import_for(data.get("augment"), path.resolve().parent)
        if "augment" in data:
            data["augment"] = files_from(data["augment"], path.parent.resolve())
        try:
            return cls(**{str(key): value for key, value in data.items()}).relative_to(path.parent)
        except SpecError as error:
            raise SpecError(error.problems, origin=str(path)) from None

    def relative_to(self, folder: str | Path) -> Spec:
        """Take the source's relative paths from `folder`. Not part of the digest."""
        self._base = Path(folder).resolve()
        return self

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self._base

    @cached_property
    def policy(self) -> Policy:
        """The transforms of `augment`, to be carried out by `kernels`."""
        return replace(parse_policy(self.augment)[0], kernels=self.kernels)

    @property
    def mixes(self) -> bool:
        """Whether an op mixes images, so that records hold a weight for each class."""
        return any(isinstance(op, MixTransform) for _, op in self.policy.leaves())

    @property
    def train_copies(self) -> range:
        """The copy numbers written of each training example; copy 0 is the unaugmented image."""
        return range(0 if self.keep_original else 1, self.copies + 1)

    def copies_of(self, split: str) -> range:
        """The copy numbers written of each example of `split`: only train is augmented."""
        return self.train_copies if split == "train" else range(1)

    def canonical(self) -> dict[str, Any]:
        """The spec as JSON values, every default written out but those of Keras layers and of the user's functions."""
        return {**self.model_dump(mode="json"), "augment": self.policy.entries()}

    def digest(self) -> str:
        """The SHA-256 of the canonical form, in hex, less what decides no byte."""
        deciding = {key: value for key, value in self.canonical().items() if key not in DECIDES_NO_BYTE}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def import_for(augment: Any, folder: Path) -> None:
    """Let the modules that an `augment` list names be imported from a folder; where it names none, nothing is."""
    if next(user_code_in(augment), None) is not None:
        add_import_paths([str(folder)])


def add_import_paths(paths: Iterable[str]) -> None:
    """Let modules be imported from these folders too, after all others."""
    sys.path.extend(path for path in paths if path not in sys.path)


_RULES = {
    r"^[a-z][a-z0-9_]*$": "must be lower-case letters, digits and _, beginning with a letter",
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$": "must be three numbers, as 1.0.0 (in YAML without quotes too)",
}


def _field_problems(error: ValidationError, data: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for item in error.errors():
        where = tuple(item["loc"])
        if where and where[0] == "augment":
            continue  # told by the catalogue, with the op's name
        kind, context = item["type"], item.get("ctx", {})
        if kind == "extra_forbidden":
            message = _unknown_key(where)
        elif kind == "missing":
            message = "is missing"
        elif kind == "string_pattern_mismatch":
            message = f"{_RULES[context['pattern']]}, got {item['input']!r}"
        elif kind == "value_error":
            message = str(context["error"])
        else:
            message = f"{item['msg'].removeprefix('Input ')}, got {item['input']!r}"
        form = next((i for i, part in enumerate(where) if where[0] == "source" and part in FORMS), None)
        if form is not None and kind not in ("extra_forbidden", "value_error"):
            where = where[: form + 1]
            message = f"must be {FORMS[str(where[form])]}, got {_value_at(data, where)!r}"
        problems.append(Problem(where, message))
    return list(dict.fromkeys(problems))


def _value_at(data: Any, where: tuple[int | str, ...]) -> Any:
    for part in where:
        data = data[part]
    return data


def _unknown_key(where: tuple[int | str, ...]) -> str:
    models: Mapping[Any, type[BaseModel]] = {
        (): Spec,
        ("source",): SourceSpec,
        ("source", "features"): FeatureNames,
        ("group_by",): GroupBy,
        ("image",): ImageSpec,
        ("annotations",): AnnotationSpec,
    }
    names = list(models.get(where[:-1], Spec).model_fields)
    near = difflib.get_close_matches(str(where[-1]), names, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    return f"unknown key; {guess}choose from {', '.join(names)}"
