"""Convert matrix products, normalizations and reductions of neural networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.reading.coreml.neural.as_operation import as_operation
from mpscnn.converters.reading.coreml.neural.layer import Handler, Layer
from mpscnn.converters.reading.coreml.photo_scaling import Numbers, batch_norm_scaling
from mpscnn.converters.reading.onnx_graph.blocks import (
    cast_to_float,
    fill,
    l2_normalize,
    standardize,
    transpose_last_axes,
)
from mpscnn.converters.reading.onnx_graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError


def _refuse_integers(parameters: Any) -> None:
    if parameters.int8DynamicQuantize:
        raise UnsupportedError("its input is quantised while it runs")


def _inner_product(b: Builder, layer: Layer) -> str:
    """Convert InnerProduct: a dense layer over the last axis, or over all features of an image."""
    p, x = layer.p, layer.x
    _refuse_integers(p)
    inputs, outputs = int(p.inputChannels), int(p.outputChannels)
    rank = b.rank(x)
    is_image = rank == 4
    if is_image:
        x = b.op("Flatten", x, axis=1)
    elif rank == 1:
        x = b.op("Reshape", x, [1, inputs])
    weight = layer.weight("weights", (outputs, inputs))
    if rank == 3:
        matrix = b.weight("weight", np.ascontiguousarray(weight.array().T))
        x = b.op("MatMul", x, matrix)
        return b.op("Add", x, b.weight("bias", layer.weight("bias", (outputs,)))) if p.hasBias else x
    operands = [x, b.weight("weight", weight)]
    if p.hasBias:
        operands.append(b.weight("bias", layer.weight("bias", (outputs,))))
    result = b.op("Gemm", *operands, transB=1)
    if is_image:
        return b.op("Reshape", result, [0, outputs, 1, 1])
    return b.op("Reshape", result, [outputs]) if rank == 1 else result


def _matmul(b: Builder, layer: Layer) -> str:
    p = layer.p
    _refuse_integers(p)
    if len(layer.inputs) == 1 and (p.transposeA or p.transposeB):
        raise WeightsError("damaged: it transposes inputs, but one of the matrices is a weight")
    if len(layer.inputs) == 1:
        # The file stores the matrix in column-major order.
        stored = layer.weight(
            "weights", (int(p.weightMatrixSecondDimension), int(p.weightMatrixFirstDimension))
        )
        first, second = layer.x, b.weight("weight", np.ascontiguousarray(stored.array().T))
    else:
        first, second = layer.two()
        first = transpose_last_axes(b, first) if p.transposeA else first
        second = transpose_last_axes(b, second) if p.transposeB else second
    result = b.op("MatMul", first, second)
    if p.hasBias and len(layer.inputs) == 1:
        columns = int(p.weightMatrixSecondDimension)
        result = b.op("Add", result, b.weight("bias", layer.weight("bias", (columns,))))
    return result


_BATCH_EPSILON, _EPSILON = 1e-5, 1e-6


def _batch_norm(b: Builder, layer: Layer) -> str:
    p, x = layer.p, layer.x
    channels, epsilon = int(p.channels), layer.positive("epsilon", _BATCH_EPSILON)
    if b.rank(x) != 4:
        raise UnsupportedError(f"its input has {b.rank(x)} axes; supported are images")
    operands = [b.weight(role, layer.weight(role, (channels,))) for role in ("gamma", "beta")]
    if p.computeMeanVar:
        if not p.instanceNormalization and b.extents(x)[0] != 1:
            raise UnsupportedError("its mean and variance are those of the whole batch")
        return b.op("InstanceNormalization", x, *operands, epsilon=epsilon)
    operands += [b.weight(role, layer.weight(role, (channels,))) for role in ("mean", "variance")]
    return b.op("BatchNormalization", x, *operands, epsilon=epsilon)


def scale_and_bias(layer: Layer) -> Numbers | None:
    """Return the constants of a layer that computes x * scale + bias; None for other layers."""
    if layer.kind != "batchnorm" or layer.p.computeMeanVar:
        return None
    gamma, beta, mean, variance = (
        layer.weight(role, (int(layer.p.channels),)).array() for role in ("gamma", "beta", "mean", "variance")
    )
    return batch_norm_scaling(gamma, beta, mean, variance, layer.positive("epsilon", _BATCH_EPSILON))


def _mean_variance(b: Builder, layer: Layer) -> str:
    axes = [-3, -2, -1] if layer.p.acrossChannels else [-2, -1]
    epsilon = layer.positive("epsilon", _EPSILON) if layer.p.normalizeVariance else None
    return standardize(b, layer.x, axes, epsilon)


def _local_response(b: Builder, layer: Layer) -> str:
    p = layer.p
    settings = {"size": int(p.localSize), "alpha": float(p.alpha), "beta": float(p.beta)}
    return b.op("LRN", layer.x, bias=layer.positive("k", 1.0), **settings)


def _layer_norm(b: Builder, layer: Layer) -> str:
    shape = tuple(int(one) for one in layer.p.normalizedShape)
    rank = b.rank(layer.x)
    if not 0 < len(shape) <= rank:
        raise WeightsError(f"damaged: normalises {len(shape)} of {rank} axes")
    factors = [b.weight(role, layer.weight(role, shape)) for role in ("gamma", "beta")]
    return b.op(
        "LayerNormalization",
        layer.x,
        *factors,
        axis=rank - len(shape),
        epsilon=layer.positive("eps", _BATCH_EPSILON),
    )


def _softmax(b: Builder, layer: Layer) -> str:
    if b.rank(layer.x) < 3:
        raise WeightsError(f"damaged: its input has {b.rank(layer.x)} axes; expected 3 or more")
    return b.op("Softmax", layer.x, axis=-3)


_MODES = (
    "ReduceSum",
    "ReduceMean",
    "ReduceProd",
    "",
    "ReduceSumSquare",
    "ReduceL1",
    "ReduceL2",
    "ReduceMax",
    "ReduceMin",
)
_LOG_SUM, _ARG_MAX = 3, 9
_AXES = ([-3, -2, -1], [-2, -1], [-3], [-2], [-1])


def _reduce(b: Builder, layer: Layer) -> str:
    p, x = layer.p, layer.x
    if not (0 <= p.axis < len(_AXES) and 0 <= p.mode <= _ARG_MAX):
        raise WeightsError(f"damaged: a reduction of the kind {p.mode} over {p.axis}")
    axes = _AXES[p.axis]
    if p.mode == _ARG_MAX:
        if len(axes) != 1:
            raise WeightsError("damaged: the place of the largest element over several axes")
        return cast_to_float(b, b.op("ArgMax", x, axis=axes[0], keepdims=True))
    if p.mode == _LOG_SUM:
        logarithms = b.op("Log", b.op("Add", x, layer.positive("epsilon", _EPSILON)))
        return b.op("ReduceSum", logarithms, axes, keepdims=True)
    return b.op(_MODES[p.mode], x, axes, keepdims=True)


def _reduce_axes(kind: str) -> Handler:
    def convert(b: Builder, layer: Layer) -> str:
        axes = list(range(b.rank(layer.x))) if layer.p.reduceAll else [int(axis) for axis in layer.p.axes]
        return b.op(kind, layer.x, axes or list(range(b.rank(layer.x))), keepdims=layer.p.keepDims)

    return convert


def _constant(b: Builder, layer: Layer) -> str:
    shape = tuple(int(one) for one in layer.p.shape)
    if layer.kind == "loadConstant":
        if len(shape) != 3:
            raise WeightsError(f"damaged: a constant of the shape {shape}")
        return b.weight("value", layer.weight("data", shape).reshaped(1, *shape))
    return b.weight("value", layer.weight("data", shape))


_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip

LINEAR_AND_REDUCTIONS: dict[str, Handler] = {
    "argMax": as_operation("reduce_argmax", axis="axis", keep_dims="!removeDim"),
    "argMin": as_operation("reduce_argmin", axis="axis", keep_dims="!removeDim"),
    "batchedMatmul": _matmul,
    "batchnorm": _batch_norm,
    "fillStatic": lambda b, layer: fill(b, [int(one) for one in layer.p.targetShape], float(layer.p.value)),
    "innerProduct": _inner_product,
    "l2normalize": lambda b, layer: l2_normalize(
        b, layer.x, [-3, -2, -1], layer.positive("epsilon", _EPSILON)
    ),
    "layerNormalization": _layer_norm,
    "loadConstant": _constant,
    "loadConstantND": _constant,
    "lrn": _local_response,
    "mvn": _mean_variance,
    "reduce": _reduce,
    **{f"r{kind[1:]}": _reduce_axes(kind) for kind in _REDUCTIONS},
    "softmax": _softmax,
    "softmaxND": as_operation("softmax", axis="axis"),
}
