"""Estimate the memory of a protocol buffer message before it is parsed.

An empty inner message takes two bytes in a file, and up to some thousand bytes in memory.
"""

from __future__ import annotations

from typing import Any

from mpscnn.converters import varints
from mpscnn.converters.skipped_bytes import LENGTH, VARINT
from mpscnn.errors import UnsupportedError

__all__ = ["check_memory"]

# The allowed memory in bytes: a fixed amount, and an amount for each byte of the file. Messages of valid files need at
# most about 13 bytes for each of their bytes.
MEMORY_FREE = 64 << 20
_MEMORY_PER_BYTE = 16
# The bytes that the package protobuf needs for each message besides its fields, including its place in a list.
_BYTES_OF_MESSAGE = 32
_BYTES_OF_TEXT, _BYTES_OF_FIELD = 16, 8
_FIXED_SIZES = {1: 8, 5: 4}
# The maximum depth of nested messages. The parser refuses deeper ones.
_MAX_LEVELS = 100


class _Kind:
    """A kind of message: the bytes that one takes in memory, and the kinds of its inner messages by field number."""

    def __init__(self, descriptor: Any, known: dict[str, _Kind]) -> None:
        known[descriptor.full_name] = self
        self.memory = _BYTES_OF_MESSAGE
        self.inner: dict[int, _Kind] = {}
        for field in descriptor.fields:
            is_text = field.cpp_type == field.CPPTYPE_STRING
            self.memory += _BYTES_OF_TEXT if is_text else _BYTES_OF_FIELD
            if field.message_type is not None:
                found = known.get(field.message_type.full_name)
                self.inner[field.number] = found or _Kind(field.message_type, known)


def check_memory(descriptor: Any, content: bytes, size: int) -> None:
    """Raise UnsupportedError if a message would take far more memory than the file's size.

    Fields that are not valid are left to the parser.

    Args:
        descriptor: the descriptor of the message's class.
        content: the encoded message.
        size: the size of the file in bytes.
    """
    known: dict[str, _Kind] = {}
    outer = _Kind(descriptor, known)
    # Two bytes hold at most one inner message.
    if len(content) // 2 * max(kind.memory for kind in known.values()) <= MEMORY_FREE:
        return
    maximum = MEMORY_FREE + _MEMORY_PER_BYTE * size
    if _exceeds(content, outer, maximum):
        raise UnsupportedError(
            f"it has so many small parts that reading them would take more than {maximum >> 20} MiB; that is the limit "
            "for a file of its size"
        )


def _exceeds(content: bytes, outer: _Kind, maximum: int) -> bool:
    """Return True if the messages in an encoded message take more than `maximum` bytes in memory."""
    taken = outer.memory
    position, end, inner = 0, len(content), outer.inner
    # The ends and inner kinds of the messages around this one.
    outside: list[tuple[int, dict[int, _Kind]]] = []
    while taken <= maximum:
        if position >= end:
            if not outside:
                return False
            position = end
            end, inner = outside.pop()
            continue
        try:
            tag, position = _varint(content, position)
            value, position = _varint(content, position) if tag & 7 in (VARINT, LENGTH) else (0, position)
        except ValueError:
            position = end
            continue
        if tag & 7 != LENGTH:
            position += _FIXED_SIZES.get(tag & 7, 0)
            continue
        kind = inner.get(tag >> 3)
        if kind is None:
            position += value
            continue
        taken += kind.memory
        if kind.inner and value and len(outside) < _MAX_LEVELS:
            outside.append((end, inner))
            end, inner = min(position + value, end), kind.inner
        else:
            position += value
    return True


def _varint(content: bytes, position: int) -> tuple[int, int]:
    if position < len(content) and content[position] < 0x80:
        return content[position], position + 1
    return varints.decode(content, position)
