"""Products of matrices: dense layers at each position of an image or sequence, and of two tensors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.arrange import image_rows
from mpscnn.converters.broadcast import align
from mpscnn.converters.contractions import product_of, running_sums, with_as_many_matrices
from mpscnn.converters.layout import Atom, Value, positions
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.folded import is_filled
from mpscnn.converters.onnx_reader.fused_activation import ending
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation


def _gemm(c: Context, node: Node) -> None:
    if c.is_constant(node.inputs[0]) or not c.is_constant(node.inputs[1]):
        _gemm_of_two(c, node)
        return
    x = c.value(node.inputs[0])
    if node.integer("transA", 0):
        x = _transposed(c, x)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    weight = _scaled(c.constants.real(node.input(1), "its second operand"), alpha)
    if weight.ndim != 2 or x.rank != 2:
        raise WeightsError(f"damaged: multiplies {x.shown} and {weight.shape}")
    if not node.integer("transB", 0):
        weight = weight.T
    bias = None
    third = node.input(2)
    if third is not None and not c.is_constant(third):
        _sum(c, node, x, weight, c.value(third))
        return
    if third is not None:
        bias = _scaled(c.constants.real(node.input(2), "its third operand"), beta)
        if bias.size not in (1, len(weight)) or (bias.ndim == 2 and bias.shape[0] != 1):
            raise UnsupportedError(
                f"adds a constant of shape {bias.shape}; supported is one number for each result"
            )
        bias = np.broadcast_to(bias.reshape(-1), (len(weight),))
    activation, result = ending(c, node.outputs[0])
    names = (node.input(1) if alpha == 1.0 else None, third if beta == 1.0 else None)
    c.values[result] = dense(c, node, x, weight, bias, activation, names)


def _transposed(c: Context, x: Value) -> Value:
    """Return a matrix with its axes swapped. The batch of one image stays in front."""
    if x.rank != 2:
        raise WeightsError(f"damaged: multiplies {x.shown}")
    if c.arranger.batch is None or c.arranger.batch.high != 1:
        return x.transposed((1, 0))
    rows, columns = (tuple(atom for atom in axis if not atom.is_batch) for axis in x.axes)
    batch = tuple(atom for axis in x.axes for atom in axis if atom.is_batch)
    return Value(x.tensor, (batch + columns, rows), x.order)


def _gemm_of_two(c: Context, node: Node) -> None:
    """A product whose second operand is computed, for one image."""
    operands = []
    for name, turned in zip(node.inputs[:2], ("transA", "transB"), strict=True):
        x = _one_matrix(c, name)
        operands.append(x.transposed((0, 2, 1)) if node.integer(turned, 0) else x)
    y = product_of(c.arranger, *operands)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if alpha != 1.0:
        y = y.holding(c.neuron(y.tensor, {"kind": "linear", "a": alpha}, c.layer_name(node, "/scaled")))
    third = node.input(2)
    if third is not None:
        term = _one_matrix(c, third)
        if beta != 1.0:
            scaled = {"kind": "linear", "a": beta}
            term = term.holding(c.neuron(term.tensor, scaled, c.layer_name(node, "/term")))
        both = align(c.arranger, y, term)
        y = both.result(c.network.add(both.first, both.second, name=c.layer_name(node, "/sum")))
    c.result(node, y.without_axes([0]) if c.arranger.batch is None else y.merged(0, 2))


def _one_matrix(c: Context, name: str) -> Value:
    """Return an operand as (1, rows, columns)."""
    batch = c.arranger.batch
    if c.is_constant(name):
        return c.constant(name, 3)
    x = c.value(name)
    if batch is None:
        return x.with_axes(range(3 - x.rank))
    if batch.high != 1:
        raise UnsupportedError(
            f"multiplies {x.shown} by what the network computes, which is supported for one image: choose a batch of 1 "
            "with --shape (shapes= in Python)"
        )
    own = (tuple(atom for atom in axis if not atom.is_batch) for axis in x.axes)
    return Value(x.tensor, ((batch,), *[()] * (2 - x.rank), *own), x.order)


def _sum(c: Context, node: Node, x: Value, weight: NDArray[np.float32], term: Value) -> None:
    """A product and another tensor of the network."""
    beta = node.number("beta", 1.0)
    if beta != 1.0:
        scaled = c.neuron(term.tensor, {"kind": "linear", "a": beta}, c.layer_name(node, "/scaled"))
        term = term.holding(scaled)
    names = (node.input(1) if node.number("alpha", 1.0) == 1.0 else None, None)
    both = align(c.arranger, dense(c, node, x, weight, None, None, names), term)
    c.result(node, both.result(c.network.add(both.first, both.second, name=c.layer_name(node, "/sum"))))


def _matmul(c: Context, node: Node) -> None:
    if not c.is_constant(node.inputs[1]):
        if c.is_constant(node.inputs[0]):
            _constant_first(c, node)
        else:
            c.result(node, _product(c, *map(c.value, node.inputs)))
        return
    x = c.value(node.inputs[0])
    weight = c.constants.real(node.inputs[1], "its second operand")
    if weight.ndim == 1 and x.rank > 1:
        y = dense(c, node, x, weight[None], None, None, (node.inputs[1], None))
        c.result(node, y.without_axes([y.rank - 1]))
        return
    if weight.ndim > 2 and set(weight.shape[:-2]) == {1} and x.rank >= weight.ndim:
        weight = weight.reshape(weight.shape[-2:])
    if weight.ndim > 2:
        second = c.constant(node.inputs[1], max(x.rank, weight.ndim))
        c.result(node, product_of(c.arranger, *with_as_many_matrices(c.arranger, x, second)))
        return
    if weight.ndim != 2 or x.rank < 2:
        raise UnsupportedError(f"multiplies {x.shown} and a constant {weight.shape}; supported are matrices")
    bias, bias_name, result = _bias_after(c, node.outputs[0], weight.shape[1])
    activation, result = ending(c, result)
    c.values[result] = dense(c, node, x, weight.T, bias, activation, (node.inputs[1], bias_name))


def _product(c: Context, first: Value, second: Value) -> Value:
    """A vector is a row before a matrix and a column after one, which the result has not."""
    is_row, is_column = (x.rank == 1 and not x.has_batch_first for x in (first, second))
    first = first.with_axes([0]) if is_row else first
    second = second.with_axes([1]) if is_column else second
    y = product_of(c.arranger, *with_as_many_matrices(c.arranger, first, second))
    return y.without_axes([y.rank - 2] * is_row + [y.rank - 1] * is_column)


def _constant_first(c: Context, node: Node) -> None:
    """A constant vector is a row, which the result has not."""
    second = c.value(node.inputs[1])
    y = product_of(c.arranger, c.constant(node.inputs[0], second.rank), second)
    is_row = c.constants.fixed(node.inputs[0], "its first operand").ndim == 1
    c.result(node, y.without_axes([y.rank - 2]) if is_row else y)


def _bias_after(c: Context, name: str, units: int) -> tuple[NDArray[np.float32] | None, str | None, str]:
    """A sum with one constant for each column, which alone reads the product: numbers, their name, the result's."""
    user = c.only_user(name)
    if user is None or user.kind != "Add" or len(user.inputs) != 2:
        return None, None, name
    other = user.inputs[1] if user.inputs[0] == name else user.inputs[0]
    constant = c.constants.find(other)
    if constant is None or not constant.is_fixed or constant.low.shape != (units,):
        return None, None, name
    c.merged.add(id(user))
    return c.constants.real(other, "its biases"), other, user.outputs[0]


def dense(
    c: Context,
    node: Node,
    x: Value,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    activation: Activation,
    names: tuple[str | None, str | None] = (None, None),
) -> Value:
    """Return the last axis of x times a matrix [results][features], for each of the other axes.

    Args:
        names: of the constants that the matrix and the bias are made of, if of one each.
    """
    units, features = weight.shape
    if any(atom.is_batch for atom in x.axes[-1]):
        raise UnsupportedError(f"multiplies {x.shown}, whose last axis has the batch")
    if x.shape[-1] is None:
        raise UnsupportedError(
            f"multiplies {x.shown}, whose features depend on the image's size: {CHOOSE_SIZE}"
        )
    if x.shape[-1] != features:
        raise WeightsError(f"damaged: multiplies {x.shown} and a matrix with {features} rows")
    rest_count = len(x.order) - len(x.axes[-1])
    name = c.layer_name(node)
    if rest_count == 0:
        weight = _ordered(weight, positions(x.axes[-1], x.order))
        tensor = c.arranger.physical(x, (x.order,)) if len(x.tensor.shape) not in (2, 4) else x.tensor
        y = c.network.dense(tensor, units, activation=activation, name=name)
        weight = weight.reshape(units, *(extent or 1 for extent in tensor.shape[1:]))
        rest = x.order
    else:
        tensor, rest, tail = c.arranger.channels_last(x, x.axes[-1])
        if len(tensor.shape) != 4:
            tensor = c.arranger.physical(x.lying(tensor, rest + tail), (*image_rows(rest), tail))
        y = c.network.conv2d(tensor, units, 1, activation=activation, name=name)
        ordered = _ordered(weight, positions(x.axes[-1], tail))
        weight = ordered.reshape(units, 1, 1, features)
    c.set_weight(name, "weight", weight, names[0])
    if bias is not None:
        c.set_weight(name, "bias", bias, names[1])
    new = () if units == 1 else (Atom(units),)
    return Value(y, (*x.axes[:-1], new), (rest if rest_count else ()) + new)


def _scaled(values: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return the same array where nothing changes: no copy of large weights."""
    return values if factor == 1.0 else values * np.float32(factor)


def _ordered(weight: NDArray[np.float32], columns: NDArray[np.int64]) -> NDArray[np.float32]:
    """Like `_scaled`: the columns in this order."""
    if is_filled(weight) or np.array_equal(columns, np.arange(columns.size)):
        return weight
    return weight[:, columns]


def _running_sum(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    (axis,) = c.constants.integers(node.input(1), "its axis")
    exclusive, backwards = (bool(node.integer(name, 0)) for name in ("exclusive", "reverse"))
    c.result(node, running_sums(c.arranger, x, x.axis(axis), exclusive=exclusive, backwards=backwards))


MATRICES: dict[str, Handler] = {"CumSum": _running_sum, "Gemm": _gemm, "MatMul": _matmul}
