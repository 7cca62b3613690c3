"""Parse requests of the Open Inference Protocol, version 2: tensors as JSON, or as bytes after the JSON.

The protocol: https://github.com/open-inference/open-inference-protocol; its extension for binary data:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.

A body may hold millions of values, which would need much memory as Python objects. So the JSON is split into its parts
first. When the shapes show how many values to expect, the library reads them into an array.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import is_whole_number, whole_number_in
from mpscnn.apps.serve.json_parts import decoded, elements, members
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError

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
_HEADER = "Inference-Header-Content-Length"

# The keys of the JSON objects, and of their members `parameters`.
_REQUEST = ("id", "parameters", "inputs", "outputs")
_REQUEST_PARAMETERS = ("binary_data_output", "timeout")
_TENSOR = ("name", "shape", "datatype", "parameters", "data")
_TENSOR_PARAMETERS = ("binary_data_size",)
_OUTPUT = ("name", "parameters")
_OUTPUT_PARAMETERS = ("binary_data", "classification")


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
            return _numbers(self.what, self.content, self.shape, dtype)
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
    what = f"the request for {', '.join(names)}"
    request = members(content[:length], what, _REQUEST)
    parameters = _parameters(request, what, _REQUEST_PARAMETERS)
    binary = _flag(parameters, "binary_data_output", False, what)
    identity = _small(request, "id", str | None, what)
    inputs, rest = _inputs(_needed(request, "inputs", what), content[length:], names)
    if len(rest):
        raise ParameterError(f"{len(rest):,} bytes after the inputs belong to none")
    return InferRequest(
        identity,
        inputs,
        _outputs(_small(request, "outputs", list | None, what) or [], binary) or None,
        binary,
        _timeout(parameters),
    )


def _needed(given: dict[str, memoryview], name: str, what: str) -> memoryview:
    if name not in given:
        raise ParameterError(f"{what} lacks {name!r}")
    return given[name]


def _small(given: dict[str, memoryview], name: str, kind: Any, what: str) -> Any:
    """Decode a small member; None if it is missing. Raise ParameterError if it has another type."""
    value = decoded(given[name], f"{what}: {name}") if name in given else None
    if not isinstance(value, kind):
        _needed(given, name, what)
        raise ParameterError(f"{what}: {name} must be {_NAMES_OF_TYPES[kind]}, got {value!r:.100}")
    return value


_NAMES_OF_TYPES: dict[Any, str] = {
    str: "a text",
    str | None: "a text",
    list: "a list",
    list | None: "a list",
    dict | None: "an object",
}


def _parameters(given: dict[str, memoryview], what: str, known: tuple[str, ...]) -> dict[str, Any]:
    return _known_parameters(_small(given, "parameters", dict | None, what), what, known)


def _known_parameters(parameters: dict[str, Any] | None, what: str, known: tuple[str, ...]) -> dict[str, Any]:
    parameters = parameters or {}
    if any(name.startswith("shared_memory") for name in parameters):
        raise UnsupportedError(f"{what}: shared memory is not supported")
    if unknown := sorted(parameters.keys() - set(known)):
        raise UnsupportedError(f"{what}: there is no parameter {', '.join(unknown)[:200]!r}")
    return parameters


def _timeout(parameters: dict[str, Any]) -> float | None:
    given = parameters.get("timeout")
    if given is None:
        return None
    if type(given) is not int or not 0 <= given <= _MAX_MICROSECONDS:
        raise ParameterError(
            f"timeout must be a number of microseconds, up to {_MAX_MICROSECONDS:,}, got {str(given)[:40]}"
        )
    return 1e-6 * given or None


def _outputs(given: list[Any], binary: bool) -> dict[str, bool]:
    """Return the names of the wanted outputs, and whether each is wanted as bytes."""
    outputs: dict[str, bool] = {}
    for output in given:
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise ParameterError("outputs must be objects with a name")
        what = f"output {output['name'][:200]!r}"
        if unknown := sorted(output.keys() - set(_OUTPUT)):
            raise ParameterError(
                f"{what} has the unknown key {unknown[0][:100]!r}; keys are {', '.join(_OUTPUT)}"
            )
        if output["name"] in outputs:
            raise ParameterError(f"{what} is there twice")
        asked = output.get("parameters")
        if not isinstance(asked, dict | None):
            raise ParameterError(f"{what}: parameters must be an object")
        parameters = _known_parameters(asked, what, _OUTPUT_PARAMETERS)
        if parameters.get("classification"):
            raise UnsupportedError(f"{what}: the classification extension is not supported")
        outputs[output["name"]] = _flag(parameters, "binary_data", binary, what)
    return outputs


def _flag(parameters: dict[str, Any], name: str, otherwise: bool, what: str) -> bool:
    wanted = parameters.get(name, otherwise)
    if not isinstance(wanted, bool):
        raise ParameterError(f"{what}: {name} must be true or false")
    return wanted


#: A file of another framework may have other names and another order of axes than its network here.
OWN_NAMES = (
    "; GET /v2/models/NAME lists the names and shapes, which are mpscnn's and not those of an ONNX file"
)


def _inputs(text: memoryview, rest: memoryview, names: list[str]) -> tuple[dict[str, Input], memoryview]:
    """Parse the inputs. Return them by name, and the bytes that follow their data."""
    inputs: dict[str, Input] = {}
    for count, tensor in enumerate(elements(text, "inputs")):
        if count == len(names):
            raise ParameterError(f"inputs are {', '.join(names)}; the request has more")
        given, rest = _input(tensor, rest)
        if given.name in inputs:
            raise ParameterError(f"{given.what} is there twice")
        inputs[given.name] = given
    if set(inputs) != set(names):
        raise ParameterError(
            f"inputs are {', '.join(names)}, got {', '.join(inputs)[:200] or 'none'}{OWN_NAMES}"
        )
    return inputs, rest


def _input(text: memoryview, rest: memoryview) -> tuple[Input, memoryview]:
    """Parse the description of one input. Return the input, and the bytes that follow its data."""
    tensor = members(text, "an input", _TENSOR)
    name = _small(tensor, "name", str, "an input")
    what = f"input {name[:200]!r}"
    shape = _small(tensor, "shape", list, what)
    if not 1 <= len(shape) <= _MAX_AXES or not all(
        is_whole_number(extent) and 1 <= extent <= _MAX_EXTENT for extent in shape
    ):
        raise ShapeError(
            f"{what}: shape must be a list of 1 to {_MAX_AXES} whole numbers, from 1 on, up to {_MAX_EXTENT:,}"
        )
    datatype = _small(tensor, "datatype", str, what)
    if datatype in _OTHER_TYPES:
        raise UnsupportedError(
            f"{what}: numbers are FP32, FP16 or FP64; photos are UINT8 pixels, or files as BYTES"
        )
    if datatype not in (BYTES, *TYPES):
        raise ParameterError(f"{what}: datatype must be one of {', '.join((BYTES, *TYPES))}")
    size = _parameters(tensor, what, _TENSOR_PARAMETERS).get("binary_data_size")
    data = tensor.get("data", memoryview(b""))
    if size is None:
        if bytes(data[:1]) != b"[":
            raise ParameterError(f"{what}: data must be a list, or binary_data_size given")
        return Input(name, datatype, tuple(shape), data, False), rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise ParameterError(
            f"{what}: binary_data_size must be from 0 to the {len(rest):,} bytes that are left, "
            f"got {str(size)[:40]}"
        )
    if len(data):
        raise ParameterError(f"{what}: has both data and binary_data_size")
    return Input(name, datatype, tuple(shape), rest[:size], True), rest[size:]


def _numbers(what: str, text: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read a JSON list of numbers, which is flat or nested like the shape."""
    count = math.prod(shape)
    expected = (
        f"{what}: shape {list(shape)} has {count:,} elements; data must be these, flat or nested as the shape "
        "says"
    )
    if count > len(text):  # each number has at least one character
        raise ShapeError(expected)
    made = np.empty(shape, dtype)
    try:
        _core.read_json_numbers(text, made)
    except ShapeError as error:
        raise ShapeError(f"{expected} ({error})") from None
    except ParameterError as error:
        raise ParameterError(f"{what}: data must be {_names_of(dtype)} numbers: {error}") from None
    return made


def _names_of(dtype: np.dtype[Any]) -> str:
    (name,) = (name for name, other in TYPES.items() if other == dtype)
    return name


def _texts(what: str, content: memoryview, count: int) -> Iterator[bytes]:
    """Yield the strings of a JSON list as bytes."""
    number = 0
    for number, text in enumerate(elements(content, f"{what}: data"), start=1):
        if number > count:
            raise ShapeError(f"{what}: data must be {count:,} texts; there are more")
        yield _text(what, text)
    if number < count:
        raise ShapeError(f"{what}: data must be {count:,} texts, got {number:,}")


def _text(what: str, text: memoryview) -> bytes:
    """Decode a JSON string, which may be long."""
    if bytes(text[:1]) != b'"':
        raise ParameterError(f"{what}: data must be texts")
    try:
        content: bytes = json.loads(str(text, "utf-8")).encode()
    except ValueError as error:
        raise ParameterError(f"{what}: data is not JSON: {str(error)[:200]}") from None
    return content


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
