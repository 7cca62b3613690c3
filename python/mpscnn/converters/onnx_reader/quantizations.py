"""QuantizeLinear and DequantizeLinear around what a network computes.

In floats such a pair limits the range alone: files leave out a ReLU where the integers have no number below zero. The
integers themselves are kept for precision "int8" (`integer_network`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from mpscnn.converters.layout import Value
from mpscnn.converters.onnx_reader.context import Context, Handler, Integers
from mpscnn.converters.onnx_reader.file import Node
from mpscnn.errors import Error, UnsupportedError
from mpscnn.graph.layer_arguments import Activation, activation_attributes

_LEAST_SCALE = 2.0**-126


@dataclass(frozen=True)
class Quantized:
    """What a QuantizeLinear reads.

    Attributes:
        value: what is quantised.
        scale, zero_point: the names of the constants; no zero point: "".
        is_limited: whether the value has the limits of the integers already.
    """

    value: Value
    scale: str
    zero_point: str
    is_limited: bool


def within_integers(c: Context, activation: Activation, name: str) -> Activation:
    """The activation of a layer with the limits of the integers that its result becomes, if nothing else reads it.

    Args:
        activation: the layer's; another one than limits stays as it is.
        name: of the layer's result.
    """
    user = c.only_user(name)
    if user is None or user.kind != "QuantizeLinear" or user.inputs[0] != name:
        return activation
    given = activation_attributes(activation) or {"kind": "none"}
    try:
        low, high = _limits(c, user.inputs[1], user.input(2) or "")
    except Error:  # which the node itself reports
        return activation
    if given["kind"] == "relu" and given.get("a", 0.0) == 0.0:
        low = max(low, 0.0)
    elif given["kind"] == "relun" and given.get("a", 0.0) == 0.0:
        low, high = max(low, 0.0), min(high, given["b"])
    elif given["kind"] == "clamp":
        low, high = max(low, given["a"]), min(high, given["b"])
    elif given["kind"] != "none":
        return activation
    if low > high:
        return activation
    c.limited.add(name)
    return {"kind": "clamp", "a": low, "b": high}


def note_same_limits(c: Context, x: Value, name: str) -> None:
    """Of maxima or means of x: the result has the limits of the integers that it becomes if x has those."""
    user = c.only_user(name)
    if user is None or user.kind != "QuantizeLinear" or x.tensor.index not in c.integers:
        return
    with suppress(Error):  # which the node itself reports
        if _integers(c, user.inputs[1], user.input(2) or "") == c.integers[x.tensor.index]:
            c.limited.add(name)


def _quantize(c: Context, node: Node) -> None:
    """The value stays as it is; only its pair, which makes the same numbers floats again, may read it."""
    source = node.inputs[0]
    c.quantized[node.outputs[0]] = Quantized(
        c.value(source), node.inputs[1], node.input(2) or "", source in c.limited
    )


def _dequantize(c: Context, node: Node) -> None:
    """Behind a quantisation the value itself, within the limits of the integers."""
    found = c.quantized.get(node.inputs[0])
    if found is None:
        raise UnsupportedError(
            "it makes floats of integers that the network computes, which is not supported"
        )
    same = all(
        _same_constant(c, first, second)
        for first, second in ((found.scale, node.inputs[1]), (found.zero_point, node.input(2) or ""))
    )
    if not same:
        raise UnsupportedError("its scale or zero point is not that of the quantisation before it")
    low, high = _limits(c, found.scale, found.zero_point)
    integers = _integers(c, found.scale, found.zero_point)
    x = found.value
    if not found.is_limited and (integers is None or c.integers.get(x.tensor.index) != integers):
        limits: Activation = {"kind": "clamp", "a": low, "b": high}
        x = x.holding(c.neuron(x.tensor, limits, c.layer_name(node)))
    c.quantized[node.inputs[0]] = Quantized(x, found.scale, found.zero_point, is_limited=True)
    if integers is not None:
        c.integers[x.tensor.index] = integers
    c.result(node, x)


def _limits(c: Context, scale: str, zero_point: str) -> tuple[float, float]:
    """The least and the greatest number that the integers stand for."""
    step = c.constants.number(scale, "its scale")
    middle = _zero_point(c, zero_point)
    kind = np.iinfo(middle.dtype)
    return (kind.min - int(middle)) * step, (kind.max - int(middle)) * step


def _integers(c: Context, scale: str, zero_point: str) -> Integers | None:
    """As int8, which have the same numbers as uint8 with a zero point that is lower by 128; None for wider ones."""
    step = c.constants.number(scale, "its scale")
    middle = _zero_point(c, zero_point)
    if middle.dtype.itemsize != 1 or not _LEAST_SCALE <= step < np.inf:
        return None
    return step, int(middle) - (128 if middle.dtype == np.uint8 else 0)


def _zero_point(c: Context, name: str) -> np.integer:
    given = c.constants.fixed(name, "its zero point") if name else np.zeros(1, np.uint8)
    if given.size != 1 or given.dtype.kind not in "iu":
        raise UnsupportedError(
            f"it quantises to {given.dtype} with {given.size} zero points; supported is one integer"
        )
    zero: np.integer = given.reshape(-1)[0]
    return zero


def _same_constant(c: Context, first: str, second: str) -> bool:
    if first == second:
        return True
    if not first or not second:
        return False
    a, b = c.constants.fixed(first, "its scale"), c.constants.fixed(second, "its scale")
    return a.shape == b.shape and bool((a == b).all())


QUANTIZATIONS: dict[str, Handler] = {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}
