"""The manifest vouches for the version, and its own text for itself: no byte of it can be changed unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from augmill.pipeline import Version
from augmill.pipeline.errors import DamagedManifestError
from augmill.pipeline.manifest import MANIFEST, canonical_text, parse_manifest


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, photo_folder: Any, publish_version: Any) -> Version:
    from augmill.pipeline import Spec

    spec = Spec(name="crops", version="1.0.0", source={"folder": str(photo_folder)}, image={"size": [8, 8]}, copies=0)
    version: Version = publish_version(spec, tmp_path_factory.mktemp("manifest"))
    return version


@pytest.fixture
def data(published: Version) -> bytes:
    return (published.path / MANIFEST).read_bytes()


def test_what_is_read_is_what_is_written(published: Version, data: bytes) -> None:
    manifest, fault = parse_manifest(data, MANIFEST)

    assert (manifest, fault) == (published.manifest, None)
    assert manifest.to_text().encode() == data


def test_every_flipped_bit_is_found(data: bytes) -> None:
    """Every byte in turn, one bit of it, and another one the next time."""
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        try:
            _, fault = parse_manifest(bytes(flipped), MANIFEST)
        except DamagedManifestError:
            continue
        assert fault, f"byte {place}, {data[place : place + 1]!r} to {bytes(flipped[place : place + 1])!r}"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: text.replace("\n ", "\n\t", 1),
        lambda text: text.replace('"crops"', '"\\u0063rops"', 1),
        lambda text: text.replace('{\n "format"', '{\n "name": "twice",\n "format"', 1),
        lambda text: json.dumps(json.loads(text)),
    ],
)
def test_another_text_of_the_same_values_is_found(data: bytes, change: Callable[[str], str]) -> None:
    changed = change(data.decode())

    assert changed != data.decode()
    assert json.loads(changed) == json.loads(data)
    assert parse_manifest(changed.encode(), MANIFEST)[1] == "is not written as a manifest is"


def test_a_changed_value_is_found_however_it_is_written(data: bytes) -> None:
    value = {**json.loads(data), "digest": "0" * 64}

    assert parse_manifest(canonical_text(value).encode(), MANIFEST)[1] == "does not match its own checksum"


def test_a_manifest_from_before_is_told_with_what_to_do(data: bytes) -> None:
    value = {**json.loads(data), "format": 1}

    with pytest.raises(
        DamagedManifestError, match=r"has format 1; this augmill reads format 2; .* build the version again"
    ):
        parse_manifest(canonical_text(value).encode(), MANIFEST)
