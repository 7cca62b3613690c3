"""Convert Keras's arithmetic: layers with several inputs (Add, ...), and elementwise functions of keras.ops.

Keras 3 stores arithmetic between layers, such as `x * 2 + 1`, as functions of keras.ops. Keras 2 stores it as
TFOpLambda layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from mpscnn.converters.reading.keras.functions import axes_of, function_of_layer, gated, named_function
from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.row_calls import Argument, X
from mpscnn.converters.reading.keras.settings import Flag, Number, Text, Whole, Wholes
from mpscnn.converters.values.affine import scale_and_offset
from mpscnn.converters.values.composed_functions import log1p
from mpscnn.converters.values.rows import Row
from mpscnn.converters.values.special_values import have_reciprocals
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.with_number import with_number
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

_SUMS_AND_PRODUCTS = ("add", "subtract", "multiply", "divide")
_LARGEST = float(np.finfo(np.float32).max)


# ---- Layers with several inputs --------------------------------------------------------------------------------------


def _merged(inputs: Sequence[FileTensor], operation: str) -> FileTensor:
    """Combine all inputs, from left to right, after inserting axes of extent 1 after the batch.

    The last operation gets the layer's name.
    """
    rank = max(x.rank for x in inputs)
    first, *others = (x.expand_dims(range(1, 1 + rank - x.rank)) for x in inputs)
    partial = reduce(lambda a, b: a.combine(operation, b, "/part"), others[:-1], first)
    return partial.combine(operation, others[-1]) if others else first


def _merge(operation: str) -> Row:
    def row(*x: X) -> FileTensor:
        return _merged(x, operation)

    return row


def _average(*x: X) -> FileTensor:
    return _merged(x, "add").linear(1.0 / len(x), suffix="/mean")


def _subtract(*x: X) -> FileTensor:
    if len(x) != 2:
        raise UnsupportedError(f"a difference of {len(x)} inputs")
    return _merged(x, "subtract")


MERGES: dict[str, Row] = {
    "Add": _merge("add"),
    "Average": _average,
    "Maximum": _merge("maximum"),
    "Minimum": _merge("minimum"),
    "Multiply": _merge("multiply"),
    "Subtract": _subtract,
}
"""The functions that convert layers, by the name of the class."""


# ---- Functions of two operands ---------------------------------------------------------------------------------------


def as_tensor(c: LayerCall, value: Any) -> FileTensor:
    """Return an operand as a tensor; a number becomes a constant."""
    if isinstance(value, FileTensor):
        return value
    numbers = np.atleast_1d(value)
    return c.constant(numbers.shape, lambda: numbers, "/number")


def _operator(operation: str) -> Row:
    def row(c: LayerCall, a: Argument, b: Argument) -> FileTensor:
        x, other = (a, b) if isinstance(a, FileTensor) else (b, a)
        assert isinstance(x, FileTensor)
        if isinstance(other, FileTensor):
            return x.combine(operation, other)
        numbers = np.asarray(other, np.float64)
        made = _with_constant(c, x, operation, numbers, constant_first=x is b)
        return made or as_tensor(c, a).combine(operation, as_tensor(c, b))

    return row


def _with_constant(
    c: LayerCall, x: FileTensor, operation: str, numbers: Any, *, constant_first: bool
) -> FileTensor | None:
    """Convert arithmetic with constants to an activation, or to a scale or offset of channels, or return None."""
    if numbers.size == 1:
        number = float(numbers.item())
        if operation == "divide" and number == 0.0 and not constant_first:
            raise UnsupportedError("divides by 0")
        return with_number(x, operation, number, is_first=constant_first)
    if operation not in _SUMS_AND_PRODUCTS or numbers.ndim >= x.rank:
        return None
    if operation == "divide" and (constant_first or not have_reciprocals(numbers)):
        return None
    factors = scale_and_offset(operation, numbers, constant_first=constant_first)
    return c.affine(x, *(None if one is None else np.asarray(one) for one in factors))


def _comparison(operation: str) -> Row:
    def row(c: LayerCall, a: Argument, b: Argument) -> FileTensor:
        first, second = (as_tensor(c, value) for value in (a, b))
        return first.combine(operation, second).mark_as_integers()

    return row


def _junction(operation: str) -> Row:
    """Return the row of a function of truth values. All numbers but 0 are true."""

    def row(c: LayerCall, a: Argument, b: Argument) -> FileTensor:
        with c.under("/truth"):
            first, second = (as_tensor(c, value).not_equal(0.0) for value in (a, b))
        return first.combine(operation, second).mark_as_integers()

    return row


def _not(c: LayerCall, x: X) -> FileTensor:
    return x.combine("equal", as_tensor(c, 0.0)).mark_as_integers()


def _where(c: LayerCall, condition: Argument, x: Argument, y: Argument) -> FileTensor:
    """Convert where. A constant 0 adds nothing to the sum of the masked tensors, so it is left out."""
    chosen, other = (partial(as_tensor, c, one) if np.any(one != 0.0) else None for one in (x, y))
    return as_tensor(c, condition).where(chosen, other)


# ---- Functions of one operand ----------------------------------------------------------------------------------------


def _map(neuron: Activation) -> Row:
    def row(x: X) -> FileTensor:
        return x.map(neuron)

    return row


def _named(name: str) -> Row:
    """Return the row of an activation function without settings."""

    def row(c: LayerCall, x: X) -> FileTensor:
        return named_function(name, c.generation)(x)

    return row


def _only(value: float, default: float, setting: str) -> None:
    if value != default:
        raise UnsupportedError(f"its {setting} is not {default:g}, which is not supported")


def _celu(c: LayerCall, x: X, *, alpha: Number = 1.0) -> FileTensor:
    _only(alpha, 1.0, "alpha")
    return named_function("celu", c.generation)(x)


def _soft_shrink(c: LayerCall, x: X, *, threshold: Number = 0.5) -> FileTensor:
    _only(threshold, 0.5, "threshold")
    return named_function("soft_shrink", c.generation)(x)


def _square_plus(c: LayerCall, x: X, *, b: Number = 4.0) -> FileTensor:
    _only(b, 4.0, "b")
    return named_function("squareplus", c.generation)(x)


def like_layer(kind: str) -> Row:
    """Return the row of a layer or function that has the settings of an activation layer of this kind."""

    def row(c: LayerCall, x: X, **settings: Any) -> FileTensor:
        return function_of_layer(kind, settings, c.generation)(x)

    return row


def _clip(x: X, *, x_min: Number = -_LARGEST, x_max: Number = _LARGEST) -> FileTensor:
    if x_min > x_max:
        raise UnsupportedError(f"its limits are {x_min} and {x_max}")
    return x.map({"kind": "clamp", "a": x_min, "b": x_max})


def _gelu(x: X, *, approximate: Flag = True) -> FileTensor:
    return x.map("gelu_tanh" if approximate else "gelu")


def _glu(x: X, *, axis: Whole = -1) -> FileTensor:
    return gated(x, axis)


def _power_of_two(x: X) -> FileTensor:
    return x.exponential(2.0)


def _logarithm_of_one_more(x: X) -> FileTensor:
    return log1p(x)


def _log_softmax(c: LayerCall, x: X, *, axis: Wholes = (-1,)) -> FileTensor:
    return x.apply_along(axes_of(x, axis), c.network.log_softmax)


def _reciprocal(x: X) -> FileTensor:
    return x.reciprocal()


def _root(*, inverse: bool) -> Row:
    def row(x: X) -> FileTensor:
        return x.sqrt(inverse=inverse)

    return row


_NARROW = {"int8", "int16", "uint8", "uint16"}


def _cast(x: X, *, dtype: Text = "float32") -> FileTensor:
    if dtype == "bool":
        return x.not_equal(0.0)
    if "int" in dtype:
        if x.whole_numbers:
            return x.mark_as_integers()
        if dtype in _NARROW:  # no result may lie outside of its type
            limits = np.iinfo(dtype)
            x = x.map({"kind": "clamp", "a": float(limits.min), "b": float(limits.max)})
        return x.truncate().mark_as_integers()
    return x.mark_as_floats()


def _round(x: X, *, decimals: Whole = 0) -> FileTensor:
    if decimals:
        raise UnsupportedError("rounds to other than whole numbers, which is not supported")
    return x.map("round")


def _logarithm(base: float) -> Row:
    return _map({"kind": "logarithm", "a": 1.0, "c": base})


ARITHMETIC: dict[str, Row] = {
    **{
        kind: _operator(operation)
        for kind, operation in {
            "Add": "add", "Subtract": "subtract", "Multiply": "multiply", "Divide": "divide", "TrueDivide": "divide",
            "Maximum": "maximum", "Minimum": "minimum", "Power": "power",
        }.items()
    },
    "Equal": _comparison("equal"),
    "Greater": _comparison("greater"),
    "GreaterEqual": _comparison("greater_equal"),
    "Less": _comparison("less"),
    "LessEqual": _comparison("less_equal"),
    "LogicalAnd": _junction("multiply"),
    "LogicalNot": _not,
    "LogicalOr": _junction("maximum"),
    "NotEqual": _comparison("not_equal"),
    "Where": _where,
    "Absolute": _map("absolute"),
    "Cast": _cast,
    "Ceil": _map("ceil"),
    "Celu": _celu,
    "Clip": _clip,
    "Elu": like_layer("ELU"),
    "Erf": _map("erf"),
    "Exp": _map("exponential"),
    "Exp2": _power_of_two,
    "Floor": _map("floor"),
    "Gelu": _gelu,
    "Glu": _glu,
    "HardSigmoid": _named("hard_sigmoid"),
    "HardSilu": _named("hard_silu"),
    "HardSwish": _named("hard_silu"),
    "HardTanh": _named("hard_tanh"),
    "LeakyRelu": like_layer("LeakyReLU"),
    "Log": _map("logarithm"),
    "Log10": _logarithm(10.0),
    "Log1p": _logarithm_of_one_more,
    "Log2": _logarithm(2.0),
    "LogSigmoid": _named("log_sigmoid"),
    "LogSoftmax": _log_softmax,
    "Mish": _named("mish"),
    "Negative": _map({"kind": "linear", "a": -1.0}),
    "Reciprocal": _reciprocal,
    "Relu": _named("relu"),
    "Relu6": _named("relu6"),
    "Round": _round,
    "Rsqrt": _root(inverse=True),
    "Selu": _named("selu"),
    "Sigmoid": _named("sigmoid"),
    "Sign": _map("sign"),
    "Silu": _named("silu"),
    "SoftShrink": _soft_shrink,
    "Softmax": like_layer("Softmax"),
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "SparseSigmoid": _named("sparse_sigmoid"),
    "Sqrt": _root(inverse=False),
    "Square": _map({"kind": "power", "a": 1.0, "c": 2.0}),
    "Squareplus": _square_plus,
    "Tanh": _named("tanh"),
    "TanhShrink": _named("tanh_shrink"),
}  # fmt: skip
"""The functions that convert calls of keras.ops, by the name of the class."""
