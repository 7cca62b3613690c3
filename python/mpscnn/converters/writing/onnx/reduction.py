"""Write reductions as ONNX nodes."""

from __future__ import annotations

from mpscnn.converters.writing.onnx.builder import Value
from mpscnn.converters.writing.onnx.layer import Layer

_REDUCTIONS = {
    "max": "ReduceMax",
    "min": "ReduceMin",
    "mean": "ReduceMean",
    "product": "ReduceProd",
    "l2_norm": "ReduceL2",
    "sum_of_squares": "ReduceSumSquare",
    "log_sum_exp": "ReduceLogSumExp",
}


def reduction(layer: Layer) -> str:
    """Write a reduction of one axis, which is kept with the extent 1."""
    (x,) = layer.inputs
    kind, axis = layer.attributes["kind"], _axis(x, layer.attributes["axis"])
    if kind in _REDUCTIONS:
        return layer.add(_REDUCTIONS[kind], x.name, axes=[axis])
    total = _sum(layer, x.name, axis) if kind == "sum" else variance(layer, x.name, axis)
    if layer.attributes["weight"] != 1.0:
        total = layer.add("Mul", total, layer.constant(layer.attributes["weight"], "weight"))
    return layer.add("Sqrt", total) if kind == "deviation" else total


def variance(layer: Layer, name: str, axis: int) -> str:
    """Return the mean of the squared differences from the mean along an axis."""
    centred = layer.add("Sub", name, layer.add("ReduceMean", name, axes=[axis]))
    return layer.add("ReduceMean", layer.add("Mul", centred, centred), axes=[axis])


def argument(layer: Layer) -> str:
    """Return the channel of the maximum or minimum as a float."""
    (x,) = layer.inputs
    operation = "ArgMax" if layer.attributes["kind"] == "max" else "ArgMin"
    return layer.as_number(layer.add(operation, x.name, axis=_axis(x, "channels")))


def top_k(layer: Layer) -> str:
    """Return the channels of the largest or smallest elements as floats, from the second result of a TopK."""
    (x,) = layer.inputs
    largest = int(layer.attributes["kind"] == "max")
    count = layer.constant([layer.attributes["count"]], "count")
    _, indices = layer.builder.add_several(
        "TopK", [x.name, count], layer.name, 2, axis=_axis(x, "channels"), largest=largest
    )
    return layer.as_number(indices)


def weighted_reduction(layer: Layer) -> str:
    """Write a weighted sum over the channels. A mean is divided by the number of weights that are not zero."""
    x, weights = layer.inputs
    axis = _axis(x, "channels")
    total = _sum(layer, layer.add("Mul", x.name, weights.name), axis)
    if layer.attributes["kind"] == "sum":
        return total
    is_zero = layer.add("Equal", weights.name, layer.constant(0.0, "zero"))
    count = _sum(layer, layer.as_number(layer.add("Not", is_zero)), axis)
    return layer.add("Div", total, layer.add("Max", count, layer.constant(1.0, "one")))


def _sum(layer: Layer, name: str, axis: int) -> str:
    return layer.add("ReduceSum", name, layer.constant([axis], "axis"))


def _axis(x: Value, axis: str) -> int:
    if not x.is_image:
        return len(x.shape) - (1 if axis == "channels" else 2)
    return {"channels": 1, "height": 2, "width": 3}[axis]
