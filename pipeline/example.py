"""Records as bytes: the `tf.train.Example` wire format, without TensorFlow in the process.

The messages below have the field numbers of TensorFlow's `example.proto` and `feature.proto`, which are fixed for ever
by the files that exist. They are described to protobuf under a name of augmill's own, so that they live beside
TensorFlow's in one process, and are written with sorted keys: equal features give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

FeatureValue = bytes | int | float | list[bytes] | list[int] | list[float]

# The features of a record, in the order in which they are explained in the docs.
IMAGE, LABEL, KEY, COPY, AUGMENTATION = "image", "label", "key", "copy", "augmentation"
SOFT_LABEL = "soft_label"  # the weight of each class, where the policy mixes images


@lru_cache(maxsize=1)
def _message_class() -> Any:
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

    >>> encode_example({"label": 3}).hex()
    '0a100a0e0a056c6162656c12051a030a0103'
    """
    example = _message_class()()
    written = example.features.feature
    for name, value in features.items():
        feature = written[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            _fill(feature, value if isinstance(value, list) else [value])
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def _fill(feature: Any, values: list[Any]) -> None:
    if not values:
        return  # a feature of no kind, which every reader takes for an empty one of the kind it expects
    if isinstance(values[0], bytes):
        feature.bytes_list.value.extend(values)
    elif isinstance(values[0], float):
        feature.float_list.value.extend(values)
    else:
        feature.int64_list.value.extend(values)


def decode_example(data: bytes) -> dict[str, list[Any]]:
    """Parse a `tf.train.Example` into a list of values by feature name.

    Raises:
      ValueError: the bytes are not an Example.
    """
    try:
        example = _message_class().FromString(data)
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from None
    features = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        features[name] = list(getattr(feature, kind).value) if kind else []
    return features
