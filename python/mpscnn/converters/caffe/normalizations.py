"""Convert Caffe's normalizations, and scales and offsets of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.affine import EPSILON, VARIANCE
from mpscnn.converters.broadcast_views import stored
from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import (
    Handler,
    axis_of,
    blob,
    flag,
    image,
    input_with_shape,
    number,
    only_input,
    value,
)
from mpscnn.converters.onnx_graph.blocks import l2_normalize, standardize
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]


def _batch_norm(b: Builder, layer: CaffeLayer) -> str:
    """Convert BatchNorm. The stored means and variances must be divided by the third weight."""
    x = only_input(b, layer)
    if not flag(layer.parameters, "use_global_stats", True):
        raise UnsupportedError("it normalises with the statistics of the batch (use_global_stats: false)")
    if len(layer.blobs) > 3:
        raise UnsupportedError("it has its own factors and offsets: move them to a Scale layer after it")
    mean, variance = (blob(layer, place, "statistics").array().reshape(-1) for place in (0, 1))
    total = float(blob(layer, 2, "scale factor").array().reshape(-1)[0])
    factor = np.float32(0.0 if total == 0.0 else 1.0 / total)
    roles = {
        "scale": np.ones_like(mean),
        "bias": 0 * mean,
        "mean": mean * factor,
        "variance": variance * factor,
    }
    operands = [b.weight(role, values) for role, values in roles.items()]
    return b.op("BatchNormalization", x, *operands, epsilon=number(layer.parameters, "eps", 1e-5))


def _scale(b: Builder, layer: CaffeLayer) -> str:
    """Convert Scale and Bias: factors and offsets, constant or computed by another layer."""
    if len(layer.bottoms) == 2:
        return _product_with_blob(b, layer)
    factors = blob(layer, 0, "factors").array()
    offsets = None
    if layer.kind == "Bias":
        factors, offsets = np.ones_like(factors), factors
    elif flag(layer.parameters, "bias_term", False):
        offsets = blob(layer, 1, "offsets").array()
    x, shape = input_with_shape(b, layer)
    axis = axis_of(layer.parameters, 1, len(shape))
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
    return _scale_channels(b, x, factors, offsets)


def _scale_elements(b: Builder, x: str, rank: int, factors: Array, offsets: Array) -> str:
    """Return x * factors + offsets. Both have the first of the last `rank` axes of x."""
    for kind, role, values, neutral in (("Mul", "scale", factors, 1), ("Add", "bias", offsets, 0)):
        if (stored(values) != neutral).any():
            shape = values.shape + (1,) * (rank - values.ndim)
            x = b.op(kind, x, b.weight(role, values.reshape(shape)))
    return x


def _scale_channels(b: Builder, x: str, factors: Array, offsets: Array) -> str:
    """Return x * factors + offsets, with one factor and one offset for each channel.

    If x is the result of a normalization, they become part of it. Its own factors and offsets are those of a Scale
    before this one; after a BatchNorm they are 1 and 0.
    """
    normalization = b.producer(x)
    if normalization is None or normalization.kind != "BatchNormalization":
        operands = [b.weight("scale", factors), b.weight("bias", offsets)]
        operands += [
            b.weight(role, np.broadcast_to(np.float32(value), factors.shape))
            for role, value in (("mean", 0.0), ("variance", VARIANCE))
        ]
        return b.op("BatchNormalization", x, *operands, epsilon=EPSILON)
    # The original normalization is dropped unless another layer reads it.
    source, *own = normalization.inputs
    known = map(b.constant_of, own[:2])
    scale, bias = (one.real("its factors") for one in known if one is not None)
    b.begin(normalization.name)
    operands = [b.weight("scale", scale * factors), b.weight("bias", bias * factors + offsets), *own[2:]]
    return b.op("BatchNormalization", source, *operands, **normalization.attributes)


def _product_with_blob(b: Builder, layer: CaffeLayer) -> str:
    """Convert Scale with two inputs: a product that broadcasts the second input, whose axes begin at `axis`."""
    if layer.blobs:
        raise UnsupportedError("it has two inputs and weights")
    x, factors = (b.tensor(bottom) for bottom in layer.bottoms)
    shape, given = b.fixed_shape(x), b.fixed_shape(factors)
    missing = len(shape) - axis_of(layer.parameters, 1, len(shape)) - len(given)
    if missing < 0:
        raise WeightsError(f"damaged: factors {given} along its axis of {shape}")
    if missing:
        factors = b.op("Unsqueeze", factors, range(len(given), len(given) + missing))
    return b.op("Add" if layer.kind == "Bias" else "Mul", x, factors)


def _local_response(b: Builder, layer: CaffeLayer) -> str:
    p, x = layer.parameters, only_input(b, layer)
    size, alpha, beta = value(p, "local_size", 5), number(p, "alpha", 1.0), number(p, "beta", 0.75)
    region = value(p, "norm_region", "ACROSS_CHANNELS")
    if size % 2 == 0:
        raise UnsupportedError(f"its local_size is {size}, which is not odd")
    if region in ("ACROSS_CHANNELS", "0"):
        return b.op("LRN", x, size=size, alpha=alpha, beta=beta, bias=number(p, "k", 1.0))
    if region not in ("WITHIN_CHANNEL", "1"):
        raise UnsupportedError(f"its norm_region is {region}")
    # x * (1 + alpha * mean of the squares around)^-beta, with zeros around the image
    window = {"kernel_shape": [size, size], "pads": [size // 2] * 4, "count_include_pad": 1}
    mean = b.op("AveragePool", b.op("Mul", x, x), **window)
    return b.op("Mul", x, b.op("Pow", b.linear(mean, alpha, 1.0), -beta))


def _normalize(b: Builder, layer: CaffeLayer) -> str:
    """Convert Normalize: x / sqrt(sum of squares over channels or the whole image), times a scale for each channel."""
    x, _ = image(b, layer)
    axes = [1, 2, 3] if flag(layer.parameters, "across_spatial", True) else [1]
    y = l2_normalize(b, x, axes, number(layer.parameters, "eps", 1e-10))
    return b.op("Mul", y, b.weight("factors", blob(layer, 0, "factors").reshaped(-1, 1, 1)))


def _mean_variance(b: Builder, layer: CaffeLayer) -> str:
    """Convert MVN: (x - mean) / (standard deviation + eps) over each channel, or over all channels, of each image."""
    p, (x, _) = layer.parameters, image(b, layer)
    axes = [1, 2, 3] if flag(p, "across_channels", False) else [2, 3]
    difference = standardize(b, x, axes, None)
    if not flag(p, "normalize_variance", True):
        return difference
    variance = b.op("ReduceMean", b.op("Mul", difference, difference), axes, keepdims=True)
    return b.op("Div", difference, b.op("Add", b.op("Sqrt", variance), number(p, "eps", 1e-9)))


NORMALIZATIONS: dict[str, Handler] = {
    "BatchNorm": _batch_norm,
    "Bias": _scale,
    "LRN": _local_response,
    "MVN": _mean_variance,
    "Normalize": _normalize,
    "Scale": _scale,
}
