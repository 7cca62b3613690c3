"""Convert matrix products, normalizations and reductions of programs."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.coreml.photo_scaling import Numbers, batch_norm_scaling
from mpscnn.converters.coreml.program.operation import Handler, Operation
from mpscnn.converters.onnx_graph.blocks import (
    l2_normalize,
    standardize,
    transpose_last_axes,
)
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError

_EPSILON = 1e-5


def _linear(b: Builder, op: Operation) -> str:
    """Convert linear: x * W^T + bias over the last axis."""
    x = op.tensor("x")
    if not op.is_constant("weight"):
        raise UnsupportedError("its weights are computed by the network, which is not supported")
    if b.rank(x) == 2:
        operands = [x, op.weight("weight"), *([op.weight("bias")] if op.has("bias") else [])]
        return b.op("Gemm", *operands, transB=1)
    weight = op.array("weight")
    if weight.ndim != 2:
        raise WeightsError(f"damaged: weights of the shape {weight.shape}")
    result = b.op("MatMul", x, b.weight("weight", np.ascontiguousarray(weight.T.astype(np.float32))))
    return b.op("Add", result, op.weight("bias")) if op.has("bias") else result


def _matmul(b: Builder, op: Operation) -> str:
    operands = []
    for name in ("x", "y"):
        tensor = op.tensor(name)
        operands.append(transpose_last_axes(b, tensor) if op.flag(f"transpose_{name}", False) else tensor)
    return b.op("MatMul", *operands)


def _attention(b: Builder, op: Operation) -> str:
    """Convert scaled_dot_product_attention: softmax(query * key^T / sqrt(width) + mask) * value."""
    query, key = op.tensor("query"), op.tensor("key")
    width = b.extents(query)[-1]
    if width is None:
        raise UnsupportedError("the width of its query is not known")
    scaled = b.op("Mul", query, 1.0 / math.sqrt(width))
    scores = b.op("MatMul", scaled, transpose_last_axes(b, key))
    if op.has("attn_mask"):
        mask = op.tensor("attn_mask")
        if b.is_boolean(mask):
            raise UnsupportedError("its mask has truth values")
        scores = b.op("Add", scores, mask)
    return b.op("MatMul", b.op("Softmax", scores, axis=-1), op.tensor("value"))


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _factor(b: Builder, op: Operation, name: str, like: str, default: float) -> str:
    """Return a factor for each channel. If the file leaves it out, all have the default."""
    if op.has(name):
        return op.weight(name)
    return b.weight(name, np.broadcast_to(np.float32(default), op.shape_of(like)))


def _batch_norm(b: Builder, op: Operation) -> str:
    scale = [_factor(b, op, "gamma", "mean", 1.0), _factor(b, op, "beta", "mean", 0.0)]
    operands = [op.tensor("x"), *scale, op.weight("mean"), op.weight("variance")]
    return b.op("BatchNormalization", *operands, epsilon=op.number("epsilon", _EPSILON))


def scale_and_bias(op: Operation) -> Numbers | None:
    """Return the constants of an operation that computes x * scale + bias; None for other operations."""
    if op.kind == "batch_norm":
        mean, variance = op.array("mean"), op.array("variance")
        gamma = op.array("gamma") if op.has("gamma") else np.ones(1)
        beta = op.array("beta") if op.has("beta") else np.zeros(1)
        return batch_norm_scaling(gamma, beta, mean, variance, op.number("epsilon", _EPSILON))
    if op.kind not in ("mul", "add") or not op.is_constant("y"):
        return None
    operand = np.asarray(op.array("y"), np.float64)
    return (operand, np.zeros(1)) if op.kind == "mul" else (np.ones(1), operand)


def _instance_norm(b: Builder, op: Operation) -> str:
    channels = b.extents(op.tensor("x"))[1]
    if channels is None:
        raise UnsupportedError("the number of its input's channels is not known")

    def factor(name: str, default: float) -> str:
        if op.has(name):
            return op.weight(name)
        return b.weight(name, np.broadcast_to(np.float32(default), (channels or 1,)))

    factors = [factor("gamma", 1.0), factor("beta", 0.0)]
    return b.op("InstanceNormalization", op.tensor("x"), *factors, epsilon=op.number("epsilon", 1e-5))


def _layer_norm(b: Builder, op: Operation) -> str:
    x, epsilon = op.tensor("x"), op.number("epsilon", _EPSILON)
    rank = b.rank(x)
    axes = sorted(b.axis(x, axis) for axis in op.integers("axes", list(range(rank))))
    is_last = axes == list(range(rank - len(axes), rank))
    if is_last and op.has("gamma"):
        return _norm_of_last_axes(b, op, x, axes[0], epsilon)
    # An operator of its own is read several times as fast as the sums and products that it stands for. Norms of images
    # are found in the sums and products.
    is_one = epsilon > 0.0 and all(b.extents(x)[axis] for axis in axes) and b.constant_of(x) is None
    if is_one and is_last and 0 not in axes and axes != [2, 3]:
        return _norm_of_last_axes(b, op, x, axes[0], epsilon)
    if is_one and axes == [1]:
        last = [0, *range(2, rank), 1]
        result = _norm_of_last_axes(b, op, b.op("Transpose", x, perm=last), rank - 1, epsilon)
        return b.op("Transpose", result, perm=[last.index(axis) for axis in range(rank)])
    result = standardize(b, x, axes, epsilon)
    for name, kind in (("gamma", "Mul"), ("beta", "Add")):
        if op.has(name):
            values = op.array(name).astype(np.float32)
            shape = [1] * rank
            if values.ndim != len(axes):
                raise WeightsError(f"damaged: its {name} has the shape {values.shape} for the axes {axes}")
            for axis, extent in zip(axes, values.shape, strict=True):
                shape[axis] = extent
            result = b.op(kind, result, b.weight(name, values.reshape(shape)))
    return result


def _norm_of_last_axes(b: Builder, op: Operation, x: str, axis: int, epsilon: float) -> str:
    """Normalise over an axis and all after it."""
    gamma = op.weight("gamma") if op.has("gamma") else b.weight("gamma", np.ones((), np.float32))
    factors = [gamma, *([op.weight("beta")] if op.has("beta") else [])]
    return b.op("LayerNormalization", x, *factors, axis=axis, epsilon=epsilon)


def _local_response(b: Builder, op: Operation) -> str:
    settings = {
        "alpha": op.number("alpha", 1e-4),
        "beta": op.number("beta", 0.75),
        "bias": op.number("k", 1.0),
    }
    return b.op("LRN", op.tensor("x"), size=op.integer("size"), **settings)


# ---- Reductions ----------------------------------------------------------------------------------------------------


def _reduction(kind: str) -> Handler:
    def convert(b: Builder, op: Operation) -> str:
        x = op.tensor("x")
        axes = op.integers("axes", list(range(b.rank(x))))
        return b.op(kind, x, axes, keepdims=op.flag("keep_dims", False))

    return convert


def _best(kind: str) -> Handler:
    def convert(b: Builder, op: Operation) -> str:
        return b.op(kind, op.tensor("x"), axis=op.integer("axis", -1), keepdims=op.flag("keep_dims", False))

    return convert


LINEAR_AND_REDUCTIONS: dict[str, Handler] = {
    "batch_norm": _batch_norm,
    "einsum": lambda b, op: b.op("Einsum", *op.tensors("values"), equation=op.text("equation", "")),
    "instance_norm": _instance_norm,
    "l2_norm": lambda b, op: l2_normalize(b, op.tensor("x"), [-3, -2, -1], op.number("epsilon", 1e-6)),
    "layer_norm": _layer_norm,
    "linear": _linear,
    "local_response_norm": _local_response,
    "matmul": _matmul,
    "reduce_argmax": _best("ArgMax"),
    "reduce_argmin": _best("ArgMin"),
    "reduce_l1_norm": _reduction("ReduceL1"),
    "reduce_l2_norm": _reduction("ReduceL2"),
    "reduce_log_sum": _reduction("ReduceLogSum"),
    "reduce_log_sum_exp": _reduction("ReduceLogSumExp"),
    "reduce_max": _reduction("ReduceMax"),
    "reduce_mean": _reduction("ReduceMean"),
    "reduce_min": _reduction("ReduceMin"),
    "reduce_prod": _reduction("ReduceProd"),
    "reduce_sum": _reduction("ReduceSum"),
    "reduce_sum_square": _reduction("ReduceSumSquare"),
    "scaled_dot_product_attention": _attention,
    "softmax": lambda b, op: b.op("Softmax", op.tensor("x"), axis=op.integer("axis", -1)),
}
