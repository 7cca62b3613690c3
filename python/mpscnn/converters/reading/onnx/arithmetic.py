"""Convert elementwise arithmetic of two tensors, and of a tensor and a constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.broadcast_views import stored
from mpscnn.converters.reading.onnx.attention_masks import add_mask, is_mask
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.element_types import type_of_elements, wraps
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.quantizations import note_integers
from mpscnn.converters.reading.onnx.row_calls import Given, takes_activation
from mpscnn.converters.values.affine import affine, scale_and_offset
from mpscnn.converters.values.broadcast import move_varying_last, repeats, varying_atoms
from mpscnn.converters.values.layout import Axis
from mpscnn.converters.values.rows import Name, Row
from mpscnn.converters.values.special_values import have_reciprocals
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.converters.values.with_number import with_number
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

# Constants with more elements are not treated as one number for each channel.
_MAX_CHANNELS = 2048
_MAX_AXES = 3  # the maximum number of axes of tensors that are broadcast
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
_OF_WHOLE_NUMBERS = ("Add", "Max", "Min", "Sub")  # operators that may compute positions and counts


def _of_constants(kind: str) -> Row:
    """Return the row that combines constants, from left to right."""

    def row(*x: Given) -> Value:
        return _combined(x, kind)

    return row


@takes_activation
def _arithmetic(c: Context, node: Node, *x: Name) -> Value:
    """Combine all operands, from left to right. A tensor and one constant may become a layer of one input."""
    if made := _of_one_constant(c, node, x):
        return made
    tensors = _broadcast_operands(c, node, x)
    if len(tensors) < 2 or not any(one.whole_numbers for one in tensors):
        return _combined(tensors, node.kind)
    _refuse_wrapping(c, node)
    return _combined(tensors, node.kind).mark_as_integers()


def _combined(operands: Sequence[Value], kind: str) -> Value:
    result, *others = operands
    if not others:
        return result
    mean: Activation = {"kind": "linear", "a": 1.0 / (1 + len(others))}
    for place, other in enumerate(others[:-1], start=2):
        result = result.combine(_TWO_TENSORS[kind], other, f"/{place}")
    return result.combine(_TWO_TENSORS[kind], others[-1], "", mean if kind == "Mean" else None)


def _refuse_wrapping(c: Context, node: Node) -> None:
    """Refuse arithmetic of small or unsigned integers, whose results begin again at the other end of their range."""
    element = type_of_elements(c, node.outputs[0])
    if wraps(node.kind, element):
        raise UnsupportedError(
            f"computes in {element}, whose results wrap: cast its operands to int32 in the source"
        )


def _of_one_constant(c: Context, node: Node, names: Sequence[str]) -> FileTensor | None:
    """Convert arithmetic of a tensor and a constant; None if it needs the constant as a tensor."""
    constants = _constants(c, names)
    if len(names) != 2 or not constants or node.kind == "Mean" or c.parameters.learns(constants[0]):
        return None
    if _is_of_integers(c, node, constants[0]):
        return None
    is_first = names[0] == constants[0]
    x = c.value(names[int(is_first)], whole_numbers=node.kind in _OF_WHOLE_NUMBERS)
    if x.whole_numbers:
        _refuse_wrapping(c, node)
    return _with_constant(c, node, x, constants[0], constant_first=is_first)


def _constants(c: Context, names: Sequence[str]) -> list[str]:
    """Return the operands that are constants. If all are constants, trainable parameters count as tensors."""
    constants = [name for name in names if c.is_constant(name)]
    if len(constants) < len(names):
        return constants
    if not any(map(c.parameters.learns, constants)):
        raise UnsupportedError("all its inputs are constants, which is not supported")
    return [name for name in constants if not c.parameters.learns(name)]


def _broadcast_operands(c: Context, node: Node, names: Sequence[str]) -> list[FileTensor]:
    """Return all operands as tensors of the network that will be broadcast."""
    constants = _constants(c, names)
    known = [name for name in names if name not in constants]
    computed = c.broadcast_values(known, whole_numbers=node.kind in _OF_WHOLE_NUMBERS)
    others, rank = dict(zip(known, computed, strict=True)), max(value.rank for value in computed)
    if rank == 0:  # a computed number is repeated along the axes of the constants
        rank = max((c.constants.view(name, "its operand").ndim for name in constants), default=0)
    values = [c.constant(name, rank) if name in constants else others[name] for name in names]
    for name, value in zip(names, values, strict=True):
        if name in constants and _is_of_integers(c, node, name):
            note_integers(c, value, name)
    return values


def _is_of_integers(c: Context, node: Node, name: str) -> bool:
    """Return True if a constant comes from 8-bit integers with one scale.

    It then stays a tensor with these integers.
    """
    if node.kind not in ("Add", "Sub", "Mul"):
        return False
    stored = c.constants.integers_of(name)
    return stored is not None and stored.values.dtype.itemsize == 1 and stored.scales.size == 1


def _with_constant(
    c: Context, node: Node, x: FileTensor, constant_name: str, *, constant_first: bool
) -> FileTensor | None:
    """Convert arithmetic with a constant to an activation, or to a scale or offset of channels, or return None."""
    constant = _operand(c, x, constant_name)
    if node.kind in _SUMS and is_mask(constant):
        return add_mask(c, node, x, constant)
    if constant.ndim > x.rank:
        if constant.shape[: constant.ndim - x.rank] != (1,) * (constant.ndim - x.rank):
            return None
        x = x.expand_dims(range(constant.ndim - x.rank))
    if constant.size == 0 or not (np.isfinite(constant).all() or node.kind in ("Max", "Min")):
        raise UnsupportedError("its operand is a constant that is empty or not finite")
    if repeats(x, constant):
        return None
    x = x.wrap(move_varying_last(c.arranger, x, constant))
    is_number = bool((constant == constant.reshape(-1)[0]).all())
    numbers, suffix = constant, x.order[:0]
    if is_number or node.kind not in ("Max", "Min", "Pow"):
        suffix, numbers = varying_atoms(x, constant)  # raises an error if the shapes do not fit
    if is_number:
        number = float(constant.reshape(-1)[0])
        return with_number(x, _TWO_TENSORS[node.kind], number, is_first=constant_first)
    if node.kind in ("Max", "Min", "Pow"):
        return None
    groups = c.arranger.grouping(x)
    is_map = node.kind in ("Div", "Mul") and groups and len(groups) == _MAX_AXES and suffix != groups[-1]
    if numbers.size > _MAX_CHANNELS or is_map:
        made = _with_numbers(c, node, x, constant_name, constant, constant_first=constant_first)
        if made is not None or numbers.size > _MAX_CHANNELS:
            return made
    if node.kind == "Div" and (constant_first or not have_reciprocals(constant)):
        return None
    parts = scale_and_offset(_TWO_TENSORS[node.kind], constant, constant_first=constant_first)
    along: dict[str, Any] = {}
    for role, values in zip(("scale", "offset"), parts, strict=True):
        if isinstance(values, np.ndarray):
            suffix, along[role] = varying_atoms(x, values)
        elif values is not None:
            along[role] = values
    tensor, rest, tail = c.arranger.channels_last(x, suffix)
    y = affine(c.network, tensor, **along, name=c.naming.of_node(node))
    return x.with_tensor(y, rest + tail)


def _operand(c: Context, x: FileTensor, name: str) -> NDArray[np.float32]:
    """Return a constant operand, without those axes of x along which all its elements are equal."""
    constant = c.constants.real_view(name, "its operand")
    own = stored(constant)
    if own.size < constant.size and constant.ndim <= x.rank:
        extents = zip(own.shape, constant.shape, x.shape[x.rank - constant.ndim :], strict=True)
        if all(one == whole or whole == extent for one, whole, extent in extents):
            return own
    c.constants.budget.look(constant)
    return constant


def _with_numbers(
    c: Context, node: Node, x: FileTensor, name: str, constant: NDArray[np.float32], *, constant_first: bool
) -> FileTensor | None:
    """Convert arithmetic with a constant that varies along more than the channels.

    The constant becomes a tensor with the value's memory order. The result is None if it varies along too many axes of
    the value's tensor.
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
    if len(groups) > _MAX_AXES:
        return None
    shape = [math.prod(atom.high for atom in group) if set(group) <= set(varying) else 1 for group in groups]
    lies = [varying.index(atom) for atom in x.order if atom in varying]
    layer = c.naming.of_constant(name)
    tensor = c.arranger.physical(x, groups)
    operands = [tensor, c.network.constant(tensor, shape, name=layer)]
    c.weights.set(
        layer, "value", constant.reshape([atom.high for atom in varying]).transpose(lies).reshape(shape)
    )
    compute = getattr(c.network, _TWO_TENSORS[node.kind])
    ordered = reversed(operands) if constant_first else operands
    return x.with_same_layout(compute(*ordered, name=c.naming.of_node(node)))


ARITHMETIC_OF_CONSTANTS: dict[str, Row] = {kind: _of_constants(kind) for kind in _TWO_TENSORS}
ARITHMETIC_OF_TENSORS: dict[str, Row] = dict.fromkeys(_TWO_TENSORS, _arithmetic)
