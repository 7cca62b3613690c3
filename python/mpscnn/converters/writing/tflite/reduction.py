"""Write reductions, and the positions of maxima."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.writing.tflite.arithmetic import number_of, truth
from mpscnn.converters.writing.tflite.arrays import reshaped
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import Layer

_AXES = {"channels": 1, "width": 2, "height": 3}
_PLAIN = {"max": "REDUCE_MAX", "min": "REDUCE_MIN", "mean": "MEAN", "product": "REDUCE_PROD"}


def reduced(layer: Layer, kind: str, x: Value, axes: Sequence[int]) -> Value:
    """Add a reduction of these axes, which stay with the extent 1."""
    shape = [1 if axis in axes else extent for axis, extent in enumerate(x.shape)]
    return layer.add(kind, x, layer.constant(list(axes), "axes"), shape=shape, keeps_axes=True)


def reduction_axis(layer: Layer, x: Value) -> int:
    """Return the number of the axis that a reduction reduces."""
    return len(x.shape) - _AXES[layer.attributes["axis"]]


def reduction(layer: Layer) -> Value:
    """Write a reduction of one axis, which stays with the extent 1."""
    (x,), kind = layer.inputs, layer.attributes["kind"]
    axes = [reduction_axis(layer, x)]
    if kind in _PLAIN:
        return reduced(layer, _PLAIN[kind], x, axes)
    if kind == "log_sum_exp":
        return _log_sum_exp(layer, x, axes)
    if kind in ("l2_norm", "sum_of_squares"):
        total = reduced(layer, "SUM", layer.add("SQUARE", x, like=x), axes)
        return layer.add("SQRT", total) if kind == "l2_norm" else total
    total = reduced(layer, "SUM", x, axes) if kind == "sum" else variance(layer, x, axes)
    if layer.attributes["weight"] != 1.0:
        total = layer.add("MUL", total, layer.number(layer.attributes["weight"], "weight"), activation="NONE")
    return layer.add("SQRT", total) if kind == "deviation" else total


def _log_sum_exp(layer: Layer, x: Value, axes: Sequence[int]) -> Value:
    """Write the logarithm of the sum of exponentials, relative to the maximum, so that none of them overflows."""
    largest = reduced(layer, "REDUCE_MAX", x, axes)
    powers = layer.add("EXP", layer.add("SUB", x, largest, like=x, activation="NONE"), like=x)
    total = layer.add("LOG", reduced(layer, "SUM", powers, axes))
    return layer.add("ADD", total, largest, activation="NONE")


def variance(layer: Layer, x: Value, axes: Sequence[int]) -> Value:
    """Return the mean of the squared differences from the mean along axes."""
    centred = layer.add("SUB", x, reduced(layer, "MEAN", x, axes), like=x, activation="NONE")
    return reduced(layer, "MEAN", layer.add("SQUARE", centred, like=x), axes)


def argument(layer: Layer) -> Value:
    """Write the channel of the maximum or minimum, as a number."""
    (x,) = layer.inputs
    kind = "ARG_MAX" if layer.attributes["kind"] == "max" else "ARG_MIN"
    axis = layer.constant(len(x.shape) - 1, "axis")
    found = layer.add(kind, x, axis, shape=x.shape[:-1], dtype="int32", type=2)
    return reshaped(layer, number_of(layer, found), layer.shape[1:])


def top_k(layer: Layer) -> Value:
    """Write the channels of the largest or smallest elements, as numbers."""
    (x,) = layer.inputs
    if layer.attributes["kind"] == "min":
        x = layer.add("NEG", x, like=x)
    count = layer.constant(layer.attributes["count"], "count")
    _, places = layer.add_several("TOPK_V2", [x, count], [layer.shape] * 2, ["float32", "int32"])
    return number_of(layer, places)


def weighted_reduction(layer: Layer) -> Value:
    """Write a weighted sum over the channels. A mean is divided by the number of weights that are not zero."""
    x, weights = layer.inputs
    axes = [len(x.shape) - 1]
    total = reduced(layer, "SUM", layer.add("MUL", x, weights, like=x, activation="NONE"), axes)
    if layer.attributes["kind"] == "sum":
        return total
    counted = number_of(layer, truth(layer, "NOT_EQUAL", weights, layer.number(0.0, "zero")))
    count = layer.add("MAXIMUM", reduced(layer, "SUM", counted, axes), layer.number(1.0, "one"))
    return layer.add("DIV", total, count, activation="NONE")
