"""From what was measured of an input to what it means for a training, and what to change."""

from __future__ import annotations

from typing import Any

from augmill.pipeline.doctor import Examination
from augmill.pipeline.manifest import Manifest
from augmill.pipeline.units import size_text

HOLDS_UP = 0.05  # of the time that an accelerator may stand still before the input is said to hold it up
_MUCH = 0.6  # of what the slowest part can do; below it the parts are in each other's way


def verdict(found: Examination, step_seconds: float | None) -> str:
    """Say in a sentence whether the input keeps up with a training step."""
    every = f"a batch of {found.batch_size} is ready every {_ms(found.batch_seconds)}"
    if step_seconds is None:
        return f"{every}: the input keeps up with steps of that length or more; --step-ms says how long yours take"
    waits = found.waits(step_seconds)
    if waits <= HOLDS_UP:
        spare = step_seconds / found.batch_seconds
        return f"the input keeps up: {every}, and a step takes {_ms(step_seconds)}, {spare:.1f} times as long"
    return (
        f"the input holds the training up: {every}, and a step takes {_ms(step_seconds)}, so that the accelerator "
        f"stands still {waits:.0%} of the time"
    )


def remedies(found: Examination, manifest: Manifest, options: dict[str, Any]) -> list[str]:
    """Say what would make the slowest part faster, the most worthwhile first.

    Args:
      found: what was measured.
      manifest: of the version.
      options: of the loader: output and size.
    """
    known = {"read": _reading, "parse": _parsing, "decode": _decoding, "copy": _copying}
    advice = known[found.slowest.name](found, manifest, options)
    if found.together.rate < _MUCH * found.slowest.rate:
        advice.append(
            f"all together do {found.together.rate:,.0f} records a second, much less than the slowest part by itself: "
            f"they share {found.cores} cores with each other and with what else runs here; give the input more of them"
        )
    return advice


def _reading(found: Examination, manifest: Manifest, options: dict[str, Any]) -> list[str]:
    rate = size_text(found.record_bytes * found.slowest.rate)
    where = "the disk gives" if found.cold else "even from the system's memory they come at"
    return [
        f"records are read too slowly: {where} {rate} a second; move the version to a faster disk of this machine",
        f"a record has {size_text(found.record_bytes)}: a smaller image.size or a lower image.quality makes it smaller",
    ]


def _parsing(found: Examination, manifest: Manifest, options: dict[str, Any]) -> list[str]:
    return [
        "records are small, and parsing them is most of the work: a larger batch_size parses more of them at once",
        "as_supervised=True leaves key, copy and augmentation out",
    ]


def _decoding(found: Examination, manifest: Manifest, options: dict[str, Any]) -> list[str]:
    stored = manifest.image
    advice = []
    if options.get("size") and list(options["size"]) != [stored["height"], stored["width"]]:
        height, width = options["size"]
        advice.append(f"images are resized at every step: build a version of image.size [{height}, {width}]")
    if options.get("output", "uint8") != "uint8":
        advice.append('floats are made on the processor: load output="uint8" and put a Normalize layer into the model')
    if stored["encoding"] != "raw" and stored["height"] is not None:
        raw = stored["height"] * stored["width"] * stored.get("channels", 3)
        needs = size_text(raw * found.slowest.rate)
        sizes = f"{size_text(raw)} a record rather than {size_text(found.record_bytes)}"
        advice.append(
            f"decoding {stored['encoding']} is most of the work: image.encoding raw leaves it out, with {sizes}, if "
            f"the disk reads more than {needs} a second"
        )
    return [*advice, "a smaller image.size, or more cores for the input, make it faster in any case"]


def _copying(found: Examination, manifest: Manifest, options: dict[str, Any]) -> list[str]:
    advice = ["put to_device(dataset, '/GPU:0') last, so that batches are copied while the step before is at work"]
    if options.get("output", "uint8") != "uint8":
        advice.insert(0, 'load output="uint8", a quarter of the bytes, and put a Normalize layer into the model')
    return advice


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
