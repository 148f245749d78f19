"""The spec: what to build, validated whole before any work."""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from augmill.pipeline.errors import SpecError
from augmill.transforms.catalog import Problem, parse_policy
from augmill.transforms.policy import Policy

SPLIT_NAME = r"^[a-z][a-z0-9_]*$"
RESERVED_SPLITS = ("all",)  # TFDS means every split by it
DECIDES_NO_BYTE = ("max_bad_fraction",)
SOURCE_KINDS = ("folder", "tfrecord", "tfds")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Pixels = Annotated[int, Field(strict=True, ge=1, le=65500)]  # libjpeg takes no more
Size = tuple[Pixels, Pixels]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class FeatureNames(_Model):
    """Which features of a `tf.train.Example` hold what."""

    image: str
    label: str | None = None
    key: str | None = None


class SourceSpec(_Model):
    """Where the raw images are: exactly one of folder, tfrecord and tfds.

    Attributes:
      folder: class folders, `folder/<class>/x.jpg` or `folder/<split>/<class>/x.jpg`.
      tfrecord: a glob, a list of globs, or globs by split; `features` says what its examples hold.
      tfds: a registered dataset's name ("tf_flowers", "cifar10:3.0.2") or a TFDS directory.
      classes: class names in the order of their labels, for a TFRecord source with integer labels.
      data_dir: where TFDS keeps its datasets, if not in its usual place.
    """

    folder: str | None = None
    tfrecord: str | list[str] | dict[Annotated[str, Field(pattern=SPLIT_NAME)], str | list[str]] | None = None
    tfds: str | None = None
    features: FeatureNames | None = None
    classes: list[str] | None = None
    data_dir: str | None = None

    @property
    def kind(self) -> str:
        return next(kind for kind in SOURCE_KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> SourceSpec:
        kinds = [kind for kind in SOURCE_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of {', '.join(SOURCE_KINDS)}, got {' and '.join(kinds) or 'none'}")
        if self.tfrecord is not None and self.features is None:
            raise ValueError("tfrecord needs features: {image: <feature name>, label: <feature name>}")
        if self.classes is not None and self.tfrecord is None:
            raise ValueError(f"classes belongs to a tfrecord source; a {kinds[0]} source names its own")
        if self.data_dir is not None and self.tfds is None:
            raise ValueError(f"data_dir belongs to a tfds source, not to a {kinds[0]} source")
        if isinstance(self.tfrecord, dict):
            _check_split_names(self.tfrecord)
        if self.features is not None and self.folder is not None:
            raise ValueError("features belongs to a tfrecord or tfds source, not to a folder source")
        return self


class ImageSpec(_Model):
    """How images are stored.

    Attributes:
      size: [height, width] of every stored image, in pixels; without it images keep the size they have.
      work_size: [height, width] at which the ops see them, if not `size`; what they leave is brought to `size`.
      fit: "stretch" to the size, "crop" the middle, or "pad" with black.
      encoding: "jpeg" at `quality`, lossless "png", or "raw" pixels, which need no decoding and the most room.
      quality: of the JPEG encoder, 1 to 100.
    """

    size: Size | None = None
    work_size: Size | None = None
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    encoding: Literal["jpeg", "png", "raw"] = "jpeg"
    quality: Annotated[int, Field(strict=True, ge=1, le=100)] = 95

    @model_validator(mode="after")
    def _sizes_agree(self) -> ImageSpec:
        if self.size is None and self.encoding == "raw":
            raise ValueError("encoding raw needs size: [height, width], since raw pixels do not say their shape")
        if self.size is None and self.work_size is not None:
            raise ValueError("work_size needs size: [height, width], the size to store")
        return self


class Spec(_Model):
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
    image: ImageSpec = ImageSpec()
    copies: Annotated[int, Field(strict=True, ge=0, le=1000)] = 1
    keep_original: bool = True
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)] = 0.001
    block_examples: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    kernels: Literal["reference"] = "reference"
    augment: list[Any] = []

    _base: Path = PrivateAttr(default_factory=Path.cwd)

    def __init__(self, /, **data: Any) -> None:
        problems: list[Problem] = []
        try:
            super().__init__(**data)
        except ValidationError as error:
            problems += _field_problems(error)
        problems += parse_policy(data.get("augment", []))[1]
        if problems:
            raise SpecError([f"{_dotted(where)}: {message}" for where, message in problems])

    @field_validator("splits")
    @classmethod
    def _splits_add_up(cls, splits: dict[str, float] | None) -> dict[str, float] | None:
        _check_split_names(splits or {})
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

    @classmethod
    def from_yaml(cls, path: str | Path) -> Spec:
        """Read a spec from a YAML file; paths in it are relative to the file's folder.

        Raises:
          SpecError: the file is missing, is no YAML, or breaks rules.
        """
        path = Path(path)
        try:
            data = yaml.load(path.read_text("utf-8"), Loader=_UniqueKeyLoader)
        except OSError as error:
            raise SpecError([f"cannot be read: {error.strerror}"], origin=str(path)) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise SpecError([f"is no valid YAML: {' '.join(str(error).split())}"], origin=str(path)) from error
        add_import_paths([str(path.resolve().parent)])  # where the user's own `module:function` stands
        if not isinstance(data, dict):
            raise SpecError([f"must be a mapping that begins with name: and version:, got {data!r}"], origin=str(path))
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
        """The transforms of `augment`."""
        return parse_policy(self.augment)[0]

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


def add_import_paths(paths: Iterable[str]) -> None:
    """Let modules be imported from these folders too, after all others."""
    sys.path.extend(path for path in paths if path not in sys.path)


def _check_split_names(splits: Mapping[str, Any]) -> None:
    for name in RESERVED_SPLITS:
        if name in splits:
            raise ValueError(f"no split may be called {name}: TFDS means every split by it")


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a mapping with a key given twice, of which YAML would keep the last in silence."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":  # <<: *anchor, whose keys may well be given again
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (list, dict)) and key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
        if not isinstance(key, (list, dict)):
            seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)

_RULES = {
    r"^[a-z][a-z0-9_]*$": "must be lower-case letters, digits and _, beginning with a letter",
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$": "must be three numbers, as 1.0.0 (in YAML without quotes too)",
}


def _field_problems(error: ValidationError) -> list[Problem]:
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
        if where[:2] == ("source", "tfrecord"):  # a union: each of its members would complain
            where, message = where[:2], f"must be a glob, a list of globs, or globs by split, got {item['input']!r}"
        problems.append(Problem(where, message))
    return list(dict.fromkeys(problems))


def _unknown_key(where: tuple[int | str, ...]) -> str:
    models: Mapping[Any, type[BaseModel]] = {
        (): Spec,
        ("source",): SourceSpec,
        ("source", "features"): FeatureNames,
        ("image",): ImageSpec,
    }
    names = list(models.get(where[:-1], Spec).model_fields)
    near = difflib.get_close_matches(str(where[-1]), names, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    return f"unknown key; {guess}choose from {', '.join(names)}"


def _dotted(where: tuple[int | str, ...]) -> str:
    """Write a path as augment[2].one_of[0]; the whole spec is "spec"."""
    path = ""
    for part in where:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "spec"
