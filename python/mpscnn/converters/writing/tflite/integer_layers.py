"""Write layers that compute in 8-bit integers, by operators whose results in LiteRT have the same bits.

Each function returns None for a layer that TensorFlow Lite has no such operator for. It is then written in floats,
between a DEQUANTIZE and a QUANTIZE.
"""

from __future__ import annotations

import numpy as np

from mpscnn.converters.values.integer_limits import UNLIMITED, Limits, activation_limits
from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.explicit_window import window_of
from mpscnn.converters.writing.tflite import array_ops, convolution
from mpscnn.converters.writing.tflite.arithmetic import is_plain
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import LARGEST, Layer
from mpscnn.converters.writing.tflite.pooling import average_of_all, is_plain_average, pooling
from mpscnn.converters.writing.tflite.reduction import reduced, reduction_axis

WriteIntegers = Write[Layer, Value | None]

_STORED_ZERO = 128


def write_integers(layer: Layer) -> Value | None:
    """Write a layer whose operands and result are integers; None if that is not possible."""
    grid, function = layer.grid, INTEGER_LAYERS.get(layer.operation)
    if grid is None or function is None or any(x.grid is None for x in layer.inputs):
        return None
    if any(x.grid is not None and x.grid.dtype != grid.dtype for x in layer.inputs):
        return None
    if layer.take_activation() is not None and activation_limits(layer.take_activation()) is None:
        return None
    result = function(layer)
    if result is None:
        return None
    if result.grid != grid:
        result = layer.add("QUANTIZE", result, shape=result.shape)
    return _limited(layer, result)


def _limited(layer: Layer, x: Value) -> Value:
    """Clip a result to the limits of the activation that no operator ends with."""
    neuron = layer.take_activation()
    return x if neuron is None else _clipped(layer, x, activation_limits(neuron) or UNLIMITED)


def _clipped(layer: Layer, x: Value, limits: Limits) -> Value:
    """Clip a value, whose integers are those of the layer's result. Limits beyond its integers change nothing."""
    assert layer.grid is not None
    own, half = layer.grid.limits, layer.grid.step / 2
    if np.isfinite(limits.low) or limits.high < LARGEST:
        layer.builder.limited.add(layer.name)
    if limits.low > own.low + half:
        x = layer.add("MAXIMUM", x, layer.number(limits.low, "low", like=x), like=x)
    if limits.high < own.high - half:
        x = layer.add("MINIMUM", x, layer.number(limits.high, "high", like=x), like=x)
    return x


# ---- Products ------------------------------------------------------------------------------------------------------


def _has_integer_weights(layer: Layer) -> bool:
    """Return True if weight and bias are integers that LiteRT's kernels take for the type of the result."""
    values, scales, zero_points = layer.weights.stored(layer.name, "weight")
    assert layer.grid is not None
    if values.dtype != np.uint8:
        return False
    is_fit = len(scales) == 1 if layer.grid.dtype == np.uint8 else bool(np.all(zero_points == _STORED_ZERO))
    if layer.weight("bias") is None:
        return is_fit
    return is_fit and layer.weights.stored(layer.name, "bias")[0].dtype == np.int32


def _product(write: Write[Layer, Value]) -> WriteIntegers:
    return lambda layer: write(layer) if _has_integer_weights(layer) else None


# ---- Other layers --------------------------------------------------------------------------------------------------


def _combined(kind: str) -> WriteIntegers:
    def write(layer: Layer) -> Value | None:
        if not is_plain(layer.attributes):
            return None
        a, b = layer.inputs
        return layer.add(kind, a, b, activation=layer.fused())

    return write


def _moved(write: Write[Layer, Value]) -> WriteIntegers:
    """Return a function that writes a layer which moves integers, whose result has the integers of its input."""
    return lambda layer: write(layer)


def _concatenation(layer: Layer) -> Value | None:
    alike = all(x.grid == layer.grid for x in layer.inputs)
    return array_ops.concatenation(layer) if alike else None


def _pooling(layer: Layer) -> Value | None:
    (x,), attributes = layer.inputs, layer.attributes
    if attributes["kind"] == "l2_norm":
        return None
    if attributes["kind"] == "average" and attributes["global"]:
        return average_of_all(layer, x) if x.grid == layer.grid else reduced(layer, "MEAN", x, [1, 2])
    if x.grid != layer.grid:
        return None
    if attributes["kind"] == "average" and not is_plain_average(
        attributes, window_of(attributes, x.shape, layer.shape)
    ):
        return None
    return pooling(layer)


def _resize(layer: Layer) -> Value | None:
    from mpscnn.converters.writing.tflite.resize import resize

    return resize(layer) if layer.inputs[0].grid == layer.grid else None


def _reduction(layer: Layer) -> Value | None:
    (x,), attributes = layer.inputs, layer.attributes
    kinds = {"mean": "MEAN", "max": "REDUCE_MAX", "min": "REDUCE_MIN"}
    if attributes["kind"] not in kinds or (attributes["kind"] != "mean" and x.grid != layer.grid):
        return None
    return reduced(layer, kinds[attributes["kind"]], x, [reduction_axis(layer, x)])


def _softmax(layer: Layer) -> Value | None:
    grid = layer.grid
    assert grid is not None
    zero = np.iinfo(grid.dtype).min
    return (
        layer.add("SOFTMAX", layer.inputs[0], beta=1.0)
        if (grid.step, grid.zero_point) == (1 / 256, zero)
        else None
    )


def _neuron(layer: Layer) -> Value | None:
    """Write the functions for which LiteRT has operators of integers."""
    (x,), neuron = layer.inputs, layer.attributes
    kind, grid = neuron["kind"], layer.grid
    assert grid is not None
    limits = activation_limits(neuron)
    if kind == "none":
        return x if x.grid == grid else layer.add("QUANTIZE", x)
    if limits == Limits(0.0, np.inf):
        return layer.add("RELU", x)
    if limits == Limits(0.0, 6.0):
        return layer.add("RELU6", x)
    if limits is not None:
        return _clipped(layer, x, limits) if x.grid == grid else None
    if kind == "relu":
        return layer.add("LEAKY_RELU", x, slope=neuron["a"])
    if kind == "hard_swish":
        return layer.add("HARD_SWISH", x)
    if kind == "sigmoid" and (grid.step, grid.zero_point) == (1 / 256, np.iinfo(grid.dtype).min):
        return layer.add("LOGISTIC", x)
    middle = 128 if grid.dtype == np.uint8 else 0
    if (
        kind == "tanh"
        and (neuron["a"], neuron["b"]) == (1, 1)
        and (grid.step, grid.zero_point) == (1 / 128, middle)
    ):
        return layer.add("TANH", x)
    return None


INTEGER_LAYERS: dict[str, WriteIntegers] = {
    "add": _combined("ADD"),
    "channel_shuffle": _moved(array_ops.channel_shuffle),
    "concatenation": _concatenation,
    "constant": lambda layer: (
        layer.integers(layer.required("value")[np.newaxis], "value") if layer.repeats_images else None
    ),
    "convolution": _product(convolution.convolution),
    "depth_to_space": _moved(convolution.depth_to_space),
    "fully_connected": _product(convolution.fully_connected),
    "gather": _moved(array_ops.gather),
    "multiply": _combined("MUL"),
    "neuron": _neuron,
    "padding": lambda layer: None if layer.attributes["values"] else array_ops.padding(layer),
    "pooling": _pooling,
    "reduction": _reduction,
    "reshape": _moved(array_ops.reshape),
    "resize": _resize,
    "slice": _moved(array_ops.part),
    "softmax": _softmax,
    "subtract": _combined("SUB"),
    "tile": _moved(array_ops.tile),
    "transpose": _moved(array_ops.transpose),
}
"""The functions that write layers in integers, by operation."""
