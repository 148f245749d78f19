"""Where a worker's time goes: its stack is looked at a thousand times a second, and each look has a stage."""

from __future__ import annotations

import linecache
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from augmill.transforms.base import GeometricTransform, MixTransform, PixelTransform

STAGES = ("read", "decode", "resize", "draw", "point ops", "warp", "encode", "record", "write", "effects", "other")
_LOOK_SECONDS = 0.001

# Calls that say by themselves what they are, wherever they stand.
_CALLS = (
    (re.compile(r"\bcv2\.(imdecode|IMREAD_)"), "decode"),
    (re.compile(r"\bcv2\.(imencode|IMWRITE_)"), "encode"),
    (re.compile(r"\bcv2\.(warpAffine|warpPerspective|remap|flip|transpose|rotate|copyMakeBorder)\b"), "warp"),
    (re.compile(r"\bcv2\.(LUT|addWeighted|filter2D|GaussianBlur|sepFilter2D|calcHist)\b"), "point ops"),
)
# Functions of a module of augmill, by a pattern of their names; the first that fits.
_FUNCTIONS = (
    ("pipeline.source", "", "read"),
    ("pipeline.plan", "", "read"),
    ("pipeline.image", "encode", "encode"),
    ("pipeline.png", "", "encode"),
    ("pipeline.image", "_?decode|is_whole", "decode"),
    ("pipeline.image", "", "resize"),
    ("pipeline.opening", "_brought", "resize"),
    ("pipeline.opening", "", "decode"),
    ("pipeline.fast_resize", "", "resize"),
    ("pipeline.example", "", "record"),
    ("pipeline.record_annotations", "", "record"),
    ("pipeline.annotations", "record", "record"),
    ("pipeline.renderer", "record", "record"),
    ("pipeline.steps", "", "record"),
    ("pipeline.shard", "", "write"),
    ("pipeline.workspace", "", "write"),
    ("pipeline.materialize", "_write$", "write"),  # itself, it opens shards and waits for the disk
    ("transforms.(randomness|ahead|philox)", "", "draw"),
    ("transforms", "draw$|draw_for$|_draw", "draw"),
    ("transforms.composition", "select", "draw"),
    ("transforms.audit", "", "effects"),
    ("transforms.objects", "", "warp"),
    ("transforms.motion", "", "warp"),
    ("transforms.gather", "", "warp"),
    ("transforms.fast_geometry", "", "warp"),
    ("transforms.(curves|levels|hsv|fast_tone|fast_color|fast_filter|fast_adaptive)", "", "point ops"),
)
_KERNELS = {"Warp": "warp", "Mirror": "warp", "Window": "warp", "Tone": "point ops", "Hsv": "point ops"}
_COMPILED = tuple(
    (re.compile(rf"augmill\.{module}(\.|$)"), re.compile(function), stage) for module, function, stage in _FUNCTIONS
)


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Share out the seconds spent in the block among the stages.

    A look that comes late, because a call into C went on meanwhile, counts for all the time since the last one. Works
    in the main thread alone.
    """
    spent = dict.fromkeys(STAGES, 0.0)
    last = time.perf_counter()

    def look(number: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[stage_of(frame)] += now - last
        last = time.perf_counter()

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
    try:
        yield spent
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def stage_of(frame: FrameType | None) -> str:
    """The stage of a stack: of its innermost frame that tells one."""
    while frame is not None:
        found = _stage_of_frame(frame)
        if found is not None:
            return found
        frame = frame.f_back
    return "other"


def _stage_of_frame(frame: FrameType) -> str | None:
    module = frame.f_globals.get("__name__", "")
    if not module.startswith("augmill."):
        return None
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno or 0)
    by_call = next((stage for call, stage in _CALLS if call.search(line)), None)
    if by_call is not None:
        return by_call
    name = frame.f_code.co_name
    by_name = next((stage for its, function, stage in _COMPILED if its.match(module) and function.match(name)), None)
    return by_name or _by_owner(frame.f_locals)


def _by_owner(names: dict[str, Any]) -> str | None:
    """The stage of the kernel or op whose method a frame is in, or that it was handed."""
    for owner in (names.get("self"), names.get("op"), names.get("kernel")):
        stage = _KERNELS.get(type(owner).__name__)
        if stage is not None:
            return stage
        if isinstance(owner, (GeometricTransform, MixTransform)):
            return "warp"
        if isinstance(owner, PixelTransform):
            return "point ops"
    return None
