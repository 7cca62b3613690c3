"""Caffe's dense layers, sums and products of blobs, and what sums up or compares the elements of an axis."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import (
    FLOAT,
    Handler,
    axis_of,
    blob,
    flag,
    known,
    number,
    single,
    value,
)
from mpscnn.converters.onnx_graph import Graph
from mpscnn.errors import UnsupportedError, WeightsError


def _inner_product(g: Graph, layer: CaffeLayer) -> None:
    p = layer.parameters
    x, shape = single(g, layer)
    if axis_of(p, 1, None if shape is None else len(shape)) != 1:
        raise UnsupportedError("its axis is not 1")
    weight = blob(layer, 0, "weights")
    units = value(p, "num_output", 0)
    if units < 1 or weight.size % units:
        raise WeightsError(f"damaged: weights {weight.shape} for {units} results")
    weight = weight.reshaped(-1, units) if value(p, "transpose", False) else weight.reshaped(units, -1)
    batch = 1 if shape is None else shape[0]
    features = weight.size // units
    if shape is not None and math.prod(shape[1:]) != features:
        raise WeightsError(f"damaged: weights for {features} features, but its input is {shape}")
    flat = g.between(f"{layer.name}/flatten", (batch, features))
    g.node("Flatten", f"{layer.name}/flatten", [x], [flat], axis=1)
    operands = [flat, g.constant(f"{layer.name}/weight", weight)]
    if value(p, "bias_term", True):
        operands.append(g.constant(f"{layer.name}/bias", blob(layer, 1, "biases").reshaped(-1)))
    transposed = 0 if value(p, "transpose", False) else 1
    top = g.result(layer.tops[0], (batch, units))
    g.node("Gemm", layer.name, operands, [top], transB=transposed)


def _eltwise(g: Graph, layer: CaffeLayer) -> None:
    p = layer.parameters
    operation = value(p, "operation", "SUM")
    kinds = {"PROD": "Mul", "SUM": "Add", "MAX": "Max", "0": "Mul", "1": "Add", "2": "Max"}
    if operation not in kinds:
        raise UnsupportedError(f"its operation is {operation}")
    factors = list(p.coeff) if kinds[operation] == "Add" else []
    if len(layer.bottoms) < 2 or (factors and len(factors) != len(layer.bottoms)):
        raise WeightsError(f"damaged: {len(layer.bottoms)} inputs and {len(factors)} coefficients")
    tensors = [g.tensor(bottom) for bottom in layer.bottoms]
    shape = g.shapes.get(tensors[0])
    for place, factor in enumerate(factors):
        if factor != 1.0:
            name = f"{layer.name}/scaled{place + 1}"
            made, constant = g.between(name, shape), g.constant(f"{name}/operand", np.float32(factor))
            g.node("Mul", name, [tensors[place], constant], [made])
            tensors[place] = made
    partial = tensors[0]
    for place, tensor in enumerate(tensors[1:], start=2):
        last = place == len(tensors)
        name = layer.name if last else f"{layer.name}/part{place - 1}"
        made = g.result(layer.tops[0], shape) if last else g.between(name, shape)
        g.node(kinds[operation], name, [partial, tensor], [made])
        partial = made


def _weighted_sum(g: Graph, layer: CaffeLayer) -> None:
    """a * x + y, a being one factor for each channel."""
    if len(layer.bottoms) != 3 or not layer.tops:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs instead of three")
    factors, x, y = (g.tensor(bottom) for bottom in layer.bottoms)
    given, shape = g.shapes.get(factors), g.shapes.get(x)
    if given is None or shape is None or given[:2] != shape[:2]:
        raise UnsupportedError(f"factors {given} for {shape}")
    wide = g.between(f"{layer.name}/factors", (*shape[:2], 1, 1))
    target = g.constant(f"{layer.name}/shape", np.array([0, shape[1], 1, 1], np.int64))
    g.node("Reshape", f"{layer.name}/factors", [factors, target], [wide])
    scaled = g.between(f"{layer.name}/scaled", shape)
    g.node("Mul", f"{layer.name}/scaled", [x, wide], [scaled])
    g.node("Add", layer.name, [scaled, y], [g.result(layer.tops[0], shape)])


def _softmax(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    axis = int(value(layer.parameters, "axis", 1))
    g.node("Softmax", layer.name, [x], [g.result(layer.tops[0], shape)], axis=axis)


def _largest(g: Graph, layer: CaffeLayer) -> None:
    """The place of the largest element of an axis, or the element itself; without an axis that of each image."""
    x, shape = known(g, layer)
    p = layer.parameters
    if value(p, "top_k", 1) != 1:
        raise UnsupportedError(f"the {value(p, 'top_k', 1)} largest elements; supported is one")
    if p.HasField("axis"):
        axis = axis_of(p, 1, len(shape))
    else:
        if flag(p, "out_max_val", False):
            raise UnsupportedError("places and elements in one blob are not supported")
        axis, features = 1, math.prod(shape[1:])
        flat = g.between(f"{layer.name}/flatten", (shape[0], features))
        g.node("Flatten", f"{layer.name}/flatten", [x], [flat], axis=1)
        x, shape = flat, (shape[0], features)
    if axis == 0:
        raise UnsupportedError("compares images of the batch")
    made = (*shape[:axis], 1, *shape[axis + 1 :])
    if flag(p, "out_max_val", False):
        g.node("ReduceMax", layer.name, [x], [g.result(layer.tops[0], made)], axes=[axis], keepdims=1)
        return
    place = g.between(f"{layer.name}/place", made)
    g.node("ArgMax", f"{layer.name}/place", [x], [place], axis=axis, keepdims=1)
    if p.HasField("axis"):
        g.node("Cast", layer.name, [place], [g.result(layer.tops[0], made)], to=FLOAT)
        return
    number_of = g.between(f"{layer.name}/number", made)
    g.node("Cast", f"{layer.name}/number", [place], [number_of], to=FLOAT)
    target = g.constant(f"{layer.name}/shape", np.array([0, 1, 1], np.int64))
    g.node("Reshape", layer.name, [number_of, target], [g.result(layer.tops[0], (shape[0], 1, 1))])


def _reduction(g: Graph, layer: CaffeLayer) -> None:
    """Reduce all axes from the given one on, and multiply by a factor."""
    x, shape = known(g, layer)
    p = layer.parameters
    kinds = {"SUM": "ReduceSum", "ASUM": "ReduceL1", "SUMSQ": "ReduceSumSquare", "MEAN": "ReduceMean"}
    numbered = dict(zip("1234", kinds, strict=True))
    operation = value(p, "operation", "SUM")
    kind = kinds.get(numbered.get(operation, operation))
    axis = axis_of(p, 0, len(shape))
    if kind is None:
        raise WeightsError(f"damaged: its operation is {operation}")
    if axis < 2:
        raise UnsupportedError(f"reduces the axes from {axis} on, which leaves no channels")
    factor, made = number(p, "coeff", 1.0), shape[:axis]
    axes = list(range(axis, len(shape)))
    name = layer.name if factor == 1.0 else f"{layer.name}/sum"
    top = g.result(layer.tops[0], made) if factor == 1.0 else g.between(name, made)
    if kind == "ReduceSum":
        operand = g.constant(f"{layer.name}/axes", np.array(axes, np.int64))
        g.node(kind, name, [x, operand], [top], keepdims=0)
    else:
        g.node(kind, name, [x], [top], axes=axes, keepdims=0)
    if factor != 1.0:
        operand = g.constant(f"{layer.name}/coeff", np.float32(factor))
        g.node("Mul", layer.name, [top, operand], [g.result(layer.tops[0], made)])


PRODUCTS: dict[str, Handler] = {
    "ArgMax": _largest,
    "Axpy": _weighted_sum,
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "Reduction": _reduction,
    "Softmax": _softmax,
}
