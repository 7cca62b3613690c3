"""Read messages of the package protobuf in the way of messages of a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class ProtobufView:
    """A message of the package protobuf, such as an `onnx.ModelProto`, with the methods of `message.Message`.

    Args:
        message: the message. It is not copied.
    """

    __slots__ = ("_message",)

    def __init__(self, message: Any) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return _viewed(getattr(self._message, name))

    def has(self, name: str) -> bool:
        """Return True if the message states a field."""
        value = getattr(self._message, name)
        return bool(value) if _is_list(value) else bool(self._message.HasField(name))

    def count(self, name: str) -> int:
        """Return the number of elements of a list."""
        return len(getattr(self._message, name))

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a list of numbers as an array."""
        return np.asarray(getattr(self._message, name))

    def content(self, name: str) -> bytes:
        """Return the bytes of a field."""
        return bytes(getattr(self._message, name))

    def release(self) -> None:
        """Do nothing: the values are those of the message itself."""

    def encoded_size(self) -> int:
        """Return the size that the message has in a file in bytes."""
        return int(self._message.ByteSize())


def _viewed(value: Any) -> Any:
    if hasattr(value, "HasField"):
        return ProtobufView(value)
    return [_viewed(one) for one in value] if _is_list(value) else value


def _is_list(value: Any) -> bool:
    return hasattr(value, "extend")
