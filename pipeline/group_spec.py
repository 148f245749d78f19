"""The part of a spec that says which examples belong together, so that no split shares a subject with another."""

from __future__ import annotations

import re
from functools import cached_property

from pydantic import field_validator, model_validator

from augmill.pipeline.source_spec import SpecModel

# Which kinds of source have fields of their own to group by.
WITH_FEATURES = ("tfrecord", "tfds", "coco")


class GroupBy(SpecModel):
    """What examples of one group have in common; exactly one of both.

    Attributes:
      key: a regular expression that is searched for in each key. The group called `group` in it, or else its first one,
        is what they have in common.
      feature: a feature of a TFRecord or TFDS source's records, or a field of a COCO file's images.
    """

    key: str | None = None
    feature: str | None = None

    @field_validator("key")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}, got {pattern!r}") from error
        if not groups:
            raise ValueError(f"needs a group in parentheses, as in '^(p\\d+)_', to say what to take; got {pattern!r}")
        return pattern

    @model_validator(mode="after")
    def _one_of_both(self) -> GroupBy:
        if (self.key is None) == (self.feature is None):
            given = "neither" if self.key is None else "both"
            raise ValueError(f"give key: '<regular expression>' or feature: <name>, got {given}")
        return self

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.key or "")

    def group_of(self, key: str) -> str | None:
        """The group that a key belongs to by `key`; None where it does not match, or matches without the group."""
        found = self._pattern.search(key)
        if found is None:
            return None
        taken: str | None = found["group" if "group" in self._pattern.groupindex else 1]
        return taken
