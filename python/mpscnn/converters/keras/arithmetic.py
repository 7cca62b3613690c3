"""Convert Keras's arithmetic: layers with several inputs (Add, ...), and elementwise functions of keras.ops.

Keras 3 stores arithmetic between layers, such as `x * 2 + 1`, as functions of keras.ops. Keras 2 stores it as
TFOpLambda layers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np

from mpscnn.converters.affine import scale_and_offset
from mpscnn.converters.composed_functions import log1p
from mpscnn.converters.keras.functions import LAYERS, gated, named_function
from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.special_values import have_reciprocals
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.with_number import with_number
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

Handler = Callable[[LayerCall], FileTensor]
_SUMS_AND_PRODUCTS = ("add", "subtract", "multiply", "divide")
_LARGEST = float(np.finfo(np.float32).max)


# ---- Layers with several inputs --------------------------------------------------------------------------------------


def _merged(c: LayerCall, operation: str) -> FileTensor:
    """Combine all inputs, from left to right, after inserting axes of extent 1 after the batch.

    The last operation gets the layer's name.
    """
    inputs = c.inputs()
    rank = max(x.rank for x in inputs)
    first, *others = (x.expand_dims(range(1, 1 + rank - x.rank)) for x in inputs)
    partial = reduce(lambda a, b: a.combine(operation, b, "/part"), others[:-1], first)
    return partial.combine(operation, others[-1]) if others else first


def _subtract(c: LayerCall) -> FileTensor:
    if len(c.inputs()) != 2:
        raise UnsupportedError(f"a difference of {len(c.inputs())} inputs")
    return _merged(c, "subtract")


MERGES: dict[str, Handler] = {
    "Add": lambda c: _merged(c, "add"),
    "Average": lambda c: _merged(c, "add").linear(1.0 / len(c.inputs()), suffix="/mean"),
    "Maximum": lambda c: _merged(c, "maximum"),
    "Minimum": lambda c: _merged(c, "minimum"),
    "Multiply": lambda c: _merged(c, "multiply"),
    "Subtract": _subtract,
}
"""The functions that convert layers, by the name of the class."""


# ---- Functions of two operands ---------------------------------------------------------------------------------------


def operands(c: LayerCall, count: int) -> list[Any]:
    """Return the operands of a function: tensors, numbers and arrays of numbers."""
    first = c.arguments[0] if c.arguments else None
    given = list(first if len(c.arguments) == 1 and isinstance(first, list) else c.arguments)
    given += [c.keywords[key] for key in ("x1", "x", "y", "x2") if c.keywords.get(key) is not None]
    if len(given) != count:
        raise UnsupportedError(f"an operator with {len(given)} operands")
    for value in given:
        if not isinstance(value, (FileTensor, int, float, np.ndarray)):
            raise UnsupportedError("an operand is neither the result of a layer nor a number")
    if len({value.rank for value in given if isinstance(value, FileTensor)}) > 1:
        # Functions broadcast from the last axis, unlike layers, so the batch would be combined with another axis.
        shown = [value.shown for value in given if isinstance(value, FileTensor)]
        raise UnsupportedError(f"its operands {shown} have different numbers of axes")
    return given


def as_tensor(c: LayerCall, value: Any) -> FileTensor:
    """Return an operand as a tensor; a number becomes a constant."""
    if isinstance(value, FileTensor):
        return value
    numbers = np.atleast_1d(value)
    return c.constant(numbers.shape, lambda: numbers, "/number")


def _operator(c: LayerCall, operation: str) -> FileTensor:
    a, b = operands(c, 2)
    x, other = (a, b) if isinstance(a, FileTensor) else (b, a)
    if isinstance(other, FileTensor):
        return x.combine(operation, other)
    numbers = np.asarray(other, np.float64)
    made = _with_constant(c, x, operation, numbers, constant_first=x is b)
    return made or as_tensor(c, a).combine(operation, as_tensor(c, b))


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


def _comparison(operation: str) -> Handler:
    def convert(c: LayerCall) -> FileTensor:
        first, second = (as_tensor(c, value) for value in operands(c, 2))
        return first.combine(operation, second).mark_as_integers()

    return convert


def _junction(c: LayerCall, operation: str) -> FileTensor:
    """Combine truth values. All numbers but 0 are true."""
    with c.under("/truth"):
        first, second = (as_tensor(c, value).not_equal(0.0) for value in operands(c, 2))
    return first.combine(operation, second).mark_as_integers()


def _where(c: LayerCall) -> FileTensor:
    """Convert where. A constant 0 adds nothing to the sum of the masked tensors, so it is left out."""
    condition, *choices = operands(c, 3)
    chosen, other = (partial(as_tensor, c, one) if np.any(one != 0.0) else None for one in choices)
    return as_tensor(c, condition).where(chosen, other)


# ---- Functions of one operand ----------------------------------------------------------------------------------------


def _map(neuron: Activation) -> Handler:
    return lambda c: c.x().map(neuron)


def _named(name: str, **defaults: float) -> Handler:
    """Return the conversion of an activation function. Other parameters than the defaults are refused."""

    def convert(c: LayerCall) -> FileTensor:
        for setting, value in defaults.items():
            if c.settings.number(setting, value) != value:
                raise UnsupportedError(f"its {setting} is not {value:g}, which is not supported")
        return named_function(name, c.generation)(c.x())

    return convert


def _like_layer(kind: str) -> Handler:
    """Return the conversion of a function that has the settings of an activation layer of this kind."""
    return lambda c: LAYERS[kind](c.settings, c.generation)(c.x())


def _clip(c: LayerCall) -> FileTensor:
    low, high = c.settings.number("x_min", -_LARGEST), c.settings.number("x_max", _LARGEST)
    if low > high:
        raise UnsupportedError(f"its limits are {low} and {high}")
    return c.x().map({"kind": "clamp", "a": low, "b": high})


_NARROW = {"int8", "int16", "uint8", "uint16"}


def _cast(c: LayerCall) -> FileTensor:
    x, kind = c.x(), c.settings.text("dtype", "float32")
    if kind == "bool":
        return x.not_equal(0.0)
    if "int" in kind:
        if x.whole_numbers:
            return x.mark_as_integers()
        if kind in _NARROW:  # no result may lie outside of its type
            limits = np.iinfo(kind)
            x = x.map({"kind": "clamp", "a": float(limits.min), "b": float(limits.max)})
        return x.truncate().mark_as_integers()
    return x.mark_as_floats()


def _round(c: LayerCall) -> FileTensor:
    if c.settings.whole("decimals", 0):
        raise UnsupportedError("rounds to other than whole numbers, which is not supported")
    return c.x().map("round")


def _logarithm(base: float) -> Handler:
    return _map({"kind": "logarithm", "a": 1.0, "c": base})


ARITHMETIC: dict[str, Handler] = {
    **{
        kind: partial(_operator, operation=operation)
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
    "LogicalAnd": lambda c: _junction(c, "multiply"),
    "LogicalNot": lambda c: c.x().combine("equal", as_tensor(c, 0.0)).mark_as_integers(),
    "LogicalOr": lambda c: _junction(c, "maximum"),
    "NotEqual": _comparison("not_equal"),
    "Where": _where,
    "Absolute": _map("absolute"),
    "Cast": _cast,
    "Ceil": _map("ceil"),
    "Celu": _named("celu", alpha=1.0),
    "Clip": _clip,
    "Elu": _like_layer("ELU"),
    "Erf": _map("erf"),
    "Exp": _map("exponential"),
    "Exp2": lambda c: c.x().exponential(2.0),
    "Floor": _map("floor"),
    "Gelu": lambda c: c.x().map("gelu_tanh" if c.settings.flag("approximate", True) else "gelu"),
    "Glu": lambda c: gated(c.x(), c.settings.whole("axis", -1)),
    "HardSigmoid": _named("hard_sigmoid"),
    "HardSilu": _named("hard_silu"),
    "HardSwish": _named("hard_silu"),
    "HardTanh": _named("hard_tanh"),
    "LeakyRelu": _like_layer("LeakyReLU"),
    "Log": _map("logarithm"),
    "Log10": _logarithm(10.0),
    "Log1p": lambda c: log1p(c.x()),
    "Log2": _logarithm(2.0),
    "LogSigmoid": _named("log_sigmoid"),
    "LogSoftmax": lambda c: c.x().apply_along(c.axes(c.x(), -1), c.network.log_softmax),
    "Mish": _named("mish"),
    "Negative": _map({"kind": "linear", "a": -1.0}),
    "Reciprocal": lambda c: c.x().reciprocal(),
    "Relu": _named("relu"),
    "Relu6": _named("relu6"),
    "Round": _round,
    "Rsqrt": lambda c: c.x().sqrt(inverse=True),
    "Selu": _named("selu"),
    "Sigmoid": _named("sigmoid"),
    "Sign": _map("sign"),
    "Silu": _named("silu"),
    "SoftShrink": _named("soft_shrink", threshold=0.5),
    "Softmax": _like_layer("Softmax"),
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "SparseSigmoid": _named("sparse_sigmoid"),
    "Sqrt": lambda c: c.x().sqrt(),
    "Square": _map({"kind": "power", "a": 1.0, "c": 2.0}),
    "Squareplus": _named("squareplus", b=4.0),
    "Tanh": _named("tanh"),
    "TanhShrink": _named("tanh_shrink"),
}  # fmt: skip
"""The functions that convert calls of keras.ops, by the name of the class."""
