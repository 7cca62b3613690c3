"""Write normalizations as ONNX nodes."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.converters.writing.onnx.borders import pad
from mpscnn.converters.writing.onnx.builder import Value
from mpscnn.converters.writing.onnx.layer import Layer


def batch_statistics(layer: Layer) -> str:
    """Write the means and variances of each channel over the batch, as a tensor (1, channels, 2, 1)."""
    (x,) = layer.inputs
    axes = [axis for axis in range(len(x.shape)) if axis != _channel_axis(x)]
    mean = layer.add("ReduceMean", x.name, axes=axes)
    deviation = layer.add("Sub", x.name, mean)
    variance = layer.add("ReduceMean", layer.add("Mul", deviation, deviation), axes=axes)
    if not x.is_image:
        shape = layer.constant([1, x.shape[-1], 1, 1], "shape")
        mean, variance = layer.add("Reshape", mean, shape), layer.add("Reshape", variance, shape)
    return layer.add("Concat", mean, variance, axis=2)


def normalization_by_statistics(layer: Layer) -> str:
    """Write a batch normalization whose statistics are its second input."""
    x, statistics = layer.inputs
    rows = [
        layer.add("Slice", statistics.name, *(layer.constant([value], "row") for value in (row, row + 1, 2)))
        for row in (0, 1)
    ]
    if not x.is_image:
        shape = layer.constant([-1, *[1] * (len(x.shape) - 2), x.shape[-1]], "shape")
        rows = [layer.add("Reshape", row, shape) for row in rows]
    mean, variance = rows
    shifted = layer.add("Add", variance, layer.constant(layer.attributes["epsilon"], "epsilon"))
    normalized = layer.add("Div", layer.add("Sub", x.name, mean), layer.add("Sqrt", shifted))
    return _scaled(layer, normalized)


def group_normalization(layer: Layer) -> str:
    """Write a group normalization as ONNX' InstanceNormalization of a tensor (n, groups, elements of a group).

    If each channel of an image is a group, the InstanceNormalization is that of the image.
    """
    (x,) = layer.inputs
    groups, rank = layer.attributes["groups"], len(x.shape)
    if x.is_image and groups == x.shape[-1]:
        given = (layer.weight("gamma"), "gamma", 1.0), (layer.weight("beta"), "beta", 0.0)
        factors = [
            layer.constant(np.full(groups, neutral, np.float32) if values is None else values, role)
            for values, role, neutral in given
        ]
        return layer.add("InstanceNormalization", x.name, *factors, epsilon=layer.attributes["epsilon"])
    moved = rank not in (2, 4)  # in ONNX the channels of ranks 2 and 4 are already on axis 1
    name = layer.add("Transpose", x.name, perm=[0, rank - 1, *range(1, rank - 1)]) if moved else x.name
    rows = layer.add("Reshape", name, layer.constant([0, groups, -1], "groups"))
    ones, zeros = (layer.constant(np.full(groups, value, np.float32), "unit") for value in (1, 0))
    normalized = layer.add("InstanceNormalization", rows, ones, zeros, epsilon=layer.attributes["epsilon"])
    result = layer.add("Reshape", normalized, layer.add("Shape", name))
    if moved:
        result = layer.add("Transpose", result, perm=[0, *range(2, rank), 1])
    return _scaled(layer, result)


def cross_channel_normalization(layer: Layer) -> str:
    """Write local response normalization over channels by an average pooling of squares, or as LRN.

    The operator LRN is not used in ONNX files: ONNX Runtime computes it with a sum that slides over the channels, which
    is less exact, and refuses alpha = 0. For an even kernel size LRN has the additional channel on the other side, and
    it is defined for images only.
    """
    (x,) = layer.inputs
    size = layer.attributes["kernel_size"]
    if layer.builder.uses_lrn and x.is_image and size % 2:
        alpha, beta, delta = (layer.attributes[name] for name in ("alpha", "beta", "delta"))
        return layer.add("LRN", x.name, size=size, alpha=alpha, beta=beta, bias=delta)
    before = size // 2
    after = size - 1 - before
    channels = x.shape[-1]
    target = [0, 1, channels, -1] if x.is_image else [0, 1, -1, channels]
    plane = layer.add("Reshape", layer.add("Mul", x.name, x.name), layer.constant(target, "plane"))
    mean = layer.add(
        "AveragePool",
        plane,
        kernel_shape=[size, 1] if x.is_image else [1, size],
        pads=[before, 0, after, 0] if x.is_image else [0, before, 0, after],
        count_include_pad=1,
    )
    mean = layer.add("Reshape", mean, layer.add("Shape", x.name))
    return layer.add("Div", x.name, _power(layer, mean))


def spatial_normalization(layer: Layer) -> str:
    """Write x / (delta + alpha * mean square)^beta."""
    name = layer.inputs[0].name
    kernel = _kernel(layer)
    area = _surrounded(layer, layer.add("Mul", name, name), kernel)
    mean = layer.add("AveragePool", area, kernel_shape=kernel)
    return layer.add("Div", _centres(layer, name), _power(layer, mean))


def local_contrast_normalization(layer: Layer) -> str:
    """Write pm + ps * (x - p0 * mean) / (delta + alpha * variance)^beta.

    The variance is computed from pixels minus the image's mean, because a difference of large mean squares is not
    precise. The mean is computed from the pixels themselves: it is exactly zero where the window has zeros only.
    """
    name, kernel = layer.inputs[0].name, _kernel(layer)
    area = _surrounded(layer, name, kernel)
    shifted = layer.add("Sub", area, layer.add("ReduceMean", name, axes=[2, 3]))
    mean, distance, square = (
        layer.add("AveragePool", values, kernel_shape=kernel)
        for values in (area, shifted, layer.add("Mul", shifted, shifted))
    )
    variance = layer.add("Sub", square, layer.add("Mul", distance, distance))
    number = {role: layer.constant(layer.attributes[role], role) for role in ("p0", "pm", "ps")}
    centred = layer.add("Sub", _centres(layer, name), layer.add("Mul", mean, number["p0"]))
    contrast = layer.add("Div", layer.add("Mul", centred, number["ps"]), _power(layer, variance))
    return layer.add("Add", contrast, number["pm"])


def _channel_axis(x: Value) -> int:
    return 1 if x.is_image else len(x.shape) - 1


def _scaled(layer: Layer, name: str) -> str:
    """Write gamma * x + beta. Factors of 1 and terms of 0 are left out, because a reader would make layers of them."""
    for role, operation, neutral in (("gamma", "Mul", 1.0), ("beta", "Add", 0.0)):
        values = layer.weight(role)
        if values is not None and bool((values != neutral).any()):
            shaped = values.reshape(-1, 1, 1) if layer.inputs[0].is_image else values
            name = layer.add(operation, name, layer.constant(shaped, role))
    return name


def _power(layer: Layer, name: str) -> str:
    """Write (delta + alpha * x)^beta."""
    alpha, beta, delta = (layer.constant(layer.attributes[role], role) for role in ("alpha", "beta", "delta"))
    return layer.add("Pow", layer.add("Add", layer.add("Mul", name, alpha), delta), beta)


def _kernel(layer: Layer) -> list[int]:
    return [layer.attributes["kernel_height"], layer.attributes["kernel_width"]]


def _centres(layer: Layer, name: str) -> str:
    return _surrounded(layer, name, [1, 1])


def _surrounded(layer: Layer, name: str, kernel: list[int]) -> str:
    """Pad or crop the image so that it is exactly the area that windows of this size read."""
    offsets = (layer.attributes["offset_y"], layer.attributes["offset_x"])
    before = [size // 2 - offset for size, offset in zip(kernel, offsets, strict=True)]
    after = [
        layer.shape[axis] - layer.inputs[0].shape[axis] + size - 1 - pad
        for axis, size, pad in zip((1, 2), kernel, before, strict=True)
    ]
    if not any(before + after):
        return name
    mode = "edge" if layer.attributes["edge"] == "clamp" else "constant"
    return pad(layer, name, layer.inputs[0].shape[1:3], before, after, mode=mode)


def layer_normalization(layer: Layer) -> str:
    """Write a layer normalization over the channels: as one node, or as several nodes for other kinds of norms."""
    attributes = layer.attributes
    if attributes["norm"] != "deviation" or attributes["epsilon_rule"] != "inside":
        return _scaled(layer, _unscaled(layer))
    (x,) = layer.inputs
    channels = layer.shape[-1]
    gamma, beta = layer.weight("gamma"), layer.weight("beta")
    # LayerNormalization needs the channels on the last axis, so images are transposed before and after it.
    name = layer.add("Transpose", x.name, perm=TO_NHWC) if x.is_image else x.name
    scale = layer.constant(np.ones(channels, np.float32) if gamma is None else gamma, "gamma")
    others = [] if beta is None else [layer.constant(beta, "beta")]
    result = layer.add("LayerNormalization", name, scale, *others, axis=-1, epsilon=attributes["epsilon"])
    return layer.add("Transpose", result, perm=TO_NCHW) if x.is_image else result


def _unscaled(layer: Layer) -> str:
    """Divide the channels by their norm, without gamma and beta."""
    (x,) = layer.inputs
    norm, rule, epsilon = (layer.attributes[name] for name in ("norm", "epsilon_rule", "epsilon"))
    axis = _channel_axis(x)
    name = x.name
    if norm == "deviation":
        name = layer.add("Sub", name, layer.add("ReduceMean", name, axes=[axis]))
    averages = norm in ("deviation", "root_mean_square")
    if epsilon == 0.0:  # LpNormalization keeps all-zero vectors zero
        unit = layer.add("LpNormalization", name, axis=axis, p=1 if norm == "l1_norm" else 2)
        factor = float(np.sqrt(layer.shape[-1]))
        return layer.add("Mul", unit, layer.constant(factor, "factor")) if averages else unit
    minimum = layer.constant(epsilon, "epsilon")
    if norm == "l1_norm":
        total = layer.add("ReduceL1", name, axes=[axis])
    else:
        squares = layer.add("Mul", name, name)
        total = (
            layer.add("ReduceMean", squares, axes=[axis])
            if averages
            else layer.add("ReduceSum", squares, layer.constant([axis], "axis"))
        )
        total = layer.add("Sqrt", layer.add("Add", total, minimum) if rule == "inside" else total)
    if rule == "minimum":
        total = layer.add("Max", total, minimum)
    elif rule == "outside" or norm == "l1_norm":
        total = layer.add("Add", total, minimum)
    return layer.add("Div", name, total)
