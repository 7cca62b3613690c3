"""Convert Gemm, MatMul and similar operators to dense layers (constant operand) or matrix products (two tensors)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.broadcast_views import stored
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE, ONE_IMAGE
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.row_calls import Given, takes_activation
from mpscnn.converters.values.contractions import pointwise
from mpscnn.converters.values.layout import in_memory_order, without_batch
from mpscnn.converters.values.rows import Name, Row, Stated, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError


@takes_activation
@ignores("broadcast")  # of opsets before 7, in which the third operand had to be repeated by it
def _gemm(
    c: Context, a: Name, b: Name, third: Name | None = None, *, alpha: float = 1.0, beta: float = 1.0,
    a_turned: Annotated[bool, Stated("transA")] = False, b_turned: Annotated[bool, Stated("transB")] = False,
) -> FileTensor:  # fmt: skip
    """Convert Gemm with a constant matrix to a dense layer. Its bias may be a computed tensor."""
    if c.is_constant(a) or not c.is_constant(b):
        return _gemm_of_two(c, (a, a_turned), (b, b_turned), third, alpha, beta)
    x = c.value(a)
    if a_turned:
        x = _transposed(c, x)
    weight = _scaled(c.constants.real_view(b, "its second operand"), alpha)
    if weight.ndim != 2 or x.rank != 2:
        raise WeightsError(f"damaged: multiplies {x.shown} and {weight.shape}")
    if not b_turned:
        weight = weight.T
    source = b if alpha == 1.0 else None
    if third is not None and not c.is_constant(third):
        term = c.value(third)
        term = term if beta == 1.0 else term.linear(beta, suffix="/scaled")
        return dense(c, x, weight, None, (source, None)).combine("add", term, "/sum")
    bias = None
    if third is not None:
        bias = _scaled(c.constants.real_view(third, "its third operand"), beta)
        if bias.size not in (1, len(weight)) or (bias.ndim == 2 and bias.shape[0] != 1):
            raise UnsupportedError(
                f"adds a constant of shape {bias.shape}; supported is one number for each result"
            )
        bias = np.broadcast_to(c.constants.reshape(bias, (bias.size,)), (len(weight),))
    sources = (source, third if beta == 1.0 else None)
    return dense(c, x, weight, bias, sources)


def _transposed(c: Context, x: FileTensor) -> FileTensor:
    """Transpose a matrix. If its batch is 1, that axis stays the first."""
    if x.rank != 2:
        raise WeightsError(f"damaged: multiplies {x.shown}")
    if c.arranger.batch is None or c.arranger.batch.high != 1:
        return x.transpose((1, 0))
    rows, columns = map(without_batch, x.axes)
    batch = tuple(atom for axis in x.axes for atom in axis if atom.is_batch)
    return replace(x, axes=(batch + columns, rows))


def _gemm_of_two(
    c: Context,
    first: tuple[str, bool],
    second: tuple[str, bool],
    third: str | None,
    alpha: float,
    beta: float,
) -> FileTensor:
    """Convert Gemm whose second operand is computed, which needs a batch of 1, to a matrix product.

    `first` and `second` are the operands, and whether they are transposed.
    """
    a, b = (
        _transposed(c, _one_matrix(c, name)) if turned else _one_matrix(c, name)
        for name, turned in (first, second)
    )
    y = a @ b
    if alpha != 1.0:
        y = y.linear(alpha, suffix="/scaled")
    if third is not None:
        term = _one_matrix(c, third)
        y = y.combine("add", term if beta == 1.0 else term.linear(beta, suffix="/term"), "/sum")
    return y


def _one_matrix(c: Context, name: str) -> FileTensor:
    """Return an operand (rows, columns), whose batch must be 1."""
    batch = c.arranger.batch
    if c.is_constant(name):
        return c.constant(name, 2) if batch is None else c.constant(name, 3).merge_axes(0, 2)
    x = c.value(name)
    if batch is not None and batch.high != 1:
        raise UnsupportedError(
            f"multiplies {x.shown} by what the network computes, which is supported for one image: {ONE_IMAGE}"
        )
    return x


def _matmul_of_constants(a: Given, b: Given) -> Value:
    return a.matmul(b)


@takes_activation
def _matmul(c: Context, first: Name, second: Name) -> Value:
    """Convert MatMul. A vector operand counts as a row (first) or column (second), and the result lacks this axis."""
    if c.is_constant(second):
        a, is_row = _matrix_of(c.value(first), 0)
        is_column = c.constants.view(second, "its second operand").ndim == 1
        y = _times_constant(c, a, second)
    else:
        b, is_column = _matrix_of(c.value(second), 1)
        if c.is_constant(first):
            is_row = c.constants.view(first, "its first operand").ndim == 1
            a = c.constant_with_batch_of(first, b)
        else:
            a, is_row = _matrix_of(c.value(first), 0)
        y = a @ b
    return y.squeeze([y.rank - 2] * is_row + [y.rank - 1] * is_column)


def _matrix_of(x: FileTensor, axis: int) -> tuple[FileTensor, bool]:
    """Return an operand with one more axis of 1 at `axis` if it is a vector, and whether it is one."""
    if x.rank == 0:
        raise UnsupportedError(f"multiplies {x.shown}; supported are vectors and matrices")
    return (x.expand_dims([axis]).prepend_batch(x.arranger.batch), True) if x.rank == 1 else (x, False)


def _times_constant(c: Context, x: FileTensor, name: str) -> FileTensor:
    """Multiply matrices by a constant. A vector counts as one column."""
    weight = c.constants.real_view(name, "its second operand")
    if weight.ndim == 1:
        return dense(c, x, weight[None], None, (name, None))
    if weight.ndim > 2 and set(weight.shape[:-2]) == {1} and x.rank >= weight.ndim:
        weight = weight.reshape(weight.shape[-2:])
    if weight.ndim == 2:
        return dense(c, x, weight.T, None, (name, None))
    if weight.ndim == 0:
        raise WeightsError(f"damaged: multiplies {x.shown} and one number")
    return x @ (c.constant(name, weight.ndim) if weight.ndim > x.rank else c.constant_with_batch_of(name, x))


def dense(
    c: Context,
    x: FileTensor,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    names: tuple[str | None, str | None] = (None, None),
) -> FileTensor:
    """Add a dense layer that multiplies the last axis of x by a matrix [results][features], at each other position.

    Args:
        names: the names of the file's constants for the matrix and the bias; None if there is no single constant.
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
    name = c.arranger.name("")
    if len(x.order) == len(x.axes[-1]):
        tensor = c.arranger.physical(x, (x.order,)) if len(x.tensor.shape) not in (2, 4) else x.tensor
        y = c.network.dense(tensor, units, name=name)
        tail, extents = x.order, [extent or 1 for extent in tensor.shape[1:]]
        (new,) = c.arranger.atoms([units])
        made = replace(x, tensor=y, axes=(*x.axes[:-1], new), order=new)
    else:
        value, tail = pointwise(c.arranger, x, x.rank - 1, units, name)
        made, extents = x.wrap(value), [1, 1, features]
    ordered = in_memory_order(weight, x.axes[-1], tail, axis=1)
    c.weights.set(name, "weight", c.constants.reshape(ordered, (units, *extents)), names[0])
    if bias is not None:
        c.weights.set(name, "bias", bias, names[1])
    return made


def _scaled(values: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Multiply by a factor. With a factor of 1 the same array is returned, because weights may be large."""
    if factor == 1.0:
        return values
    return np.broadcast_to(stored(values) * np.float32(factor), values.shape)


MATRICES_OF_CONSTANTS: dict[str, Row] = {"MatMul": _matmul_of_constants}
MATRICES_OF_TENSORS: dict[str, Row] = {"Gemm": _gemm, "MatMul": _matmul}
