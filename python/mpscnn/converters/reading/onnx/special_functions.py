"""Convert elementwise functions that several layers compute."""

from __future__ import annotations

import math

from mpscnn.converters.reading.onnx.row_calls import Computed, Opset, WholeTogether, X
from mpscnn.converters.values.composed_functions import arc_tangent, is_infinite, remainder, sine
from mpscnn.converters.values.rows import Row
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value


def _arc_sine(x: Computed) -> FileTensor:
    """Convert Asin: the angle whose tangent is x / sqrt(1 - x^2)."""
    return arc_tangent(_tangent(x), "")


def _arc_cosine(x: Computed) -> FileTensor:
    """Convert Acos: a quarter turn minus the arc sine."""
    angle = arc_tangent(_tangent(x), "/angle")
    return x.linear(0.0, math.pi / 2, "/quarter").combine("subtract", angle)


def _tangent(sine: FileTensor) -> FileTensor:
    """Return the tangent of the angle with a sine.

    A number above 1 of any size is as good as 2: it has no angle. The square of a larger one may be infinite.
    """
    sine = sine.map({"kind": "clamp", "a": -2.0, "b": 2.0}, "/limited")
    rest = sine.combine("multiply", sine, "/squared").linear(-1.0, 1.0, "/rest")
    return sine.combine("divide", rest.map({"kind": "power", "a": 1.0, "c": 0.5}, "/root"), "/tangent")


def _arc_tangent(x: Computed) -> FileTensor:
    return arc_tangent(x)


def _sine(x: X) -> Value:
    return sine(x)


def _cosine(x: X) -> Value:
    return sine(x, shifted=True)


def _modulo(*given: WholeTogether, fmod: bool = False) -> Value:
    """Convert Mod: the rest of a division has the sign of the divisor, or with `fmod` that of the dividend."""
    x, divisor = given
    return remainder(x, divisor, of_dividend=fmod)


def _is_infinite(x: X, *, detect_negative: bool = True, detect_positive: bool = True) -> Value:
    return is_infinite(x, negative=detect_negative, positive=detect_positive)


def _hardmax(opset: Opset, x: Computed, *, axis: int | None = None) -> FileTensor:
    """Convert Hardmax: 1 for the first of the largest elements of an axis, and 0 for the others."""
    is_old = opset < 13
    along = x.axis((1 if is_old else -1) if axis is None else axis)
    shapes = x.trial_shapes()
    if is_old:  # up to opset 12 the axis includes all axes after it
        x = x.merge_axes(along, x.rank)
    extent = x.known_extent(along, "takes the largest element of")
    largest = x.argmax_or_argmin(along).squeeze([along])
    found = x.wrap(largest).one_hot(along, extent, 1.0, 0.0).mark_as_floats()
    return found.reshape_to(*shapes) if is_old else found


SPECIAL: dict[str, Row] = {"Cos": _cosine, "IsInf": _is_infinite, "Mod": _modulo, "Sin": _sine}
"""The rows of operators that serve constants and tensors of the network alike."""

SPECIAL_OF_TENSORS: dict[str, Row] = {
    "Acos": _arc_cosine,
    "Asin": _arc_sine,
    "Atan": _arc_tangent,
    "Hardmax": _hardmax,
}
