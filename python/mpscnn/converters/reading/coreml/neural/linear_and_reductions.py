"""Convert matrix products, normalizations and reductions of neural networks."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.neural.layer import Layer
from mpscnn.converters.reading.coreml.neural.row_calls import Weight, bias_of, numbered, stated
from mpscnn.converters.reading.coreml.photo_scaling import Numbers, batch_norm_scaling
from mpscnn.converters.reading.graph.blocks import (
    fill,
    l2_normalize,
    standardize,
    transpose_last_axes,
)
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Ints, Name, Row, schema_of
from mpscnn.errors import UnsupportedError, WeightsError


def _refuse_integers(quantize: bool) -> None:
    if quantize:
        raise UnsupportedError("its input is quantised while it runs")


def _inner_product(
    b: Builder, x: Name, *, weights: Weight | None = None, input_channels: int = 0, output_channels: int = 0,
    has_bias: bool = False, bias: Weight | None = None, int8_dynamic_quantize: bool = False,
) -> str:  # fmt: skip
    """Convert InnerProduct: a dense layer over the last axis, or over all features of an image."""
    _refuse_integers(int8_dynamic_quantize)
    rank = b.rank(x)
    is_image = rank == 4
    if is_image:
        x = ops.flatten(b, x, axis=1)
    elif rank == 1:
        x = ops.reshape(b, x, [1, input_channels])
    weight = stated(weights, "weights").blob((output_channels, input_channels))
    if rank == 3:
        matrix = b.weight("weight", np.ascontiguousarray(weight.array().T))
        x = ops.matmul(b, x, matrix)
        return ops.add(b, x, bias_of(b, bias, output_channels)) if has_bias else x
    operands = [x, b.weight("weight", weight)]
    if has_bias:
        operands.append(bias_of(b, bias, output_channels))
    result = ops.gemm(b, *operands, transpose_y=1)
    if is_image:
        return ops.reshape(b, result, [0, output_channels, 1, 1])
    return ops.reshape(b, result, [output_channels]) if rank == 1 else result


def _matmul(
    b: Builder, x: Name, y: Name | None = None, *, transpose_a: bool = False, transpose_b: bool = False,
    weight_matrix_first_dimension: int = 0, weight_matrix_second_dimension: int = 0,
    has_bias: bool = False, weights: Weight | None = None, bias: Weight | None = None,
    int8_dynamic_quantize: bool = False,
) -> str:  # fmt: skip
    _refuse_integers(int8_dynamic_quantize)
    if y is not None:
        first = transpose_last_axes(b, x) if transpose_a else x
        return ops.matmul(b, first, transpose_last_axes(b, y) if transpose_b else y)
    if transpose_a or transpose_b:
        raise WeightsError("damaged: it transposes inputs, but one of the matrices is a weight")
    # The file stores the matrix in column-major order.
    columns = weight_matrix_second_dimension
    stored = stated(weights, "weights").blob((columns, weight_matrix_first_dimension))
    result = ops.matmul(b, x, b.weight("weight", np.ascontiguousarray(stored.array().T)))
    return ops.add(b, result, bias_of(b, bias, columns)) if has_bias else result


# ---- Normalizations ------------------------------------------------------------------------------------------------

_BATCH_EPSILON, _EPSILON = 1e-5, 1e-6


def _batch_norm(
    b: Builder, x: Name, *, gamma: Weight, beta: Weight, channels: int = 0, compute_mean_var: bool = False,
    instance_normalization: bool = False, epsilon: float = _BATCH_EPSILON, mean: Weight | None = None,
    variance: Weight | None = None,
) -> str:  # fmt: skip
    if b.rank(x) != 4:
        raise UnsupportedError(f"its input has {b.rank(x)} axes; supported are images")
    operands = [b.weight(one.name, one.blob((channels,))) for one in (gamma, beta)]
    if compute_mean_var:
        if not instance_normalization and b.extents(x)[0] != 1:
            raise UnsupportedError("its mean and variance are those of the whole batch")
        return ops.instance_norm(b, x, *operands, epsilon=epsilon)
    statistics = (stated(mean, "mean"), stated(variance, "variance"))
    operands += [b.weight(one.name, one.blob((channels,))) for one in statistics]
    return ops.batch_norm(b, x, *operands, epsilon=epsilon)


def scale_and_bias(layer: Layer) -> Numbers | None:
    """Return the constants of a layer that computes x * scale + bias; None for other layers."""
    if layer.kind != "batchnorm":
        return None
    settings = schema_of(_batch_norm).checked(layer.settings)
    if settings.get("compute_mean_var"):
        return None
    gamma, beta, mean, variance = (
        stated(settings.get(role), role).blob((settings.get("channels", 0),)).array()
        for role in ("gamma", "beta", "mean", "variance")
    )
    return batch_norm_scaling(gamma, beta, mean, variance, settings.get("epsilon", _BATCH_EPSILON))


def _mean_variance(
    b: Builder, x: Name, *, across_channels: bool = False, normalize_variance: bool = False,
    epsilon: float = _EPSILON,
) -> str:  # fmt: skip
    axes = [-3, -2, -1] if across_channels else [-2, -1]
    return standardize(b, x, axes, epsilon if normalize_variance else None)


def _l2_normalize(b: Builder, x: Name, *, epsilon: float = _EPSILON) -> str:
    return l2_normalize(b, x, [-3, -2, -1], epsilon, at_once=True)


def _local_response(
    b: Builder, x: Name, *, alpha: float = 0.0, beta: float = 0.0, local_size: int = 0, k: float = 1.0
) -> str:
    return ops.local_response_norm(b, x, bias=k, size=local_size, alpha=alpha, beta=beta)


def _layer_norm(
    b: Builder, x: Name, *, gamma: Weight, beta: Weight, normalized_shape: Ints = (),
    eps: float = _BATCH_EPSILON,
) -> str:  # fmt: skip
    rank, count = b.rank(x), len(normalized_shape)
    if not 0 < count <= rank:
        raise WeightsError(f"damaged: normalises {count} of {rank} axes")
    factors = [b.weight(one.name, one.blob(normalized_shape)) for one in (gamma, beta)]
    return ops.layer_norm(b, x, *factors, axis=rank - count, epsilon=eps)


def _softmax(b: Builder, x: Name) -> str:
    if b.rank(x) < 3:
        raise WeightsError(f"damaged: its input has {b.rank(x)} axes; expected 3 or more")
    return ops.softmax(b, x, axis=-3)


def _softmax_nd(b: Builder, x: Name, *, axis: int = 0) -> str:
    return ops.softmax(b, x, axis=axis)


# ---- Reductions ----------------------------------------------------------------------------------------------------

_KINDS = {
    "SUM": ops.reduce_sum,
    "AVG": ops.reduce_mean,
    "PROD": ops.reduce_prod,
    "SUMSQUARE": ops.reduce_sum_square,
    "L1": ops.reduce_l1,
    "L2": ops.reduce_l2,
    "MAX": ops.reduce_max,
    "MIN": ops.reduce_min,
}
_MODES = numbered("SUM", "AVG", "PROD", "LOGSUM", "SUMSQUARE", "L1", "L2", "MAX", "MIN", "ARGMAX")
_AXES = {"CHW": [-3, -2, -1], "HW": [-2, -1], "C": [-3], "H": [-2], "W": [-1]}


def _reduce(
    b: Builder, x: Name, *, mode: Annotated[str, _MODES] = "SUM", epsilon: float = _EPSILON,
    axis: Annotated[str, numbered(*_AXES)] = "CHW",
) -> str:  # fmt: skip
    axes = _AXES[axis]
    if mode == "ARGMAX":
        if len(axes) != 1:
            raise WeightsError("damaged: the place of the largest element over several axes")
        return ops.arg_max(b, x, axis=axes[0], keepdims=True)
    if mode == "LOGSUM":
        return ops.reduce_sum(b, ops.log(b, ops.add(b, x, epsilon)), axes, keepdims=True)
    return _KINDS[mode](b, x, axes, keepdims=True)


def _reduce_axes(reduce: ops.Reduction) -> Row:
    def row(
        b: Builder, x: Name, *, axes: Ints = (), keep_dims: bool = False, reduce_all: bool = False
    ) -> str:
        every = range(b.rank(x))
        return reduce(b, x, list(every if reduce_all else axes or every), keepdims=keep_dims)

    return row


def _best(place: ops.Place) -> Row:
    def row(b: Builder, x: Name, *, axis: int = 0, remove_dim: bool = False) -> str:
        return place(b, x, axis=axis, keepdims=not remove_dim)

    return row


# ---- Constants -----------------------------------------------------------------------------------------------------


def _constant(b: Builder, *, data: Weight, shape: Ints = ()) -> str:
    return b.weight("value", data.blob(shape))


def _constant_image(b: Builder, *, data: Weight, shape: Ints = ()) -> str:
    if len(shape) != 3:
        raise WeightsError(f"damaged: a constant of the shape {shape}")
    return b.weight("value", data.blob(shape).reshaped(1, *shape))


def _fill(b: Builder, *, value: float = 0.0, target_shape: Ints = ()) -> str:
    return fill(b, target_shape, value)


LINEAR_AND_REDUCTIONS: dict[str, Row] = {
    "argMax": _best(ops.arg_max),
    "argMin": _best(ops.arg_min),
    "batchedMatmul": _matmul,
    "batchnorm": _batch_norm,
    "fillStatic": _fill,
    "innerProduct": _inner_product,
    "l2normalize": _l2_normalize,
    "layerNormalization": _layer_norm,
    "loadConstant": _constant_image,
    "loadConstantND": _constant,
    "lrn": _local_response,
    "mvn": _mean_variance,
    "reduce": _reduce,
    "reduceL1": _reduce_axes(ops.reduce_l1),
    "reduceL2": _reduce_axes(ops.reduce_l2),
    "reduceLogSum": _reduce_axes(ops.reduce_log_sum),
    "reduceLogSumExp": _reduce_axes(ops.reduce_log_sum_exp),
    "reduceMax": _reduce_axes(ops.reduce_max),
    "reduceMean": _reduce_axes(ops.reduce_mean),
    "reduceMin": _reduce_axes(ops.reduce_min),
    "reduceProd": _reduce_axes(ops.reduce_prod),
    "reduceSum": _reduce_axes(ops.reduce_sum),
    "reduceSumSquare": _reduce_axes(ops.reduce_sum_square),
    "softmax": _softmax,
    "softmaxND": _softmax_nd,
}
