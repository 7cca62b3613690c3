"""Write normalizations. TensorFlow Lite has operators for two of them; the others consist of several operators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values.affine import is_affine
from mpscnn.converters.writing.tflite.arrays import bordered, gathered, reshaped, sliced
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import Layer
from mpscnn.converters.writing.tflite.options import PADDINGS
from mpscnn.converters.writing.tflite.reduction import reduced, variance

_MIN_NORM = float(np.float32(1e-3))
"""The smallest norm by which L2_NORMALIZATION divides."""


def _combined(layer: Layer, kind: str, x: Value, y: Value) -> Value:
    options: dict[str, Any] = {} if kind in ("POW", "MAXIMUM") else {"activation": "NONE"}
    return layer.add(kind, x, y, like=x, **options)


def batch_normalization(layer: Layer) -> Value:
    """Write a product and a sum with numbers for each channel. A factor of 1 and an offset of 0 are left out."""
    if len(layer.inputs) == 2:
        return _by_statistics(layer)
    (x,) = layer.inputs
    mean, deviations = layer.required("mean"), layer.required("variance")
    gamma, beta = layer.weight("gamma"), layer.weight("beta")
    gamma = np.ones_like(mean) if gamma is None else gamma
    beta = np.zeros_like(mean) if beta is None else beta
    epsilon = layer.attributes["epsilon"]
    if is_affine(epsilon, mean, deviations):
        scale, shift = gamma, beta
    else:
        scale = (gamma / np.sqrt(deviations.astype(np.float64) + epsilon)).astype(np.float32)
        shift = (beta - mean.astype(np.float64) * scale).astype(np.float32)
    if not shift.any():
        return _product(layer, x, scale, activation=layer.fused())
    if bool((scale != 1).any()):
        x = _product(layer, x, scale)
    return layer.add("ADD", x, layer.constant(_compact(shift), "shift"), activation=layer.fused())


def _product(layer: Layer, x: Value, scale: NDArray[np.float32], activation: str = "NONE") -> Value:
    return layer.add("MUL", x, layer.constant(_compact(scale), "scale"), like=x, activation=activation)


def _compact(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one number if all are equal."""
    return values[:1].reshape(()) if bool((values == values[0]).all()) else values


def batch_statistics(layer: Layer) -> Value:
    """Write the means and variances of each channel over the batch, as a tensor (1, 2, 1, channels)."""
    (x,) = layer.inputs
    axes = list(range(len(x.shape) - 1))
    shape = [1, 1, 1, x.shape[-1]]
    parts = [reduced(layer, "MEAN", x, axes), variance(layer, x, axes)]
    target = layer.constant(shape, "shape")
    parts = [layer.add("RESHAPE", part, target, shape=shape) for part in parts]
    return layer.add("CONCATENATION", *parts, axis=1, activation="NONE")


def _by_statistics(layer: Layer) -> Value:
    """Write a batch normalization whose statistics are its second input."""
    x, statistics = layer.inputs
    mean, deviations = (sliced(layer, statistics, {1: range(row, row + 1)}) for row in (0, 1))
    if len(x.shape) != 4:
        shape = [1] * (len(x.shape) - 2) + [x.shape[-1]]
        mean, deviations = (reshaped(layer, part, shape) for part in (mean, deviations))
    shifted = _combined(layer, "ADD", deviations, layer.number(layer.attributes["epsilon"], "epsilon"))
    centred = _combined(layer, "SUB", x, mean)
    return scaled(layer, _combined(layer, "DIV", centred, layer.add("SQRT", shifted, like=shifted)))


def scaled(layer: Layer, x: Value) -> Value:
    """Write gamma * x + beta. Factors of 1 and terms of 0 are left out, because a reader would make layers of them."""
    for role, kind, neutral in (("gamma", "MUL", 1.0), ("beta", "ADD", 0.0)):
        values = layer.weight(role)
        if values is not None and bool((values != neutral).any()):
            x = _combined(layer, kind, x, layer.constant(values, role))
    return x


def group_normalization(layer: Layer) -> Value:
    """Write a group normalization of a tensor (n, positions, groups, channels of a group)."""
    (x,), groups = layer.inputs, layer.attributes["groups"]
    channels = x.shape[-1]
    positions = math.prod(x.shape[1:-1])
    parted = reshaped(layer, x, [positions, groups, channels // groups])
    normalized = _by_deviation(layer, parted, [1, 3])
    return scaled(layer, reshaped(layer, normalized, x.shape[1:]))


def _by_deviation(layer: Layer, x: Value, axes: Sequence[int]) -> Value:
    """Subtract the mean along axes, and divide by the deviation."""
    centred = _combined(layer, "SUB", x, reduced(layer, "MEAN", x, axes))
    squares = reduced(layer, "MEAN", layer.add("SQUARE", centred, like=centred), axes)
    shifted = _combined(layer, "ADD", squares, layer.number(layer.attributes["epsilon"], "epsilon"))
    return _combined(layer, "MUL", centred, layer.add("RSQRT", shifted, like=shifted))


def layer_normalization(layer: Layer) -> Value:
    """Write a normalization of the channels by their deviation or a norm."""
    (x,) = layer.inputs
    norm, rule, epsilon = (layer.attributes[name] for name in ("norm", "epsilon_rule", "epsilon"))
    axes = [len(x.shape) - 1]
    if norm == "deviation" and rule == "inside":
        return scaled(layer, _by_deviation(layer, x, axes))
    if (norm, rule, np.float32(epsilon)) == ("l2_norm", "minimum", _MIN_NORM):
        return scaled(layer, layer.add("L2_NORMALIZATION", x, activation="NONE"))
    if norm == "deviation":
        x = _combined(layer, "SUB", x, reduced(layer, "MEAN", x, axes))
    averages = norm in ("deviation", "root_mean_square")
    if norm == "l1_norm":
        total = reduced(layer, "SUM", layer.add("ABS", x, like=x), axes)
    else:
        total = reduced(layer, "MEAN" if averages else "SUM", layer.add("SQUARE", x, like=x), axes)
        if rule == "inside":
            total = _combined(layer, "ADD", total, layer.number(epsilon, "epsilon"))
        total = layer.add("SQRT", total, like=total)
    if rule == "minimum":
        # The smallest positive number keeps vectors of zeros, where epsilon is 0.
        total = _combined(layer, "MAXIMUM", total, layer.number(max(epsilon, 1e-37), "epsilon"))
    elif rule == "outside" or norm == "l1_norm":
        total = _combined(layer, "ADD", total, layer.number(epsilon, "epsilon"))
    return scaled(layer, _combined(layer, "DIV", x, total))


# ---- Windows ---------------------------------------------------------------------------------------------------------


def cross_channel_normalization(layer: Layer) -> Value:
    """Write a LOCAL_RESPONSE_NORMALIZATION of images, or for even windows and other ranks its parts."""
    (x,), size = layer.inputs, layer.attributes["kernel_size"]
    alpha, beta, delta = (layer.attributes[name] for name in ("alpha", "beta", "delta"))
    if len(x.shape) == 4 and size % 2:
        return layer.add(
            "LOCAL_RESPONSE_NORMALIZATION", x, radius=size // 2, bias=delta, alpha=alpha / size, beta=beta
        )
    channels = x.shape[-1]
    plane = reshaped(layer, layer.add("SQUARE", x, like=x), [math.prod(x.shape[1:-1]), channels, 1])
    plane = bordered(layer, plane, {2: (size // 2, size - 1 - size // 2)})
    mean = reshaped(layer, _mean(layer, plane, [1, size]), x.shape[1:])
    return _combined(layer, "DIV", x, _power(layer, mean))


def spatial_normalization(layer: Layer) -> Value:
    """Write x / (delta + alpha * mean square)^beta."""
    (x,), kernel = layer.inputs, _kernel(layer)
    area = _surrounded(layer, layer.add("SQUARE", x, like=x), kernel)
    return _combined(layer, "DIV", _surrounded(layer, x, [1, 1]), _power(layer, _mean(layer, area, kernel)))


def local_contrast_normalization(layer: Layer) -> Value:
    """Write pm + ps * (x - p0 * mean) / (delta + alpha * variance)^beta.

    The variance is computed from pixels minus the image's mean, because a difference of large mean squares is not
    precise.
    """
    (x,), kernel = layer.inputs, _kernel(layer)
    area = _surrounded(layer, x, kernel)
    shifted = _combined(layer, "SUB", area, reduced(layer, "MEAN", x, [1, 2]))
    mean, distance, square = (
        _mean(layer, value, kernel) for value in (area, shifted, layer.add("SQUARE", shifted, like=shifted))
    )
    spread = _combined(layer, "SUB", square, layer.add("SQUARE", distance, like=distance))
    p0, pm, ps = (layer.number(layer.attributes[role], role) for role in ("p0", "pm", "ps"))
    centred = _combined(layer, "SUB", _surrounded(layer, x, [1, 1]), _combined(layer, "MUL", mean, p0))
    contrast = _combined(layer, "DIV", _combined(layer, "MUL", centred, ps), _power(layer, spread))
    return _combined(layer, "ADD", contrast, pm)


def _power(layer: Layer, x: Value) -> Value:
    """Write (delta + alpha * x)^beta."""
    for kind, role in (("MUL", "alpha"), ("ADD", "delta"), ("POW", "beta")):
        x = _combined(layer, kind, x, layer.number(layer.attributes[role], role))
    return x


def _kernel(layer: Layer) -> list[int]:
    return [layer.attributes["kernel_height"], layer.attributes["kernel_width"]]


def _mean(layer: Layer, x: Value, kernel: Sequence[int]) -> Value:
    shape = [1, x.shape[1] - kernel[0] + 1, x.shape[2] - kernel[1] + 1, x.shape[3]]
    return layer.add(
        "AVERAGE_POOL_2D",
        x,
        shape=shape,
        padding=PADDINGS["valid"],
        stride_x=1,
        stride_y=1,
        width=kernel[1],
        height=kernel[0],
        activation="NONE",
    )


def _surrounded(layer: Layer, x: Value, kernel: Sequence[int]) -> Value:
    """Pad or crop the image so that it is exactly the area that windows of this size read."""
    offsets = (layer.attributes["offset_y"], layer.attributes["offset_x"])
    sides = {}
    for axis, size, offset in zip((1, 2), kernel, offsets, strict=True):
        before = size // 2 - offset
        sides[axis] = (before, layer.shape[axis] - x.shape[axis] + size - 1 - before)
    if layer.attributes["edge"] != "clamp":
        return bordered(layer, x, sides)
    for axis, (before, after) in sides.items():
        positions = np.arange(-before, x.shape[axis] + after).clip(0, x.shape[axis] - 1)
        x = gathered(layer, x, list(positions), axis)
    return x
