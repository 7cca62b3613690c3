"""Elementwise arithmetic of two tensors, and of a tensor and a constant."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.affine import affine
from mpscnn.converters.broadcast import align, constant_along, repeats, varying_last
from mpscnn.converters.layout import Axis, Value
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.fused_activation import ending
from mpscnn.converters.onnx_reader.neurons import limited
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.quantizations import note_integers
from mpscnn.converters.special_values import exponential, have_reciprocals, power, quotient
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

# With a number of its own each; more are no channels any more.
_MOST_CHANNELS = 2048
_MOST_AXES = 3  # of which operands may be repeated
_TWO_TENSORS = {
    "Add": "add",
    "Sum": "add",
    "Mean": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "Div": "divide",
    "Max": "maximum",
    "Min": "minimum",
    "Pow": "power",
}
_SUMS = ("Add", "Sum")


def _arithmetic(c: Context, node: Node) -> None:
    constants = [name for name in node.inputs if c.is_constant(name)]
    computed = [name for name in node.inputs if name not in constants]
    if not computed and not any(map(c.learns, constants)):
        raise UnsupportedError("of constants alone it is not supported")
    constants = [name for name in constants if computed or not c.learns(name)]
    if (
        len(node.inputs) == 2
        and constants
        and node.kind != "Mean"
        and not c.learns(constants[0])
        and not _is_of_integers(c, node, constants[0])
    ):
        first = node.inputs[0] == constants[0]
        if _with_constant(c, node, node.inputs[int(first)], constants[0], constant_first=first):
            return
    rank = max(c.value(name).rank for name in node.inputs if name not in constants)
    values = [c.constant(name, rank) if name in constants else c.value(name) for name in node.inputs]
    for name, value in zip(node.inputs, values, strict=True):
        if name in constants and _is_of_integers(c, node, name):
            note_integers(c, value, name)
    if len(values) == 1:
        c.result(node, values[0])
        return
    result = values[0]
    for place, value in enumerate(values[1:], start=2):
        both = align(c.arranger, result, value)
        operation = getattr(c.network, _TWO_TENSORS[node.kind])
        is_last = place == len(values)
        activation: Activation = None
        name = node.outputs[0]
        if is_last and node.kind == "Mean":
            activation = {"kind": "linear", "a": 1.0 / len(values)}
        elif is_last:
            activation, name = ending(c, name)
        made: Tensor = operation(
            both.first,
            both.second,
            activation=activation,
            name=c.layer_name(node, "" if is_last else f"/{place}"),
        )
        result = both.result(made)
        c.values[name] = result


def _is_of_integers(c: Context, node: Node, name: str) -> bool:
    """Return True if a constant stays a tensor, which layers of integers have."""
    if node.kind not in ("Add", "Sub", "Mul"):
        return False
    stored = c.constants.integers_of(name)
    return stored is not None and stored.values.dtype.itemsize == 1 and stored.scales.size == 1


def _with_constant(c: Context, node: Node, name: str, constant_name: str, *, constant_first: bool) -> bool:
    """As a function of each element, or as a scale or offset of channels; False where it is neither."""
    constant = c.constants.real(constant_name, "its operand")
    x = c.value(name)
    if constant.ndim > x.rank:
        if constant.shape[: constant.ndim - x.rank] != (1,) * (constant.ndim - x.rank):
            return False
        x = x.with_axes(range(constant.ndim - x.rank))
    if constant.size == 0 or not (np.isfinite(constant).all() or node.kind in ("Max", "Min")):
        raise UnsupportedError("its operand is a constant that is empty or not finite")
    if repeats(x, constant):
        return False
    x = varying_last(c.arranger, x, constant)
    number = float(constant.reshape(-1)[0])
    if bool((constant == constant.reshape(-1)[0]).all()):
        constant_along(x, constant)  # whether the shapes fit
        if node.kind == "Div" and not constant_first and not have_reciprocals(constant):
            return False
        _with_number(c, node, name, x, number, constant_first=constant_first)
        return True
    if node.kind in ("Max", "Min", "Pow"):
        return False
    suffix, numbers = constant_along(x, constant)
    if numbers.size > _MOST_CHANNELS:
        return _with_numbers(c, node, x, constant, constant_first=constant_first)
    if node.kind == "Div" and (constant_first or not have_reciprocals(constant)):
        return False
    scale, offset = _line(node.kind, constant, constant_first=constant_first)
    along: dict[str, Any] = {}
    suffix = x.order[:0]
    for role, values in (("scale", scale), ("offset", offset)):
        if isinstance(values, np.ndarray):
            suffix, along[role] = constant_along(x, values)
        elif values is not None:
            along[role] = values
    tensor, rest, tail = c.arranger.channels_last(x, suffix)
    activation, result = ending(c, node.outputs[0])
    y = affine(c.network, tensor, **along, activation=activation, name=c.layer_name(node))
    c.values[result] = x.lying(y, rest + tail)
    return True


def _with_numbers(
    c: Context, node: Node, x: Value, constant: NDArray[np.float32], *, constant_first: bool
) -> bool:
    """Handle a constant with more than a number for each channel: as a tensor with the value's memory order.

    False where it varies along too many parts of the value's memory.
    """
    extents = (1,) * (x.rank - constant.ndim) + constant.shape
    varying = [
        atom
        for axis, extent in zip(x.axes, extents, strict=True)
        for atom in axis
        if extent > 1 and not atom.is_batch
    ]
    groups: list[Axis] = c.arranger.grouping(x) or []
    if any(len({atom in varying for atom in group}) > 1 for group in groups) or not groups:
        groups = [tuple(run) for _, run in groupby(x.order, lambda atom: atom in varying)]
    if len(groups) > _MOST_AXES:
        return False
    shape = [math.prod(atom.high for atom in group) if set(group) <= set(varying) else 1 for group in groups]
    lies = [varying.index(atom) for atom in x.order if atom in varying]
    layer = c.layer_name(node, "/constant")
    tensor = c.arranger.physical(x, groups)
    operands = [tensor, c.network.constant(tensor, shape, name=layer)]
    c.set_weight(
        layer, "value", constant.reshape([atom.high for atom in varying]).transpose(lies).reshape(shape)
    )
    activation, result = ending(c, node.outputs[0])
    operation = getattr(c.network, _TWO_TENSORS[node.kind])
    if constant_first:
        operands.reverse()
    y: Tensor = operation(*operands, activation=activation, name=c.layer_name(node))
    c.values[result] = x.lying(y, x.order)
    return True


def _line(
    kind: str, constant: NDArray[np.float32], *, constant_first: bool
) -> tuple[NDArray[np.float32] | float | None, NDArray[np.float32] | None]:
    """Return the scale and the offset of a sum, difference, product or quotient of x and a constant."""
    if kind in _SUMS:
        return None, constant
    if kind == "Sub":
        return (-1.0, constant) if constant_first else (None, -constant)
    if kind == "Mul":
        return constant, None
    return (1.0 / constant.astype(np.float64)).astype(np.float32), None


def _with_number(c: Context, node: Node, name: str, x: Value, number: float, *, constant_first: bool) -> None:
    if node.kind == "Max":
        limited(c, node, name, number, math.inf)
        return
    if node.kind == "Min":
        limited(c, node, name, -math.inf, number)
        return
    names = c.names_of(node)
    if node.kind == "Div" and constant_first:
        c.result(node, x.holding(quotient(c.network, number, x.tensor, names)))
        return
    if node.kind == "Pow" and constant_first:
        c.result(node, x.holding(exponential(c.network, number, x.tensor, names)))
        return
    if node.kind == "Pow":
        c.result(node, x.holding(power(c.network, x.tensor, number, names)))
        return
    function = _neuron(node.kind, number, constant_first=constant_first)
    tensor = x.tensor
    if (function["kind"], function["a"], function.get("b", 0.0)) != ("linear", 1.0, 0.0):
        tensor = c.neuron(tensor, function, c.layer_name(node))
    c.result(node, x.holding(tensor))


def _neuron(kind: str, number: float, *, constant_first: bool) -> dict[str, Any]:
    if kind in _SUMS:
        return {"kind": "linear", "a": 1.0, "b": number}
    if kind == "Sub":
        return {
            "kind": "linear",
            "a": -1.0 if constant_first else 1.0,
            "b": number if constant_first else -number,
        }
    if kind == "Mul":
        return {"kind": "linear", "a": number}
    return {"kind": "linear", "a": 1.0 / number}


ARITHMETIC: dict[str, Handler] = dict.fromkeys(_TWO_TENSORS, _arithmetic)
