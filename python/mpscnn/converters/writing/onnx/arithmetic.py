"""Write elementwise arithmetic as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpscnn.converters.values.layout import TO_NCHW
from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.onnx.builder import Value
from mpscnn.converters.writing.onnx.layer import Layer

_FLOAT32 = np.finfo(np.float32)
#: The number of the element type BOOL in onnx.TensorProto.
_BOOL = 9

#: A function that adds the nodes for an operation on two operands and returns the name of the result.
Combine = Callable[["Layer", str, str], str]


def _operand(layer: Layer, value: Value, role: str) -> str:
    """Return an operand after its strides and its scale. Extents of 1 stay, because ONNX broadcasts them."""
    name = value.name
    rank = len(value.shape)
    for from_end, axis_name in ((1, "channels"), (2, "x"), (3, "y")):
        stride = layer.attributes[f"{role}_stride_{axis_name}"]
        axis = rank - from_end
        if stride == 1 or axis < 1 or (stride == 0 and value.shape[axis] == 1):
            continue
        end, step = (1, 1) if stride == 0 else (np.iinfo(np.int64).max, stride)
        place = TO_NCHW.index(axis) if value.is_image else axis
        limits = [layer.constant([int(number)], role) for number in (0, end, place, step)]
        name = layer.add("Slice", name, *limits)
    scale = float(layer.attributes[f"{role}_scale"])
    return name if scale == 1 else layer.add("Mul", name, layer.constant([scale], f"{role}_scale"))


def _comparison(operation: str) -> Combine:
    """Return a function that writes a comparison and converts its truth values to 1 and 0."""
    return lambda layer, a, b: layer.as_number(layer.add(operation, a, b))


def _not_equal(layer: Layer, a: str, b: str) -> str:
    return layer.as_number(layer.add("Not", layer.add("Equal", a, b)))


def _mask(layer: Layer, condition: str, x: str) -> str:
    return layer.add("Where", layer.add("Cast", condition, to=_BOOL), x, layer.constant([0.0], "zero"))


def _mask_out(layer: Layer, condition: str, x: str) -> str:
    return layer.add("Where", layer.add("Cast", condition, to=_BOOL), layer.constant([0.0], "zero"), x)


def _arithmetic(operation: str | Combine) -> Write[Layer, str]:
    def export(layer: Layer) -> str:
        a, b = (
            _operand(layer, x, role) for x, role in zip(layer.inputs, ("primary", "secondary"), strict=True)
        )
        result = layer.add(operation, a, b) if isinstance(operation, str) else operation(layer, a, b)
        attributes = layer.attributes
        if attributes["bias"] != 0:
            result = layer.add("Add", result, layer.constant([float(attributes["bias"])], "bias"))
        if attributes["minimum"] > _FLOAT32.min:
            result = layer.add("Max", result, layer.constant([float(attributes["minimum"])], "minimum"))
        if attributes["maximum"] < _FLOAT32.max:
            result = layer.add("Min", result, layer.constant([float(attributes["maximum"])], "maximum"))
        return result

    return export


#: The function that writes each arithmetic operation.
ARITHMETIC: dict[str, Write[Layer, str]] = {
    "add": _arithmetic("Add"),
    "subtract": _arithmetic("Sub"),
    "multiply": _arithmetic("Mul"),
    "divide": _arithmetic("Div"),
    "maximum": _arithmetic("Max"),
    "minimum": _arithmetic("Min"),
    "power": _arithmetic("Pow"),
    "greater": _arithmetic(_comparison("Greater")),
    "greater_equal": _arithmetic(_comparison("GreaterOrEqual")),
    "equal": _arithmetic(_comparison("Equal")),
    "not_equal": _arithmetic(_not_equal),
    "mask": _arithmetic(_mask),
    "mask_out": _arithmetic(_mask_out),
}
