"""The `augmentation` of a record: the steps that made it, as compact JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from math import isfinite

from augmill.transforms.base import Params
from augmill.transforms.policy import Step

_COMPACT = json.JSONEncoder(separators=(",", ":"))


def steps_to_json(steps: list[Step]) -> str:
    """The compact JSON of a record's `augmentation`: each op with its position and drawn parameters."""
    # What `json` would write of the whole, put together of parts of which most stay the same.
    return f"[{','.join([f'{_step_head(at, op)}{_params_to_json(params)}}}' for at, op, params in steps])}]"


@lru_cache(maxsize=1024)
def _step_head(at: str, op: str) -> str:
    return _COMPACT.encode({"at": at, "op": op, "params": None}).removesuffix("null}")


def _params_to_json(params: Params) -> str:
    """JSON of parameters; `json` itself is asked where one is not a plain number."""
    parts = []
    for name, value in params.items():
        if value is True or value is False:
            parts.append(f'"{name}":{"true" if value else "false"}')
        elif type(value) is int or (type(value) is float and isfinite(value)):
            parts.append(f'"{name}":{value!r}')
        else:
            return _COMPACT.encode(params)
    return f"{{{','.join(parts)}}}"


def steps_from_json(text: str) -> list[Step]:
    """Read what `steps_to_json` wrote."""
    return [Step(**step) for step in json.loads(text)]


def steps_from_texts(texts: Sequence[bytes]) -> list[Step]:
    """Read what `steps_to_json` wrote of several renditions, one after the other: all at once takes half the time.

    Raises:
      ValueError: that is not what it wrote.
    """
    found = json.loads(f"[{','.join([text.decode() for text in texts])}]")
    try:
        return [Step(step["at"], step["op"], step["params"]) for steps in found for step in steps]
    except (KeyError, TypeError) as error:
        raise ValueError(f"a record's steps are not such: {error}") from None
