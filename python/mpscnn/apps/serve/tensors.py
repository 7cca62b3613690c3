"""Parse requests of the Open Inference Protocol, version 2: tensors as JSON, or as bytes after the JSON.

The protocol: https://github.com/open-inference/open-inference-protocol; its extension for binary data:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.

A body may hold millions of values, which would need much memory as Python objects. So msgspec first checks the syntax
without creating them. When the shapes show how many values to expect, these are decoded some thousands at a time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from mpscnn._private.arguments import whole_number_in
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError

__all__ = ["BYTES", "TYPES", "InferRequest", "Input", "json_length", "parse_request"]

TYPES: dict[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "FP64": np.dtype("<f8"),
    "UINT8": np.dtype("u1"),
}
"""NumPy's types for the protocol's datatypes that a network accepts."""
BYTES = "BYTES"
"""The protocol's datatype for strings of bytes. Here each string is an image file."""
_OTHER_TYPES = {"BOOL", "INT8", "INT16", "INT32", "INT64", "UINT16", "UINT32", "UINT64"}

_LENGTH = 4  # bytes of the length before each element of the type BYTES
_MAX_AXES = 8
_MAX_EXTENT = 2**63 - 1
_MAX_MICROSECONDS = 2**64 - 1  # the largest timeout; Triton stores it in 64 bits
_REQUEST_PARAMETERS = {"binary_data_output", "timeout"}
_LONGEST = 65_536  # maximum bytes of a part of a request's JSON, except data
_PIECE = 16_384  # bytes of JSON numbers that are decoded at a time
_SPACE = b" \t\r\n"
_NUMBERS = b"0123456789+-.eE"
_HEADER = "Inference-Header-Content-Length"

Tensors = TypeVar("Tensors")


class _Tensor(Struct):  # type: ignore[misc]
    name: str
    datatype: str
    shape: Raw
    parameters: Raw = Raw()
    data: Raw = Raw()


class _Output(Struct):  # type: ignore[misc]
    name: str
    parameters: dict[str, Any] | None = None


class _Request(Struct, Generic[Tensors]):  # type: ignore[misc]
    inputs: Tensors
    outputs: Raw = Raw()
    parameters: Raw = Raw()
    id: Raw = Raw()


@functools.cache
def _decoder(inputs: int) -> msgspec.json.Decoder[Any]:
    """Return a decoder for requests with at most this many inputs. It stops at the first one too many."""
    return msgspec.json.Decoder(_Request[tuple[(_Tensor,) * inputs]])  # type: ignore[misc]


_decode_floats = msgspec.json.Decoder(list[float]).decode


@dataclass(frozen=True)
class Input:
    """An input tensor of a request. Its values are decoded later."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    content: memoryview
    is_binary: bool

    @property
    def what(self) -> str:
        """Return the tensor's name for messages."""
        return f"input {self.name!r}"

    def array(self) -> NDArray[Any]:
        """Decode the numbers. Raise ShapeError or ParameterError if they do not fit the shape or the datatype."""
        dtype = TYPES[self.datatype]
        if not self.is_binary:
            return _numbers(self.what, bytes(self.content), self.shape, dtype)
        expected = math.prod(self.shape) * dtype.itemsize
        if len(self.content) != expected:
            raise ShapeError(
                f"{self.what}: {self.datatype} of {list(self.shape)} has {expected:,} bytes, "
                f"not {len(self.content):,}"
            )
        return np.frombuffer(self.content, dtype).reshape(self.shape)

    def files(self) -> Iterator[bytes]:
        """Yield the image files. Raise ShapeError or ParameterError if their number is wrong or one is damaged."""
        count = math.prod(self.shape)
        return (_elements if self.is_binary else _texts)(self.what, self.content, count)


@dataclass(frozen=True)
class InferRequest:
    """A parsed request: the input tensors, and which outputs the client wants."""

    id: str | None
    inputs: dict[str, Input]
    outputs: dict[str, bool] | None
    """The wanted outputs; True means as bytes, False as JSON. None: all outputs, in the form that `binary` gives."""
    binary: bool
    timeout: float | None
    """The timeout in seconds that the client gave; None if it gave none."""

    def is_binary(self, output: str) -> bool:
        """Return True if the client wants this output as bytes."""
        return self.binary if self.outputs is None else self.outputs[output]


def json_length(body: bytearray, header_length: str | None) -> int:
    """Return the number of bytes of the body that are JSON. Raise ParameterError if the header is wrong."""
    if header_length is None:
        return len(body)
    length = whole_number_in(header_length)
    if length is None or not 0 < length <= len(body):
        raise ParameterError(
            f"{_HEADER} must be from 1 to the {len(body):,} bytes of the body, got {header_length[:40]!r}"
        )
    return length


def parse_request(body: bytearray, length: int, names: list[str]) -> InferRequest:
    """Parse the body of an inference request.

    Args:
        body: JSON, followed by the bytes of binary inputs.
        length: the number of bytes that are JSON.
        names: the names of the model's inputs.

    Raises:
        ParameterError, ShapeError: the body is not a valid request.
        UnsupportedError: it uses an extension of the protocol that mpscnn lacks.
    """
    content = memoryview(body).toreadonly()
    described = _decoded(_decoder(len(names)).decode, content[:length], f"the request for {', '.join(names)}")
    rest = content[length:]
    parameters = _parameters(_small(described.parameters, dict[str, Any] | None, "parameters"), "the request")
    if unknown := parameters.keys() - _REQUEST_PARAMETERS:
        raise UnsupportedError(f"there is no request parameter {', '.join(sorted(unknown))[:200]!r}")
    inputs: dict[str, Input] = {}
    for tensor in described.inputs:
        inputs[tensor.name], rest = _input(tensor, rest)
    if set(inputs) != set(names):
        raise ParameterError(f"inputs are {', '.join(names)}, got {', '.join(inputs)[:200]}")
    if len(rest):
        raise ParameterError(f"{len(rest):,} bytes after the inputs belong to none")
    binary = _flag(parameters, "binary_data_output", False, "the request")
    outputs = _small(described.outputs, list[_Output] | None, "outputs")
    return InferRequest(
        _small(described.id, str | None, "id"),
        inputs,
        {output.name: _is_binary(output, binary) for output in outputs} if outputs else None,
        binary,
        _timeout(parameters),
    )


def _decoded(decode: Callable[[Any], Any], content: Any, what: str) -> Any:
    try:
        return decode(content)
    except msgspec.ValidationError as error:
        raise ParameterError(f"{what}: {error}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ParameterError(f"{what} is not JSON: {str(error)[:200]}") from None


def _small(content: Raw, kind: Any, what: str) -> Any:
    """Decode a small part of a request. Raise ParameterError if it is long."""
    text = bytes(content)
    if len(text) > _LONGEST:
        raise ParameterError(f"{what} may have {_LONGEST:,} bytes of JSON, got {len(text):,}")
    return _decoded(functools.partial(msgspec.json.decode, type=kind), text, what) if text else None


def _parameters(parameters: dict[str, Any] | None, what: str) -> dict[str, Any]:
    if any(name.startswith("shared_memory") for name in parameters or ()):
        raise UnsupportedError(f"{what}: shared memory is not supported")
    return parameters or {}


def _timeout(parameters: dict[str, Any]) -> float | None:
    given = parameters.get("timeout")
    if given is None:
        return None
    if type(given) is not int or not 0 <= given <= _MAX_MICROSECONDS:
        raise ParameterError(
            f"timeout must be a number of microseconds, up to {_MAX_MICROSECONDS:,}, got {str(given)[:40]}"
        )
    return 1e-6 * given or None


def _is_binary(output: _Output, otherwise: bool) -> bool:
    what = f"output {output.name!r}"
    parameters = _parameters(output.parameters, what)
    if parameters.get("classification"):
        raise UnsupportedError(f"{what}: the classification extension is not supported")
    return _flag(parameters, "binary_data", otherwise, what)


def _flag(parameters: dict[str, Any], name: str, otherwise: bool, what: str) -> bool:
    wanted = parameters.get(name, otherwise)
    if not isinstance(wanted, bool):
        raise ParameterError(f"{what}: {name} must be true or false")
    return wanted


def _input(tensor: _Tensor, rest: memoryview) -> tuple[Input, memoryview]:
    """Parse the description of one input. Return the input, and the bytes that follow its data."""
    what = f"input {tensor.name[:200]!r}"
    shape = _small(tensor.shape, list[int], f"{what}: shape")
    if not 1 <= len(shape) <= _MAX_AXES or not all(1 <= extent <= _MAX_EXTENT for extent in shape):
        raise ShapeError(
            f"{what}: shape must be a list of 1 to {_MAX_AXES} whole numbers, from 1 on, up to {_MAX_EXTENT:,}"
        )
    if tensor.datatype in _OTHER_TYPES:
        raise UnsupportedError(
            f"{what}: numbers are FP32, FP16 or FP64; photos are UINT8 pixels, or files as BYTES"
        )
    if tensor.datatype not in (BYTES, *TYPES):
        raise ParameterError(f"{what}: datatype must be one of {', '.join((BYTES, *TYPES))}")
    parameters = _small(tensor.parameters, dict[str, Any] | None, f"{what}: parameters")
    size = _parameters(parameters, what).get("binary_data_size")
    data = memoryview(tensor.data)
    if size is None:
        if bytes(data[:1]) != b"[":
            raise ParameterError(f"{what}: data must be a list, or binary_data_size given")
        return Input(tensor.name, tensor.datatype, tuple(shape), data, False), rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise ParameterError(
            f"{what}: binary_data_size must be from 0 to the {len(rest):,} bytes that are left, "
            f"got {str(size)[:40]}"
        )
    if len(data):
        raise ParameterError(f"{what}: has both data and binary_data_size")
    return Input(tensor.name, tensor.datatype, tuple(shape), rest[:size], True), rest[size:]


def _numbers(what: str, text: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Decode a JSON list of numbers, which is flat or nested like the shape. The syntax is already checked."""
    count = math.prod(shape)
    brackets = text.translate(None, _NUMBERS + _SPACE)
    if brackets.translate(None, b"[],"):
        raise ParameterError(f"{what}: data must be numbers")
    if not (_is_nested(brackets, (count,)) or _is_nested(brackets, shape)):
        raise ShapeError(
            f"{what}: shape {list(shape)} has {count:,} elements; data must be these, flat or nested as the shape says"
        )
    del brackets
    flat = text.translate(None, b"[]" + _SPACE)
    made = np.empty(count, dtype)
    position = index = 0
    while index < count:
        end = flat.find(b",", position + _PIECE)
        piece = flat[position:] if end < 0 else flat[position:end]
        try:
            numbers = np.array(_decode_floats(b"[" + piece + b"]"))
        except msgspec.MsgspecError as error:
            raise ParameterError(f"{what}: data: {error}") from None
        with np.errstate(over="ignore", invalid="ignore"):
            converted = numbers.astype(dtype)
        if not len(numbers):
            raise ShapeError(f"{what}: data must be numbers, not empty lists")
        exact = np.isfinite(converted) if dtype.kind == "f" else converted == numbers
        if not exact.all():
            (name,) = (name for name, other in TYPES.items() if other == dtype)
            raise ParameterError(f"{what}: data has numbers that {name} does not have")
        made[index : index + len(numbers)] = converted
        position, index = position + len(piece) + 1, index + len(numbers)
    return made.reshape(shape)


def _is_nested(brackets: bytes, shape: tuple[int, ...]) -> bool:
    """Return True if the brackets of a list nest as the shape requires."""
    length = 0  # the number of brackets and commas of one element
    for extent in reversed(shape):
        length = extent * length + extent + 1
    if length != len(brackets):
        return False
    expected = b""
    for extent in reversed(shape):
        expected = b"[" + b",".join([expected] * extent) + b"]"
    return brackets == expected


def _texts(what: str, content: memoryview, count: int) -> Iterator[bytes]:
    """Yield the strings of a JSON list as bytes."""
    text = bytes(content)
    # Count the texts before decoding: each has two quotation marks that are not escaped. Escaped backslashes go first,
    # because a quotation mark may follow one.
    if text.replace(rb"\\", b"").replace(rb"\"", b"").count(b'"') > 2 * count:
        raise ShapeError(f"{what}: data must be {count:,} texts; there are more")
    texts = _decoded(
        functools.partial(msgspec.json.decode, type=list[str]), text, f"{what}: data must be texts"
    )
    if len(texts) != count:
        raise ShapeError(f"{what}: data must be {count:,} texts, got {len(texts):,}")
    for element in texts:
        yield element.encode()


def _elements(what: str, content: memoryview, count: int) -> Iterator[bytes]:
    """Yield the elements of binary data: each is preceded by its length."""
    position = 0
    for number in range(count):
        begin = position + _LENGTH
        if position == len(content):
            raise ShapeError(f"{what}: expected {count:,} elements, there are {number:,}")
        length = int.from_bytes(content[position:begin], "little")
        if begin + length > len(content):
            raise ParameterError(f"{what}: element {number:,} is longer than the bytes that are there")
        yield bytes(content[begin : begin + length])
        position = begin + length
    if position < len(content):
        raise ShapeError(f"{what}: expected {count:,} elements, there are more")
