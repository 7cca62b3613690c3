"""Make the package protobuf's classes of messages from the tables by which mpscnn reads them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from mpscnn.converters.reading.caffe.schema import TEXT, WEIGHTS
from mpscnn.converters.reading.coreml.schema import MESSAGES as COREML
from mpscnn.converters.reading.tensorflow.schema import MESSAGES as TENSORFLOW

pytest.importorskip("google.protobuf", reason="needs protobuf")

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKED = ("float", "double", "int64")


@cache
def coreml_model() -> Any:
    """Return the class of a Core ML model's message."""
    return message_class("coreml", COREML, "Model")


@cache
def caffe_weights() -> Any:
    """Return the class of a .caffemodel's message."""
    return message_class("caffe_weights", WEIGHTS, "Weights")


@cache
def caffe_net() -> Any:
    """Return the class of a .prototxt's message. Its enumerations are texts."""
    return message_class("caffe_text", TEXT, "Net")


@cache
def tensorflow_message(name: str) -> Any:
    """Return the class of a message: "SavedModel", "Graph", "BundleHeader" or "BundleEntry"."""
    return message_class(f"tensorflow_{name}", TENSORFLOW, name)


def message_class(package: str, messages: Mapping[str, str], main: str) -> Any:
    """Return the class of a message.

    Args:
        package: a unique name for this set of messages.
        messages: the fields of each message, as for `read_table`.
        main: the name of the message.
    """
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for place, described in enumerate(fields.split(), start=1):
            field, kind, *number = described.split(":")
            listed, kind = kind.endswith("*"), kind.rstrip("*")
            added = message.field.add(name=field, number=int(number[0]) if number else place)
            added.label = kinds.LABEL_REPEATED if listed else kinds.LABEL_OPTIONAL
            if kind in messages:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = getattr(kinds, f"TYPE_{kind.upper()}")
            if listed and kind in _PACKED:
                added.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{main}"))
