"""Write elementwise arithmetic of two tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.tflite.arrays import sliced
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import LARGEST, Layer

Combine = Callable[[Layer, Value, Value], Value]


def arithmetic(kind: str | Combine) -> Write[Layer, Value]:
    """Return a function that writes an operation of two tensors, with its factors, offset and limits."""

    def write(layer: Layer) -> Value:
        a, b = (
            _operand(layer, x, role) for x, role in zip(layer.inputs, ("primary", "secondary"), strict=True)
        )
        attributes = layer.attributes
        bias, low, high = (attributes[name] for name in ("bias", "minimum", "maximum"))
        ends = bias == 0 and low <= -LARGEST and high >= LARGEST
        if not isinstance(kind, str):
            result = kind(layer, a, b)
        else:
            result = layer.add(
                kind, a, b, **_ending(kind, layer.fused() if ends and kind in _FUSING else "NONE")
            )
        for operator, number, neutral in (
            ("ADD", bias, 0),
            ("MAXIMUM", low, -LARGEST),
            ("MINIMUM", high, LARGEST),
        ):
            if number != neutral:
                result = layer.add(
                    operator, result, layer.number(number, operator.lower()), **_ending(operator)
                )
        return result

    return write


_FUSING = ("ADD", "SUB", "MUL", "DIV")


def _ending(kind: str, activation: str = "NONE") -> dict[str, Any]:
    """Return the option for the activation that an operator ends with, if it has this option."""
    return {"activation": activation} if kind in _FUSING else {}


def is_plain(attributes: Mapping[str, Any]) -> bool:
    """Return True if the operation has no factors, offset, limits and steps. Operands may be repeated."""
    steps = [attributes[f"{role}_stride_{axis}"] for role in _ROLES for axis in ("channels", "x", "y")]
    return (
        all(attributes[f"{role}_scale"] == 1 for role in _ROLES)
        and set(steps) <= {0, 1}
        and attributes["bias"] == 0
        and attributes["minimum"] <= -LARGEST
        and attributes["maximum"] >= LARGEST
    )


_ROLES = ("primary", "secondary")


def _operand(layer: Layer, x: Value, role: str) -> Value:
    """Return an operand after its strides and its factor. Extents of 1 stay, because TensorFlow broadcasts them."""
    rank, ranges = len(x.shape), {}
    for from_end, axis_name in ((1, "channels"), (2, "x"), (3, "y")):
        stride, axis = layer.attributes[f"{role}_stride_{axis_name}"], rank - from_end
        if axis >= 1:
            ranges[axis] = range(1) if stride == 0 else range(0, x.shape[axis], stride)
    x = sliced(layer, x, ranges)
    factor = layer.attributes[f"{role}_scale"]
    return (
        x
        if factor == 1
        else layer.add("MUL", x, layer.number(factor, f"{role}_scale"), like=x, activation="NONE")
    )


def truth(layer: Layer, kind: str, *operands: Value) -> Value:
    """Add a comparison, whose truth values are not numbers yet."""
    shape = np.broadcast_shapes(*(one.shape for one in operands))
    return layer.add(kind, *operands, shape=shape, dtype="bool")


def number_of(layer: Layer, x: Value) -> Value:
    """Convert truth values or integers to numbers."""
    return layer.add("CAST", x, shape=x.shape, dtype="float32")


def _comparison(kind: str) -> Combine:
    return lambda layer, a, b: number_of(layer, truth(layer, kind, a, b))


def _mask(layer: Layer, condition: Value, x: Value) -> Value:
    zero = layer.number(0.0, "zero")
    return layer.add("SELECT_V2", truth(layer, "NOT_EQUAL", condition, zero), x, zero)


def _mask_out(layer: Layer, condition: Value, x: Value) -> Value:
    zero = layer.number(0.0, "zero")
    return layer.add("SELECT_V2", truth(layer, "EQUAL", condition, zero), x, zero)


ARITHMETIC: dict[str, Write[Layer, Value]] = {
    "add": arithmetic("ADD"),
    "subtract": arithmetic("SUB"),
    "multiply": arithmetic("MUL"),
    "divide": arithmetic("DIV"),
    "maximum": arithmetic("MAXIMUM"),
    "minimum": arithmetic("MINIMUM"),
    "power": arithmetic("POW"),
    "greater": arithmetic(_comparison("GREATER")),
    "greater_equal": arithmetic(_comparison("GREATER_EQUAL")),
    "equal": arithmetic(_comparison("EQUAL")),
    "not_equal": arithmetic(_comparison("NOT_EQUAL")),
    "mask": arithmetic(_mask),
    "mask_out": arithmetic(_mask_out),
}
"""The function that writes each arithmetic operation."""
