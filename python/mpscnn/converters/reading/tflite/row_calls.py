"""Call the rows of TensorFlow Lite's operators with the operands and options of an operator.

Rows raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.tflite.conversion import Conversion
from mpscnn.converters.reading.tflite.file import FileOperator
from mpscnn.converters.reading.tflite.flexbuffer import read_map
from mpscnn.converters.reading.tflite.operation import Operation, Source
from mpscnn.converters.reading.tflite.options import NO_OPTIONS, OPTIONS
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.rows import Finite, Ints, Operand, Parameter, Row, call, schema_of
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

Reals = NDArray[np.float32]
"""The elements of a constant operand, dequantised if necessary."""

Given = Annotated[Source, Operand()]
"""An operand that the row reads by itself."""
X = Annotated[FileTensor, Operand()]
"""An operand that the network must compute."""
Batched = Annotated[Tensor, Operand()]
"""The same, as the network's tensor (n, other axes)."""
Either = Annotated[Value, Operand()]
"""An operand in any state, as the file has it."""
Number = Annotated[float, Finite()]
"""An option that must be a finite number."""

Fused = Literal["NONE", "RELU", "RELU_N1_TO_1", "RELU6"]
"""The activation that an operator ends with. LiteRT does not compute others, either."""
Padding = Literal["SAME", "VALID"]
"""The padding of windows."""

ACTIVATIONS: dict[str, Activation] = {
    "NONE": None,
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_N1_TO_1": {"kind": "clamp", "a": -1.0, "b": 1.0},
    "TANH": "tanh",
}
"""The functions of fused activations."""

_STRUCTS = {
    "CUSTOM Convolution2DTransposeBias": ("padding", "stride_w", "stride_h"),
    "CUSTOM MaxPoolingWithArgmax2D": (
        "padding", "stride_w", "stride_h", "filter_width", "filter_height", "activation",
    ),
    "CUSTOM MaxUnpooling2D": ("padding", "stride_w", "stride_h", "filter_width", "filter_height"),
}  # fmt: skip
"""The options of MediaPipe's custom operators: 32-bit integers of structs of TensorFlow Lite's C interface."""
_PADDINGS = {1: "SAME", 2: "VALID"}  # values of the C enumeration TfLitePadding


def call_row(row: Row, c: Conversion, stated: FileOperator) -> Any:
    """Return what a row makes of an operator."""

    def read(parameter: Parameter, index: int) -> Any:
        return _READ[parameter.kind](c, index, parameter.operand.what if parameter.operand else "")

    operands = [index if index >= 0 else None for index in stated.inputs]
    return call(row, operands, _settings(row, stated), read, {Operation: Operation(c, stated)})


def _whole(c: Conversion, index: int, what: str) -> int:
    found = c.integers_in(index, what)
    if len(found) != 1:
        raise WeightsError(f"damaged: {what} is {found[:5]}, expected one whole number")
    return found[0]


def _number(c: Conversion, index: int, what: str) -> float:
    found = c.constants.real(index, what)
    if found.size != 1:
        raise WeightsError(f"damaged: {what} has {found.size} elements, expected one number")
    return float(found.reshape(()))


_READ: dict[Any, Callable[[Conversion, int, str], Any]] = {
    Source: lambda c, index, _: Source(c, index),
    FileTensor: lambda c, index, _: c.computed(index),
    Tensor: lambda c, index, _: c.tensor(c.computed(index)),
    Value: lambda c, index, _: c.value(index),
    Constant: lambda c, index, what: c.constants.constant(index, what),
    Reals: lambda c, index, what: c.constants.real(index, what),
    Ints: lambda c, index, what: tuple(c.integers_in(index, what)),
    int: _whole,
    float: _number,
}
"""How operands are read, by the type of the parameter."""


def _settings(row: Row, stated: FileOperator) -> Mapping[str, Any]:
    """Return the options of an operator by name.

    An option that its table leaves out has the default of the format. If an operator has no table, its row decides
    which options have a default.
    """
    if stated.kind in _STRUCTS:
        return _of_struct(_STRUCTS[stated.kind], stated.custom_options)
    if stated.kind.startswith("CUSTOM "):
        return read_map(stated.custom_options)
    if stated.options is None:
        return {}
    options, known = OPTIONS.get(stated.kind, NO_OPTIONS), schema_of(row).settings
    made = {name: option.default for name, option in options.fields.items() if name in known}
    for name, value in options.read(stated.options):
        if name in known or name not in options.fields or value != options.fields[name].default:
            made[name] = value
    return made


def _of_struct(names: tuple[str, ...], content: bytes) -> dict[str, Any]:
    """Return the options in a struct, of which the first one is the padding."""
    if len(content) < 4 * len(names):
        raise WeightsError(f"damaged: its options have {len(content)} bytes, expected {4 * len(names)}")
    numbers: tuple[int, ...] = struct.unpack_from(f"<{len(names)}i", content)
    if numbers[0] not in _PADDINGS or min(numbers[1:]) < 0:
        raise WeightsError(f"damaged: its options are {numbers}")
    return dict(zip(names, (_PADDINGS[numbers[0]], *numbers[1:]), strict=True))
