"""Convert Caffe's dense layers, elementwise sums and products, reductions, and ArgMax."""

from __future__ import annotations

import math

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.caffe.row_calls import Biases, Number, Weights, axis_of, lacks
from mpscnn.converters.reading.graph.blocks import cast_to_float, fold
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Floats, Name, Row
from mpscnn.errors import UnsupportedError, WeightsError


def _inner_product(
    b: Builder, x: Name, weight: Weights, bias: Biases = None, *, num_output: int = 0, axis: int = 1,
    transpose: bool = False, bias_term: bool = True,
) -> str:  # fmt: skip
    shape, units = b.fixed_shape(x), num_output
    if axis_of(axis, len(shape)) != 1:
        raise UnsupportedError("its axis is not 1")
    if units < 1 or weight.size % units:
        raise WeightsError(f"damaged: weights {weight.shape} for {units} results")
    features = weight.size // units
    if math.prod(shape[1:]) != features:
        raise WeightsError(f"damaged: weights for {features} features, but its input is {shape}")
    weight = weight.reshaped(-1, units) if transpose else weight.reshaped(units, -1)
    operands = [ops.flatten(b, x, axis=1), b.weight("weight", weight)]
    if bias_term:
        if bias is None:
            raise lacks("biases")
        operands.append(b.weight("bias", bias.reshaped(-1)))
    return ops.gemm(b, *operands, transpose_y=int(not transpose))


_OPERATIONS: dict[str, ops.Binary] = {"PROD": ops.multiply, "SUM": ops.add, "MAX": ops.maximum}
_OPERATIONS |= dict(zip("012", [*_OPERATIONS.values()], strict=True))


def _eltwise(b: Builder, *x: Name, operation: str = "SUM", coeff: Floats = ()) -> str:
    function = _OPERATIONS.get(operation)
    if function is None:
        raise UnsupportedError(f"its operation is {operation}")
    if function is ops.multiply and coeff:
        raise WeightsError("damaged: it multiplies and has coefficients, which only sums have")
    factors = coeff if function is ops.add else ()
    if len(x) < 2 or (factors and len(factors) != len(x)):
        raise WeightsError(f"damaged: {len(x)} inputs and {len(factors)} coefficients")
    if factors:
        x = tuple(b.linear(one, factor, 0.0) for one, factor in zip(x, factors, strict=True))
    return fold(b, function, x)


def _weighted_sum(b: Builder, factors: Name, x: Name, y: Name) -> str:
    """Convert Axpy: a * x + y, with one factor a for each channel."""
    given, shape = b.fixed_shape(factors), b.fixed_shape(x)
    if given[:2] != shape[:2]:
        raise UnsupportedError(f"factors {given} for {shape}")
    return ops.add(b, ops.multiply(b, x, ops.reshape(b, factors, [0, shape[1], 1, 1])), y)


def _largest(
    b: Builder, x: Name, *, top_k: int = 1, out_max_val: bool = False, axis: int | None = None
) -> str:
    """Convert ArgMax: the index of the largest element of an axis (without an axis, of each image).

    With an axis and `out_max_val`, the result is the element itself.
    """
    shape = b.fixed_shape(x)
    if top_k != 1:
        raise UnsupportedError(f"the {top_k} largest elements; supported is one")
    if axis is None:
        if out_max_val:
            raise UnsupportedError("places and elements in one blob are not supported")
        place = ops.arg_max(b, ops.flatten(b, x, axis=1), axis=1, keepdims=True)
        return ops.reshape(b, cast_to_float(b, place), [0, 1, 1])
    along = axis_of(axis, len(shape))
    if along == 0:
        raise UnsupportedError("compares images of the batch")
    if out_max_val:
        return ops.reduce_max(b, x, [along], keepdims=True)
    return cast_to_float(b, ops.arg_max(b, x, axis=along, keepdims=True))


_REDUCTIONS = {
    "SUM": ops.reduce_sum, "ASUM": ops.reduce_l1, "SUMSQ": ops.reduce_sum_square, "MEAN": ops.reduce_mean,
}  # fmt: skip
_REDUCTIONS |= dict(zip("1234", [*_REDUCTIONS.values()], strict=True))


def _reduction(b: Builder, x: Name, *, operation: str = "SUM", axis: int = 0, coeff: Number = 1.0) -> str:
    """Convert Reduction: reduce all axes from `axis` on, and multiply by a factor."""
    shape, reduce = b.fixed_shape(x), _REDUCTIONS.get(operation)
    first = axis_of(axis, len(shape))
    if reduce is None:
        raise WeightsError(f"damaged: its operation is {operation}")
    if first == 0:
        raise UnsupportedError("reduces the axes from 0 on, which include the batch")
    return b.linear(reduce(b, x, range(first, len(shape)), keepdims=False), coeff, 0.0)


def _softmax(b: Builder, x: Name, *, axis: int = 1) -> str:
    return ops.softmax(b, x, axis=axis)


LINEAR_AND_REDUCTIONS: dict[str, Row] = {
    "ArgMax": _largest,
    "Axpy": _weighted_sum,
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "Reduction": _reduction,
    "Softmax": _softmax,
}
