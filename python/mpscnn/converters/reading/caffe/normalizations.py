"""Convert Caffe's normalizations, and scales and offsets of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.opening.broadcast_views import stored
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.caffe.file import CaffeLayer
from mpscnn.converters.reading.caffe.row_calls import Number, axis_of, image, lacks
from mpscnn.converters.reading.graph.blocks import l2_normalize, standardize
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.affine import EPSILON, VARIANCE
from mpscnn.converters.values.rows import Name, Operand, Row, ignores
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]


Statistics = Annotated[Blob, Operand("statistics")]


def _batch_norm(
    b: Builder, layer: CaffeLayer, x: Name, mean: Statistics, variance: Statistics,
    total: Annotated[Blob, Operand("scale factor")], *, use_global_stats: bool = True, eps: Number = 1e-5,
) -> str:  # fmt: skip
    """Convert BatchNorm. The stored means and variances must be divided by the third weight."""
    if not use_global_stats:
        raise UnsupportedError("it normalises with the statistics of the batch (use_global_stats: false)")
    if len(layer.blobs) > 3:
        raise UnsupportedError("it has its own factors and offsets: move them to a Scale layer after it")
    means, variances = (one.array().reshape(-1) for one in (mean, variance))
    count = float(total.array().reshape(-1)[0])
    factor = np.float32(0.0 if count == 0.0 else 1.0 / count)
    with np.errstate(all="ignore"):  # numbers that are not finite are not folded
        factors = 1.0 / np.sqrt(variances.astype(np.float64) * factor + eps)
        folded = _into_layer_before(b, layer, x, factors, -means.astype(np.float64) * factor * factors)
    if folded is not None:
        return folded
    roles = {
        "scale": np.ones_like(means),
        "bias": 0 * means,
        "mean": means * factor,
        "variance": variances * factor,
    }
    operands = [b.weight(role, values) for role, values in roles.items()]
    return ops.batch_norm(b, x, *operands, epsilon=eps)


@ignores("num_axes")  # the weights have the axes
def _scale(b: Builder, layer: CaffeLayer, *x: Name, axis: int = 1, bias_term: bool = False) -> str:
    """Convert Scale: factors and offsets, constant or computed by another layer."""
    if len(x) == 2:
        return _combined_with_blob(b, layer, ops.multiply, x, axis)
    factors = _weight(layer, 0, "factors")
    return _scaled(b, layer, x, axis, factors, _weight(layer, 1, "offsets") if bias_term else None)


@ignores("num_axes")
def _bias(b: Builder, layer: CaffeLayer, *x: Name, axis: int = 1) -> str:
    """Convert Bias: offsets, constant or computed by another layer."""
    if len(x) == 2:
        return _combined_with_blob(b, layer, ops.add, x, axis)
    offsets = _weight(layer, 0, "factors")
    return _scaled(b, layer, x, axis, np.ones_like(offsets), offsets)


def _weight(layer: CaffeLayer, place: int, what: str) -> Array:
    if place >= len(layer.blobs):
        raise lacks(what)
    return layer.blobs[place].array()


def _scaled(
    b: Builder, layer: CaffeLayer, inputs: Sequence[str], axis: int, factors: Array, offsets: Array | None
) -> str:
    if len(inputs) != 1 or not layer.tops:
        raise WeightsError(f"damaged: it has {len(inputs)} inputs and {len(layer.tops)} results")
    (x,) = inputs
    shape = b.fixed_shape(x)
    axis = axis_of(axis, len(shape))
    if factors.ndim == 0:  # one number for all channels (num_axes: 0)
        axis, factors = 1, np.broadcast_to(factors, (shape[1],))
        offsets = None if offsets is None else np.broadcast_to(offsets, (shape[1],))
    if factors.shape != shape[axis : axis + factors.ndim]:
        raise WeightsError(f"damaged: factors {factors.shape} along its axis {axis} of {shape}")
    offsets = (
        np.broadcast_to(np.float32(0.0), factors.shape) if offsets is None else offsets.reshape(factors.shape)
    )
    if axis != 1 or factors.ndim != 1:
        return _scale_elements(b, x, len(shape) - axis, factors, offsets)
    return _scale_channels(b, layer, x, factors, offsets)


def _scale_elements(b: Builder, x: str, rank: int, factors: Array, offsets: Array) -> str:
    """Return x * factors + offsets. Both have the first of the last `rank` axes of x."""
    steps = ((ops.multiply, "scale", factors, 1), (ops.add, "bias", offsets, 0))
    for function, role, values, neutral in steps:
        if (stored(values) != neutral).any():
            shape = values.shape + (1,) * (rank - values.ndim)
            x = function(b, x, b.weight(role, values.reshape(shape)))
    return x


def _scale_channels(b: Builder, layer: CaffeLayer, x: str, factors: Array, offsets: Array) -> str:
    """Return x * factors + offsets, with one factor and one offset for each channel.

    They become part of a convolution or dense layer that computes x, if nothing else reads it.
    If x is the result of a normalization, they become part of it. Its own factors and offsets are those of a Scale
    before this one; after a BatchNorm they are 1 and 0.
    """
    folded = _into_layer_before(b, layer, x, factors, offsets)
    if folded is not None:
        return folded
    normalization = b.maker(x, ops.batch_norm)
    if normalization is None:
        operands = [b.weight("scale", factors), b.weight("bias", offsets)]
        operands += [
            b.weight(role, np.broadcast_to(np.float32(value), factors.shape))
            for role, value in (("mean", 0.0), ("variance", VARIANCE))
        ]
        return ops.batch_norm(b, x, *operands, epsilon=EPSILON)
    # The original normalization is dropped unless another layer reads it.
    own = normalization.inputs[1:]
    known = map(b.constant_of, own[:2])
    scale, bias = (one.real("its factors") for one in known if one is not None)
    b.begin(normalization.name)
    operands = [b.weight("scale", scale * factors), b.weight("bias", bias * factors + offsets), *own[2:]]
    return ops.again(b, normalization, *operands)


def _into_layer_before(b: Builder, layer: CaffeLayer, x: str, factors: Array, offsets: Array) -> str | None:
    """Return the convolution or dense layer that computes x, with factors and offsets in its weights and biases.

    Return None if another layer reads x, if it is computed otherwise, or if half floats could not hold the weights.
    """
    made = b.maker(x, ops.convolve, ops.gemm)
    if made is None or not layer.folds:
        return None
    known = [b.constant_of(name) for name in made.inputs[1:]]
    if not known or None in known:
        return None
    weights, *biases = (one.real("its weights") for one in known if one is not None)
    axis = ops.axis_of_filters(made)
    if weights.shape[axis] != factors.size:
        return None
    rows = [1] * weights.ndim
    rows[axis] = -1
    with np.errstate(all="ignore"):
        folded = {
            "weight": weights.astype(np.float64) * factors.reshape(rows),
            "bias": (biases[0].astype(np.float64) if biases else 0.0) * factors + offsets,
        }
    limit = np.finfo(np.float16).max
    if not all((np.abs(values) <= limit).all() for values in folded.values()):
        return None
    b.begin(made.name)
    operands = [b.weight(role, values.astype(np.float32)) for role, values in folded.items()]
    return ops.again(b, made, *operands)


def _combined_with_blob(
    b: Builder, layer: CaffeLayer, function: ops.Binary, inputs: Sequence[str], axis: int
) -> str:
    """Convert Scale or Bias with two inputs: the second input is broadcast. Its axes begin at `axis`."""
    if layer.blobs:
        raise UnsupportedError("it has two inputs and weights")
    x, factors = inputs
    shape, given = b.fixed_shape(x), b.fixed_shape(factors)
    missing = len(shape) - axis_of(axis, len(shape)) - len(given)
    if missing < 0:
        raise WeightsError(f"damaged: factors {given} along its axis of {shape}")
    if missing:
        factors = ops.unsqueeze(b, factors, range(len(given), len(given) + missing))
    return function(b, x, factors)


def _local_response(
    b: Builder, x: Name, *, local_size: int = 5, alpha: Number = 1.0, beta: Number = 0.75, k: Number = 1.0,
    norm_region: str = "ACROSS_CHANNELS",
) -> str:  # fmt: skip
    size = local_size
    if size % 2 == 0:
        raise UnsupportedError(f"its local_size is {size}, which is not odd")
    if norm_region in ("ACROSS_CHANNELS", "0"):
        return ops.local_response_norm(b, x, size=size, alpha=alpha, beta=beta, bias=k)
    if norm_region not in ("WITHIN_CHANNEL", "1"):
        raise UnsupportedError(f"its norm_region is {norm_region}")
    # x * (1 + alpha * mean of the squares around)^-beta, with zeros around the image
    mean = ops.average_pool(
        b, ops.multiply(b, x, x), kernel_shape=[size, size], pads=[size // 2] * 4, count_include_pad=1
    )
    return ops.multiply(b, x, ops.power(b, b.linear(mean, alpha, 1.0), -beta))


@ignores("channel_shared")
def _normalize(
    b: Builder, x: Name, factors: Annotated[Blob, Operand("factors")], *, across_spatial: bool = True,
    eps: Number = 1e-10,
) -> str:  # fmt: skip
    """Convert Normalize: x / sqrt(sum of squares over channels or the whole image), times a scale for each channel."""
    image(b, x)
    y = l2_normalize(b, x, [1, 2, 3] if across_spatial else [1], eps)
    return ops.multiply(b, y, b.weight("factors", factors.reshaped(-1, 1, 1)))


def _mean_variance(
    b: Builder, x: Name, *, across_channels: bool = False, normalize_variance: bool = True, eps: Number = 1e-9
) -> str:
    """Convert MVN: (x - mean) / (standard deviation + eps) over each channel, or over all channels, of each image."""
    image(b, x)
    axes = [1, 2, 3] if across_channels else [2, 3]
    difference = standardize(b, x, axes, None)
    if not normalize_variance:
        return difference
    variance = ops.reduce_mean(b, ops.multiply(b, difference, difference), axes, keepdims=True)
    return ops.divide(b, difference, ops.add(b, ops.sqrt(b, variance), eps))


NORMALIZATIONS: dict[str, Row] = {
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "LRN": _local_response,
    "MVN": _mean_variance,
    "Normalize": _normalize,
    "Scale": _scale,
}
