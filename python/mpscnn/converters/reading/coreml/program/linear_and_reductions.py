"""Convert matrix products, normalizations and reductions of programs."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.photo_scaling import Numbers, batch_norm_scaling
from mpscnn.converters.reading.coreml.program.operation import Operation
from mpscnn.converters.reading.coreml.program.row_calls import (
    NO_TEXT,
    Flag,
    Real,
    Tensor,
    Tensors,
    Text,
    Weight,
    Whole,
    Wholes,
)
from mpscnn.converters.reading.graph.blocks import (
    l2_normalize,
    standardize,
    transpose_last_axes,
)
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Row, Stated, ignores
from mpscnn.errors import UnsupportedError, WeightsError

_EPSILON = 1e-5


def _linear(b: Builder, op: Operation, x: Tensor, weight: Weight, bias: Weight | None = None) -> str:
    """Convert linear: x * W^T + bias over the last axis."""
    biases = [] if bias is None else [bias]
    if b.rank(x) == 2:
        return ops.gemm(b, x, weight, *biases, transpose_y=1)
    values = op.array("weight")
    if values.ndim != 2:
        raise WeightsError(f"damaged: weights of the shape {values.shape}")
    result = ops.matmul(b, x, b.weight("weight", np.ascontiguousarray(values.T.astype(np.float32))))
    return result if bias is None else ops.add(b, result, bias)


def _matmul(b: Builder, x: Tensor, y: Tensor, transpose_x: Flag = False, transpose_y: Flag = False) -> str:
    operands = [
        transpose_last_axes(b, one) if turned else one for one, turned in ((x, transpose_x), (y, transpose_y))
    ]
    return ops.matmul(b, *operands)


def _einsum(b: Builder, values: Tensors, equation: Text = NO_TEXT) -> str:
    return ops.einsum(b, *values, equation=equation)


def _attention(b: Builder, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> str:
    """Convert scaled_dot_product_attention: softmax(query * key^T / sqrt(width) + mask) * value."""
    width = b.extents(query)[-1]
    if width is None:
        raise UnsupportedError("the width of its query is not known")
    scaled = ops.multiply(b, query, 1.0 / math.sqrt(width))
    scores = ops.matmul(b, scaled, transpose_last_axes(b, key))
    if attn_mask is not None:
        if b.is_boolean(attn_mask):
            raise UnsupportedError("its mask has truth values")
        scores = ops.add(b, scores, attn_mask)
    return ops.matmul(b, ops.softmax(b, scores, axis=-1), value)


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _factors(b: Builder, gamma: str | None, beta: str | None, channels: int) -> tuple[str, str]:
    """Return scale and offset of each channel. If the file leaves one out, all are 1 or 0."""
    scale, offset = (
        b.weight(name, np.broadcast_to(np.float32(default), (channels,))) if stated is None else stated
        for name, stated, default in (("gamma", gamma, 1.0), ("beta", beta, 0.0))
    )
    return scale, offset


def _batch_norm(
    b: Builder, op: Operation, x: Tensor, mean: Weight, variance: Weight, gamma: Weight | None = None,
    beta: Weight | None = None, epsilon: Real = _EPSILON,
) -> str:  # fmt: skip
    channels = math.prod(op.shape_of("mean"))
    return ops.batch_norm(b, x, *_factors(b, gamma, beta, channels), mean, variance, epsilon=epsilon)


def scale_and_bias(op: Operation) -> Numbers | None:
    """Return the constants of an operation that computes x * scale + bias; None for other operations."""
    if op.kind == "batch_norm":
        mean, variance = op.array("mean"), op.array("variance")
        gamma = op.array("gamma") if op.has("gamma") else np.ones(1)
        beta = op.array("beta") if op.has("beta") else np.zeros(1)
        return batch_norm_scaling(
            gamma, beta, mean, variance, op.number("epsilon") if op.has("epsilon") else _EPSILON
        )
    if op.kind not in ("mul", "add") or not op.is_constant("y"):
        return None
    operand = np.asarray(op.array("y"), np.float64)
    return (operand, np.zeros(1)) if op.kind == "mul" else (np.ones(1), operand)


def _instance_norm(
    b: Builder, x: Tensor, gamma: Weight | None = None, beta: Weight | None = None, epsilon: Real = _EPSILON
) -> str:
    channels = b.extents(x)[1]
    if channels is None:
        raise UnsupportedError("the number of its input's channels is not known")
    return ops.instance_norm(b, x, *_factors(b, gamma, beta, channels or 1), epsilon=epsilon)


def _layer_norm(
    b: Builder, op: Operation, x: Tensor, along: Annotated[Wholes | None, Stated("axes")] = None,
    gamma: Weight | None = None, beta: Weight | None = None, epsilon: Real = _EPSILON,
) -> str:  # fmt: skip
    rank = b.rank(x)
    axes = sorted(b.axis(x, axis) for axis in (range(rank) if along is None else along))
    is_last = axes == list(range(rank - len(axes), rank))
    if is_last and gamma is not None:
        return _norm_of_last_axes(b, x, axes[0], gamma, beta, epsilon)
    # An operator of its own is read several times as fast as the sums and products that it stands for. Norms of images
    # are found in the sums and products.
    is_one = epsilon > 0.0 and all(b.extents(x)[axis] for axis in axes) and b.constant_of(x) is None
    if is_one and is_last and 0 not in axes and axes != [2, 3]:
        return _norm_of_last_axes(b, x, axes[0], gamma, beta, epsilon)
    if is_one and axes == [1]:
        last = [0, *range(2, rank), 1]
        turned = ops.transpose(b, x, perm=last)
        result = _norm_of_last_axes(b, turned, rank - 1, gamma, beta, epsilon)
        return ops.transpose(b, result, perm=[last.index(axis) for axis in range(rank)])
    result = standardize(b, x, axes, epsilon)
    for name, stated, function in (("gamma", gamma, ops.multiply), ("beta", beta, ops.add)):
        if stated is not None:
            values = op.array(name).astype(np.float32)
            shape = [1] * rank
            if values.ndim != len(axes):
                raise WeightsError(f"damaged: its {name} has the shape {values.shape} for the axes {axes}")
            for axis, extent in zip(axes, values.shape, strict=True):
                shape[axis] = extent
            result = function(b, result, b.weight(name, values.reshape(shape)))
    return result


def _norm_of_last_axes(
    b: Builder, x: str, axis: int, gamma: str | None, beta: str | None, epsilon: float
) -> str:
    """Normalise over an axis and all after it."""
    scale = b.weight("gamma", np.ones((), np.float32)) if gamma is None else gamma
    return ops.layer_norm(b, x, scale, *([] if beta is None else [beta]), axis=axis, epsilon=epsilon)


def _l2_norm(b: Builder, x: Tensor, epsilon: Real = 1e-6) -> str:
    return l2_normalize(b, x, [-3, -2, -1], epsilon, at_once=True)


def _local_response(
    b: Builder, x: Tensor, size: Whole, alpha: Real = 1e-4, beta: Real = 0.75, k: Real = 1.0
) -> str:
    return ops.local_response_norm(b, x, size=size, alpha=alpha, beta=beta, bias=k)


def _softmax(b: Builder, x: Tensor, axis: Whole = -1) -> str:
    return ops.softmax(b, x, axis=axis)


# ---- Reductions ----------------------------------------------------------------------------------------------------


def _reduction(reduce: ops.Reduction) -> Row:
    def row(b: Builder, x: Tensor, axes: Wholes | None = None, keep_dims: Flag = False) -> str:
        return reduce(b, x, list(range(b.rank(x)) if axes is None else axes), keepdims=keep_dims)

    return row


def _best(place: ops.Place) -> Row:
    @ignores("output_dtype")
    def row(b: Builder, x: Tensor, axis: Whole = -1, keep_dims: Flag = False) -> str:
        return place(b, x, axis=axis, keepdims=keep_dims)

    return row


LINEAR_AND_REDUCTIONS: dict[str, Row] = {
    "batch_norm": _batch_norm,
    "einsum": _einsum,
    "instance_norm": _instance_norm,
    "l2_norm": _l2_norm,
    "layer_norm": _layer_norm,
    "linear": _linear,
    "local_response_norm": _local_response,
    "matmul": _matmul,
    "reduce_argmax": _best(ops.arg_max),
    "reduce_argmin": _best(ops.arg_min),
    "reduce_l1_norm": _reduction(ops.reduce_l1),
    "reduce_l2_norm": _reduction(ops.reduce_l2),
    "reduce_log_sum": _reduction(ops.reduce_log_sum),
    "reduce_log_sum_exp": _reduction(ops.reduce_log_sum_exp),
    "reduce_max": _reduction(ops.reduce_max),
    "reduce_mean": _reduction(ops.reduce_mean),
    "reduce_min": _reduction(ops.reduce_min),
    "reduce_prod": _reduction(ops.reduce_prod),
    "reduce_sum": _reduction(ops.reduce_sum),
    "reduce_sum_square": _reduction(ops.reduce_sum_square),
    "scaled_dot_product_attention": _attention,
    "softmax": _softmax,
}
