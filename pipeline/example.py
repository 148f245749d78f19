"""Records as bytes: the `tf.train.Example` wire format, without TensorFlow in the process.

The messages below have the field numbers of TensorFlow's `example.proto` and `feature.proto`, which are fixed for ever
by the files that exist. They are described to protobuf under a name of augmill's own, so that they live beside
TensorFlow's in one process, and are written with sorted keys: equal features give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

FeatureValue = bytes | int | float | list[bytes] | list[int] | list[float]

# The features of a record, in the order in which they are explained in the docs.
IMAGE, LABEL, KEY, COPY, AUGMENTATION = "image", "label", "key", "copy", "augmentation"
SOFT_LABEL = "soft_label"  # the weight of each class, where the policy mixes images


@lru_cache(maxsize=1)
def message_class() -> Any:
    """Describe Example = {1: Features = {1: map<string, Feature = oneof {bytes 1, float 2, int64 3} list>}}."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="augmill/example.proto", package="augmill", syntax="proto3")

    def add(message: Any, name: str, number: int, kind: int, **more: Any) -> None:
        label = field.LABEL_REPEATED if more.pop("repeated", False) else field.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=kind, label=label, **more)

    lists = (("BytesList", field.TYPE_BYTES), ("FloatList", field.TYPE_FLOAT), ("Int64List", field.TYPE_INT64))
    for name, kind in lists:
        add(file.message_type.add(name=name), "value", 1, kind, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, _) in enumerate(lists, start=1):
        lower = name.replace("List", "_list").lower()
        add(feature, lower, number, field.TYPE_MESSAGE, type_name=f".augmill.{name}", oneof_index=0)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    add(entry, "key", 1, field.TYPE_STRING)
    add(entry, "value", 2, field.TYPE_MESSAGE, type_name=".augmill.Feature")
    entry_name = ".augmill.Features.FeatureEntry"
    add(features, "feature", 1, field.TYPE_MESSAGE, type_name=entry_name, repeated=True)
    add(file.message_type.add(name="Example"), "features", 1, field.TYPE_MESSAGE, type_name=".augmill.Features")

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("augmill.Example"))


def encode_example(features: Mapping[str, FeatureValue]) -> bytes:
    """Serialise features as a `tf.train.Example`.

    The bytes are put together here, most of them from parts that stay the same: to fill protobuf's objects takes three
    times as long. https://protobuf.dev/programming-guides/encoding

    Raises:
      ValueError: a whole number does not fit in 64 bits.

    >>> encode_example({"label": 3}).hex()
    '0a100a0e0a056c6162656c12051a030a0103'
    """
    parts: list[bytes] = []
    for name in sorted(features):
        value = features[name]
        if isinstance(value, bytes):
            parts += (before_bytes(name, len(value)), value)
        elif isinstance(value, int):
            parts.append(_whole_number(name, value))
        else:
            parts.append(_entry(name, _feature(value if isinstance(value, list) else [value])))
    return b"".join((_FIRST, _varint(sum(map(len, parts))), *parts))


# Before a value with a length stands its tag, of the number of the field.
_FIRST, _SECOND, _THIRD = b"\x0a", b"\x12", b"\x1a"


def _field(tag: bytes, value: bytes) -> bytes:
    return b"".join((tag, _varint(len(value)), value))


def _entry(name: str, feature: bytes) -> bytes:
    return _field(_FIRST, _field(_FIRST, name.encode()) + _field(_SECOND, feature))


def _feature(values: list[Any]) -> bytes:
    if not values:
        return b""  # of no kind, which every reader takes for an empty one of the kind it expects
    if isinstance(values[0], bytes):
        return _field(_FIRST, b"".join([_field(_FIRST, value) for value in values]))
    if isinstance(values[0], float):
        with np.errstate(over="ignore"):  # what is too large for 32 bits is infinite
            return _field(_SECOND, _field(_FIRST, np.array(values, "<f4").tobytes()))
    return _field(_THIRD, _field(_FIRST, b"".join([_varint(_unsigned(value)) for value in values])))


@lru_cache(maxsize=4096)
def _whole_number(name: str, value: int) -> bytes:
    """The entry of a feature of one whole number."""
    return _entry(name, _feature([value]))


@lru_cache(maxsize=4096)
def before_bytes(name: str, length: int) -> bytes:
    """The entry of a feature of bytes of this length, up to these."""
    head, size = b"", length
    for tag in (_FIRST, _FIRST, _field(_FIRST, name.encode()) + _SECOND, _FIRST):  # from the inside out
        head = tag + _varint(size) + head
        size = len(head) + length
    return head


def _unsigned(value: int) -> int:
    """A whole number as the 64 bits that hold it."""
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"a whole number of a record must fit in 64 bits, got {value}")
    return int(value) & 0xFFFFFFFFFFFFFFFF


@lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    """A number of at least 0, seven bits a byte, the lowest first; each byte but the last has the highest bit set."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def read_texts(data: bytes, *names: str) -> list[bytes]:
    """Read single byte strings of a `tf.train.Example` by their features' names, and leave the others alone.

    Raises:
      ValueError: the bytes are not an Example, or such a feature is not in it.
    """
    try:
        features = message_class().FromString(data).features.feature
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from None
    values = [features[name].bytes_list.value for name in names]
    for name, found in zip(names, values, strict=True):
        if len(found) != 1:
            raise ValueError(f"it holds {len(found)} values of {name}, not one")
    return [found[0] for found in values]


def decode_example(data: bytes) -> dict[str, list[Any]]:
    """Parse a `tf.train.Example` into a list of values by feature name.

    Raises:
      ValueError: the bytes are not an Example.
    """
    try:
        return _values(message_class().FromString(data).features)
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from None


def _values(message: Any) -> dict[str, list[Any]]:
    return {name: feature_values(feature) for name, feature in message.feature.items()}


def feature_values(feature: Any) -> list[Any]:
    """The values of one feature of a record, as its message has it."""
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []
