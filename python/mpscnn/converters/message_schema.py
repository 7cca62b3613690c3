"""Create classes of protocol buffer messages from tables of their fields, without .proto files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypedDict

from mpscnn.errors import UnsupportedError

_PACKED = ("float", "double", "int64")


class Packages(TypedDict):
    """The words of an error message about a missing package for a format.

    Attributes:
        needed_for: the kind of files that is read.
        extra: the extra of mpscnn that installs the packages.
    """

    needed_for: str
    extra: str


def message_class(package: str, messages: Mapping[str, str], main: str, needed_for: str, extra: str) -> Any:
    """Return the class of a protocol buffer message.

    Args:
        package: a unique name for this set of messages.
        messages: the fields of each message as "name:type" or "name:type:number". A star after the type marks a
            repeated field. The default number is the field's place in the list, from 1.
        main: the name of the message whose class is returned.
        needed_for: the kind of files that is read, for the error message if the package protobuf is missing.
        extra: the extra of mpscnn that installs protobuf.
    """
    try:
        names = ("descriptor_pb2", "descriptor_pool", "message_factory")
        descriptor_pb2, descriptor_pool, message_factory = (
            import_module(f"google.protobuf.{name}") for name in names
        )
    except ImportError as error:
        raise UnsupportedError(
            f'reading {needed_for} needs: pip install "mpscnn[{extra}]" ({error})'
        ) from error
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
