"""Caffe's normalizations, and factors and offsets of channels."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import (
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


def _batch_norm(g: Graph, layer: CaffeLayer) -> None:
    """Means and variances are stored times a factor, the third blob."""
    x, shape = single(g, layer)
    if not value(layer.parameters, "use_global_stats", True):
        raise UnsupportedError("it normalises with the statistics of the batch (use_global_stats: false)")
    if len(layer.blobs) > 3:
        raise UnsupportedError("it has its own factors and offsets: move them to a Scale layer after it")
    mean, variance = (blob(layer, place, "statistics").array().reshape(-1) for place in (0, 1))
    total = float(blob(layer, 2, "scale factor").array().reshape(-1)[0])
    factor = np.float32(0.0 if total == 0.0 else 1.0 / total)
    one = np.ones_like(mean)
    roles = {"scale": one, "bias": 0 * one, "mean": mean * factor, "variance": variance * factor}
    operands = [g.constant(f"{layer.name}/{role}", values) for role, values in roles.items()]
    epsilon = number(layer.parameters, "eps", 1e-5)
    top = g.result(layer.tops[0], shape)
    g.node("BatchNormalization", layer.name, [x, *operands], [top], epsilon=epsilon)


def _scale(g: Graph, layer: CaffeLayer) -> None:
    """Factors and offsets, one for each channel or computed by another layer."""
    if len(layer.bottoms) == 2:
        _product_with_blob(g, layer)
        return
    factors = blob(layer, 0, "factors").array()
    offsets = None
    if layer.kind == "Bias":
        factors, offsets = np.ones_like(factors), factors
    elif value(layer.parameters, "bias_term", False):
        offsets = blob(layer, 1, "offsets").array()
    x, shape = single(g, layer)
    axis = axis_of(layer.parameters, 1, None if shape is None else len(shape))
    if factors.ndim == 0 and shape is not None:  # one number for all channels (num_axes: 0)
        axis, factors = 1, np.full(shape[1], factors)
        offsets = None if offsets is None else np.full(shape[1], offsets)
    if axis != 1 or factors.ndim != 1:
        raise UnsupportedError(f"factors {factors.shape} along axis {axis}; supported are those of channels")
    offsets = np.zeros_like(factors) if offsets is None else offsets.reshape(-1)
    normalization = g.last_node("BatchNormalization", x)
    if normalization is not None:  # of which it is a part in other frameworks
        own = [
            g.constant(f"{layer.name}/{role}", values)
            for role, values in (("scale", factors), ("bias", offsets))
        ]
        operands = [normalization.input[0], *own, *normalization.input[3:]]
        epsilon = next(one.f for one in normalization.attribute if one.name == "epsilon")
        top = g.result(layer.tops[0], shape)
        # The one without factors is left out unless another layer reads it.
        g.node("BatchNormalization", normalization.name, operands, [top], epsilon=epsilon)
        return
    # With this variance the square root of variance + epsilon is 1.
    epsilon = 2.0**-10
    rest = {"mean": 0 * factors, "variance": 0 * factors + np.float32(1.0 - epsilon)}
    roles = {"scale": factors, "bias": offsets} | rest
    operands = [g.constant(f"{layer.name}/{role}", values) for role, values in roles.items()]
    top = g.result(layer.tops[0], shape)
    g.node("BatchNormalization", layer.name, [x, *operands], [top], epsilon=epsilon)


def _product_with_blob(g: Graph, layer: CaffeLayer) -> None:
    """The second input has the axes of the first from `axis` on, or some of them."""
    if layer.blobs:
        raise UnsupportedError("it has two inputs and weights")
    x, factors = (g.tensor(bottom) for bottom in layer.bottoms)
    shape, given = g.shapes.get(x), g.shapes.get(factors)
    if shape is None or given is None:
        raise UnsupportedError("the shapes of its inputs are not known")
    axis = axis_of(layer.parameters, 1, len(shape))
    missing = len(shape) - axis - len(given)
    if missing < 0:
        raise WeightsError(f"damaged: factors {given} along axis {axis} of {shape}")
    if missing:
        wider = g.between(f"{layer.name}/factors", (*given, *[1] * missing))
        axes = g.constant(f"{layer.name}/axes", np.arange(len(given), len(given) + missing, dtype=np.int64))
        g.node("Unsqueeze", f"{layer.name}/axes", [factors, axes], [wider])
        factors = wider
    kind = "Add" if layer.kind == "Bias" else "Mul"
    g.node(kind, layer.name, [x, factors], [g.result(layer.tops[0], shape)])


def _local_response(g: Graph, layer: CaffeLayer) -> None:
    p = layer.parameters
    size, alpha, beta = value(p, "local_size", 5), number(p, "alpha", 1.0), number(p, "beta", 0.75)
    x, shape = single(g, layer)
    region = value(p, "norm_region", "ACROSS_CHANNELS")
    if region in ("ACROSS_CHANNELS", "0"):
        top = g.result(layer.tops[0], shape)
        settings = {"size": size, "alpha": alpha, "beta": beta, "bias": number(p, "k", 1.0)}
        g.node("LRN", layer.name, [x], [top], **settings)
        return
    if region not in ("WITHIN_CHANNEL", "1") or size % 2 == 0:
        raise UnsupportedError(f"its norm_region is {region} with {size} pixels")
    # x * (1 + alpha * mean of the squares around)^-beta, with zeros around the image
    names = [f"{layer.name}/{part}" for part in ("squares", "mean", "weighted", "sum", "power")]
    tensors = [g.between(name, shape) for name in names]
    g.node("Mul", names[0], [x, x], [tensors[0]])
    window = {"kernel_shape": [size, size], "pads": [size // 2] * 4, "count_include_pad": 1}
    g.node("AveragePool", names[1], [tensors[0]], [tensors[1]], **window)
    for place, (kind, operand) in enumerate((("Mul", alpha), ("Add", 1.0), ("Pow", -beta)), start=1):
        constant = g.constant(f"{names[place + 1]}/operand", np.float32(operand))
        g.node(kind, names[place + 1], [tensors[place], constant], [tensors[place + 1]])
    g.node("Mul", layer.name, [x, tensors[4]], [g.result(layer.tops[0], shape)])


def _normalize(g: Graph, layer: CaffeLayer) -> None:
    """x / sqrt(sum of squares of the channels, or of the image), times a factor for each channel."""
    x, shape = known(g, layer)
    if len(shape) != 4:
        raise UnsupportedError(f"normalises {shape}; supported are images")
    axes = [1, 2, 3] if flag(layer.parameters, "across_spatial", True) else [1]
    norm = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    sums, root, unit = (g.between(f"{layer.name}/{part}", norm) for part in ("sums", "root", "unit"))
    squares = g.between(f"{layer.name}/squares", shape)
    g.node("Mul", f"{layer.name}/squares", [x, x], [squares])
    summed = g.constant(f"{layer.name}/axes", np.array(axes, np.int64))
    g.node("ReduceSum", f"{layer.name}/sums", [squares, summed], [sums], keepdims=1)
    least = g.constant(f"{layer.name}/eps", np.float32(number(layer.parameters, "eps", 1e-10)))
    above = g.between(f"{layer.name}/above", norm)
    g.node("Add", f"{layer.name}/above", [sums, least], [above])
    g.node("Sqrt", f"{layer.name}/root", [above], [root])
    g.node("Div", f"{layer.name}/unit", [x, root], [unit])
    factors = g.constant(f"{layer.name}/factors", blob(layer, 0, "factors").reshaped(-1, 1, 1))
    g.node("Mul", layer.name, [unit, factors], [g.result(layer.tops[0], shape)])


def _mean_variance(g: Graph, layer: CaffeLayer) -> None:
    """(x - mean) / (standard deviation + eps) of each channel of each image, or of all channels together."""
    x, shape = known(g, layer)
    if len(shape) != 4:
        raise UnsupportedError(f"normalises {shape}; supported are images")
    p = layer.parameters
    axes = [1, 2, 3] if flag(p, "across_channels", False) else [2, 3]
    small = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    scales = flag(p, "normalize_variance", True)
    mean = g.between(f"{layer.name}/mean", small)
    g.node("ReduceMean", f"{layer.name}/mean", [x], [mean], axes=axes, keepdims=1)
    centred = g.between(f"{layer.name}/centred", shape) if scales else g.result(layer.tops[0], shape)
    g.node("Sub", f"{layer.name}/centred" if scales else layer.name, [x, mean], [centred])
    if not scales:
        return
    squares = g.between(f"{layer.name}/squares", shape)
    variance, root, above = (
        g.between(f"{layer.name}/{part}", small) for part in ("variance", "root", "above")
    )
    g.node("Mul", f"{layer.name}/squares", [centred, centred], [squares])
    g.node("ReduceMean", f"{layer.name}/variance", [squares], [variance], axes=axes, keepdims=1)
    g.node("Sqrt", f"{layer.name}/root", [variance], [root])
    least = g.constant(f"{layer.name}/eps", np.float32(number(p, "eps", 1e-9)))
    g.node("Add", f"{layer.name}/above", [root, least], [above])
    g.node("Div", layer.name, [centred, above], [g.result(layer.tops[0], shape)])


NORMALIZATIONS: dict[str, Handler] = {
    "BatchNorm": _batch_norm,
    "Bias": _scale,
    "LRN": _local_response,
    "MVN": _mean_variance,
    "Normalize": _normalize,
    "Scale": _scale,
}
