"""Tensors of the Open Inference Protocol, version 2: as JSON, and as bytes behind it.

The protocol: https://github.com/open-inference/open-inference-protocol; its extension for binary data:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.serve.answers import json_bytes

__all__ = ["JSON_NUMBER", "InferRequest", "Value", "answer_bytes", "parse_request", "type_name"]

Value = NDArray[Any] | list[bytes]
"""Of an input: an array, or of the type BYTES its elements, in row-major order."""

_TYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}
_BYTES = "BYTES"
_LENGTH = 4  # bytes before each element of that type
_MOST_AXES = 8
_BINARY_SIZE = "binary_data_size"
_REQUEST_PARAMETERS = {"binary_data_output", "timeout"}
_MICROSECONDS = 1e-6
_MOST_MICROSECONDS = 2**64 - 1  # Triton's type
_MOST_EXTENT = 2**63 - 1
_AT_ONCE = 8_192  # numbers

#: The most bytes of an output's number in JSON, with a comma: as -1.1754943508222875e-38, all of float64's 17 digits.
JSON_NUMBER = 24


@dataclass(frozen=True)
class InferRequest:
    """What a client asks for."""

    id: str | None
    inputs: dict[str, Value]
    outputs: dict[str, bool] | None
    """By name, whether as bytes; None: all, as `binary` says."""
    binary: bool
    timeout: float | None
    """Seconds."""

    def is_binary(self, output: str) -> bool:
        """Whether an output is wanted as bytes."""
        return self.binary if self.outputs is None else self.outputs[output]


def parse_request(body: bytes, header_length: str | None) -> InferRequest:
    """The request in a body.

    Args:
        body: JSON, and behind it the bytes of inputs.
        header_length: `Inference-Header-Content-Length`: bytes of the JSON; None: all.

    Raises:
        ParameterError, ShapeError: it is not such a request. UnsupportedError: an extension that is missing.
    """
    text, rest = body, memoryview(b"")
    if header_length is not None:
        if not header_length.isdecimal() or not 0 < int(header_length[:18]) <= len(body):
            raise ParameterError(
                f"Inference-Header-Content-Length must be from 1 to the {len(body):,} bytes of the body, "
                f"got {header_length[:40]!r}"
            )
        length = int(header_length[:18])
        text, rest = body[:length], memoryview(body)[length:]
    try:
        described = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"the request is not JSON: {str(error)[:200]}") from None
    if not isinstance(described, dict):
        raise ParameterError("the request must be a JSON object")
    parameters = _parameters(described, "the request")
    if unknown := parameters.keys() - _REQUEST_PARAMETERS:
        raise UnsupportedError(f"there is no request parameter {', '.join(sorted(unknown))[:200]!r}")
    inputs: dict[str, Value] = {}
    for tensor in _tensors(described, "inputs"):
        name = tensor["name"]
        if name in inputs:
            raise ParameterError(f"input {name!r} is there twice")
        inputs[name], rest = _value(tensor, rest)
    if len(rest):
        raise ParameterError(f"{len(rest):,} bytes behind the inputs belong to none")
    outputs = None
    binary = _flag(parameters, "binary_data_output", False, "the request")
    if described.get("outputs"):
        outputs = {tensor["name"]: _is_binary(tensor, binary) for tensor in _tensors(described, "outputs")}
    identity = described.get("id")
    if identity is not None and not isinstance(identity, str):
        raise ParameterError("id must be text")
    return InferRequest(identity, inputs, outputs, binary, _timeout(parameters))


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _is_text(given: Any) -> bool:
    """JSON can also express halves of surrogate pairs, which messages of errors cannot repeat."""
    return isinstance(given, str) and not any("\ud800" <= letter <= "\udfff" for letter in given)


def _parameters(owner: Mapping[str, Any], what: str) -> dict[str, Any]:
    parameters = owner.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ParameterError(f"parameters of {what} must be an object")
    if any(name.startswith("shared_memory") for name in parameters):
        raise UnsupportedError(f"{what}: shared memory is not supported")
    return parameters


def _timeout(parameters: Mapping[str, Any]) -> float | None:
    given = parameters.get("timeout")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= _MOST_MICROSECONDS:
        raise ParameterError(
            f"timeout must be a number of microseconds, up to {_MOST_MICROSECONDS:,}, got {str(given)[:40]}"
        )
    return _MICROSECONDS * given or None


def _tensors(described: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    tensors = described.get(role)
    if not isinstance(tensors, list) or not tensors:
        raise ParameterError(f"{role} must be a list of one tensor or more")
    for tensor in tensors:
        if not isinstance(tensor, dict) or not _is_text(tensor.get("name")):
            raise ParameterError(f"each of the {role} must be an object with a name")
    return tensors


def _is_binary(output: Mapping[str, Any], otherwise: bool) -> bool:
    name = output["name"]
    parameters = _parameters(output, f"output {name!r}")
    if parameters.get("classification"):
        raise UnsupportedError(f"output {name!r}: the classification extension is not supported")
    return _flag(parameters, "binary_data", otherwise, f"output {name!r}")


def _flag(parameters: Mapping[str, Any], name: str, otherwise: bool, what: str) -> bool:
    wanted = parameters.get(name, otherwise)
    if not isinstance(wanted, bool):
        raise ParameterError(f"{what}: {name} must be true or false")
    return wanted


def _value(tensor: Mapping[str, Any], rest: memoryview) -> tuple[Value, memoryview]:
    """An input's value, and the bytes behind it."""
    what = f"input {tensor['name']!r}"
    shape = _shape(what, tensor.get("shape"))
    kind = tensor.get("datatype")
    if kind not in (_BYTES, *_TYPES):
        raise ParameterError(f"{what}: datatype must be one of {', '.join((_BYTES, *_TYPES))}")
    size = _parameters(tensor, what).get(_BINARY_SIZE)
    if size is None:
        return _from_json(what, kind, shape, tensor.get("data")), rest
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(rest):
        raise ParameterError(
            f"{what}: {_BINARY_SIZE} must be from 0 to the {len(rest):,} bytes that are left, got {str(size)[:40]}"
        )
    if "data" in tensor:
        raise ParameterError(f"{what}: has both data and {_BINARY_SIZE}")
    content, behind = rest[:size], rest[size:]
    if kind == _BYTES:
        return _elements(what, content, math.prod(shape)), behind
    expected = math.prod(shape) * _TYPES[kind].itemsize
    if size != expected:
        raise ShapeError(f"{what}: {kind} of {list(shape)} has {expected:,} bytes, not {size:,}")
    return np.frombuffer(content, _TYPES[kind]).reshape(shape), behind


def _shape(what: str, given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_AXES:
        raise ShapeError(f"{what}: shape must be a list of 1 to {_MOST_AXES} numbers")
    for extent in given:
        if isinstance(extent, bool) or not isinstance(extent, int) or not 1 <= extent <= _MOST_EXTENT:
            raise ShapeError(f"{what}: extents must be whole numbers from 1 on, up to {_MOST_EXTENT:,}")
    return tuple(given)


def _from_json(what: str, kind: str, shape: Sequence[int], data: Any) -> Value:
    if not isinstance(data, list):
        raise ParameterError(f"{what}: data must be a list, or {_BINARY_SIZE} given")
    count = math.prod(shape)
    if kind == _BYTES:
        if len(data) != count or not all(isinstance(element, str) for element in data):
            raise ShapeError(f"{what}: data must be {count} texts")
        try:
            return [element.encode("utf-8", "surrogateescape") for element in data]
        except UnicodeEncodeError:
            raise ParameterError(
                f"{what}: data has a surrogate without its other half; bytes of files go behind the JSON"
            ) from None
    try:
        numbers = np.asarray(data)
    except (ValueError, OverflowError, RecursionError):
        raise ShapeError(f"{what}: data must be numbers, flat or nested as the shape says") from None
    if numbers.dtype.kind not in ("b" if kind == "BOOL" else "iuf"):
        raise ParameterError(f"{what}: data must be {'booleans' if kind == 'BOOL' else 'numbers'}")
    if numbers.size != count or numbers.shape not in ((count,), tuple(shape)):
        raise ShapeError(f"{what}: shape {list(shape)} has {count:,} elements, data is {list(numbers.shape)}")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = numbers.astype(_TYPES[kind]).reshape(shape)
    lossless = converted == numbers.reshape(shape) if converted.dtype.kind != "f" else np.isfinite(converted)
    if not lossless.all():
        raise ParameterError(f"{what}: data has numbers that {kind} does not have")
    return converted


def _elements(what: str, content: memoryview, count: int) -> list[bytes]:
    """Of the type BYTES: each behind its length."""
    found: list[bytes] = []
    position = 0
    while position < len(content):
        begin = position + _LENGTH
        length = int.from_bytes(content[position:begin], "little")
        if begin > len(content) or begin + length > len(content):
            raise ParameterError(f"{what}: element {len(found)} is longer than the bytes that are there")
        found.append(bytes(content[begin : begin + length]))
        position = begin + length
        if len(found) > count:
            break
    if len(found) != count:
        raise ShapeError(
            f"{what}: expected {count:,} elements, there are {'more' if found[count:] else len(found)}"
        )
    return found


def type_name(array: NDArray[Any]) -> str:
    """The protocol's name of an array's element type."""
    return next(name for name, dtype in _TYPES.items() if dtype == array.dtype)


def answer_bytes(
    head: dict[str, Any], outputs: Mapping[str, NDArray[Any]], request: InferRequest
) -> tuple[bytes, int | None]:
    """A response's body, and how many of its bytes are JSON; None: all. `head` has its members beside the outputs.

    Raises:
        UnsupportedError: numbers that JSON does not have.
    """
    # Nothing is held twice: a stream's content is what it has written.
    stream = io.BytesIO()
    stream.write(json_bytes(head)[:-1] + b',"outputs":[')
    contents: list[NDArray[Any]] = []
    for number, (name, array) in enumerate(outputs.items()):
        entry: dict[str, Any] = {"name": name, "datatype": type_name(array), "shape": list(array.shape)}
        if request.is_binary(name):
            contents.append(np.ascontiguousarray(array))
            entry["parameters"] = {_BINARY_SIZE: array.nbytes}
        stream.write(b"," if number else b"")
        stream.write(json_bytes(entry))
        if not request.is_binary(name):
            stream.seek(-1, io.SEEK_CUR)
            _write_numbers(stream, array.reshape(-1))
    stream.write(b"]}")
    length = stream.tell()
    for array in contents:
        stream.write(array.data)
    return stream.getvalue(), length if contents else None


def _write_numbers(stream: io.BytesIO, numbers: NDArray[Any]) -> None:
    """As the last member of an object. A few at a time: as Python's objects they take eight times as much."""
    stream.write(b',"data":[')
    for start in range(0, len(numbers), _AT_ONCE):
        try:
            text = json_bytes(numbers[start : start + _AT_ONCE].tolist())
        except ValueError:
            raise UnsupportedError(
                "an output has NaN or infinities, which JSON does not have: ask for binary data"
            ) from None
        stream.write(b"," if start else b"")
        stream.write(memoryview(text)[1:-1])
    stream.write(b"]}")
