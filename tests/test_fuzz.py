"""Anything at all goes in, and what comes out is right or an error for the reader: never another exception, no warning.

AUGMILL_FUZZ=20000 tries so many inputs of each kind, other ones each time; `scripts/fuzz` does so.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from corpus import image_cases, patched, png, saved
from corpus_sources import record
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from augmill.pipeline import Spec, Version
from augmill.pipeline.errors import SpecError, VersionError
from augmill.pipeline.image import decode_image
from augmill.pipeline.image_header import ImageError, Limits, image_size
from augmill.pipeline.mask import decode_mask
from augmill.pipeline.opening import open_image
from augmill.pipeline.shard import RecordError, scan_records

LONGER = int(os.environ.get("AUGMILL_FUZZ", "0"))
LIMITS = Limits(max_pixels=200_000, max_bytes=100_000)
_STUCK = 30  # seconds that one input may take before it is taken for one that hangs


def fuzzed(count: int) -> Callable[..., Any]:
    """Try `count` inputs, always the same ones, or as many other ones as AUGMILL_FUZZ says."""
    return settings(
        max_examples=LONGER or count,
        derandomize=not LONGER,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Take a warning for an error, and what does not come to an end for one too."""

    def stuck(*_: Any) -> None:
        raise AssertionError(f"not done after {_STUCK} seconds")

    before = signal.signal(signal.SIGALRM, stuck)
    signal.alarm(_STUCK)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def mutated(wholes: list[bytes]) -> st.SearchStrategy[bytes]:
    """Real data with bytes changed, numbers put in, pieces cut out, doubled or put in from another."""
    places, numbers = (
        st.integers(0, 2**16),
        st.sampled_from([b"\0", b"\xff", b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"]),
    )

    def change(data: bytes, kind: str, place: int, length: int, value: bytes) -> bytes:
        place = place % (len(data) + 1)
        if kind == "patch":
            return patched(data, place, value)[: len(data)]
        if kind == "cut":
            return data[:place] + data[place + length :]
        if kind == "end":
            return data[:place]
        if kind == "double":
            return data[:place] + data[place : place + length] + data[place:]
        return data[:place] + value + data[place:]

    # Headers are small, and most of what can go wrong goes wrong there.
    near = st.one_of(st.integers(4, 90), places)
    kinds = st.sampled_from(["patch", "patch", "cut", "end", "double", "insert"])
    step = st.tuples(kinds, near, st.integers(1, 600), st.one_of(numbers, st.binary(min_size=1, max_size=8)))

    def apply(drawn: tuple[bytes, list[tuple[str, int, int, bytes]]]) -> bytes:
        data = drawn[0]
        for one in drawn[1]:
            data = change(data, *one)
        return data

    return st.tuples(st.sampled_from(wholes), st.lists(step, min_size=1, max_size=2)).map(apply)


# ---- specs

NUMBERS = [0, -1, 1, 2**63, 10**400, 2**4200, 0.5, -0.0, float("nan"), float("inf"), 1e308]
NAMES = [*Spec.model_fields, "folder", "tfrecord", "features", "size", "one_of", "do", "p", "n", "some_of", "sometimes"]
OPS = ["tf.image.random_flip_left_right", "tf.image.random_hue", "keras.layers.RandomZoom", "rand_augment", "mix_up"]
leaves = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NUMBERS), st.integers(), st.floats(), st.text(max_size=12), st.dates(),
    st.binary(max_size=4), st.sampled_from([*OPS, "train", "1.0.0", "../..", "a\0b", "\ud800", "a:b\n", "~"]),
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from([*NAMES, *OPS]), st.text(max_size=5)), inner, max_size=4),
    ),
    max_leaves=12,
)
PARTS: dict[str, Any] = {
    "name": "a",
    "version": "1.0.0",
    "source": {"folder": "photos"},
    "splits": {"train": 0.5, "test": 0.5},
    "image": {"size": [8, 8]},
    "augment": [{"tf.image.random_hue": {"max_delta": 0.1}}, {"sometimes": {"p": 0.5, "do": [OPS[0]]}}],
}
BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{now}: &{now} [{', '.join([f'*{before}'] * 9)}]\n" for before, now in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {k: 1, l: 2}\n" + "".join(
    f"{now}: &{now} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, now in zip("abcdefgh", "bcdefghi", strict=True)
)


def check_spec(make: Callable[[], Spec]) -> None:
    with strict():
        try:
            spec = make()
        except SpecError as error:
            assert error.problems and all(problem.strip() for problem in error.problems)
            assert len(str(error)) < 100_000
        else:
            assert Spec(**json.loads(json.dumps(spec.canonical()))).digest() == spec.digest()


@fuzzed(100)
@given(st.dictionaries(st.sampled_from([*Spec.model_fields, "no_key"]), values, max_size=3))
@example({"source": {"folder": "a", "max_pixels": 10**5000}})
@example({"augment": [[[[[]]]]]})
def test_any_values_make_a_spec_or_tell_their_problems(changes: dict[str, Any]) -> None:
    check_spec(lambda: Spec(**{**PARTS, **changes}))


def test_what_holds_itself_is_told() -> None:
    ring: list[Any] = []
    ring.append(ring)
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (ring, deep, {"one_of": ring}):
        check_spec(lambda value=value: Spec(**{**PARTS, "augment": [value]}))


@fuzzed(100)
@given(
    st.one_of(
        st.text(max_size=200),
        st.text("[]{}:,&*!<>-?|'\"#% \n\tab01.~", max_size=60),
        st.dictionaries(st.sampled_from(NAMES), values.map(str), max_size=3).map(lambda made: str({**PARTS, **made})),
        mutated([yaml.safe_dump(PARTS).encode()]).map(lambda data: data.decode("utf-8", "surrogateescape")),
    )
)
@example(BOMB)
@example(BOMB + "augment: *i")
@example(MERGE_BOMB)
@example("name: &a [*a]")
@example("augment: &a [{one_of: *a}]")
@example("[" * 10_000)
@example("{a: " * 10_000)
@example("- " * 10_000)
@example("? " * 5_000)
@example("a: " + "9" * 100_000)
@example("a: 0x" + "f" * 100_000)
@example("a: !!bool maybe")
@example("a: !!int ''")
@example("a: !!timestamp soon")
@example("? !!set {a}\n: 1")
@example("? {a: b}\n: 1")
@example("a: !!binary '?'")
@example("a: 2026-99-99")
@example("!!python/object/apply:os.system ['true']")
@example("a: !!python/name:os.system ''")
@example("<<: 1")
@example("<<: [{a: 1}, 2]")
@example("a: 1" + "0" * 2_000_000)
@example("self: 1\nname: 1\n_base: 2\n__class__: 3\n1: 4\n")
def test_any_text_is_a_spec_or_tells_its_problems(text: str) -> None:
    path = _folder() / "spec.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    check_spec(lambda: Spec.from_yaml(path, user_code=False))


@lru_cache(maxsize=1)
def _folder() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="augmill-fuzz-"))


# ---- records

RECORDS = [b"".join(record(bytes([n]) * n) for n in (1, 30, 0, 7)), record(b"cat"), record(b""), b""]


@fuzzed(300)
@given(st.one_of(st.binary(max_size=80), mutated(RECORDS)))
def test_any_bytes_are_records_or_an_error_that_says_where(data: bytes) -> None:
    path = _folder() / "a.tfrecord"
    path.write_bytes(data)
    end = 0
    with strict():
        try:
            for offset, payload in scan_records(path):
                assert offset == end and data[offset + 12 : offset + 12 + len(payload)] == payload
                end += 16 + len(payload)
        except RecordError as error:
            assert f"record at byte {end}" in str(error)
        else:
            assert end == len(data)


# ---- images


@lru_cache(maxsize=1)
def small_images() -> list[bytes]:
    """A small image of each format and form."""
    from skimage import data

    cat = Image.fromarray(data.chelsea()[60:90, 160:201])
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG", {"restart_marker_blocks": 1}), ("PNG", {}), ("BMP", {}),
        ("WEBP", {"lossless": True}), ("WEBP", {}), ("GIF", {}), ("PNG", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
    ]  # fmt: skip
    forms = [cat.convert("L"), cat.convert("CMYK"), cat.quantize(16), cat.convert("RGBA"), cat.convert("1")]
    made = [saved(cat, kind, **options) for kind, options in kinds]
    made += [
        saved(forms[0], "JPEG"),
        saved(forms[1], "JPEG"),
        *(saved(form, "PNG") for form in forms if form.mode != "CMYK"),
    ]
    made += [saved(form, "GIF", save_all=True, append_images=[cat]) for form in forms[2:3]]
    made += [saved(cat, "WEBP", save_all=True, append_images=[cat.rotate(90)]), png(9, 9, 16, 0, bytes(171))]
    return [*made, *(case.data for case in image_cases() if len(case.data) < 3000)]


def check_image(data: bytes) -> str:
    """Open an image each way; say what became of it."""
    with strict():
        try:
            image = decode_image(data, 3, LIMITS)
        except ImageError as error:
            assert str(error).strip() and " at 0x" not in str(error)
            told = str(error)
        else:
            told = ""
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
            assert 0 < image.shape[0] * image.shape[1] <= LIMITS.max_pixels
            size = image_size(data)
            assert size is None or data.startswith(b"GIF") or sorted(size) == sorted(image.shape[:2])
        try:
            opened = open_image(data, (8, 8), "crop", 1, LIMITS)
            assert opened.shape == (8, 8, 1) and told == ""
        except ImageError as error:
            assert told == str(error)
        with contextlib.suppress(ImageError):
            size = image_size(data)
            if size is not None and size[0] * size[1] <= LIMITS.max_pixels:
                assert decode_mask(data).ndim == 2
    return told


def test_any_bytes_are_pixels_or_a_reason(capfd: pytest.CaptureFixture[str]) -> None:
    became: list[str] = []

    @fuzzed(500)
    @given(st.one_of(st.binary(max_size=100), *[mutated(small_images())] * 7))
    def holds(data: bytes) -> None:
        became.append(check_image(data))

    holds()
    assert sum(not told for told in became) > len(became) / 20, "some mutations leave an image"
    assert len({told[:30] for told in became}) > 5, "and others are refused for many reasons"
    out, err = capfd.readouterr()
    assert (out, err) == ("", ""), "no decoder says anything by itself"


# ---- manifests

json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["../a", 2**70])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, publish_version: Callable[..., Any]
) -> Path:
    parts = {"name": "a", "version": "1.0.0", "copies": 0, "image": {"size": [8, 8]}}
    spec = Spec(**parts, source={"folder": str(photo_folder)})
    path: Path = publish_version(spec, tmp_path_factory.mktemp("published")).path
    return path


def test_any_manifest_is_one_or_is_refused(published: Path) -> None:
    manifest = published / "augmill.json"
    whole = manifest.read_bytes()
    parsed = json.loads(whole)
    keys = [*parsed, *parsed["source"], "file", "copy", "shards", "no_key"]

    def replaced(change: tuple[str, Any]) -> bytes:
        return json.dumps(_with(parsed, *change)).encode()

    @fuzzed(300)
    @given(
        st.one_of(
            st.binary(max_size=60),
            json_values.map(lambda value: json.dumps(value).encode()),
            mutated([whole]),
            st.tuples(st.sampled_from(keys), json_values).map(replaced),
        )
    )
    @example(b"[" * 100_000)
    @example(b'{"format": ' + b"9" * 5000 + b"}")
    @example(b'{"format": 2, "format": 1}')
    @example(whole[:-2])
    @example(whole.replace(b"a-train.tfrecord", b"../-train.tfrecord"))
    def holds(data: bytes) -> None:
        manifest.write_bytes(data)
        with strict():
            try:
                version = Version(published)
            except VersionError as error:
                assert str(published) in str(error)
                return
            for file in version.manifest.every_file():
                assert (published / file).resolve().is_relative_to(published.resolve())
            assert version.records == sum(split.records for split in version.manifest.splits.values())

    try:
        holds()
    finally:
        manifest.write_bytes(whole)


def _with(value: Any, key: str, new: Any) -> Any:
    """A copy of JSON in which every value of a key is another."""
    if isinstance(value, dict):
        return {name: new if name == key else _with(inner, key, new) for name, inner in value.items()}
    return [_with(inner, key, new) for inner in value] if isinstance(value, list) else value
