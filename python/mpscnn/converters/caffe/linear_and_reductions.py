"""Convert Caffe's dense layers, elementwise sums and products, reductions, and ArgMax."""

from __future__ import annotations

import math

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import (
    Handler,
    axis_of,
    blob,
    flag,
    input_with_shape,
    number,
    only_input,
    value,
)
from mpscnn.converters.onnx_graph.blocks import cast_to_float, fold
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError


def _inner_product(b: Builder, layer: CaffeLayer) -> str:
    p = layer.parameters
    x, shape = input_with_shape(b, layer)
    if axis_of(p, 1, len(shape)) != 1:
        raise UnsupportedError("its axis is not 1")
    weight, turned = blob(layer, 0, "weights"), flag(p, "transpose", False)
    units = value(p, "num_output", 0)
    if units < 1 or weight.size % units:
        raise WeightsError(f"damaged: weights {weight.shape} for {units} results")
    features = weight.size // units
    if math.prod(shape[1:]) != features:
        raise WeightsError(f"damaged: weights for {features} features, but its input is {shape}")
    weight = weight.reshaped(-1, units) if turned else weight.reshaped(units, -1)
    operands = [b.op("Flatten", x, axis=1), b.weight("weight", weight)]
    if flag(p, "bias_term", True):
        operands.append(b.weight("bias", blob(layer, 1, "biases").reshaped(-1)))
    return b.op("Gemm", *operands, transB=int(not turned))


def _eltwise(b: Builder, layer: CaffeLayer) -> str:
    p = layer.parameters
    operation = value(p, "operation", "SUM")
    kind = {"PROD": "Mul", "SUM": "Add", "MAX": "Max", "0": "Mul", "1": "Add", "2": "Max"}.get(operation)
    if kind is None:
        raise UnsupportedError(f"its operation is {operation}")
    if kind == "Mul" and p.coeff:
        raise WeightsError("damaged: it multiplies and has coefficients, which only sums have")
    factors = list(p.coeff) if kind == "Add" else []
    if len(layer.bottoms) < 2 or (factors and len(factors) != len(layer.bottoms)):
        raise WeightsError(f"damaged: {len(layer.bottoms)} inputs and {len(factors)} coefficients")
    tensors = [b.tensor(bottom) for bottom in layer.bottoms]
    if factors:
        tensors = [b.linear(x, factor, 0.0) for x, factor in zip(tensors, factors, strict=True)]
    return fold(b, kind, tensors)


def _weighted_sum(b: Builder, layer: CaffeLayer) -> str:
    """Convert Axpy: a * x + y, with one factor a for each channel."""
    if len(layer.bottoms) != 3 or not layer.tops:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs instead of three")
    factors, x, y = (b.tensor(bottom) for bottom in layer.bottoms)
    given, shape = b.fixed_shape(factors), b.fixed_shape(x)
    if given[:2] != shape[:2]:
        raise UnsupportedError(f"factors {given} for {shape}")
    return b.op("Add", b.op("Mul", x, b.op("Reshape", factors, [0, shape[1], 1, 1])), y)


def _largest(b: Builder, layer: CaffeLayer) -> str:
    """Convert ArgMax: the index of the largest element of an axis (without an axis, of each image).

    With an axis and `out_max_val`, the result is the element itself.
    """
    x, shape = input_with_shape(b, layer)
    p = layer.parameters
    if value(p, "top_k", 1) != 1:
        raise UnsupportedError(f"the {value(p, 'top_k', 1)} largest elements; supported is one")
    gives_elements = flag(p, "out_max_val", False)
    if not p.has("axis"):
        if gives_elements:
            raise UnsupportedError("places and elements in one blob are not supported")
        place = b.op("ArgMax", b.op("Flatten", x, axis=1), axis=1, keepdims=True)
        return b.op("Reshape", cast_to_float(b, place), [0, 1, 1])
    axis = axis_of(p, 1, len(shape))
    if axis == 0:
        raise UnsupportedError("compares images of the batch")
    if gives_elements:
        return b.op("ReduceMax", x, [axis], keepdims=True)
    return cast_to_float(b, b.op("ArgMax", x, axis=axis, keepdims=True))


def _reduction(b: Builder, layer: CaffeLayer) -> str:
    """Convert Reduction: reduce all axes from `axis` on, and multiply by a factor."""
    x, shape = input_with_shape(b, layer)
    p = layer.parameters
    kinds = {"SUM": "ReduceSum", "ASUM": "ReduceL1", "SUMSQ": "ReduceSumSquare", "MEAN": "ReduceMean"}
    numbered = dict(zip("1234", kinds, strict=True))
    operation = value(p, "operation", "SUM")
    kind = kinds.get(numbered.get(operation, operation))
    axis = axis_of(p, 0, len(shape))
    if kind is None:
        raise WeightsError(f"damaged: its operation is {operation}")
    if axis == 0:
        raise UnsupportedError("reduces the axes from 0 on, which include the batch")
    return b.linear(b.op(kind, x, range(axis, len(shape)), keepdims=False), number(p, "coeff", 1.0), 0.0)


LINEAR_AND_REDUCTIONS: dict[str, Handler] = {
    "ArgMax": _largest,
    "Axpy": _weighted_sum,
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "Reduction": _reduction,
    "Softmax": lambda b, layer: b.op(
        "Softmax", only_input(b, layer), axis=int(value(layer.parameters, "axis", 1))
    ),
}
